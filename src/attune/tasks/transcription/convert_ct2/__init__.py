"""What transcription answers where `convert_ct2` asks."""
