"""What is known of a network before it is built, and the sizes that it can take; torch-free."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from nas.genotypes.values import Genotype
from training.errors import LotteryError, shown, unknown
from training.specs import ImageSpec, Spec, TextSpec

Size = int | float | tuple[int, ...]

# The widest published layer is far below; a slip of the keyboard should not ask for terabytes.
MAX_SIZE = 65_536
# The sizes that count layers, cells or nodes, and the most of them: ResNet-1202's (He et al. 2016, section 4.2).
DEPTHS = frozenset({"depth", "layers", "normal_cells", "reductions", "nodes"})
MAX_DEPTH = 1202
# The sizes that may be 0; every other integer is at least 1.
MAY_BE_ZERO = frozenset({"reductions", "auxiliary", "seed", "second_bias", "tied"})
# The sizes that are off or on: 0 or 1.
SWITCHES = frozenset({"auxiliary", "second_bias", "tied"})

CIFAR_10 = ImageSpec(channels=3, height=32, width=32, classes=10)
MNIST = ImageSpec(channels=1, height=28, width=28, classes=10)
IMAGENET = ImageSpec(channels=3, height=224, width=224, classes=1000)
PENN_TREEBANK = TextSpec(vocabulary=10_000)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A number that a source publishes of a network.

    Attributes:
        what: is measured, and on which data.
        value: with its unit, as the source prints it.
        source: paper and table, or file of a repository.
    """

    what: str
    value: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A genotype that is drawn at random, a function of some sizes of its network.

    Attributes:
        draw: makes it from the values of the sizes.
        sizes: their names, in the order that `draw` takes them.
    """

    draw: Callable[..., Genotype]
    sizes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class NetworkEntry:
    """What is known of a network before it is built.

    Attributes:
        name: what a user types.
        origin: "searched", "designed" or "own".
        task: "images" or "text"; "any" for a network of the user's own.
        summary: one line for lists.
        source: the paper or the file that it comes from.
        genotype: of a searched network; None for one that is designed or drawn.
        sizes: name -> default; a float is a dropout probability, an int or a tuple of ints counts units.
        spec: the shape of the data that it was published for; None for a network of the user's own.
        published: figures of its source.
        encoding: in which its source writes genotypes, a name of `nas.genotypes.encodings.ENCODINGS`; "" where it has
            none but that of DARTS.
        drawn: how the genotype of a random network comes from its sizes.
        given: the encodings that its genotype may be given in, the usual one first; () where none is to be given.
    """

    name: str
    origin: str
    task: str
    summary: str
    source: str
    genotype: Genotype | None
    sizes: Mapping[str, Size]
    spec: Spec | None
    published: tuple[Figure, ...] = ()
    encoding: str = ""
    drawn: Drawn | None = None
    given: tuple[str, ...] = ()


def image_entry(
    name: str,
    summary: str,
    source: str,
    sizes: Mapping[str, Size],
    *published: Figure,
    spec: ImageSpec = CIFAR_10,
    genotype: Genotype | None = None,
    encoding: str = "",
    drawn: Drawn | None = None,
) -> NetworkEntry:
    """A network for images, for CIFAR-10 unless said otherwise; it is searched where it has a genotype.

    One that is drawn is found by no search: it stands on the other side of that contest, as a designed one does.
    """
    return NetworkEntry(
        name=name,
        origin="designed" if genotype is None else "searched",
        task="images",
        summary=summary,
        source=source,
        genotype=genotype,
        sizes=sizes,
        spec=spec,
        published=published,
        encoding=encoding,
        drawn=drawn,
    )


def genotype_of(entry: NetworkEntry, sizes: Mapping[str, Any]) -> Genotype | None:
    """The genotype of a network of some sizes; None for a designed one.

    Raises:
        LotteryError: it is drawn, and sizes that draw it are out of range.
    """
    if entry.drawn is None:
        return entry.genotype
    return entry.drawn.draw(*(sizes[name] for name in entry.drawn.sizes))


def check_size(entry: NetworkEntry, given: Mapping[str, object]) -> dict[str, Any]:
    """The sizes to build with: the defaults, overlaid with what is given.

    A network of the user's own takes what its factory takes, so its sizes pass as they are.

    Returns:
        Plain JSON values: int, float or list of int.

    Raises:
        LotteryError: a size that the network does not have, or a value that it can't take.
    """
    if entry.origin == "own":
        return {k: list(v) if isinstance(v, tuple) else v for k, v in given.items()}
    for key in given:
        if key not in entry.sizes:
            raise _unknown_size(entry, key)
    return {
        key: _checked(entry.name, key, default, given.get(key, default))
        for key, default in entry.sizes.items()
    }


def _unknown_size(entry: NetworkEntry, key: str) -> LotteryError:
    if entry.sizes:
        return unknown(f"size of {entry.name}", key, entry.sizes)
    return LotteryError(f"{entry.name} has no sizes, so {key!r} can't be set; leave it out.")


def _checked(network: str, key: str, default: Size, value: object) -> int | float | list[int]:
    least = 0 if key in MAY_BE_ZERO else 1
    most = 1 if key in SWITCHES else MAX_DEPTH if key in DEPTHS else MAX_SIZE
    counts = f"whole numbers from {least} to {most:,}"
    if isinstance(default, float):
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1:
            return float(value)
        possible = "a probability, from 0 to below 1"
    elif isinstance(default, int):
        if _is_count(value, least, most):
            return value
        possible = f"one of the {counts}"
    else:
        items = list(value) if isinstance(value, list | tuple) else []
        if 1 <= len(items) <= MAX_DEPTH and all(_is_count(item, least, most) for item in items):
            return items
        possible = f"a list of {counts}, at most {MAX_DEPTH:,} of them, such as {list(default)}"
    raise LotteryError(f"The size {key} of {network} is {shown(value)}, but it must be {possible}.")


def _is_count(value: object, least: int, most: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
