"""The texts of DARTS as values by key, whether they are JSON or Python; torch-free.

What the values must be is said in `nas.genotypes.darts_encoding`, and the form of the Python in
`nas.genotypes.darts_python`.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Sequence
from typing import Never

from nas.genotypes.darts_python import is_python, read_python
from nas.genotypes.values import MAX_NODES
from training.errors import LotteryError, unknown

# Two cells of as many nodes as are possible, written with indentation, need about 15,000.
MAX_CHARACTERS = 50_000


def read_object(text: str, keys: Sequence[str]) -> dict[str, object]:
    """The values of a text by their keys.

    Args:
        text: a JSON object, or a `Genotype(...)`.
        keys: that it must have, and no others.

    Raises:
        LotteryError: it is anything else.
    """
    if len(text) > MAX_CHARACTERS:
        raise LotteryError(
            f"The DARTS text has {len(text):,} characters, and at most {MAX_CHARACTERS:,} are "
            "read; give only one genotype."
        )
    value = _decode(text, keys)
    if not isinstance(value, dict):
        raise LotteryError(
            f"The DARTS text is {reprlib.repr(value)}, but it must be a JSON object with the keys "
            f"{', '.join(keys)}."
        )
    for key in value:
        if key not in keys:
            raise unknown("key of the DARTS text", key[:40], keys)
    missing = [key for key in keys if key not in value]
    if missing:
        raise LotteryError(f"The DARTS text has no {missing[0]}; give {', '.join(keys)}.")
    return value


def _decode(text: str, keys: Sequence[str]) -> object:
    if is_python(text):
        return _object(read_python(text))
    try:
        value: object = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except json.JSONDecodeError as error:
        raise LotteryError(
            f"The DARTS text is no JSON: {error.msg} at line {error.lineno}, column {error.colno}; "
            f"give an object with the keys {', '.join(keys)}."
        ) from None
    except RecursionError:
        raise LotteryError(
            "The DARTS text has brackets nested far deeper than the three levels that a genotype "
            "needs; correct the text."
        ) from None
    except ValueError:
        raise LotteryError(
            f"The DARTS text holds an integer of thousands of digits; states are 0 to "
            f"{MAX_NODES + 1}."
        ) from None
    return value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    keys = [key for key, _ in pairs]
    twice = next((key for index, key in enumerate(keys) if key in keys[:index]), None)
    if twice is not None:
        raise LotteryError(
            f"The DARTS text has the key {reprlib.repr(twice)} twice; keep one of them."
        )
    return dict(pairs)


def _constant(word: str) -> Never:
    raise LotteryError(f"The DARTS text holds {word}, which JSON does not have; give integers.")
