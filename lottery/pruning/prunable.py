"""Which parameters may be pruned."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.utils.parametrize import ParametrizationList
from torch.nn.utils.prune import BasePruningMethod

from nas.convolutional.auxiliary import counted_parameters
from nas.normalised_weights import gains, is_normalisation
from nas.recurrent.cells import RecurrentCore
from training.errors import LotteryError

EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
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
# Of the parameters that are left out a sentence names so many.
NAMED = 3


def prunable_names(network: nn.Module, embeddings: bool) -> list[str]:
    """The names of the parameters that a mask covers, in the network's order.

    They are the trained matrices and kernels of linear, convolutional and recurrent layers, parameters of two or more
    dimensions, and the matrices that other modules hold themselves, as attention does: of exactly two dimensions, so
    neither a scale per channel `[C, 1, 1]` nor the positions of a vision transformer `[1, T, E]` are pruned. A vector
    in the shape of a matrix is not, nor are biases, the parameters of norms, and anything of an auxiliary head. A tied
    parameter stands once, by its first name; one that is an embedding anywhere counts as an embedding.

    Where a layer computes its weight from parameters, as weight and spectral normalisation do, it is the parameter
    behind the weight that is pruned, and not the lengths; but for one where what is computed of a 0 is not 0.

    Nothing tells a matrix that is looked up or added from one that is multiplied, where a module of no known kind holds
    it: so the relative position biases of torchvision's Swin and MaxViT transformers, `[positions, heads]`, are pruned.

    Args:
        network: one replicate's network, not a stack.
        embeddings: whether embeddings are among them.

    Raises:
        LotteryError: there is nothing to prune, or torch prunes a part of it already.
    """
    _refuse_masks_of_torch(network)
    left_out = _without_zeros(network)
    if not embeddings:
        left_out |= _parameters_of(network, EMBEDDINGS)
    own = _parameters_of(network, LAYERS)
    # With those below a layer, such as the factors of a parametrization.
    within = _parameters_of(network, LAYERS, recurse=True)
    names = [
        name
        for name, parameter in _weights(network).items()
        if id(parameter) not in left_out
        and (parameter.dim() == 2 or id(parameter) in within)
        and (id(parameter) in own or parameter.numel() > max(parameter.shape))
    ]
    if not names:
        raise LotteryError(
            f"{type(network).__name__} has no weights to prune: it needs a linear, convolutional or "
            "recurrent layer that is trained."
        )
    return names


def left_whole(network: nn.Module, embeddings: bool) -> str:
    """A sentence on the weights that no mask covers though they may be matrices or kernels; "" if there are none.

    Norms, embeddings and vectors are none of them.

    Args:
        network: one replicate's network, not a stack.
        embeddings: as in `prunable_names`.
    """
    covered, tables = {*prunable_names(network, embeddings)}, _parameters_of(network, EMBEDDINGS)
    whole = {
        name: parameter
        for name, parameter in _weights(network).items()
        if name not in covered
        and id(parameter) not in tables
        and parameter.numel() > max(parameter.shape)
    }
    if not whole:
        return ""
    total = sum(parameter.numel() for parameter in whole.values())
    more = f" and {len(whole) - NAMED} more" if len(whole) > NAMED else ""
    return (
        f"{total:,} weights are never pruned, those of {', '.join([*whole][:NAMED])}{more}: no layer that torch knows "
        "holds them and they are no matrices, or what their parametrization makes of 0 is not 0; put a kernel into "
        "a layer such as torch.nn.Conv2d to have it pruned."
    )


def _weights(network: nn.Module) -> dict[str, nn.Parameter]:
    """The trained parameters of two or more dimensions, but for those of norms and the lengths of weights."""
    scales, norms = gains(network), _parameters_of(network, NORMS)
    return {
        name: parameter
        for name, parameter in counted_parameters(network).items()
        if parameter.requires_grad
        and parameter.dim() >= 2
        and name not in scales
        and id(parameter) not in norms
    }


def _refuse_masks_of_torch(network: nn.Module) -> None:
    for path, module in network.named_modules():
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, BasePruningMethod):
                own = hook._tensor_name
                name = f"{path}.{own}" if path else own
                raise LotteryError(
                    f"{name} of {type(network).__name__} carries a mask of torch.nn.utils.prune; call "
                    f"torch.nn.utils.prune.remove(module, {own!r}) where the network is made, which leaves its zeros "
                    "as plain weights."
                )


def _without_zeros(network: nn.Module) -> set[int]:
    """The identities of the parameters behind a weight that would not be 0 where they are."""
    found: set[int] = set()
    for module in network.modules():
        if isinstance(module, ParametrizationList) and not all(map(is_normalisation, module)):
            trial = copy.deepcopy(module).eval()
            own = module.named_parameters(recurse=False)
            found |= {
                id(p) for name, p in own if not _keeps_zeros(trial, trial.get_parameter(name))
            }
    return found


@torch.no_grad()
def _keeps_zeros(computes: ParametrizationList, parameter: nn.Parameter) -> bool:
    """Whether a weight is 0 where its parameter is, if they are alike in shape; every other value is set to 0."""
    even = torch.arange(parameter.numel(), device=parameter.device) % 2 == 0
    pruned = even.view(parameter.shape)
    parameter.masked_fill_(pruned, 0.0)
    computed = computes()
    return computed.shape != parameter.shape or not bool(computed[pruned].any())


def _parameters_of(
    network: nn.Module, kinds: tuple[type[nn.Module], ...], recurse: bool = False
) -> set[int]:
    """The identities of the parameters that modules of some kinds hold themselves, or with `recurse` below them too.

    What is behind a weight that a parametrization computes is the module's own.
    """
    found: set[int] = set()
    for module in network.modules():
        if isinstance(module, kinds):
            holders = [module, *_parametrizations(module)]
            found |= {id(p) for holder in holders for p in holder.parameters(recurse)}
    return found


def _parametrizations(module: nn.Module) -> Iterator[nn.Module]:
    for name, child in module.named_children():
        if name == "parametrizations":
            yield from child.children()
