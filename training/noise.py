"""Random draws as a function of (seed, step, site).

Nothing that a network draws while it trains comes from a generator with a state: each place that draws (a *site*) has a
key, computed from the replicate's seed, the site's name and the step, and its draws are a counter-based hash of that
key and the position. The same replicate therefore sees the same noise whoever trains beside it, after a resume, and on
the CPU as on CUDA. The modules that draw are in `training.dropout`. Permutations and initial weights come from
`generator`, once per purpose.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

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


def site_number(name: str) -> int:
    """The number of a site, from its qualified name: independent of what else the network draws."""
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:4], "little", signed=True)


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
