"""Networks for text: the loop over time, its cells, and the language model around them."""
