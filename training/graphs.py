"""Graphs of a device: what captures them, and when.

A replayed step still starts its kernels one by one, a few microseconds each, which on a fast device takes longer than
they do. A graph holds them all, with every address that they read and write, and starts them at once. While it is
captured nothing is carried out. Afterwards it does what the captured call would have done, on whatever stands at those
addresses: so what changes from step to step lies in tensors that stay where they are, and no value is read on the way.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch

# A process captures one graph at a time.
_ONE_AT_A_TIME = threading.Lock()


class GraphBackend(Protocol):
    """What captures graphs on one device."""

    def capture(self, function: Callable[[], None]) -> Callable[[], None]:
        """What repeats all that a function does to tensors, of which nothing is done now.

        Raises:
            RuntimeError: a graph can't hold it.
        """


class CudaGraphs:
    """CUDA graphs that share one pool of memory, as no two of them ever run at once.

    Args:
        device: a CUDA device.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()

    def capture(self, function: Callable[[], None]) -> Callable[[], None]:
        """See `GraphBackend`."""
        with _ONE_AT_A_TIME, torch.cuda.device(self._device), self._ended_if_it_fails():
            graph = torch.cuda.CUDAGraph()
            # Other threads may go on meanwhile, such as a second session's.
            with torch.cuda.graph(graph, self._pool, capture_error_mode="thread_local"):
                function()
        return graph.replay

    @contextlib.contextmanager
    def _ended_if_it_fails(self) -> Iterator[None]:
        """After a failure torch stays on the stream of the capture, and keeps giving it memory of the graphs' pool."""
        stream, device = torch.cuda.current_stream(), torch.cuda.current_device()
        try:
            yield
        except BaseException:
            torch.cuda.set_stream(stream)
            # Refused where torch has done it.
            with contextlib.suppress(RuntimeError):
                torch._C._cuda_endAllocateToPool(device, self._pool)
                torch._C._cuda_releasePool(device, self._pool)
            raise


BACKENDS: Mapping[str, Callable[[torch.device], GraphBackend]] = {"cuda": CudaGraphs}


def _not_told(why: str) -> None:
    """Nobody asks."""


@dataclass(frozen=True, kw_only=True)
class GraphPolicy:
    """When replayed steps become graphs. It changes what a step costs, and no number.

    Attributes:
        enabled: whether any do.
        most_forms: of batches, such as lengths of windows, that have a graph; those that first come three times.
        backends: type of device -> what captures graphs there; on others steps are replayed.
        told: is told what came of it: "" with the first graph, and where a capture fails one sentence why; from then on
            all steps are replayed.
    """

    enabled: bool = True
    most_forms: int = 40
    backends: Mapping[str, Callable[[torch.device], GraphBackend]] = field(
        default_factory=lambda: BACKENDS
    )
    told: Callable[[str], None] = _not_told

    def backend(self, device: torch.device) -> GraphBackend | None:
        """What captures graphs on a device; None where steps are replayed."""
        make = self.backends.get(device.type) if self.enabled else None
        return None if make is None else make(device)


GRAPH = GraphPolicy()
NO_GRAPH = GraphPolicy(enabled=False)
