"""What transcription answers where `stt_baseline` asks."""
