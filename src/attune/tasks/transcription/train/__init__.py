"""What transcription answers where `train` asks."""
