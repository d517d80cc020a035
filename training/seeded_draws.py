"""Torch's global generator on the CPU, seeded for a while, so that initial weights that are drawn by it repeat."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

# The generator is the process's: two threads that draw at once would take each other's numbers.
_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def default_generator_seeded(seed: int) -> Iterator[None]:
    """Inside, torch's global generator begins at a seed, for one thread at a time; then it is as before."""
    with _ONE_AT_A_TIME, torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: it would seed CUDA too, which the fork does not restore.
        torch.default_generator.manual_seed(seed)
        yield
