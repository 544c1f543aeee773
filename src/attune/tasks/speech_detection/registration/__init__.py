"""What speech detection answers where `attune model register` asks."""
