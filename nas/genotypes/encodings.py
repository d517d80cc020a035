"""Every way in which sources write genotypes as text, by name: what reads it and what prints it; torch-free."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

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
from training.errors import LotteryError, chosen


@dataclass(frozen=True)
class Encoding:
    """How a source writes genotypes as text.

    Attributes:
        name: what stands before a text that a user gives.
        parse: reads a text; LotteryError where it is malformed.
        print: writes a genotype; ValueError where the encoding can't say it.
        is_row: whether it is a row of integers; else words, as JSON or as Python.
    """

    name: str
    parse: Callable[[str], Genotype]
    print: Callable[[Any], str]
    is_row: bool = True


ENCODINGS: dict[str, Encoding] = {
    encoding.name: encoding
    for encoding in (
        Encoding("ENAS micro", parse_enas_micro, print_enas_micro),
        Encoding("ENAS macro", parse_enas_macro, print_enas_macro),
        Encoding("NAO", parse_nao, print_nao),
        Encoding("ENAS recurrent", parse_enas_rnn, print_enas_rnn),
        Encoding("enas_lm", parse_enas_lm, print_enas_lm),
        Encoding("NAO recurrent", parse_nao_rnn, print_nao_rnn),
        Encoding("NAO-WS recurrent", parse_nao_ws_rnn, print_nao_ws_rnn),
        Encoding("DARTS", parse_darts, print_darts, is_row=False),
        Encoding("DARTS recurrent", parse_darts_recurrent, print_darts_recurrent, is_row=False),
    )
}

# The encoding in words of each kind of cell, which says what is in a cell without its source's numbers.
IN_WORDS: dict[type[Genotype], Encoding] = {
    ConvCellGenotype: ENCODINGS["DARTS"],
    RecurrentGenotype: ENCODINGS["DARTS recurrent"],
}


def genotype_texts(encoding: str, genotype: Genotype) -> dict[str, str]:
    """Encoding -> the genotype in it: the source's own, and that in words for cells that it has words for.

    Args:
        encoding: of the source, a name of `ENCODINGS`.
        genotype: in the space of that encoding.
    """
    texts = {encoding: chosen("encoding", encoding, ENCODINGS).print(genotype)}
    words = IN_WORDS.get(type(genotype))
    if words is None:
        return texts
    try:
        return {**texts, words.name: words.print(genotype)}
    except ValueError:
        # DARTS lacks some operations of NAO, and its recurrent cells begin with a tanh; the
        # source's own text says all.
        return texts


def parse_genotype(text: str, encodings: Sequence[str]) -> tuple[str, Genotype]:
    """Read a genotype in one of some encodings, and say in which it is.

    Args:
        text: `ENCODING: GENOTYPE`, or the genotype alone. A row of integers alone is in the first encoding of integers;
            what begins as JSON or `Genotype(` is in that of words, where one is among them.
        encodings: names of `ENCODINGS`, the network's own first.

    Raises:
        LotteryError: there is no such encoding here, or the text is malformed.
    """
    possible = {name: ENCODINGS[name] for name in encodings}
    name, colon, rest = text.partition(":")
    words = next((each for each in possible.values() if not each.is_row), None)
    if words is not None and (text.lstrip().startswith("{") or is_python(text)):
        return words.name, words.parse(text)
    if not colon:
        return _parse_row(text, list(possible.values()))
    shown = reprlib.repr(name.strip())[1:-1]
    encoding = chosen("encoding of this network", shown, possible)
    return encoding.name, encoding.parse(rest)


def _parse_row(text: str, possible: Sequence[Encoding]) -> tuple[str, Genotype]:
    """Read a row of integers that no encoding's name stands before."""
    own, *others = (each.name for each in possible)
    named = f"a text in {' or '.join(others)} begins with that name and a colon"
    if not text.lstrip()[:1].isdigit():
        advice = f"write one{f', or another: {named}' if others else ''}"
        raise LotteryError(f"The genotype {reprlib.repr(text)} is no {own} text; {advice}.")
    first = next(each for each in possible if each.is_row)
    try:
        return first.name, first.parse(text)
    except LotteryError as error:
        raise LotteryError(f"{str(error)[:-1]} ({named}).") if others else error from None
