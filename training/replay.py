"""A function of tensors that is captured while it runs and then replayed, without the program that chose what it does.

Much of a small network's step goes by in Python: modules, `vmap` and autograd choose the same few hundred operations
again at every step. A capture holds those alone, in their order, and a replay repeats them bit for bit, as CUDA graphs
do on their devices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from training.capture import Capture, Observed, Operation, Slot, capture, slots_of


@dataclass(frozen=True, kw_only=True)
class ReplayPolicy:
    """When calls are replayed. It changes what a step costs, and no number.

    Attributes:
        enabled: whether any are.
        fewest_calls: that have to come, as fewer don't win back what it costs to capture two: the demo's networks break
            even at 5 to 14 calls.
        most_forms: of arguments; each has its operations in memory, and takes two captures.
        varied: whether also where the forms are so many that it pays only if each then becomes a graph.
    """

    enabled: bool = True
    fewest_calls: int = 12
    most_forms: int = 8
    varied: bool = False


REPLAY = ReplayPolicy()
NO_REPLAY = ReplayPolicy(enabled=False)


@dataclass
class _Form:
    """What is known of a function with arguments of one form: its first capture, then how to replay it."""

    first: Capture | None = None
    replay: Callable[[Sequence[Tensor]], Any] | None = None


class Replayed:
    """A function that is captured at its first two calls, and replayed from then on if both captures are the same.

    What it returns, tensors in tuples or lists of any depth, has to follow from its tensor arguments and from tensors
    that stand elsewhere and are only ever changed in place, such as weights. Where it also follows from something
    else, such as a count of its calls, the two captures differ, and it is called at every step; so it is after
    anything that a capture can't hold, such as reading a tensor's values. What it does besides, such as printing, is
    not replayed.

    Arguments of other shapes or strides are captured and replayed by themselves, such as a text's last window, which is
    shorter.

    Args:
        function: what to replay.
        state: gives what else the function may follow from; if a call changes that, nothing is replayed.
        calls: how many are to come.
        policy: when they are replayed.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        state: Callable[[], object],
        calls: int,
        policy: ReplayPolicy = REPLAY,
    ) -> None:
        self._function = function
        self._state = state
        self._is_called = not policy.enabled or calls < policy.fewest_calls
        self._most_forms = policy.most_forms
        self._before = None if self._is_called else state()
        self._forms: dict[object, _Form] = {}

    def __call__(self, *inputs: Any) -> Any:
        """What the function returns."""
        tensors, key = _form(inputs)
        if key not in self._forms and len(self._forms) < self._most_forms:
            self._forms[key] = _Form()
        form = self._forms.get(key)
        if self._is_called or form is None:
            with Observed():
                return self._function(*inputs)
        if form.replay is not None:
            return form.replay(tensors)
        outputs, captured = capture(self._function, inputs)
        if form.first is None:
            form.first = captured
            return outputs
        if captured.is_like(form.first) and self._state() == self._before:
            form.replay = _replay(captured)
        else:
            self._is_called = True
        form.first = None
        return outputs

    def replays(self, *inputs: Any) -> bool:
        """Whether a call with such arguments would be replayed."""
        form = self._forms.get(_form(inputs)[1])
        return not self._is_called and form is not None and form.replay is not None


def _form(inputs: Any) -> tuple[list[Tensor], object]:
    """The tensors among arguments, and what has to be alike for one replay to take others."""
    tensors, structure = tree_flatten(inputs)
    return tensors, (structure, tuple((t.shape, t.stride(), t.dtype) for t in tensors))


def _replay(captured: Capture) -> Callable[[Sequence[Tensor]], Any]:
    """The operations as a function of the flattened arguments; views of constants are taken once, here."""
    known: dict[str, Any] = {_name(s): t.detach() for s, t in captured.constants.items()}
    operations = []
    with torch.no_grad():
        for operation in captured.operations:
            if operation.target.is_view and _names(operation.arguments()) <= known.keys():
                known |= _taken(operation, known)
            else:
                operations.append(operation)
    forward = _compiled(captured, operations, known)

    def replay(tensors: Sequence[Tensor]) -> Any:
        # As it was captured: some operations keep what their derivatives need only then.
        with torch.enable_grad():
            return tree_unflatten(forward(tensors), captured.structure)

    return replay


def _taken(operation: Operation, known: Mapping[str, Any]) -> dict[str, Any]:
    """What comes of an operation whose arguments are known, by name."""

    def value(argument: Any) -> Any:
        if isinstance(argument, list):
            return [value(item) for item in argument]
        return known[_name(argument)] if isinstance(argument, Slot) else argument

    named = {key: value(argument) for key, argument in operation.kwargs.items()}
    result = operation.target(*map(value, operation.args), **named)
    results = tree_leaves(result)
    return dict(zip(map(_name, slots_of(operation.result)), results, strict=True))


def _compiled(
    captured: Capture, operations: Sequence[Operation], known: Mapping[str, Any]
) -> Callable[[Sequence[Tensor]], list[Tensor]]:
    """A Python function of operations, one line for each, that lets go of every tensor after its last use.

    A loop over operations and the places of their tensors does the same and is simpler, but takes 0.3 to 1.2
    microseconds more for each: 12 to 20 % of the step of a small language model, whose operations are many and short.
    """
    bound = dict(known)

    def text(value: Any) -> str:
        if isinstance(value, Slot):
            return _name(value)
        if isinstance(value, list):
            return f"[{', '.join(map(text, value))}]"
        bound[f"c{len(bound)}"] = value
        return f"c{len(bound) - 1}"

    alive = _names(captured.outputs) | known.keys()
    lines = []
    for operation in reversed(operations):
        named = [f"{key}={text(value)}" for key, value in operation.kwargs.items()]
        call = f"{text(operation.target)}({', '.join([*map(text, operation.args), *named])})"
        results = _names(operation.result)
        last = (results | _names(operation.arguments())) - alive
        alive |= last
        target = text(operation.result) if results else "_"
        lines.append(
            f"    {target} = {call}" + (f"; del {', '.join(sorted(last))}" if last else "")
        )
    names = "".join(f"{_name(slot)}, " for slot in captured.inputs)
    head = ["def forward(inputs):", *([f"    {names}= inputs"] if names else []), "    del inputs"]
    source = "\n".join([*head, *reversed(lines), f"    return {text(captured.outputs)}"])
    exec(compile(source, "<a captured step>", "exec"), bound)
    forward: Callable[[Sequence[Tensor]], list[Tensor]] = bound["forward"]
    return forward


def _name(slot: Slot) -> str:
    return f"t{slot.number}"


def _names(value: Any) -> set[str]:
    return {*map(_name, slots_of(value))}
