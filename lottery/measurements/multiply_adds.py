"""Multiply-adds of one forward pass, by the parameter that takes part in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten


def _matrix(arguments: Sequence[Any], output: Tensor) -> int:
    """Multiply-adds of a matrix product, `[.., n, k] @ [.., k, m]`: each output element takes k."""
    matrices = [a for a in arguments if isinstance(a, Tensor) and a.dim() >= 2]
    return output.numel() * matrices[-2].shape[-1]


def _convolution(arguments: Sequence[Any], output: Tensor) -> int:
    """Multiply-adds of a convolution: each output element takes one kernel `[C / groups, kh, kw]`."""
    kernels: Tensor = arguments[1]
    return output.numel() * kernels[0].numel()


COUNTED: dict[Any, Callable[[Sequence[Any], Tensor], int]] = {
    aten.mm.default: _matrix,
    aten.addmm.default: _matrix,
    aten.bmm.default: _matrix,
    aten.baddbmm.default: _matrix,
    aten.convolution.default: _convolution,
}


class _Counter(TorchDispatchMode):
    """Counts what is in `COUNTED`, and to which parameter's memory it belongs."""

    def __init__(self, owners: Mapping[int, str]) -> None:
        TorchDispatchMode.__init__(self)
        self.shares: dict[int, dict[str, float]] = {m: {name: 1.0} for m, name in owners.items()}
        self.counts: dict[str, float] = defaultdict(float)
        self._joined: list[Tensor] = []

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        if func is aten.cat.default:
            self._join(args[0], output)
        count = COUNTED.get(func)
        if count is not None:
            shares = next((self.shares[m] for m in _memories(args) if m in self.shares), {"": 1.0})
            for name, share in shares.items():
                self.counts[name] += share * count(args, output)
        return output

    def _join(self, parts: Sequence[Tensor], joined: Tensor) -> None:
        """Matrices side by side: a product with them belongs to each by its size."""
        self._joined.append(joined)  # so that its memory is not given to another tensor
        memories = _memories(parts)
        if all(m in self.shares for m in memories):
            shares: dict[str, float] = defaultdict(float)
            for part, m in zip(parts, memories, strict=True):
                for name, share in self.shares[m].items():
                    shares[name] += share * part.numel() / joined.numel()
            self.shares[joined.untyped_storage().data_ptr()] = shares


def _memories(arguments: Sequence[Any]) -> list[int]:
    return [a.untyped_storage().data_ptr() for a in arguments if isinstance(a, Tensor)]


def multiply_adds(network: nn.Module, run: Callable[[nn.Module], int]) -> dict[str, int]:
    """The multiply-adds of one forward pass per example, by parameter name; "" for products of no single parameter.

    Matrix products and convolutions are counted, which is what the literature counts; a product belongs to the
    parameter whose memory takes part in it, also through a view of it or side by side with others.

    Args:
        network: in any mode; it is run in evaluation mode.
        run: runs it once and returns how many examples that took, as `Task.run_example`.
    """
    # A bias is added by the same call but takes no part in the product; a tied weight counts under its first name.
    owners = {
        parameter.untyped_storage().data_ptr(): name
        for name, parameter in reversed([*network.named_parameters()])
        if parameter.dim() >= 2
    }
    training = network.training
    network.eval()
    with torch.no_grad(), _Counter(owners) as counter:
        examples = run(network)
    network.train(training)
    return {name: round(total / examples) for name, total in counter.counts.items()}


def effective(counts: Mapping[str, int], density: Mapping[str, float]) -> int:
    """Multiply-adds that are left when each masked parameter keeps a share of its weights."""
    return round(sum(count * density.get(name, 1.0) for name, count in counts.items()))
