"""What transcription answers where `attune model register` asks."""
