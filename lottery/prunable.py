"""Which parameters may be pruned."""

from __future__ import annotations

from torch import nn

from nas.networks import counted_parameters
from training.errors import LotteryError

TABLES = (nn.Embedding, nn.EmbeddingBag)
# Over more than one dimension they have parameters of as many.
NORMS = (nn.LayerNorm, nn.RMSNorm)
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def prunable_names(network: nn.Module, embeddings: bool) -> list[str]:
    """The names of the parameters that a mask covers, in the network's order.

    They are the trained matrices and kernels of linear, convolutional and recurrent layers: parameters of two or more
    dimensions. Biases and the parameters of norms are not, nor are vectors in the shape of a matrix, such as a scale
    per channel `[C, 1, 1]`, nor is anything of an auxiliary head. A tied parameter stands once, by its first name; one
    that is an embedding anywhere counts as an embedding.

    Args:
        network: one replicate's network, not a stack.
        embeddings: whether embeddings are among them.

    Raises:
        LotteryError: there is nothing to prune.
    """
    left_out = _parameters_of(network, NORMS)
    if not embeddings:
        left_out |= _parameters_of(network, TABLES)
    matrices = _parameters_of(network, LAYERS)
    names = [
        name
        for name, parameter in counted_parameters(network).items()
        if parameter.requires_grad
        and parameter.dim() >= 2
        and id(parameter) not in left_out
        and (id(parameter) in matrices or parameter.numel() > max(parameter.shape))
    ]
    if not names:
        raise LotteryError(
            f"{type(network).__name__} has no weights to prune: it needs a linear, convolutional or "
            "recurrent layer that is trained."
        )
    return names


def _parameters_of(network: nn.Module, kinds: tuple[type[nn.Module], ...]) -> set[int]:
    """The identities of the parameters that modules of some kinds hold themselves."""
    modules = [module for module in network.modules() if isinstance(module, kinds)]
    return {id(p) for module in modules for p in module.parameters(recurse=False)}
