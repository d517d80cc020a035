"""Searched architectures as values: checked, parsed, printed, published, drawn; torch-free."""
