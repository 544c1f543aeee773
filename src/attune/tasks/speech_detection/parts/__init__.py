"""What the stages of speech detection have in common."""
