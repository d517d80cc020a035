"""What a search space is: an architecture as a row of decisions, each among a fixed number of choices; torch-free.

All spaces have one form, so that one controller and one encoder serve them: a space lists its decisions in order, and
turns a row of choices into a genotype.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from random import Random
from typing import TYPE_CHECKING, ClassVar, Literal

from nas.genotypes.random_genotypes import SKIP_PROBABILITY
from nas.genotypes.values import Genotype

if TYPE_CHECKING:
    from nas.search.configs import SearchConfig
    from nas.search.shared_weights import SharedNetwork

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


class Space(abc.ABC):
    """Abstract: a search space, and what strategies ask of it.

    Attributes:
        name: in `nas.search.spaces.SPACES`.
        symmetric: whether an architecture has several rows: `canonical` names one of them, `swapped` draws another.
        has_kernels: whether an operation's word ends in a kernel, which NAO may take for a token of its own.
        is_highway: whether a node goes on from one earlier state, about which its own new state decides, as in a
            recurrent cell; elsewhere the decisions of a node come before its state.
        biased_operations: whether ENAS's controller learns a bias of each operation.
    """

    name: ClassVar[str]
    symmetric: ClassVar[bool] = False
    has_kernels: ClassVar[bool] = False
    is_highway: ClassVar[bool] = False
    biased_operations: ClassVar[bool] = False

    @property
    @abc.abstractmethod
    def operation_words(self) -> tuple[str, ...]:
        """The words that the numbers of operations stand for."""

    @property
    def first_states(self) -> int:
        """How many states there are before the first node that is decided about."""
        return 0

    @abc.abstractmethod
    def decisions(self) -> tuple[Decision, ...]:
        """What is decided, in order."""

    @abc.abstractmethod
    def genotype(self, choices: Sequence[int]) -> Genotype:
        """The architecture of a row of choices.

        Raises:
            ValueError: the row has another length, or a choice is out of range.
        """

    def canonical(self, choices: Choices) -> Choices:
        """The one of an architecture's rows that stands for all of them."""
        return choices

    def swapped(self, choices: Choices, source: Random) -> Choices:
        """Another row of the same architecture, drawn at random; the same one where it has no other."""
        return choices


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """In whose words a space is searched.

    Attributes:
        encoding: in which of `nas.genotypes.encodings.ENCODINGS` genotypes are written.
        make: the space of a configuration.
        fewest_nodes: that a cell may have.
    """

    encoding: str
    make: Callable[[SearchConfig], Space]
    fewest_nodes: int = 1


@dataclass(frozen=True, kw_only=True)
class SpaceEntry:
    """What is known of a search space by name.

    Attributes:
        summary: what an architecture is, in a few words.
        kind: of the data that its networks are for, as their spec has it.
        network: of the catalog, that an architecture is when it stands alone.
        sized_as: the network of the catalog whose sizes the shared weights take.
        module: that the weights are in which its architectures share; imported only then, as it needs torch.
        shared: the name of their class there, which takes (spec, space, **sizes), with `initial` too where
            `SearchConfig` has it.
        dialects: by `SearchConfig.words`.
    """

    summary: str
    kind: str
    network: str
    sized_as: str
    module: str
    shared: str
    dialects: Mapping[str, Dialect]

    def load(self) -> Callable[..., SharedNetwork]:
        """The class of its shared weights."""
        found: Callable[..., SharedNetwork] = getattr(import_module(self.module), self.shared)
        return found


def random_choices(space: Space, draws: Random) -> Choices:
    """A row of choices at random: a skip with probability 0.4 (`SKIP_PROBABILITY`), all else uniformly."""
    return tuple(
        int(draws.random() < SKIP_PROBABILITY)
        if decision.kind == "skip"
        else int(draws.random() * decision.choices)
        for decision in space.decisions()
    )


def checked_choices(decisions: Sequence[Decision], choices: Sequence[int]) -> Sequence[int]:
    """The choices, one for each decision.

    Raises:
        ValueError: there are more or fewer, or one is out of range.
    """
    if len(choices) != len(decisions):
        raise ValueError(f"{len(decisions)} decisions, but {len(choices)} choices")
    for number, (decision, choice) in enumerate(zip(decisions, choices, strict=True), start=1):
        if not 0 <= choice < decision.choices:
            raise ValueError(f"choice {number} is 0 to {decision.choices - 1} here, not {choice}")
    return choices
