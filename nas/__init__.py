"""Architectures as values, and the networks built from them."""
