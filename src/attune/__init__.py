"""Attune fine-tunes speech-to-text models on somebody's own recordings, and proves on held-out speakers what that brought."""
