"""Numbers and names as text, the same in commands, figures, verdicts and reports; it imports nothing heavy."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MISSING = "–"
# The matrices of a recurrent core, by the name of their parameter.
MATRIX = re.compile(r"cores\.(\d+)\.weight_(?:(input|hidden)|nodes\.(\d+))")


def short_names(folders: Sequence[Path]) -> dict[Path, str]:
    """What to call each of some folders: its name, after as many of its parents as tell it from the others.

    >>> list(short_names([Path("/a/one/tiny"), Path("/a/two/tiny"), Path("/a/big")]).values())
    ['one/tiny', 'two/tiny', 'big']
    """
    names = {}
    for folder in folders:
        others = [other.parts for other in folders if other != folder]
        count = 1
        while any(other[-count:] == folder.parts[-count:] for other in others):
            count += 1
        names[folder] = str(Path(*folder.parts[-count:]))
    return names


def data_in_words(
    name: str, options: Mapping[str, int], *, unit: str, limits: Sequence[str]
) -> str:
    """A data set as tables and sentences name it: neither a part of one nor corrupted data pass for the whole.

    Args:
        name: of the data set.
        options: of its configuration.
        unit: what a split is counted in, as `Spec.unit`.
        limits: the options that cut a split short, as `Spec.limits`.

    >>> data_in_words("ptb", {"train": 60_000, "test": 8000}, unit="tokens", limits=["train", "test"])
    'ptb cut to 60,000 tokens (test too)'
    >>> data_in_words("cifar-10", {"train": 4000, "validation": 400}, unit="images", limits=["train"])
    'cifar-10 cut to 4,000 images'
    >>> data_in_words("mnist", {"random_labels": 50, "shuffled_pixels": 1}, unit="images", limits=["train"])
    'mnist, 50 % random labels, shuffled pixels'
    """
    if share := options.get("random_labels"):
        name = f"{name}, {share} % random labels"
    if options.get("shuffled_pixels"):
        name = f"{name}, shuffled pixels"
    cut = " and ".join(split for split in limits if split != "train" and options.get(split))
    if options.get("train"):
        part = f"{name} cut to {options['train']:,} {unit}"
        return f"{part} ({cut} too)" if cut else part
    return f"{name}, {cut} cut" if cut else name


def settings_in_words(settings: Mapping[str, Any]) -> str:
    """The settings of a measurement as one text.

    >>> settings_in_words({"window": 500, "split": "test"}), settings_in_words({})
    ('split test, window 500', '')
    """
    return ", ".join(f"{name} {value}" for name, value in sorted(settings.items()))


def number(value: float) -> str:
    """A metric's value: two decimals, one from 100 on."""
    if math.isnan(value):
        return MISSING
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:z.2f}"


def digits(value: float) -> str:
    """A number of any size, to four digits.

    >>> digits(0.000123456), digits(123.456), digits(float("nan"))
    ('0.0001235', '123.5', '–')
    """
    return MISSING if math.isnan(value) else f"{value:.4g}"


def with_unit(value: float, unit: str) -> str:
    """A metric's value with its unit.

    >>> with_unit(98.256, "%"), with_unit(112.34, "")
    ('98.26 %', '112.3')
    """
    return f"{number(value)} {unit}" if unit and not math.isnan(value) else number(value)


def difference(value: float, unit: str) -> str:
    """A signed difference of two values; shares differ by points.

    >>> difference(0.256, "%"), difference(-3.0, ""), difference(-0.001, "%")
    ('+0.26 points', '-3.00', '0.00 points')
    """
    if math.isnan(value):
        return MISSING
    signed = f"{value:+.2f}" if round(value, 2) else "0.00"
    return f"{signed} points" if unit == "%" else signed


def interval(low: float, high: float) -> str:
    """A 95 % interval in brackets.

    >>> interval(0.1, 0.4), interval(float("nan"), float("nan"))
    ('[0.10, 0.40]', '[–, –]')
    """
    return f"[{number(low)}, {number(high)}]"


def p_value(p: float) -> str:
    """A p-value with its sign, to three decimals.

    >>> p_value(0.0421), p_value(0.0002), p_value(float("nan"))
    ('p = 0.042', 'p < 0.001', 'not tested')
    """
    if math.isnan(p):
        return "not tested"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def counted(n: int, lost: int) -> str:
    """How many networks a number is of, and how many beside them diverged.

    >>> counted(5, 0), counted(4, 1)
    ('5', '4 (1 lost)')
    """
    return f"{n} ({lost} lost)" if lost else str(n)


def diverged(**sides: tuple[int, int]) -> str:
    """How many networks of each side diverged, of how many; nothing where none did.

    >>> diverged(ticket=(0, 7), reinitialised=(3, 7)), diverged(ticket=(0, 7))
    ('diverged: ticket 0 of 7, reinitialised 3 of 7', '')
    """
    if not any(lost for lost, _ in sides.values()):
        return ""
    told = (f"{side} {lost} of {number}" for side, (lost, number) in sides.items())
    return f"diverged: {', '.join(told)}"


def percent(share: float) -> str:
    """A density in percent to three digits.

    >>> percent(0.2107), percent(0.005), percent(1.0)
    ('21.1 %', '0.5 %', '100 %')
    """
    return f"{100 * share:.3g} %"


def count(value: float) -> str:
    """A count of parameters, multiply-adds or bytes, to three digits.

    >>> count(266200), count(24_000_000), count(999), count(999_999)
    ('266k', '24M', '999', '1M')
    """
    if math.isnan(value):
        return MISSING
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.0f}"


def matrix(name: str) -> str:
    """A matrix of a recurrent core in words; other parameters keep their name.

    The input and hidden matrices make node 0 of a searched cell, `weight_nodes.0` makes node 1.

    >>> matrix("cores.0.weight_nodes.10"), matrix("cores.1.weight_hidden"), matrix("rnn.weight_ih_l0")
    ('core 1, node 11', 'core 2, from hidden', 'rnn.weight_ih_l0')
    """
    found = MATRIX.fullmatch(name)
    if found is None:
        return name
    core, source, node = found.groups()
    end = f"from {source}" if source else f"node {int(node) + 1}"
    return f"core {int(core) + 1}, {end}"
