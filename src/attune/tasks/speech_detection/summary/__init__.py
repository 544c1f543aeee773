"""What speech detection answers where `attune summary` asks."""
