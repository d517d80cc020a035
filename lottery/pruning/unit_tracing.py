"""Which weights make and read each unit of a network, seen in one forward pass.

Each tensor of the pass has a label for each of its elements, 0 for none, and what moves elements moves their labels.
Where two are added or multiplied element by element, their labels become one; an operation that is none of those that
are known mixes elements, and what goes into it stays whole. So do the network's output and what a convolution in
several groups reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from lottery.pruning.unit_labels import Labels, numbered
from lottery.pruning.unit_operations import (
    CREATED,
    ELEMENTWISE,
    MOVES,
    NORMS,
    POOLS,
    PRODUCTS,
    REDUCTIONS,
    RESHAPES,
)
from lottery.pruning.units import Units


@dataclass(frozen=True, kw_only=True)
class _Elements:
    """Which entries of a parameter a tensor holds.

    Attributes:
        name: of the parameter.
        places: of the entries in it, flat.
    """

    name: str
    places: Tensor


class _Tracer(TorchDispatchMode):
    """Follows the labels of elements through every operation."""

    def __init__(self, network: nn.Module) -> None:
        TorchDispatchMode.__init__(self)
        named = dict(network.named_parameters()) | dict(network.named_buffers())
        self.units = Labels({name: t.shape for name, t in named.items()})
        self._labels: dict[int, Tensor] = {}
        self._elements = {
            id(t): _Elements(name=n, places=torch.arange(t.numel()).view(t.shape))
            for n, t in named.items()
        }
        # Of what is gone another tensor could have the identity.
        self._seen: list[Tensor] = [*named.values()]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No, as nothing is compiled here."""
        return False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        output = func(*args, **named)
        results = [t for t in tree_leaves(output) if isinstance(t, Tensor)]
        if not results:
            return output
        kind, first = func.overloadpacket, results[0]
        self._seen += results
        inputs = [t for t in tree_leaves([args, named]) if isinstance(t, Tensor)]
        is_view = any(r.alias_info is not None for r in func._schema.returns)
        if kind in PRODUCTS:
            self._product(
                args[-2], args[-1], args[0] if kind is torch.ops.aten.addmm else None, first
            )
        elif kind is torch.ops.aten.convolution:
            self._convolve(args, first)
        elif kind in NORMS:
            self._normalise(args, first)
        elif kind in POOLS:
            self._set(first, self._reduced(args[0], [-2, -1]).expand(first.shape))
        elif kind in REDUCTIONS and len(args) > 1:
            keep = bool(args[2]) if len(args) > 2 else named.get("keepdim", False)
            labels = self._reduced(args[0], args[1])
            self._set(first, labels if keep else labels.view(first.shape))
        elif kind is torch.ops.aten.constant_pad_nd:
            self._set(first, F.pad(self.labels(args[0]), args[1]))
        elif torch.Tag.pointwise in func.tags or kind in ELEMENTWISE:
            self._merge(inputs, first, func._schema.is_mutable)
        elif kind in RESHAPES:
            self._reshape(args[0], first)
        elif kind in MOVES or (is_view and kind is not torch.ops.aten.as_strided):
            self._move(func, args, named, results)
        elif kind not in CREATED:
            for tensor in inputs:
                self.units.keep_whole(self.labels(tensor))
        return output

    def labels(self, tensor: Tensor) -> Tensor:
        """Of a tensor's elements, in its shape."""
        found = self._labels.get(id(tensor))
        return torch.zeros(tensor.shape, dtype=torch.long) if found is None else found

    def leave(self, module: nn.Module, inputs: Any, output: Any) -> None:
        """A hook behind the network, whose output stays whole."""
        for tensor in tree_leaves(output):
            if isinstance(tensor, Tensor):
                self.units.keep_whole(self.labels(tensor))

    def _set(self, tensor: Tensor, labels: Tensor) -> None:
        if bool(labels.any()):
            self._labels[id(tensor)] = labels

    def _note(self, side: Literal["makes", "reads"], operand: Tensor | None, made: Tensor) -> None:
        """Say of the entries of a parameter, those that an operand holds, what makes or reads them."""
        found = None if operand is None else self._elements.get(id(operand))
        if found is not None:
            self.units.note(side, found.name, found.places, made)
        elif operand is not None:
            # What is no parameter is made or read as a whole.
            self.units.keep_whole(made)

    def _product(self, x: Tensor, weight: Tensor, bias: Tensor | None, output: Tensor) -> None:
        """`x [n, k] @ weight [k, m]`: a unit for each column."""
        if id(weight) not in self._elements:
            for tensor in (x, weight):
                self.units.keep_whole(self.labels(tensor))
            return
        inputs, made = self._along(x, 1), self.units.new(weight.shape[1])
        self._note("reads", weight, inputs[:, None])
        self._note("makes", weight, made)
        self._note("makes", bias, made)
        self._set(output, made.expand(output.shape))

    def _convolve(self, args: Sequence[Any], output: Tensor) -> None:
        """A unit for each output channel; of a depthwise kernel, that of its input channel."""
        x, weight, bias, transposed, groups = *args[:3], args[6], args[8]
        inputs = self._along(x, 1)
        if transposed or id(weight) not in self._elements:
            self.units.keep_whole(inputs)
            self.units.keep_whole(self.labels(weight))
            return
        made = self.units.new(len(weight))
        if groups == 1:
            self._note("reads", weight, inputs[:, *[None] * (weight.dim() - 2)])
        elif groups == len(inputs) == len(weight):
            made = made.where(inputs == 0, inputs)
        else:
            self.units.keep_whole(inputs)
        self.units.convolutions.add(self._elements[id(weight)].name)
        self._note("makes", weight, made[:, *[None] * (weight.dim() - 1)])
        self._note("makes", bias, made)
        self._set(output, made[:, *[None] * (output.dim() - 2)].expand(output.shape))

    def _normalise(self, args: Sequence[Any], output: Tensor) -> None:
        channels = self._along(args[0], 1)
        for vector in args[1:5]:
            if isinstance(vector, Tensor):
                self._note("makes", vector, channels)
        self._set(output, self.labels(args[0]))

    def _merge(self, inputs: Sequence[Tensor], output: Tensor, in_place: bool) -> None:
        before = self.labels(inputs[0])
        labels = torch.zeros(output.shape, dtype=torch.long)
        for tensor in inputs:
            own = self.labels(tensor)
            if bool(own.any()):
                labels = self.units.join(labels, own.expand(output.shape))
        if in_place and before.shape == labels.shape:
            # Whoever views the same memory does not know.
            self.units.keep_whole(labels[before == 0])
        self._set(output, labels)
        held = [self._elements[id(t)] for t in inputs if id(t) in self._elements]
        alike = [one for one in held if one.places.shape == output.shape]
        if len(alike) == 1 and not bool(labels.any()):
            self._elements[id(output)] = alike[0]

    def _reshape(self, tensor: Tensor, output: Tensor) -> None:
        self._set(output, self.labels(tensor).reshape(output.shape))
        if found := self._elements.get(id(tensor)):
            places = found.places.reshape(output.shape)
            self._elements[id(output)] = _Elements(name=found.name, places=places)

    def _move(
        self, func: Any, args: Any, named: Mapping[str, Any], results: Sequence[Tensor]
    ) -> None:
        """Do with labels, and with the places of entries, what is done with values."""

        def moved(what: Callable[[Tensor], Tensor]) -> list[Tensor]:
            swapped = tree_map(lambda v: what(v) if isinstance(v, Tensor) else v, (args, named))
            return list(tree_leaves(func(*swapped[0], **swapped[1])))

        def is_index(tensor: Tensor) -> bool:
            return not tensor.is_floating_point() and id(tensor) not in self._elements

        labelled = moved(lambda t: t.cpu() if is_index(t) else self.labels(t))
        for result, labels in zip(results, labelled, strict=True):
            self._set(result, labels)
        operands = [t for t in tree_leaves([args, named]) if isinstance(t, Tensor)]
        if len(operands) == 1 and id(operands[0]) in self._elements:
            name = self._elements[id(operands[0])].name
            places = moved(lambda t: self._elements[id(t)].places)
            for result, part in zip(results, places, strict=True):
                self._elements[id(result)] = _Elements(name=name, places=part)

    def _along(self, tensor: Tensor, dim: int) -> Tensor:
        """The label of each position of a dimension, over all others."""
        others = [d for d in range(tensor.dim()) if d != dim]
        return self._reduced(tensor, others).flatten()

    def _reduced(self, tensor: Tensor, dims: Sequence[int] | None) -> Tensor:
        """The one label over some dimensions, which keep the length 1; where there are several all stay whole."""
        labels = self.labels(tensor)
        dims = dims or range(labels.dim())
        found = labels.amax([*dims], keepdim=True) if dims else labels
        if bool(((labels != found) & (labels != 0)).any()):
            self.units.keep_whole(labels)
        return found


def trace_units(
    network: nn.Module, run: Callable[[nn.Module], object], masked: Sequence[str]
) -> Units:
    """The units of a network that can be pruned; of some networks there are none.

    Args:
        network: in any mode; it is run in evaluation mode.
        run: runs it once on some example.
        masked: the names of the parameters that a mask covers.
    """
    training = network.training
    network.eval()
    tracer = _Tracer(network)
    behind = network.register_forward_hook(tracer.leave)
    with behind, torch.no_grad(), parametrize.cached(), tracer:
        for module in filter(parametrize.is_parametrized, network.modules()):
            for name in cast(nn.ModuleDict, module.parametrizations):
                getattr(module, name)
        run(network)
    network.train(training)
    return numbered(tracer.units, masked)
