"""Networks for images, and what they are made of."""
