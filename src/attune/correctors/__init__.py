"""Correctors: who proposes the right text where nobody wrote it down."""
