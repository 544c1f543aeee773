"""What speech detection answers where `evaluate` asks."""
