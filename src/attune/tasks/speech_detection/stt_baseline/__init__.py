"""What speech detection answers where `stt_baseline` asks."""
