"""Smaller networks of equal outputs: units that give nothing, or always the same, are cut out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lottery.pruning.masks import Mask, apply_mask, tensors_of
from lottery.pruning.unit_tracing import trace_units
from lottery.pruning.units import Units
from training.errors import LotteryError
from training.network_tensors import copied

LAYERS = (nn.Linear, nn.Conv2d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
# Of equal outputs, relative to the largest: cut matrices are summed in another order.
TOLERANCE = 1e-4


@dataclass(frozen=True, kw_only=True)
class _Dead:
    """Units of which a network needs nothing, as bools `[units + 1]`; the last is that of no unit.

    Attributes:
        unread: those that no kept weight reads, or only ones of units that are unread themselves.
        constant: those that no kept weight makes, or only ones that read such units themselves.
    """

    unread: Tensor
    constant: Tensor


def compacted(network: nn.Module, mask: Mask, example: Tensor) -> nn.Module:
    """A network without the units that no kept weight reads or makes, whose outputs are equal but for rounding.

    What a unit gives that nothing makes, as its bias and batch norm have it in evaluation, goes to the biases of those
    that read it; into a convolution that pads its input it can't, unless it is 0, so there the unit stays. One unit of
    each layer stays in any case.

    Args:
        network: in any mode; the smaller one is in evaluation mode, for which it holds.
        mask: of its weights.
        example: inputs `[B, ...]`, of two or more, on which outputs are compared.

    Raises:
        LotteryError: its code can't be run with fewer units.
    """
    smaller = copied(network).eval()
    smaller.load_state_dict(apply_mask(mask, tensors_of(network)), strict=False)
    with torch.no_grad():
        expected = smaller(example)
        try:
            _cut(smaller, mask, example)
            found = smaller(example)
        except (LotteryError, RuntimeError) as error:
            raise _impossible(network, str(error).splitlines()[0]) from error
    difference = (found - expected).abs().max() / expected.abs().max().clamp_min(1e-30)
    if found.shape != expected.shape or not float(difference) <= TOLERANCE:
        raise _impossible(network, f"outputs differed by {float(difference):.2g}")
    return smaller


def dead_units(units: Units, mask: Mapping[str, Tensor]) -> _Dead:
    """Which units a mask leaves without readers, or without makers; both follow from one another, layer by layer."""
    unread = torch.zeros(units.count + 1, dtype=torch.bool)
    constant = unread.clone()
    while True:
        reads, makes = torch.zeros_like(unread), torch.zeros_like(unread)
        for name, kept in mask.items():
            readers, sources = units.makes[name], units.reads[name]
            reads[sources[kept & ~unread[readers]]] = True
            makes[readers[kept & ~constant[sources]]] = True
        reads[-1] = makes[-1] = True
        if torch.equal(unread, ~reads) and torch.equal(constant, ~makes):
            return _Dead(unread=unread, constant=constant)
        unread, constant = ~reads, ~makes


def _cut(network: nn.Module, mask: Mask, example: Tensor) -> None:
    """Cut units out of a network whose pruned weights are 0, in place."""
    named = dict(network.named_parameters())
    weights = [name for name, parameter in named.items() if parameter.dim() >= 2]
    units = trace_units(network, lambda one: one(example[:1]), weights)
    layers = {name: _layer(network, name) for name in units.makes}
    whole = {name: torch.ones_like(named[name], dtype=torch.bool) for name in layers}
    dead = dead_units(units, {name: mask.get(name, kept) for name, kept in whole.items()})
    inputs = _inputs(network, layers, example)
    gone = dead.unread | _foldable(units, layers, dead.constant, inputs)
    for numbers in units.layers.values():
        if bool(gone[numbers].all()):
            gone[numbers[0]] = False
    for name, layer in layers.items():
        _fold(layer, gone & ~dead.unread, units.reads[name], inputs[name])
    for name, layer in layers.items():
        _cut_layer(layer, ~gone[_rows(units.makes[name])], ~gone[_columns(units.reads[name])])
    for name, module in network.named_modules():
        vector = f"{name}.running_mean"
        if isinstance(module, NORMS) and vector in units.follows:
            _cut_norm(module, ~gone[units.follows[vector]])


def _layer(network: nn.Module, name: str) -> nn.Linear | nn.Conv2d:
    path, _, own = name.rpartition(".")
    module = network.get_submodule(path)
    if isinstance(module, LAYERS) and own == "weight":
        return module
    raise LotteryError(f"{name} is no weight of a linear layer or a convolution")


def _inputs(
    network: nn.Module, layers: Mapping[str, nn.Module], example: Tensor
) -> dict[str, Tensor]:
    """What each layer is given, its channels or features in front: `[C, ...]`."""
    found: dict[str, Tensor] = {}

    def keep(name: str, given: Tensor) -> None:
        dim = -1 if isinstance(layers[name], nn.Linear) else 1
        found[name] = given.movedim(dim, 0).flatten(1)

    hooks = [
        layer.register_forward_pre_hook(lambda _, given, name=name: keep(name, given[0]))
        for name, layer in layers.items()
    ]
    network(example)
    for hook in hooks:
        hook.remove()
    return found


def _foldable(
    units: Units,
    layers: Mapping[str, nn.Linear | nn.Conv2d],
    constant: Tensor,
    inputs: Mapping[str, Tensor],
) -> Tensor:
    """Those of the constant units of which every reader can do without."""
    found = constant.clone()
    for name, layer in layers.items():
        # A depthwise kernel is a unit's own and stands between it and its readers.
        if isinstance(layer, nn.Conv2d) and layer.groups > 1:
            found[units.makes[name].flatten()] = False
            continue
        columns, values = _columns(units.reads[name]), inputs[name]
        varies = values.amax(1) != values.amin(1)
        if isinstance(layer, nn.Conv2d) and layer.padding not in ((0, 0), "valid"):
            varies |= values[:, 0] != 0
        found[columns[varies & (columns >= 0)]] = False
    found[-1] = False
    return found


def _fold(layer: nn.Linear | nn.Conv2d, folded: Tensor, reads: Tensor, inputs: Tensor) -> None:
    """Add to the bias what folded units give; their columns are cut afterwards."""
    columns = folded[_columns(reads)]
    if not bool(columns.any()):
        return
    added = layer.weight.flatten(2).sum(2) if layer.weight.dim() > 2 else layer.weight
    added = added[:, columns] @ inputs[columns, 0]
    bias = added if layer.bias is None else layer.bias + added
    layer.bias = nn.Parameter(bias)


def _cut_layer(layer: nn.Linear | nn.Conv2d, rows: Tensor, columns: Tensor) -> None:
    weight = layer.weight[rows]
    if isinstance(layer, nn.Linear):
        weight = weight[:, columns]
        layer.in_features, layer.out_features = int(columns.sum()), int(rows.sum())
    elif layer.groups == 1:
        weight = weight[:, columns]
        layer.in_channels, layer.out_channels = int(columns.sum()), int(rows.sum())
    elif layer.groups == layer.out_channels == layer.in_channels:
        layer.groups = layer.in_channels = layer.out_channels = int(rows.sum())
    elif not bool(rows.all()):
        raise LotteryError("a convolution in several groups would lose some of their channels")
    layer.weight = nn.Parameter(weight)
    if layer.bias is not None:
        layer.bias = nn.Parameter(layer.bias[rows])


def _cut_norm(norm: nn.BatchNorm1d | nn.BatchNorm2d, kept: Tensor) -> None:
    norm.num_features = int(kept.sum())
    for name in ("running_mean", "running_var"):
        norm.register_buffer(name, norm.get_buffer(name)[kept])
    if norm.affine:
        norm.weight, norm.bias = nn.Parameter(norm.weight[kept]), nn.Parameter(norm.bias[kept])


def _rows(makes: Tensor) -> Tensor:
    """The unit of each row of a weight."""
    return makes.flatten(1)[:, 0]


def _columns(reads: Tensor) -> Tensor:
    """The unit that each column of a weight reads."""
    return reads[0].flatten(1)[:, 0] if reads.dim() > 2 else reads[0]


def _impossible(network: nn.Module, why: str) -> LotteryError:
    return LotteryError(
        f"{type(network).__name__} can't be compacted: {why}; its masked form has the same outputs."
    )
