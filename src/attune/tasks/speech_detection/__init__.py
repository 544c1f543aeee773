"""Is there speech in a clip? SPEECH or NONSPEECH, by an audio language model of the Qwen2-Audio class."""
