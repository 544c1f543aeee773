"""What transcription answers where `split_clean_noisy` asks."""
