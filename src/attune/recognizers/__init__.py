"""Recognisers: one Protocol, one file per family, one place (`registry`) that decides which a checkpoint is."""
