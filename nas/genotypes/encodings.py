"""A genotype in the words of its source, by the name of the encoding, and back; torch-free."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from nas.catalog.entry import NetworkEntry
from nas.genotypes.convolutional_encodings import (
    parse_enas_macro,
    parse_enas_micro,
    parse_nao,
    print_enas_macro,
    print_enas_micro,
    print_nao,
)
from nas.genotypes.darts_encoding import (
    parse_darts,
    parse_darts_recurrent,
    print_darts,
    print_darts_recurrent,
)
from nas.genotypes.darts_python import is_python
from nas.genotypes.recurrent_encodings import (
    parse_enas_lm,
    parse_enas_rnn,
    parse_nao_rnn,
    parse_nao_ws_rnn,
    print_enas_lm,
    print_enas_rnn,
    print_nao_rnn,
    print_nao_ws_rnn,
)
from nas.genotypes.values import ConvCellGenotype, Genotype, RecurrentGenotype
from training.errors import LotteryError, unknown

# What `encoding` of a network's entry names; cells of either kind have a DARTS genotype besides.
ENCODINGS: dict[str, Callable[[Any], str]] = {
    "ENAS micro": print_enas_micro,
    "ENAS macro": print_enas_macro,
    "NAO": print_nao,
    "ENAS recurrent": print_enas_rnn,
    "enas_lm": print_enas_lm,
    "NAO recurrent": print_nao_rnn,
    "NAO-WS recurrent": print_nao_ws_rnn,
}

DARTS = "DARTS"
DARTS_RECURRENT = "DARTS recurrent"
PARSERS: dict[str, Callable[[str], Genotype]] = {
    "ENAS micro": parse_enas_micro,
    "ENAS macro": parse_enas_macro,
    "NAO": parse_nao,
    "ENAS recurrent": parse_enas_rnn,
    "enas_lm": parse_enas_lm,
    "NAO recurrent": parse_nao_rnn,
    "NAO-WS recurrent": parse_nao_ws_rnn,
    DARTS: parse_darts,
    DARTS_RECURRENT: parse_darts_recurrent,
}


def genotype_texts(entry: NetworkEntry, genotype: Genotype) -> dict[str, str]:
    """Encoding -> the genotype in it: the source's own, and that of DARTS for cells it has words for.

    Args:
        entry: of the network, which names the encoding of its source.
        genotype: in the space of that encoding.
    """
    texts = {}
    if entry.encoding:
        texts[entry.encoding] = ENCODINGS[entry.encoding](genotype)
    try:
        if isinstance(genotype, ConvCellGenotype):
            texts[DARTS] = print_darts(genotype)
        elif isinstance(genotype, RecurrentGenotype):
            texts[DARTS_RECURRENT] = print_darts_recurrent(genotype)
    except ValueError:
        # DARTS lacks some operations of NAO, and its recurrent cells begin with a tanh; the
        # source's own text says all.
        return texts
    return texts


def parse_genotype(text: str, encodings: Sequence[str]) -> tuple[str, Genotype]:
    """Read a genotype in one of some encodings, and say in which it is.

    Args:
        text: `ENCODING: GENOTYPE`, or the genotype alone. A row of integers alone is in the first encoding of integers;
            what begins as JSON or `Genotype(` is in that of DARTS, where that is among them.
        encodings: names of `PARSERS`, the network's own first.

    Raises:
        LotteryError: there is no such encoding here, or the text is malformed.
    """
    name, sign, rest = text.partition(":")
    darts = [each for each in encodings if each in (DARTS, DARTS_RECURRENT)]
    if darts and (text.lstrip().startswith("{") or is_python(text)):
        return darts[0], PARSERS[darts[0]](text)
    if not sign:
        return _parse_bare(text, encodings)
    if name.strip() not in encodings:
        raise unknown("encoding of this network", reprlib.repr(name.strip())[1:-1], encodings)
    return name.strip(), PARSERS[name.strip()](rest)


def _parse_bare(text: str, encodings: Sequence[str]) -> tuple[str, Genotype]:
    """Read a genotype that no encoding's name stands before."""
    own, *others = encodings
    named = f"a text in {' or '.join(others)} begins with that name and a colon"
    if not text.lstrip()[:1].isdigit():
        advice = f"write one{f', or another: {named}' if others else ''}"
        raise LotteryError(f"The genotype {reprlib.repr(text)} is no {own} text; {advice}.")
    first = next(each for each in encodings if each in ENCODINGS)
    try:
        return first, PARSERS[first](text)
    except LotteryError as error:
        raise LotteryError(f"{str(error)[:-1]} ({named}).") if others else error from None


def given_genotype(entry: NetworkEntry, text: str) -> NetworkEntry:
    """The entry of a network with the genotype that a user gave for it.

    Raises:
        LotteryError: the network has a genotype of its own or none, or the text is malformed.
    """
    if not text:
        return entry
    if not entry.given:
        raise LotteryError(
            f"{entry.name} takes no genotype; leave it out, or choose a network of a given one, such as searched-cells."
        )
    encoding, genotype = parse_genotype(text, entry.given)
    # The other texts that there are of a genotype follow from it.
    return replace(entry, genotype=genotype, encoding=encoding if encoding in ENCODINGS else "")


def missing_genotype(entry: NetworkEntry) -> LotteryError:
    """The error for a network that needs a genotype and has none."""
    return LotteryError(
        f"{entry.name} needs a genotype, in one of the encodings {', '.join(entry.given)}; give it with "
        "--set 'network.genotype=0 2 0 0 ...' or, for lottery networks, with --genotype."
    )
