"""What speech detection answers where `llm_gold` asks."""
