"""What transcription answers where `llm_gold` asks."""
