"""What transcription answers where `attune compare` asks."""
