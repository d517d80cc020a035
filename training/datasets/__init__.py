"""Data sets as tensors in memory, with fixed splits."""
