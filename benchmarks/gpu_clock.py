"""A clock that is called after every step: it warms up, times some stretches, and counts what one step launches."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from statistics import median

import torch
from torch.profiler import ProfilerActivity, profile

from training.device import now

# A training captures its first two steps, and makes a graph of the next one or two.
WARM = 8
# Steps by which the length of a stretch is chosen, and stretches.
PROBED, STRETCHES = 2, 4
# What the host asks of a device, by the beginnings of its names.
LAUNCHES = ("cudaLaunch", "cuLaunch", "cudaGraphLaunch", "cudaMemcpy", "cudaMemset")


class EnoughError(Exception):
    """Ends a timed training."""


@dataclass(frozen=True)
class Launched:
    """What one step has done on a device: what the host asked for, and what ran."""

    launches: int
    kernels: int


class Clock:
    """Called after every step; raises `EnoughError` after the last.

    Steps are not waited for one by one, as that would cost what is measured: only at the ends of stretches, which are
    short enough that the host is never far ahead.

    Args:
        device: where steps are computed.
        seconds: that all stretches take together, about.

    Attributes:
        launched: of one step, on CUDA.
    """

    launched: Launched | None

    def __init__(self, device: torch.device, seconds: float) -> None:
        self._device = device
        self._seconds = seconds
        self._taken = 0
        self._length = 0
        self._began = 0.0
        self._ends: list[float] = []
        self._profile: profile | None = None
        self.launched = None
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def __call__(self, _: object) -> None:
        """Note that a step was taken."""
        self._taken += 1
        probed = self._taken - WARM
        if probed == 0:
            self._began = now(self._device)
        elif probed == PROBED:
            self._ends.append(now(self._device))
            each = (self._ends[0] - self._began) / PROBED
            self._length = max(1, int(self._seconds / STRETCHES / max(each, 1e-6)))
        elif self._length and len(self._ends) <= STRETCHES:
            if (probed - PROBED) % self._length == 0:
                self._ends.append(now(self._device))
                if len(self._ends) > STRETCHES:
                    self._begin_counting()
        elif self._length:
            self._count()

    def milliseconds(self) -> tuple[float, float]:
        """Of a step: over all stretches, and over the median one."""
        lengths = [b - a for a, b in zip(self._ends, self._ends[1:], strict=False)]
        whole = (self._ends[-1] - self._ends[0]) / len(lengths)
        return 1e3 * whole / self._length, 1e3 * median(lengths) / self._length

    def peak_memory(self) -> int:
        """In MB: of tensors on CUDA, else the process's high-water mark so far."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) // 2**20
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

    def _begin_counting(self) -> None:
        if self._device.type != "cuda":
            raise EnoughError
        self._profile = profile(activities=[ProfilerActivity.CUDA])
        self._profile.start()

    def _count(self) -> None:
        torch.cuda.synchronize(self._device)
        if self._profile is not None:
            self._profile.stop()
            events = self._profile.events() or ()
            kernels = sum(event.device_type.name == "CUDA" for event in events)
            launches = sum(event.name.startswith(LAUNCHES) for event in events)
            self.launched = Launched(launches, kernels)
        raise EnoughError
