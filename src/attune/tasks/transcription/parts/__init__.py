"""What the stages of transcription have in common: nothing of its own, it lies in the rooms below."""
