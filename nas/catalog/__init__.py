"""Networks by name: what is known of each, and how it is built."""
