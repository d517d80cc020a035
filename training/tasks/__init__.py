"""What a network is trained to do: batches, loss, evaluation and metric."""
