"""Weights that a layer computes from other parameters, as weight and spectral normalisation do.

torch has both in two forms: parametrizations (`torch.nn.utils.parametrizations`) and hooks
(`torch.nn.utils.weight_norm`, `spectral_norm`). What is pruned and counted is the parameter behind the weight.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm, _WeightNorm
from torch.nn.utils.parametrize import ParametrizationList
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm


class ZeroSafe(nn.Module):
    """A normalisation of torch's, whose weights may all be pruned.

    torch divides by a norm, which makes NaN of a row that was pruned as a whole; here it stays 0. Everything else is
    as it was, bit for bit.

    Args:
        normalisation: of torch, from (length, direction) or (weight) to a weight.
        dimension: along which each slice has a norm of its own; None if the whole has one.
    """

    def __init__(self, normalisation: nn.Module, dimension: int | None) -> None:
        super().__init__()
        self.normalisation = normalisation
        self.dimension = dimension

    def forward(self, *originals: Tensor) -> Tensor:
        """The weight."""
        *lengths, direction = originals
        return _zero_safe(
            lambda safe: cast(Tensor, self.normalisation(*lengths, safe)), direction, self.dimension
        )

    def right_inverse(self, weight: Tensor) -> Tensor | tuple[Tensor, ...]:
        """What gives a weight, for whoever assigns one."""
        inverse = cast(
            "Callable[[Tensor], Tensor | tuple[Tensor, ...]]", self.normalisation.right_inverse
        )
        return inverse(weight)


class _ZeroSafeWeightNorm(WeightNorm):
    """The same for weight normalisation by a hook."""

    def compute_weight(self, module: nn.Module) -> Tensor:
        length, direction = getattr(module, f"{self.name}_g"), getattr(module, f"{self.name}_v")
        dimension = None if self.dim == -1 else self.dim
        return _zero_safe(
            lambda safe: torch._weight_norm(safe, length, self.dim), direction, dimension
        )


class _ZeroSafeSpectralNorm(SpectralNorm):
    """The same for spectral normalisation by a hook."""

    def compute_weight(self, module: nn.Module, do_power_iteration: bool) -> Tensor:
        def normalise(safe: Tensor) -> Tensor:
            reads = nn.Module()
            setattr(reads, f"{self.name}_orig", safe)
            for vector in (f"{self.name}_u", f"{self.name}_v"):
                setattr(reads, vector, getattr(module, vector))
            return SpectralNorm.compute_weight(self, reads, do_power_iteration)

        return _zero_safe(normalise, getattr(module, f"{self.name}_orig"), None)


def _zero_safe(
    normalise: Callable[[Tensor], Tensor], direction: Tensor, dimension: int | None
) -> Tensor:
    """A normalised weight that is 0 where all of what has one norm is 0; that part has no gradient."""
    own = None if dimension is None else dimension % direction.dim()
    others = [d for d in range(direction.dim()) if d != own]
    dead = direction.abs().amax(others, keepdim=True) == 0
    # Both ways round: what is not chosen must be finite too, or its gradient is NaN.
    safe = torch.where(dead, torch.ones_like(direction), direction)
    weight = normalise(safe)
    return torch.where(dead, torch.zeros_like(weight), weight)


def bear_zeros(network: nn.Module) -> nn.Module:
    """Make every weight and spectral normalisation of torch's bear pruned weights, in place.

    What is computed anew at every call is not kept from the time of building, when it had another graph and other
    weights: a weight that a hook computes is there from the first call on.
    """
    for module in [*network.modules()]:
        if isinstance(module, ParametrizationList):
            for index, part in enumerate(module):
                if isinstance(part, _WeightNorm | _SpectralNorm):
                    has_own = isinstance(part, _WeightNorm) and part.dim != -1
                    module[index] = ZeroSafe(part, part.dim if has_own else None)
        for key, hook in module._forward_pre_hooks.items():
            if type(hook) is WeightNorm:
                module._forward_pre_hooks[key] = _ZeroSafeWeightNorm(hook.name, hook.dim)
                delattr(module, hook.name)
            elif type(hook) is SpectralNorm:
                module._forward_pre_hooks[key] = _ZeroSafeSpectralNorm(
                    hook.name, hook.n_power_iterations, hook.dim, hook.eps
                )
                delattr(module, hook.name)
        if isinstance(module, nn.RNNBase):
            own = {id(parameter) for parameter in module.parameters(recurse=False)}
            module._flat_weights = [w if id(w) in own else None for w in module._flat_weights]
    return network


def gains(network: nn.Module) -> set[str]:
    """The names of the lengths of normalised weights: scales, not weights."""
    found = set()
    for path, module in network.named_modules():
        prefix = f"{path}." if path else ""
        if isinstance(module, ParametrizationList) and _has_length(module[0]):
            found.add(f"{prefix}original0")
        hooks = module._forward_pre_hooks.values()
        found |= {f"{prefix}{hook.name}_g" for hook in hooks if isinstance(hook, WeightNorm)}
    return found


def is_normalisation(part: nn.Module) -> bool:
    """Whether a parametrization is torch's weight or spectral normalisation."""
    return isinstance(part, ZeroSafe | _WeightNorm | _SpectralNorm)


def _has_length(part: nn.Module) -> bool:
    return isinstance(part.normalisation if isinstance(part, ZeroSafe) else part, _WeightNorm)
