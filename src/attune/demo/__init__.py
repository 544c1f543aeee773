"""The embedded default: sentences, synthetic speakers and a corpus to try Attune on before one's own recordings are at hand."""
