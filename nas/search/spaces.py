"""Every search space by name, and what a search's configuration says of its own; torch-free."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas.search.cell_space import CELLS
from nas.search.layer_space import LAYERS
from nas.search.recurrent_space import RECURRENT
from nas.search.space import Dialect, Space, SpaceEntry
from training.errors import chosen, require

if TYPE_CHECKING:
    from nas.search.configs import SearchConfig

SPACES: dict[str, SpaceEntry] = {"cell": CELLS, "layers": LAYERS, "recurrent": RECURRENT}
# What is searched unless a user says otherwise.
USUAL_SPACE = "cell"


def space_entry(name: str) -> SpaceEntry:
    """What is known of a space.

    Raises:
        LotteryError: there is none of that name.
    """
    return chosen("search space", name, SPACES)


def space_of(config: SearchConfig) -> Space:
    """The space that a search goes through."""
    return dialect_of(config).make(config)


def network_of(config: SearchConfig) -> str:
    """The network of the catalog that an architecture is when it stands alone."""
    return space_entry(config.space).network


def encoding_of(config: SearchConfig) -> str:
    """In which of `nas.genotypes.encodings.ENCODINGS` a search writes its genotypes."""
    return dialect_of(config).encoding


def dialect_of(config: SearchConfig) -> Dialect:
    """In whose words a space is searched.

    Raises:
        LotteryError: there is no such space, or it is not searched in these words.
    """
    dialects, words = space_entry(config.space).dialects, config.words
    require(words in dialects, "words", words, f"{' or '.join(dialects)} for {config.space}")
    return dialects[words]
