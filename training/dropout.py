"""The modules that draw while a network trains: dropout in its variants and drop-path, by `training.noise`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from training.errors import LotteryError
from training.noise import bernoulli, keys, random_bits, site_number


class Noise(nn.Module):
    """A place that draws: holds the key of the present step, which `set_noise` or a stack of replicates writes."""

    key: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("key", torch.zeros(2, dtype=torch.int32), persistent=False)

    def keep(self, shape: Sequence[int], drop: float) -> Tensor:
        """Bool draws, each true with probability 1 - `drop`."""
        return bernoulli(self.key, shape, 1.0 - drop)


class Dropout(nn.Module):
    """Inverted dropout whose masks are a function of (seed, step, site).

    With `shared` it covers the field's variants: `shared=(0,)` on `[T, B, F]` is locked (variational) dropout,
    `shared=(1,)` on an embedding matrix `[V, E]` drops whole words, `shared=(1, 2, 3)` on `[B, C, H, W]` is drop-path,
    and applied to a weight matrix it is DropConnect.

    Args:
        p: probability that an element is dropped.
        shared: dimensions along which one draw serves all positions.
    """

    def __init__(self, p: float, shared: tuple[int, ...] = ()) -> None:
        super().__init__()
        if not 0.0 <= p < 1.0:
            raise ValueError(f"a dropout probability lies in [0, 1), not {p}")
        self.p = p
        self.shared = shared
        self.noise = Noise()

    def forward(self, x: Tensor) -> Tensor:
        """Drop elements of `x` while training; the identity otherwise."""
        if not self.training or self.p == 0.0:
            return x
        shape = [1 if d in self.shared else length for d, length in enumerate(x.shape)]
        return x * (self.noise.keep(shape, self.p) * (1.0 / (1.0 - self.p))).to(x.dtype)

    def extra_repr(self) -> str:
        """What `print(network)` shows."""
        return f"p={self.p}, shared={self.shared}"


class DropPath(nn.Module):
    """Drop whole examples from a path of a network, more and more of them as training goes on.

    Larsson et al. 2017 (arXiv 1605.07648) drop paths; Zoph et al. 2018 (arXiv 1707.07012, section 4) raise the
    probability linearly over training to `p`, which ENAS and NAO follow. `set_noise` or a stack of replicates writes
    how far training is.

    Args:
        p: probability that an example's path is dropped at the end of training.
    """

    progress: Tensor

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0.0 <= p < 1.0:
            raise ValueError(f"a probability of dropping a path lies in [0, 1), not {p}")
        self.p = p
        self.noise = Noise()
        self.register_buffer("progress", torch.zeros(()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Drop examples of `x` `[B, ...]` while training and scale the others up; the identity otherwise."""
        if not self.training or self.p == 0.0:
            return x
        drop = self.p * self.progress
        shape = (len(x), *[1] * (x.dim() - 1))
        uniform = random_bits(self.noise.key, shape).float() * 2.0**-32 + 0.5
        return x * ((uniform >= drop) / (1.0 - drop)).to(x.dtype)

    def extra_repr(self) -> str:
        """What `print(network)` shows."""
        return f"p={self.p}"


def noise_sites(network: nn.Module) -> dict[str, Noise]:
    """Every place of a network that draws, by qualified name."""
    return {name: m for name, m in network.named_modules() if isinstance(m, Noise)}


def drop_paths(network: nn.Module) -> list[DropPath]:
    """Every place of a network that drops paths."""
    return [module for module in network.modules() if isinstance(module, DropPath)]


class Draws:
    """Gives a network that trains alone its draws, step after step; a stack of replicates does so itself.

    All modules are walked once, and nothing is copied to the device after that.

    Args:
        network: changed in place, on its device.
    """

    def __init__(self, network: nn.Module) -> None:
        sites = noise_sites(network)
        self._paths = drop_paths(network)
        self._sites = [*sites.values()]
        device = self._sites[0].key.device if sites else torch.device("cpu")
        numbers = [site_number(name) for name in sites]
        self._numbers = torch.tensor(numbers, dtype=torch.int32, device=device)
        self._seed = torch.zeros(1, dtype=torch.int32, device=device)
        self._step = torch.zeros((), dtype=torch.int32, device=device)

    def give(self, seed: int, step: int, progress: float = 0.0) -> None:
        """Give every site its draws for one step.

        Args:
            seed: the network's noise seed.
            step: of training, from 0.
            progress: the share of training that is done, which scheduled drop-path follows.
        """
        for path in self._paths:
            path.progress.fill_(progress)
        if self._sites:
            table = keys(self._seed.fill_(seed), self._numbers, self._step.fill_(step))[0]
            torch._foreach_copy_([site.key for site in self._sites], [*table.unbind(0)])


def set_noise(network: nn.Module, seed: int, step: int, progress: float = 0.0) -> None:
    """Give a network that trains alone its draws for one step, see `Draws`."""
    Draws(network).give(seed, step, progress)


_DROPOUT_SHARING: dict[type[nn.Module], tuple[int, ...]] = {
    nn.Dropout: (),
    nn.Dropout1d: (2,),
    nn.Dropout2d: (2, 3),
    nn.Dropout3d: (2, 3, 4),
}


def replace_dropout(network: nn.Module) -> nn.Module:
    """Put `Dropout` in the place of torch's own dropouts, in place, so that their draws repeat.

    Raises:
        LotteryError: one of them drops everything.
    """
    for name, module in [*network.named_modules(remove_duplicate=False)]:
        if type(module) in _DROPOUT_SHARING:
            parent, _, own = name.rpartition(".")
            p: Any = module.p
            ours = our_dropout(name, p, _DROPOUT_SHARING[type(module)])
            setattr(network.get_submodule(parent), own, ours)
    return network


def our_dropout(name: str, p: float, shared: tuple[int, ...]) -> Dropout:
    """Our dropout in the place of another library's.

    Args:
        name: of the module that it replaces.
        p: probability that an element is dropped.
        shared: see `Dropout`.

    Raises:
        LotteryError: everything is dropped, which nothing could be trained through.
    """
    if not 0.0 <= p < 1.0:
        raise LotteryError(
            f"The network's module {name} drops with a probability of {p}, but it must lie from 0 to "
            "below 1; give it another, or leave the module out."
        )
    return Dropout(p, shared)
