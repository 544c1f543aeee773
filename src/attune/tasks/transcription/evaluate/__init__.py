"""What transcription answers where `evaluate` asks."""
