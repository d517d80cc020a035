"""Which parameters may be pruned."""

from __future__ import annotations

from torch import nn

from nas.networks import counted_parameters
from nas.recurrent_cells import RecurrentCore
from training.errors import LotteryError

TABLES = (nn.Embedding, nn.EmbeddingBag)
# Over more than one dimension they have parameters of as many.
NORMS = (nn.LayerNorm, nn.RMSNorm)
LAYERS = (
    nn.Linear,
    nn.Bilinear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
    nn.RNNBase,
    nn.RNNCellBase,
    RecurrentCore,
)


def prunable_names(network: nn.Module, embeddings: bool) -> list[str]:
    """The names of the parameters that a mask covers, in the network's order.

    They are the trained matrices and kernels of linear, convolutional and recurrent layers, parameters of two or more
    dimensions, and the matrices that other modules hold themselves, as attention does: of exactly two dimensions, so
    neither a scale per channel `[C, 1, 1]` nor the positions of a vision transformer `[1, T, E]` are pruned. A vector
    in the shape of a matrix is not, nor are biases, the parameters of norms, and anything of an auxiliary head. A tied
    parameter stands once, by its first name; one that is an embedding anywhere counts as an embedding.

    Nothing tells a matrix that is looked up or added from one that is multiplied, where a module of no known kind holds
    it: so the relative position biases of torchvision's Swin and MaxViT transformers, `[positions, heads]`, are pruned.

    Args:
        network: one replicate's network, not a stack.
        embeddings: whether embeddings are among them.

    Raises:
        LotteryError: there is nothing to prune.
    """
    left_out = _parameters_of(network, NORMS)
    if not embeddings:
        left_out |= _parameters_of(network, TABLES)
    own = _parameters_of(network, LAYERS)
    # With those below a layer, such as what weight normalisation makes of a kernel.
    within = _parameters_of(network, LAYERS, recurse=True)
    names = [
        name
        for name, parameter in counted_parameters(network).items()
        if parameter.requires_grad
        and parameter.dim() >= 2
        and id(parameter) not in left_out
        and (parameter.dim() == 2 or id(parameter) in within)
        and (id(parameter) in own or parameter.numel() > max(parameter.shape))
    ]
    if not names:
        raise LotteryError(
            f"{type(network).__name__} has no weights to prune: it needs a linear, convolutional or "
            "recurrent layer that is trained."
        )
    return names


def _parameters_of(
    network: nn.Module, kinds: tuple[type[nn.Module], ...], recurse: bool = False
) -> set[int]:
    """The identities of the parameters that modules of some kinds hold themselves, or with `recurse` below them too."""
    modules = [module for module in network.modules() if isinstance(module, kinds)]
    return {id(p) for module in modules for p in module.parameters(recurse)}
