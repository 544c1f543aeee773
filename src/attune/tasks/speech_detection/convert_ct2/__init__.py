"""What speech detection answers where `convert_ct2` asks."""
