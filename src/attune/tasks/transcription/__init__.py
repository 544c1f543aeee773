"""Words out of speech: what is said in a recording."""
