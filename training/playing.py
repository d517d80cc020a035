"""A function of tensors that is recorded while it runs and then played, without the program that chose its operations.

Much of a small network's step goes by in Python: modules, `vmap` and autograd choose the same few hundred operations
again at every step. A recording holds those alone, in their order, and playing it repeats them bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from training.recording import Observed, Operation, Recording, Variable, leaves_of, record, replaced

# Each has its operations in memory, and takes two calls and their compilation.
MOST_FORMS = 8
# Playing fewer calls does not win back what it costs to record two: the demo's networks break even at 5 to 14 calls.
FEWEST_CALLS = 12


@dataclass
class _Form:
    """What is known of a function with arguments of one form: its first recording, then how to play it."""

    first: Recording | None = None
    play: Callable[[Sequence[Tensor]], Any] | None = None


class Recorded:
    """A function that is recorded at its first two calls, and played from then on if both recordings are the same.

    What it returns, tensors in tuples or lists of any depth, has to follow from its tensor arguments and from tensors
    that stand elsewhere and are only ever changed in place, such as weights. Where it also follows from something
    else, such as a count of its calls, the two recordings differ, and it is called as ever; so it is after anything
    that a recording can't hold, such as reading a tensor's values. What it does besides, such as printing, is not
    played.

    Arguments of other shapes or strides are recorded and played by themselves, such as a text's last window, which is
    shorter. Of many forms the first `MOST_FORMS` are.

    Args:
        function: what to record.
        state: gives what else the function may follow from; if a call changes that, nothing is played.
        calls: how many are to come; with fewer than `FEWEST_CALLS` none is recorded.
    """

    def __init__(
        self, function: Callable[..., Any], state: Callable[[], object], calls: int
    ) -> None:
        self._function = function
        self._state = state
        self._is_called_as_ever = calls < FEWEST_CALLS
        self._before = None if self._is_called_as_ever else state()
        self._forms: dict[object, _Form] = {}

    def __call__(self, *inputs: Any) -> Any:
        """What the function returns."""
        tensors, structure = tree_flatten(inputs)
        key = structure, tuple((t.shape, t.stride(), t.dtype) for t in tensors)
        if key not in self._forms and len(self._forms) < MOST_FORMS:
            self._forms[key] = _Form()
        form = self._forms.get(key)
        if self._is_called_as_ever or form is None:
            with Observed():
                return self._function(*inputs)
        if form.play is not None:
            return form.play(tensors)
        outputs, recording = record(self._function, inputs)
        if form.first is None:
            form.first = recording
            return outputs
        if recording.is_like(form.first) and self._state() == self._before:
            form.play = _player(recording)
        else:
            self._is_called_as_ever = True
        form.first = None
        return outputs


@torch.no_grad()
def _player(recording: Recording) -> Callable[[Sequence[Tensor]], Any]:
    """The operations as a function of the flattened arguments; views of constants are taken once, here."""
    known: dict[str, Any] = {_name(v): t.detach() for v, t in recording.constants.items()}
    operations = []
    for operation in recording.operations:
        if operation.target.is_view and _names((operation.args, operation.kwargs)) <= known.keys():
            known |= _taken(operation, known)
        else:
            operations.append(operation)
    forward = _compiled(recording, operations, known)

    def play(tensors: Sequence[Tensor]) -> Any:
        # As it was recorded: some operations keep what their derivatives need only then.
        with torch.enable_grad():
            return tree_unflatten(forward(tensors), recording.structure)

    return play


def _taken(operation: Operation, known: Mapping[str, Any]) -> dict[str, Any]:
    """What comes of an operation whose arguments are known, by name."""

    def value(variable: Variable) -> Any:
        return known[_name(variable)]

    args, kwargs = (replaced(a, Variable, value) for a in (operation.args, operation.kwargs))
    result = operation.target(*args, **kwargs)
    return dict(zip(_ordered_names(operation.result), leaves_of(result), strict=True))


def _compiled(
    recording: Recording, operations: Sequence[Operation], known: Mapping[str, Any]
) -> Callable[[Sequence[Tensor]], list[Tensor]]:
    """A Python function of operations, one line for each, that lets go of every tensor after its last use."""
    bound = dict(known)

    def text(value: Any) -> str:
        if isinstance(value, Variable):
            return _name(value)
        if isinstance(value, list):
            return f"[{', '.join(map(text, value))}]"
        bound[f"c{len(bound)}"] = value
        return f"c{len(bound) - 1}"

    alive = _names(recording.outputs) | known.keys()
    lines = []
    for operation in reversed(operations):
        named = [f"{key}={text(value)}" for key, value in operation.kwargs.items()]
        call = f"{text(operation.target)}({', '.join([*map(text, operation.args), *named])})"
        results = _ordered_names(operation.result)
        last = ({*results} | _names((operation.args, operation.kwargs))) - alive
        alive |= last
        target = text(operation.result) if results else "_"
        lines.append(
            f"    {target} = {call}" + (f"; del {', '.join(sorted(last))}" if last else "")
        )
    names = "".join(f"{_name(v)}, " for v in recording.inputs)
    head = ["def forward(inputs):", *([f"    {names}= inputs"] if names else []), "    del inputs"]
    source = "\n".join([*head, *reversed(lines), f"    return {text(recording.outputs)}"])
    exec(compile(source, "<a recording>", "exec"), bound)
    forward: Callable[[Sequence[Tensor]], list[Tensor]] = bound["forward"]
    return forward


def _name(variable: Variable) -> str:
    return f"v{variable.number}"


def _ordered_names(value: Any) -> list[str]:
    return [_name(leaf) for leaf in leaves_of(value) if isinstance(leaf, Variable)]


def _names(value: Any) -> set[str]:
    return {*_ordered_names(value)}
