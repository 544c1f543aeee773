"""What speech detection answers where `attune compare` asks."""
