"""Find winning tickets: train, prune, rewind, repeat, and compare with controls."""
