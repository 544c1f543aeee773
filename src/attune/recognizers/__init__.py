"""Recognisers: one Protocol, one file per family (`whisper`, `ctc`), one place that decides which one a checkpoint is."""
