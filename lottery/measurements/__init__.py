"""What is measured on a network and needs torch."""
