"""Searches for architectures: ENAS, NAO and the random search that they must beat."""
