"""Versions of a model and the stages they are in: git tags that GTO writes, and folders that DVC keeps."""
