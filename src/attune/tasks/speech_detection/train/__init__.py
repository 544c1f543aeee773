"""What speech detection answers where `train` asks."""
