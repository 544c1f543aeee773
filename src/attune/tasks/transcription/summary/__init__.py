"""What transcription answers where `attune summary` asks."""
