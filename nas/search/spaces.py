"""Search spaces: an architecture as a row of decisions, each among a fixed number of choices; torch-free.

All three spaces have one form, so that one controller and one encoder serve them: a space lists its
decisions in order, and turns a row of choices into a genotype.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from nas.genotypes.convolutional_encodings import (
    ENAS_MACRO_OPERATIONS,
    ENAS_MICRO_OPERATIONS,
    NAO_OPERATIONS,
)
from nas.genotypes.random_genotypes import SKIP_PROBABILITY
from nas.genotypes.recurrent_encodings import ENAS_RNN_ACTIVATIONS
from nas.genotypes.values import (
    CellGraph,
    ConvCellGenotype,
    Layer,
    LayerwiseGenotype,
    Node,
    RecurrentGenotype,
    loose_ends,
    recurrent_loose_ends,
)

Choices = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One choice that makes up an architecture.

    Attributes:
        kind: "input" (which earlier state is read), "operation" (or activation), or "skip" (whether an earlier output
            is joined: 1, or not: 0).
        choices: how many there are, counted from 0.
        part: of the architecture, such as 0 for the normal and 1 for the reduction cell.
        node: within the part, counted from 0, whose decision this is.
        source: of a skip, the earlier output that it is about; 0 otherwise.
    """

    kind: Literal["input", "operation", "skip"]
    choices: int
    part: int = 0
    node: int
    source: int = 0


@dataclass(frozen=True, kw_only=True)
class CellSpace:
    """Two convolutional cells (Pham et al. 2018, section 2.4): per node two inputs, each with its operation.

    Attributes:
        nodes: of each cell.
        operations: words of `nas.genotypes.values.CONV_OPERATIONS`, in the order of their numbers.
    """

    nodes: int = 5
    operations: tuple[str, ...] = tuple(ENAS_MICRO_OPERATIONS.values())

    def decisions(self) -> tuple[Decision, ...]:
        """Normal cell, then reduction cell; per node input, operation, input, operation."""
        return tuple(
            decision
            for part in range(2)
            for node in range(self.nodes)
            for _ in range(2)
            for decision in (
                Decision(kind="input", choices=node + 2, part=part, node=node),
                Decision(kind="operation", choices=len(self.operations), part=part, node=node),
            )
        )

    def genotype(self, choices: Sequence[int]) -> ConvCellGenotype:
        """The architecture of a row of choices; the loose ends are the output.

        Raises:
            ValueError: the row has another length, or a choice is out of range.
        """
        checked = iter(_checked(self.decisions(), choices))
        normal = self._cell(checked)
        return ConvCellGenotype(normal=normal, reduction=self._cell(checked))

    def _cell(self, choices: Iterator[int]) -> CellGraph:
        def node() -> Node:
            numbers = [next(choices) for _ in range(4)]
            left, right = (numbers[0], numbers[1]), (numbers[2], numbers[3])
            return (left[0], self.operations[left[1]]), (right[0], self.operations[right[1]])

        graph = tuple(node() for _ in range(self.nodes))
        return CellGraph(nodes=graph, output=loose_ends(graph))


@dataclass(frozen=True, kw_only=True)
class LayerSpace:
    """A convolutional network layer by layer (Pham et al. 2018, section 2.3): an operation and skips.

    Attributes:
        layers: how many.
        operations: words of `nas.genotypes.values.LAYER_OPERATIONS`, in the order of their numbers.
    """

    layers: int = 12
    operations: tuple[str, ...] = tuple(ENAS_MACRO_OPERATIONS.values())

    def decisions(self) -> tuple[Decision, ...]:
        """Per layer its operation, then a skip from each output before its direct input."""
        return tuple(
            decision
            for layer in range(self.layers)
            for decision in (
                Decision(kind="operation", choices=len(self.operations), node=layer),
                *(
                    Decision(kind="skip", choices=2, node=layer, source=output)
                    for output in range(layer)
                ),
            )
        )

    def genotype(self, choices: Sequence[int]) -> LayerwiseGenotype:
        """The architecture of a row of choices.

        Raises:
            ValueError: the row has another length, or a choice is out of range.
        """
        rest = iter(_checked(self.decisions(), choices))
        layers = []
        for index in range(self.layers):
            operation = self.operations[next(rest)]
            skips = tuple(output for output in range(index) if next(rest))
            layers.append(Layer(operation=operation, skips=skips))
        return LayerwiseGenotype(layers=tuple(layers))


@dataclass(frozen=True, kw_only=True)
class RecurrentSpace:
    """A recurrent cell of highway nodes (Pham et al. 2018, section 2.1).

    Attributes:
        nodes: states, the first, which reads the input, among them.
        activations: words of `nas.genotypes.values.ACTIVATIONS`, in the order of their numbers.
        first: the activation of the first state, where it is not searched (NAO and enas_lm: tanh).
        output: whether the loose ends are averaged (ENAS), or all nodes but the first (NAO and enas_lm).
    """

    nodes: int = 12
    activations: tuple[str, ...] = tuple(ENAS_RNN_ACTIVATIONS.values())
    first: str | None = None
    output: Literal["loose-ends", "nodes"] = "loose-ends"

    def decisions(self) -> tuple[Decision, ...]:
        """The first activation where it is searched; then per node its previous state and its activation."""
        count = len(self.activations)
        first = (Decision(kind="operation", choices=count, node=0),) if self.first is None else ()
        return first + tuple(
            decision
            for node in range(1, self.nodes)
            for decision in (
                Decision(kind="input", choices=node, node=node),
                Decision(kind="operation", choices=count, node=node),
            )
        )

    def genotype(self, choices: Sequence[int]) -> RecurrentGenotype:
        """The architecture of a row of choices.

        Raises:
            ValueError: the row has another length, or a choice is out of range.
        """
        rest = iter(_checked(self.decisions(), choices))
        first = self.activations[next(rest)] if self.first is None else self.first
        pairs = [(next(rest), next(rest)) for _ in range(1, self.nodes)]
        nodes = tuple((previous, self.activations[number]) for previous, number in pairs)
        every = tuple(range(1, self.nodes))
        output = every if self.output == "nodes" else recurrent_loose_ends(nodes)
        return RecurrentGenotype(first=first, nodes=nodes, output=output)


Space = CellSpace | LayerSpace | RecurrentSpace

# The operations of NAO without weight sharing, each once, in the order of its numbers 5 to 15.
NAO_CELL_OPERATIONS = tuple(word for number, word in NAO_OPERATIONS.items() if number >= 5)


def random_choices(space: Space, draws: Random) -> Choices:
    """A row of choices at random: a skip with probability 0.4 (`SKIP_PROBABILITY`), all else uniformly."""
    return tuple(
        int(draws.random() < SKIP_PROBABILITY)
        if decision.kind == "skip"
        else int(draws.random() * decision.choices)
        for decision in space.decisions()
    )


def canonical(space: Space, choices: Choices) -> Choices:
    """The one of an architecture's rows in which the edges of each node of a cell stand in order.

    A node adds its two edges, so that their order makes no difference. Rows of other spaces are what they are.
    """
    if not isinstance(space, CellSpace):
        return choices
    edges = [choices[place : place + 2] for place in range(0, len(choices), 2)]
    nodes = [sorted(edges[place : place + 2]) for place in range(0, len(edges), 2)]
    return tuple(number for node in nodes for edge in node for number in edge)


def _checked(decisions: Sequence[Decision], choices: Sequence[int]) -> Sequence[int]:
    if len(choices) != len(decisions):
        raise ValueError(f"{len(decisions)} decisions, but {len(choices)} choices")
    for place, (decision, choice) in enumerate(zip(decisions, choices, strict=True)):
        if not 0 <= choice < decision.choices:
            raise ValueError(
                f"choice {place + 1} is 0 to {decision.choices - 1} here, not {choice}"
            )
    return choices
