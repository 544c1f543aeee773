"""What speech detection answers where `split_clean_noisy` asks."""
