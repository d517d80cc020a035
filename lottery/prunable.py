"""Which parameters may be pruned."""

from __future__ import annotations

from torch import nn

from training.errors import LotteryError


def prunable_names(network: nn.Module, embeddings: bool) -> list[str]:
    """The names of the parameters that a mask covers, in the network's order.

    They are the trained matrices and kernels of linear, convolutional and recurrent layers: parameters of two or more
    dimensions. Biases and the parameters of norms have one. A tied parameter stands once, by its first name; one that
    is an embedding anywhere counts as an embedding.

    Args:
        network: one replicate's network, not a stack.
        embeddings: whether embeddings are among them.

    Raises:
        LotteryError: there is nothing to prune.
    """
    tables = {id(module.weight) for module in network.modules() if isinstance(module, nn.Embedding)}
    names = [
        name
        for name, parameter in network.named_parameters()
        if parameter.requires_grad
        and parameter.dim() >= 2
        and (embeddings or id(parameter) not in tables)
    ]
    if not names:
        raise LotteryError(
            f"{type(network).__name__} has no weights to prune: it needs a linear, convolutional or "
            "recurrent layer that is trained."
        )
    return names
