"""A step of training that becomes a graph of its device, one for each form of its arguments."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from training.capture import Observed
from training.graphs import GraphBackend, GraphPolicy
from training.optimizers import own_memory
from training.tasks.task import Batch, Carry


class Step(Protocol):
    """A step that may become graphs.

    Whatever it reads or changes besides its arguments lies in tensors that stay where they are.
    """

    @property
    def variant(self) -> Hashable:
        """What decides, besides the form of the arguments, which operations it is made of."""

    def __call__(self, carry: Carry, batch: Batch) -> tuple[Tensor, Carry]:
        """From what is carried in and a batch to the losses `[R]` and what is carried on."""

    def replays(self, carry: Carry, batch: Batch) -> bool:
        """Whether it would be nothing but operations on tensors."""


class _Form(NamedTuple):
    """What two tensors have in common that one graph can read at one address."""

    shape: torch.Size
    stride: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device


class _Place(NamedTuple):
    """Where a static tensor stands in a step, and its form."""

    name: str
    number: int
    form: _Form


@dataclass(frozen=True)
class _Graph:
    """A graph, and the static tensors that it reads and writes; what is carried on lies where it was carried in."""

    inputs: Sequence[Tensor]
    losses: Tensor
    carry: Carry
    play: Callable[[], None]


class Graphed:
    """A step that is carried out until it is replayed, and then captured and launched as a graph, one for each form.

    Args:
        step: what is captured.
        backend: what captures graphs.
        policy: how many there are, and who is told what came of it.
    """

    def __init__(self, step: Step, backend: GraphBackend, policy: GraphPolicy) -> None:
        self._step = step
        self._backend = backend
        self._policy = policy
        self._failed = False
        self._variant: Hashable = None
        self._graphs: dict[Hashable, _Graph] = {}
        # By the form of arguments: that of results.
        self._results: dict[Hashable, tuple[list[_Form], TreeSpec]] = {}
        self._static: dict[_Place, Tensor] = {}

    def __call__(self, carry: Carry, batch: Batch) -> tuple[Tensor, Carry]:
        """The losses, and what is carried on, which holds until the next step."""
        if self._step.variant != self._variant:
            self._variant = self._step.variant
            self._graphs.clear()
            self._results.clear()
        arguments, structure = tree_flatten((carry, batch))
        key = structure, tuple(map(_form, arguments))
        graph = self._graphs.get(key)
        if graph is None and self._may_capture(key) and self._step.replays(carry, batch):
            graph = self._captured(key, carry, batch)
        if graph is None:
            losses, after = self._step(carry, batch)
            leaves, form = tree_flatten((after, losses))
            self._results[key] = [*map(_form, leaves)], form
            return losses, after
        for static, given in zip(graph.inputs, arguments, strict=True):
            if static is not given:
                _once(static).copy_(_once(given))
        graph.play()
        return graph.losses.clone(), graph.carry

    def _may_capture(self, key: Hashable) -> bool:
        """Whether such a step was carried out before, so that whatever it makes once is there, and a graph is free."""
        free = len(self._graphs) < self._policy.most_forms
        return free and not self._failed and key in self._results

    def _captured(self, key: Hashable, carry: Carry, batch: Batch) -> _Graph | None:
        """A new graph; None if the capture fails."""
        try:
            graph = self._capture(key, carry, batch)
        except RuntimeError as error:
            self._failed = True
            self._graphs.clear()
            self._policy.told(_sentence(error))
            return None
        if not self._graphs:
            self._policy.told("")
        self._graphs[key] = graph
        return graph

    def _capture(self, key: Hashable, carry: Carry, batch: Batch) -> _Graph:
        static_carry, static_batch = self._like("carry", carry), self._like("batch", batch)
        forms, structure = self._results[key]
        # What is carried has its places in common with what was carried in.
        written = [self._at("carry", index, form) for index, form in enumerate(forms[:-1])]
        losses = self._at("losses", 0, forms[-1])
        into = [*written, losses]

        def step() -> None:
            with _OneDevice(losses.device):
                found, after = self._step(static_carry, static_batch)
                results, _ = tree_flatten((after, found))
                for to, result in zip(into, own_memory(results, into), strict=True):
                    to.copy_(result)

        play = self._backend.capture(step)
        inputs, _ = tree_flatten((static_carry, static_batch))
        return _Graph(inputs, losses, tree_unflatten(into, structure)[0], play)

    def _like(self, name: str, value: Any) -> Any:
        """Static tensors of the same forms."""
        leaves, structure = tree_flatten(value)
        static = [self._at(name, index, _form(leaf)) for index, leaf in enumerate(leaves)]
        return tree_unflatten(static, structure)

    def _at(self, name: str, index: int, form: _Form) -> Tensor:
        place = _Place(name, index, form)
        if place not in self._static:
            self._static[place] = _empty(form)
        return self._static[place]


class _OneDevice(Observed):
    """Refuses what a graph would not repeat: operations on tensors of another device that were there before it."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self._device = device
        self._made: dict[int, Tensor] = {}

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Carry an operation out."""
        for value in tree_flatten((args, kwargs))[0]:
            if isinstance(value, Tensor) and self._is_foreign(value):
                raise RuntimeError(f"{func} reads a tensor on the {value.device.type}")
        result = func(*args, **(kwargs or {}))
        for value in tree_flatten(result)[0]:
            if isinstance(value, Tensor) and value.device.type != self._device.type:
                self._made[id(value)] = value
        return result

    def _is_foreign(self, tensor: Tensor) -> bool:
        return tensor.device.type != self._device.type and id(tensor) not in self._made


def _form(tensor: Tensor) -> _Form:
    return _Form(tensor.shape, tensor.stride(), tensor.dtype, tensor.device)


def _empty(form: _Form) -> Tensor:
    """Zeros of a form, with memory of their own; what is expanded stands there once."""
    sizes = [1 if step == 0 else size for size, step in zip(form.shape, form.stride, strict=True)]
    once = torch.empty_strided(sizes, form.stride, dtype=form.dtype, device=form.device)
    return once.zero_().expand(form.shape)


def _once(tensor: Tensor) -> Tensor:
    """A tensor without its repetitions: of what is expanded, what stands in memory."""
    for dimension, step in enumerate(tensor.stride()):
        if step == 0:
            tensor = tensor.narrow(dimension, 0, 1)
    return tensor


def _sentence(error: RuntimeError) -> str:
    """Why a capture failed: what was raised inside rather than what came of it when the capture ended."""
    cause = error.__context__ if isinstance(error.__context__, RuntimeError) else error
    return (str(cause).strip() or type(cause).__name__).splitlines()[0].rstrip(".")
