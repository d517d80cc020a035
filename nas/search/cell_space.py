"""The search space of two convolutional cells; torch-free."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, ClassVar

from nas.genotypes.convolutional_encodings import ENAS_MICRO_OPERATIONS, NAO_OPERATIONS
from nas.genotypes.values import CellGraph, ConvCellGenotype, Node, loose_ends
from nas.search.space import Choices, Decision, Dialect, Space, SpaceEntry, checked_choices
from training.specs import ImageSpec

if TYPE_CHECKING:
    from nas.search.configs import SearchConfig

# Choices of a node: input and operation of either edge.
_NODE = 4

# The operations of NAO without weight sharing, each once, in the order of its numbers 5 to 15.
NAO_CELL_OPERATIONS = tuple(word for number, word in NAO_OPERATIONS.items() if number >= 5)


@dataclass(frozen=True, kw_only=True)
class CellSpace(Space):
    """Two convolutional cells (Pham et al. 2018, section 2.4): per node two inputs, each with its operation.

    Attributes:
        nodes: of each cell.
        operations: words of `nas.genotypes.values.CONV_OPERATIONS`, in the order of their numbers.
    """

    name: ClassVar[str] = "cell"
    symmetric: ClassVar[bool] = True
    has_kernels: ClassVar[bool] = True
    biased_operations: ClassVar[bool] = True

    nodes: int = 5
    operations: tuple[str, ...] = tuple(ENAS_MICRO_OPERATIONS.values())

    @property
    def operation_words(self) -> tuple[str, ...]:
        """See `Space.operation_words`."""
        return self.operations

    @property
    def first_states(self) -> int:
        """The outputs of the two cells before."""
        return 2

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
        """See `Space.genotype`; the loose ends are the output."""
        checked = iter(checked_choices(self.decisions(), choices))
        normal = self._cell(checked)
        return ConvCellGenotype(normal=normal, reduction=self._cell(checked))

    def _cell(self, choices: Iterator[int]) -> CellGraph:
        def node() -> Node:
            numbers = [next(choices) for _ in range(_NODE)]
            left, right = (numbers[0], numbers[1]), (numbers[2], numbers[3])
            return (left[0], self.operations[left[1]]), (right[0], self.operations[right[1]])

        graph = tuple(node() for _ in range(self.nodes))
        return CellGraph(nodes=graph, output=loose_ends(graph))

    def canonical(self, choices: Choices) -> Choices:
        """The one of an architecture's rows in which the edges of each node stand in order.

        A node adds its two edges, so that their order makes no difference.
        """
        edges = [choices[first : first + 2] for first in range(0, len(choices), 2)]
        nodes = [sorted(edges[first : first + 2]) for first in range(0, len(edges), 2)]
        return tuple(number for node in nodes for edge in node for number in edge)

    def swapped(self, choices: Choices, source: Random) -> Choices:
        """The same architecture with the edges of one node, drawn at random, exchanged in each cell.

        `generate_symmetry` of NAO_pytorch; the performance stays what it was.
        """
        row = list(choices)
        for cell in range(2):
            first = _NODE * (cell * self.nodes + int(source.random() * self.nodes))
            row[first : first + _NODE] = [*row[first + 2 : first + _NODE], *row[first : first + 2]]
        return tuple(row)


def _enas_cells(config: SearchConfig) -> CellSpace:
    return CellSpace(nodes=config.nodes or CellSpace.nodes)


def _nao_cells(config: SearchConfig) -> CellSpace:
    return CellSpace(nodes=config.nodes or CellSpace.nodes, operations=NAO_CELL_OPERATIONS)


CELLS = SpaceEntry(
    summary="two convolutional cells",
    kind=ImageSpec.kind,
    network="searched-cells",
    sized_as="enas-micro",
    module="nas.search.shared_cells",
    shared="SharedCells",
    dialects={
        "enas": Dialect(encoding="ENAS micro", make=_enas_cells),
        "nao": Dialect(encoding="NAO", make=_nao_cells),
    },
)
