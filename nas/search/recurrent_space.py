"""The search space of recurrent cells; torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from nas.genotypes.recurrent_encodings import ENAS_LM_ACTIVATIONS, ENAS_RNN_ACTIVATIONS
from nas.genotypes.values import RecurrentGenotype, recurrent_loose_ends
from nas.search.space import Decision, Dialect, Space, SpaceEntry, checked_choices
from training.specs import TextSpec

if TYPE_CHECKING:
    from nas.search.configs import SearchConfig


@dataclass(frozen=True, kw_only=True)
class RecurrentSpace(Space):
    """A recurrent cell of highway nodes (Pham et al. 2018, section 2.1).

    Attributes:
        nodes: states, the first, which reads the input, among them.
        activations: words of `nas.genotypes.values.ACTIVATIONS`, in the order of their numbers.
        first: the activation of the first state, where it is not searched (NAO and enas_lm: tanh).
        output: whether the loose ends are averaged (ENAS), or all nodes but the first (NAO and enas_lm).
    """

    name: ClassVar[str] = "recurrent"
    is_highway: ClassVar[bool] = True

    nodes: int = 12
    activations: tuple[str, ...] = tuple(ENAS_RNN_ACTIVATIONS.values())
    first: str | None = None
    output: Literal["loose-ends", "nodes"] = "loose-ends"

    @property
    def operation_words(self) -> tuple[str, ...]:
        """See `Space.operation_words`: the activations."""
        return self.activations

    @property
    def first_states(self) -> int:
        """The first state, where it is not searched."""
        return int(self.first is not None)

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
        """See `Space.genotype`."""
        rest = iter(checked_choices(self.decisions(), choices))
        first = self.activations[next(rest)] if self.first is None else self.first
        pairs = [(next(rest), next(rest)) for _ in range(1, self.nodes)]
        nodes = tuple((previous, self.activations[number]) for previous, number in pairs)
        every = tuple(range(1, self.nodes))
        output = every if self.output == "nodes" else recurrent_loose_ends(nodes)
        return RecurrentGenotype(first=first, nodes=nodes, output=output)


def _enas_cell(config: SearchConfig) -> RecurrentSpace:
    return RecurrentSpace(nodes=config.nodes or RecurrentSpace.nodes)


def _nao_cell(config: SearchConfig) -> RecurrentSpace:
    return RecurrentSpace(
        nodes=config.nodes or RecurrentSpace.nodes,
        activations=tuple(ENAS_LM_ACTIVATIONS.values()),
        first="tanh",
        output="nodes",
    )


RECURRENT = SpaceEntry(
    summary="a recurrent cell",
    kind=TextSpec.kind,
    network="searched-rnn",
    sized_as="enas-rnn",
    module="nas.search.shared_recurrent",
    shared="SharedLanguageModel",
    dialects={
        "enas": Dialect(encoding="ENAS recurrent", make=_enas_cell),
        # Its first node ends nothing, and something has to.
        "nao": Dialect(encoding="enas_lm", make=_nao_cell, fewest_nodes=2),
    },
)
