"""Graphs on a CPU: what captures steps there as CUDA graphs do, for the tests of whatever is captured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from training.capture import Observed, capture
from training.graphs import GraphPolicy
from training.replay import _replay


class RecordedGraphs:
    """Records operations with the addresses and numbers of the one call, and undoes what they did meanwhile.

    A number that a step takes from the host is therefore that of the capture for ever, and a tensor that is replaced
    rather than changed is read where it was.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def capture(self, function: Callable[[], None]) -> Callable[[], None]:
        """See `GraphBackend`."""
        undone = _Undone()
        try:
            # An optimizer's note for profilers, which changes nothing, is no operation of torch's.
            with patch.object(torch.autograd.profiler, "record_function", nullcontext), undone:
                _, captured = capture(function, ())
        finally:
            undone.undo()
        if captured.obstacle:
            raise RuntimeError(captured.obstacle)
        replay = _replay(captured)
        return lambda: replay(())


class _Undone(Observed):
    """Keeps what stood in memory before operations came to it."""

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Carry an operation out, once what its arguments hold is kept: batch norm doesn't say what it writes."""
        for value in tree_leaves((args, kwargs)):
            if isinstance(value, Tensor) and value.layout is torch.strided:
                storage = value.untyped_storage()
                if storage.data_ptr() not in self.before:
                    self.before[storage.data_ptr()] = storage, storage.clone()
        return func(*args, **(kwargs or {}))

    def undo(self) -> None:
        """Put it back."""
        for storage, before in self.before.values():
            storage.copy_(before)


def recorded(most_forms: int = 40, told: Callable[[str], None] = lambda _: None) -> GraphPolicy:
    """Graphs on a CPU."""
    return GraphPolicy(most_forms=most_forms, told=told, backends={"cpu": RecordedGraphs})
