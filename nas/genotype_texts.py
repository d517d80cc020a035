"""A genotype in the words of its source, by the name of the encoding; torch-free."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nas.darts_encoding import print_darts, print_darts_recurrent
from nas.encodings import print_enas_macro, print_enas_micro, print_nao
from nas.entry import NetworkEntry
from nas.genotypes import ConvCellGenotype, Genotype, RecurrentGenotype
from nas.recurrent_encodings import (
    print_enas_lm,
    print_enas_rnn,
    print_nao_rnn,
    print_nao_ws_rnn,
)

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
            texts["DARTS"] = print_darts(genotype)
        elif isinstance(genotype, RecurrentGenotype):
            texts["DARTS"] = print_darts_recurrent(genotype)
    except ValueError:
        # DARTS lacks some operations of NAO, and its recurrent cells begin with a tanh; the
        # source's own text says all.
        return texts
    return texts
