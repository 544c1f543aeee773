"""What speech detection answers where `select_errors` asks."""
