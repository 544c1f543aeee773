"""What transcription answers where `select_errors` asks."""
