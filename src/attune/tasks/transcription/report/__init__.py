"""What transcription answers where `attune report` asks."""
