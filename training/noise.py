"""Random draws as a function of (seed, step, site).

Nothing that a network draws while it trains comes from a generator with a state: each place that draws (a *site*) has a
key, computed from the replicate's seed, the site's name and the step, and its draws are a counter-based hash of that
key and the position. The same replicate therefore sees the same noise whoever trains beside it, after a resume, and on
the CPU as on CUDA. Permutations and initial weights come from `generator`, once per purpose.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from training.errors import LotteryError

# Multipliers of the 32-bit mixer "lowbias32" (C. Wellons, hash-prospector, 2018), as signed integers.
_MULTIPLY_1 = 0x7FEB352D
_MULTIPLY_2 = 0x846CA68B - 2**32
# 2**32 divided by the golden ratio, made odd: spreads consecutive positions over all bits.
_GOLDEN = 0x9E3779B9 - 2**32
# Starting points of the two words of a key: the first 64 fractional bits of pi.
_WORDS = (0x243F6A88, 0x85A308D3 - 2**32)


def mix(x: Tensor) -> Tensor:
    """Spread every bit of an int32 tensor over all its bits; a bijection of the 32-bit integers."""
    x = (x ^ ((x >> 16) & 0xFFFF)) * _MULTIPLY_1
    x = (x ^ ((x >> 15) & 0x1FFFF)) * _MULTIPLY_2
    return x ^ ((x >> 16) & 0xFFFF)


def keys(seeds: Tensor, sites: Tensor, step: Tensor) -> Tensor:
    """The key of every site of every replicate at one step.

    Seed, site and step are folded in one after the other, each mixed before it is, so that no two keys are shifts of
    one another.

    Args:
        seeds: `[R]` int32.
        sites: `[S]` int32, see `site_number`.
        step: int32 scalar, on the device.

    Returns:
        `[R, S, 2]` int32.
    """
    mixed = mix(seeds + _GOLDEN)[:, None]
    key = mix(torch.stack([mixed ^ word for word in _WORDS], -1))
    key = mix(key ^ mix(sites + _GOLDEN)[:, None])
    return mix(key ^ mix(step + _GOLDEN))


def random_bits(key: Tensor, shape: Sequence[int]) -> Tensor:
    """Uniform int32 draws.

    Args:
        key: `[..., 2]` int32: one key, or several at once.
        shape: of what one key draws; a draw depends on its position in the flattened shape only.

    Returns:
        `[..., *shape]`.
    """
    count = 1
    for length in shape:
        count *= length
    position = torch.arange(count, dtype=torch.int32, device=key.device).mul_(_GOLDEN)
    x = position ^ key[..., :1]
    x = x.bitwise_xor_((x >> 16).bitwise_and_(0xFFFF)).mul_(_MULTIPLY_1)
    x = x.bitwise_xor_(key[..., 1:])
    x = x.bitwise_xor_((x >> 15).bitwise_and_(0x1FFFF)).mul_(_MULTIPLY_2)
    x = x.bitwise_xor_((x >> 16).bitwise_and_(0xFFFF))
    return x.view((*key.shape[:-1], *shape))


def bernoulli(key: Tensor, shape: Sequence[int], probability: float) -> Tensor:
    """A bool tensor, each element true with `probability`, to within 2**-32."""
    # No int32 is beyond 2**31 - 1, so that is where a probability of 1 ends too.
    return random_bits(key, shape) < min(round(probability * 2**32) - 2**31, 2**31 - 1)


def integers(key: Tensor, shape: Sequence[int], high: int) -> Tensor:
    """Uniform int64 draws from 0 to `high` - 1, for `high` far below 2**16."""
    return ((random_bits(key, shape) >> 16) & 0xFFFF).long() * high >> 16


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


def site_number(name: str) -> int:
    """The number of a site, from its qualified name: independent of what else the network draws."""
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:4], "little", signed=True)


def noise_sites(network: nn.Module) -> dict[str, Noise]:
    """Every place of a network that draws, by qualified name."""
    return {name: m for name, m in network.named_modules() if isinstance(m, Noise)}


def drop_paths(network: nn.Module) -> list[DropPath]:
    """Every place of a network that drops paths."""
    return [module for module in network.modules() if isinstance(module, DropPath)]


def set_noise(network: nn.Module, seed: int, step: int, progress: float = 0.0) -> None:
    """Give a network that trains alone its draws for one step; a stack of replicates does so itself.

    Args:
        network: changed in place.
        seed: its noise seed.
        step: of training, from 0.
        progress: the share of training that is done, which scheduled drop-path follows.
    """
    for path in drop_paths(network):
        path.progress.fill_(progress)
    sites = noise_sites(network)
    if not sites:
        return
    device = next(iter(sites.values())).key.device
    numbers = torch.tensor([site_number(name) for name in sites], dtype=torch.int32, device=device)
    now = torch.tensor(step, dtype=torch.int32, device=device)
    table = keys(torch.tensor([seed], dtype=torch.int32, device=device), numbers, now)[0]
    for site, key in zip(sites.values(), table.unbind(0), strict=True):
        site.key.copy_(key)


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


def generator(seed: int, purpose: str, *numbers: int) -> torch.Generator:
    """A CPU generator for one purpose, such as the data order of one epoch.

    Args:
        seed: the replicate's seed.
        purpose: what is drawn, such as "order" or "initial weights".
        numbers: what else tells draws apart, such as the epoch or the level.
    """
    return torch.Generator().manual_seed(_hashed(seed, purpose, *numbers))


def _hashed(seed: int, purpose: str, *numbers: int) -> int:
    """A seed of 64 bits for one purpose."""
    text = ":".join([str(seed), purpose, *map(str, numbers)])
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:8], "little", signed=True)


@contextmanager
def torch_seeded(device: torch.device, seed: int, step: int) -> Iterator[None]:
    """Inside, torch's global generators begin as they always do for a noise seed and a step; then they are as before.

    For networks of others that draw from them, such as torch's own recurrent modules with dropout between layers.

    Args:
        device: whose generator is seeded, besides the CPU's.
        seed: the replicate's noise seed.
        step: the number of the draw, as `keys` takes it.
    """
    number = _hashed(seed, "torch", step)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        # Not torch.manual_seed: it would seed every CUDA device, which the fork does not restore.
        torch.default_generator.manual_seed(number)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(number)
        yield


def seeds_tensor(seeds: Iterable[int], device: torch.device) -> Tensor:
    """Seeds as `[R]` int32, for `keys`."""
    return torch.tensor(list(seeds), dtype=torch.int32, device=device)
