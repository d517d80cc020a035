"""Graphs on a CPU: what captures steps there as CUDA graphs do, for the tests of whatever is captured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

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
        with _Undone() as undone:
            _, captured = capture(function, ())
        undone.undo()
        if captured.obstacle:
            raise RuntimeError(captured.obstacle)
        replay = _replay(captured)
        return lambda: replay(())


class _Undone(Observed):
    """Keeps what stood in memory that operations write."""

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
        """Carry an operation out."""
        given = dict(zip([a.name for a in func._schema.arguments], args, strict=False))
        given |= kwargs or {}
        for argument in func._schema.arguments:
            if argument.alias_info is not None and argument.alias_info.is_write:
                for tensor in tree_leaves(given.get(argument.name)):
                    self.keep(tensor)
        return func(*args, **(kwargs or {}))

    def keep(self, tensor: Tensor | None) -> None:
        """Keep what stands there, the first time."""
        if tensor is not None:
            storage = tensor.untyped_storage()
            self.before.setdefault(storage.data_ptr(), (storage, storage.clone()))

    def undo(self) -> None:
        """Put it back."""
        for storage, before in self.before.values():
            storage.copy_(before)


def recorded(most_forms: int = 40, told: Callable[[str], None] = lambda _: None) -> GraphPolicy:
    """Graphs on a CPU."""
    return GraphPolicy(most_forms=most_forms, told=told, backends={"cpu": RecordedGraphs})
