"""What is known of a network before it is built: where it comes from, its sizes, and what builds it; torch-free."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from nas.catalog.sizes import Size, SizeValue
from nas.genotypes.encodings import parse_genotype
from nas.genotypes.values import Genotype
from training.errors import LotteryError, chosen
from training.specs import ImageSpec, Spec, TextSpec

if TYPE_CHECKING:
    from torch import nn

CIFAR_10 = ImageSpec(channels=3, height=32, width=32, classes=10)
MNIST = ImageSpec(channels=1, height=28, width=28, classes=10)
IMAGENET = ImageSpec(channels=3, height=224, width=224, classes=1000)
PENN_TREEBANK = TextSpec(vocabulary=10_000)
WIKITEXT_2 = TextSpec(vocabulary=33_278)


@dataclass(frozen=True, kw_only=True)
class PublishedResult:
    """A number that a source publishes of a network.

    Attributes:
        what: is measured, and on which data.
        value: with its unit, as the source prints it.
        source: paper and table, or file of a repository.
    """

    what: str
    value: str
    source: str


@dataclass(frozen=True)
class Builder:
    """What builds a network; its module, which needs torch, is imported only then.

    Attributes:
        module: that it is in.
        name: of the class or function there, which takes (spec, **sizes), with `genotype` too where the catalog has or
            draws one.
        options: what else it takes, the same at every size.
    """

    module: str
    name: str
    options: Mapping[str, object] = field(default_factory=dict)

    def load(self) -> Callable[..., nn.Module]:
        """The class or function, with its options."""
        return partial(getattr(importlib.import_module(self.module), self.name), **self.options)


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
        builder: what builds it; None for a network of the user's own, whose code is imported only where the command
            line names it.
        sizes: by name.
        spec: the shape of the data that it was published for; None for a network of the user's own.
        genotype: of a searched network; None for one that is designed or drawn.
        encoding: in which its source writes genotypes, a name of `nas.genotypes.encodings.ENCODINGS`; "" for a network
            without a genotype.
        drawn: how the genotype of a random network comes from its sizes.
        accepts: the encodings in which a user gives its genotype, the usual one first; () where none is to be given.
        published: results of its source.
    """

    name: str
    origin: str
    task: str
    summary: str
    source: str
    builder: Builder | None
    sizes: Mapping[str, Size]
    spec: Spec | None
    genotype: Genotype | None = None
    encoding: str = ""
    drawn: Drawn | None = None
    accepts: tuple[str, ...] = ()
    published: tuple[PublishedResult, ...] = ()

    @property
    def defaults(self) -> dict[str, SizeValue]:
        """The published sizes, by name."""
        return {name: size.default for name, size in self.sizes.items()}


def network_entry(
    name: str,
    summary: str,
    source: str,
    spec: Spec,
    builder: Builder,
    sizes: Mapping[str, Size],
    *published: PublishedResult,
    genotype: Genotype | None = None,
    encoding: str = "",
    drawn: Drawn | None = None,
) -> NetworkEntry:
    """A published network; it is searched where it has a genotype.

    One that is drawn is found by no search: it stands on the other side of that contest, as a designed one does.
    """
    return NetworkEntry(
        name=name,
        origin="designed" if genotype is None else "searched",
        task=spec.kind,
        summary=summary,
        source=source,
        builder=builder,
        sizes=sizes,
        spec=spec,
        genotype=genotype,
        encoding=encoding,
        drawn=drawn,
        published=published,
    )


def genotype_of(entry: NetworkEntry, sizes: Mapping[str, Any]) -> Genotype | None:
    """The genotype of a network of some sizes; None for a designed one.

    Raises:
        LotteryError: it is drawn, and sizes that draw it are out of range.
    """
    if entry.drawn is None:
        return entry.genotype
    return entry.drawn.draw(*(sizes[name] for name in entry.drawn.sizes))


def published_spec(entry: NetworkEntry) -> Spec:
    """The shape of the data that a network was published for.

    Raises:
        LotteryError: it is code of the user's own, so nobody knows before it is trained.
    """
    if entry.spec is None:
        raise LotteryError(
            f"{entry.name} is code of your own, which is imported only to train it; see its size and "
            f"time with retrain RECIPE --network {entry.name} --dry-run."
        )
    return entry.spec


def with_genotype(entry: NetworkEntry, text: str) -> NetworkEntry:
    """The entry of a network with the genotype that a user gives for it.

    Args:
        entry: of the network.
        text: of the genotype, see `nas.genotypes.encodings.parse_genotype`; the entry stays as it is where it is "".

    Raises:
        LotteryError: the network has a genotype of its own or none, or the text is malformed.
    """
    if not text:
        return entry
    if not entry.accepts:
        raise LotteryError(
            f"{entry.name} takes no genotype; leave it out, or choose a network of a given one, such as searched-cells."
        )
    encoding, genotype = parse_genotype(text, entry.accepts)
    return replace(entry, genotype=genotype, encoding=encoding)


def missing_genotype(entry: NetworkEntry) -> LotteryError:
    """The error for a network that needs a genotype and has none."""
    return LotteryError(
        f"{entry.name} needs a genotype, in one of the encodings {', '.join(entry.accepts)}; give it with "
        "--set 'network.genotype=0 2 0 0 ...' or, for lottery networks, with --genotype."
    )


def published_genotype(entry: NetworkEntry) -> Genotype:
    """The genotype of a searched network at its published sizes.

    Raises:
        LotteryError: it has none.
    """
    genotype = genotype_of(entry, entry.defaults)
    if genotype is None and entry.accepts:
        raise missing_genotype(entry)
    if genotype is None:
        raise LotteryError(
            f"{entry.name} has no genotype to draw; name a searched network, such as enas-micro."
        )
    return genotype


def check_size(entry: NetworkEntry, sizes: Mapping[str, object]) -> dict[str, Any]:
    """The sizes to build with: the defaults, overlaid with `sizes`.

    A network of the user's own takes what its factory takes, so its sizes pass as they are.

    Returns:
        Plain JSON values: int, float or list of int.

    Raises:
        LotteryError: a size that the network does not have, or a value that it can't take.
    """
    if entry.origin == "own":
        return {k: list(v) if isinstance(v, tuple) else v for k, v in sizes.items()}
    for key in sizes:
        if not entry.sizes:
            raise LotteryError(f"{entry.name} has no sizes, so {key!r} can't be set; leave it out.")
        chosen(f"size of {entry.name}", key, entry.sizes)
    return {
        key: size.checked(f"{key} of {entry.name}", sizes.get(key, size.default))
        for key, size in entry.sizes.items()
    }
