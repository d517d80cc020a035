"""Experiments and searches by name; torch-free."""
