"""What speech detection answers where `attune report` asks."""
