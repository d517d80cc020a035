"""Forgotten examples of a level, as a run keeps them: what pruned networks lose; torch-free.

A run keeps them in `forgotten/level-NN.json`, written by the measurement `forgotten`.
"""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lottery.experiments import RUN_FOLDER
from lottery.run_folder import EXEMPLARS, names_of
from training.errors import ExitCode, LotteryError
from training.folders import Folder
from training.storage import damaged, parse_json, to_json
from training.work_folders import require_there

FORMAT = 1
_DAMAGE = "measure again"


@dataclass(frozen=True, kw_only=True)
class Exemplar:
    """An image or a word that pruned networks do worse on than dense ones.

    Attributes:
        index: of the image in the test split, or of the word in the vocabulary.
        label: the image's class, or the word itself.
        dense: of an image, the share of dense networks that get it right; of a word, their mean loss, in nats.
        pruned: the same of the tickets.
        pixels: of an image, its bytes row by row, in base64; "" of a word.
    """

    index: int
    label: str
    dense: float
    pruned: float
    pixels: str = ""


@dataclass(frozen=True, kw_only=True)
class Exemplars:
    """The forgotten examples of a level.

    Attributes:
        level: of pruning.
        unit: "images" or "words".
        networks: of how many pairs of a dense network and its ticket.
        found: how many there are in all.
        among: of how many, all that were looked at.
        shape: of the pixels of each, (height, width, channels); () of words.
        shown: the first ones, of which dense networks and tickets differ most.
    """

    level: int
    unit: str
    networks: int
    found: int
    among: int
    shape: tuple[int, ...]
    shown: tuple[Exemplar, ...]


def write_exemplars(folder: Folder, exemplars: Exemplars) -> None:
    """Put a level's forgotten examples into a run, in the place of those that are there.

    Raises:
        LotteryError: the folder can't be written to.
    """
    name = EXEMPLARS.format(level=exemplars.level)
    folder.write(name, to_json({"format": FORMAT, **asdict(exemplars)}))


def read_exemplars(run: Path) -> list[Exemplars]:
    """The forgotten examples of every level that was measured, by level.

    Raises:
        LotteryError: not a run, or a file of it is damaged.
    """
    require_there(run, RUN_FOLDER)
    folder = Folder(run)
    return [
        exemplars_from_json(folder.read(name), folder.path(name))
        for name in names_of(run, "forgotten/level-*.json")
    ]


def exemplars_from_json(data: bytes, path: Path) -> Exemplars:
    """Read the text of a file of forgotten examples back.

    Raises:
        LotteryError: it is damaged, of another format, or is not what its name says.
    """
    value = parse_json(data, path)
    try:
        if value.pop("format") != FORMAT:
            raise LotteryError(
                f"{path} has forgotten examples of another format than {FORMAT}, which this version reads: "
                "use the version that wrote it, or measure again.",
                ExitCode.BAD_DATA,
            )
        found = _exemplars(value)
        if path.name != Path(EXEMPLARS.format(level=found.level)).name:
            raise ValueError(f"it is of level {found.level}")
        return found
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise damaged(path, f"an example can't be read ({error})", _DAMAGE) from None


def _exemplars(value: dict[str, Any]) -> Exemplars:
    shown = tuple(Exemplar(**one) for one in value["shown"])
    found = Exemplars(**{**value, "shape": tuple(value["shape"]), "shown": shown})
    if not len(shown) <= found.found <= found.among or found.unit not in ("images", "words"):
        raise ValueError(f"{len(shown)} shown of {found.found} {found.unit} among {found.among}")
    size = 0
    if found.unit == "images":
        height, width, channels = found.shape
        size = height * width * channels
    for one in shown:
        if len(base64.b64decode(one.pixels, validate=True)) != size:
            raise ValueError(f"{one.index} has not {size} bytes of pixels")
        if not (isinstance(one.label, str) and one.dense == one.dense and one.pruned == one.pruned):
            raise ValueError(f"{one.index} has no label, or no numbers")
    return found
