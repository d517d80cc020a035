"""A function of tensors, recorded while it runs and then played: its operations without the program that chose them.

Much of a small network's step goes by in Python: modules, `vmap` and autograd choose the same few hundred operations
again at every step. A recording holds those operations alone, in their order, and repeats them bit for bit.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.fx import Graph, GraphModule, Node, map_arg
from torch.nn import Module
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map_only, tree_unflatten
from torch.utils.weak import WeakTensorKeyDictionary

Function = Callable[..., Any]
_aten = torch.ops.aten
# Views that often show the whole of a tensor as it is.
_MERE_NAMES = (
    _aten.alias.default,
    _aten.detach.default,
    _aten.expand.default,
    _aten.permute.default,
    _aten.view.default,
)


class Recorded:
    """A function that is recorded at its first two calls, and played from then on if both recordings are the same.

    What it returns, tensors in tuples or lists of any depth, has to follow from its tensor arguments and from tensors
    that stand elsewhere and are only ever changed in place, such as weights. Where it also follows from something
    else, such as a count of its calls, the two recordings differ, and it is called as ever; so it is with arguments of
    other shapes than the first. What it does besides, such as printing, is not played.

    Args:
        function: what to record.
        state: gives what else the function may follow from; if a call changes that, nothing is played.
    """

    def __init__(self, function: Function, state: Callable[[], object]) -> None:
        self._function = function
        self._state = state
        self._before = state()
        self._form: object = None
        self._first: _Recording | None = None
        self._play: Callable[[Sequence[Tensor]], Any] | None = None
        self._differs = False

    def __call__(self, *inputs: Any) -> Any:
        """What the function returns."""
        tensors, structure = tree_flatten(inputs)
        form = structure, [(t.shape, t.stride(), t.dtype) for t in tensors]
        if self._form is None:
            self._form = form
        if self._differs or form != self._form:
            return self._function(*inputs)
        if self._play is not None:
            return self._play(tensors)
        outputs, recording = _record(self._function, inputs)
        if self._first is None:
            self._first = recording
        elif recording.is_like(self._first) and self._state() == self._before:
            self._play = _player(recording)
        else:
            self._differs = True
        return outputs


@dataclass(frozen=True)
class _Recording:
    """Operations, and what they begin with and end in.

    Attributes:
        graph: its placeholders are the arguments and the constants.
        constants: tensors that stood elsewhere, by their placeholders.
        structure: of the outputs.
        is_whole: whether only tensors came out of the operations; on a number the function may have acted.
    """

    graph: Graph
    constants: dict[Node, Tensor]
    structure: Any
    is_whole: bool

    def is_like(self, other: _Recording) -> bool:
        """Whether both are the same operations on the same constants."""
        mine, its = [*self.constants.values()], [*other.constants.values()]
        return (
            self.is_whole
            and other.is_whole
            and len(mine) == len(its)
            and all(one is another for one, another in zip(mine, its, strict=True))
            and _source(self.graph) == _source(other.graph)
        )


def _source(graph: Graph) -> str:
    source: str = graph.python_code("self").src
    return source


def _record(function: Function, inputs: Sequence[Any]) -> tuple[Any, _Recording]:
    """What a function returns, and how it came to that."""
    notes = _Notes()
    recorder = _Recorder(notes)
    for place, tensor in enumerate(tree_leaves(inputs)):
        notes.nodes[tensor] = notes.graph.placeholder(f"input_{place}")
    with recorder:
        outputs = function(*inputs)
    leaves, structure = tree_flatten(outputs)
    notes.graph.output([notes.of(leaf) for leaf in leaves])
    return outputs, _Recording(notes.graph, notes.constants, structure, notes.is_whole)


def _player(recording: _Recording) -> Callable[[Sequence[Tensor]], Any]:
    """The operations as a function of the flattened arguments; views of constants are taken once, here."""
    known: dict[Node, Any] = {**recording.constants}
    for node in recording.graph.nodes:
        if _is_view(node) and known.keys() >= {*node.all_input_nodes}:
            known[node] = node.target(*map_arg(node.args, known.__getitem__), **node.kwargs)
    graph = Graph()
    copies = {node: graph.placeholder(node.name) for node in known}
    for node in recording.graph.nodes:
        if node not in known:
            copies[node] = graph.node_copy(node, copies.__getitem__)
    constants = [*known.values()]
    forward = GraphModule(Module(), graph).forward

    def play(tensors: Sequence[Tensor]) -> Any:
        with torch.no_grad():
            return tree_unflatten(forward(*constants, *tensors), recording.structure)

    return play


def _is_view(node: Node) -> bool:
    """Whether a node only shows its arguments' memory: a view, or one of several."""
    target = node.target
    return target is operator.getitem or (isinstance(target, OpOverload) and target.is_view)


class _Recorder(TorchDispatchMode):
    """Writes down every operation that is carried out while it is entered."""

    def __init__(self, notes: _Notes) -> None:
        TorchDispatchMode.__init__(self)
        self.notes = notes

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: nothing is compiled here, and skipping means loading the compiler, which takes a second."""
        return False

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Carry an operation out and write it down, unless it only gives another name to a tensor."""
        result = func(*args, **(kwargs or {}))
        if func in _MERE_NAMES and _is_alike(result, args[0]):
            self.notes.nodes[result] = self.notes.of(args[0])
        else:
            self.notes.write(result, func, args, dict(kwargs or {}))
        return result


@dataclass
class _Notes:
    """What was recorded so far; the attributes are those of a recording, and the nodes of the tensors alive."""

    graph: Graph = field(default_factory=Graph)
    constants: dict[Node, Tensor] = field(default_factory=dict)
    is_whole: bool = True
    nodes: MutableMapping[Tensor, Node] = field(default_factory=WeakTensorKeyDictionary)

    def of(self, value: Any) -> Any:
        """The node of a tensor, a constant where no operation made it; anything else as it is."""
        if not isinstance(value, Tensor):
            return value
        if value not in self.nodes:
            node = self.graph.placeholder(f"constant_{len(self.constants)}")
            self.constants[node] = value
            self.nodes[value] = node
        return self.nodes[value]

    def write(self, result: Any, target: Any, args: Any, kwargs: dict[str, Any]) -> None:
        """Note an operation and what came of it."""
        args, kwargs = tree_map_only(Tensor, self.of, (args, kwargs))
        node = self.graph.call_function(target, args, kwargs)
        if isinstance(result, Tensor):
            self.nodes[result] = node
        elif isinstance(result, tuple | list):
            for place, item in enumerate(result):
                if isinstance(item, Tensor):
                    self.nodes[item] = self.graph.call_function(operator.getitem, (node, place))
        elif result is not None:
            self.is_whole = False


def _is_alike(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and one.stride() == other.stride()
