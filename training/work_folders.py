"""Folders in which work is begun and continued, and the refusal to mix it with any other; torch-free.

Such a folder holds the configuration of the work in it, `data.json` with the data that it was begun on, and results.
What kind of work that is, a run or a search, is a value: everything here is the same for each kind.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from training.errors import ExitCode, LotteryError, require
from training.folders import LOCK, MANIFEST, Folder
from training.plain import from_plain, to_plain
from training.storage import damaged, parse_json, to_json

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# Of the files in a folder of work; it stands in the file of the configuration.
FORMAT = 2
DATA = "data.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

C = TypeVar("C", bound="DataclassInstance")


@dataclass(frozen=True, kw_only=True)
class FolderKind(Generic[C]):
    """A kind of folder.

    Attributes:
        name: what such a folder is called.
        subject: what is carried out in it; the file of its configuration is named after it.
        config: the class of the configuration.
        command: that makes such folders.
        mendable: fields of the configuration whose text may change without making it another one.
        extendable: fields that may be raised later, and count as they are where they are lowered.
    """

    name: str
    subject: str
    config: type[C]
    command: str
    mendable: Collection[str] = ()
    extendable: Collection[str] = ()

    @property
    def file(self) -> str:
        """The name of the configuration's file."""
        return f"{self.subject}.json"


def open_folder(root: Path, kind: FolderKind[C], config: C, data: Mapping[str, Any]) -> Folder:
    """Begin a folder, or take up the one that is there when it is of the same configuration and data.

    What killed processes left there is cleared up. One that is refused is left as it is.

    Args:
        root: the folder, which the caller has locked.
        kind: of work.
        config: with its steps resolved.
        data: their `fingerprint`, counts and so on, as JSON values.

    Raises:
        LotteryError: the folder holds another configuration (each differing field is shown), other data, or something
            else, or it is of another version.
    """
    folder = Folder(root)
    if not is_there(root, kind):
        _require_free(root, kind)
        folder.tidy()
        folder.write(DATA, to_json(data))
        folder.write(kind.file, config_to_json(config))
        return folder
    stored = stored_config(root, kind)
    continued = _continued(root, kind, stored, config)
    _require_same_data(root, stored_data(root), data)
    folder.tidy()
    if continued != stored:
        folder.write(kind.file, config_to_json(continued))
    return folder


def require_name(name: str) -> None:
    """Refuse a name of work that its folder could not have everywhere.

    Raises:
        LotteryError: it is one.
    """
    require(
        _NAME.fullmatch(name) is not None, "name", repr(name), "letters, digits, '.', '_' and '-'"
    )


def is_there(root: Path, kind: FolderKind[Any]) -> bool:
    """Whether a folder is of that kind."""
    return (root / kind.file).is_file()


def require_there(root: Path, kind: FolderKind[Any]) -> None:
    """Refuse a folder of another kind. Its version stands in its configuration, which whoever reads it reads first.

    Raises:
        LotteryError: it is one.
    """
    if not is_there(root, kind):
        raise LotteryError(
            f"{root} is not a {kind.name}: it has no {kind.file}; name a folder that `{kind.command}` made."
        )


def require_apart(root: Path, kind: FolderKind[Any], kinds: Collection[FolderKind[Any]]) -> None:
    """Refuse a folder that is of another kind, or is inside a folder of any kind.

    Args:
        root: where work is to begin or to go on.
        kind: of that work.
        kinds: all that there are.

    Raises:
        LotteryError: it can't go there.
    """
    for folder in (root, *root.absolute().parents):
        for other in kinds:
            if is_there(folder, other) and (folder != root or other != kind):
                where = "is" if folder == root else f"would be inside {folder}, which is"
                raise LotteryError(
                    f"{root} {where} a {other.name}; choose another --out for the {kind.name}."
                )


def stored_config(root: Path, kind: FolderKind[C]) -> C:
    """The configuration that a folder was begun with, or extended to.

    Raises:
        LotteryError: the folder is of another kind or version, or the file is damaged.
    """
    plain = stored_plain(root, kind)
    try:
        return from_plain(kind.config, plain)
    except LotteryError as error:
        raise LotteryError(f"{root / kind.file}: {error}", error.exit_code) from None


def stored_plain(root: Path, kind: FolderKind[Any]) -> dict[str, Any]:
    """The same as JSON values, whose fields are not checked.

    Raises:
        LotteryError: the folder is of another kind or version, or the file is damaged.
    """
    require_there(root, kind)
    path = root / kind.file
    plain = parse_json(Folder(root).read(kind.file), path)
    if not isinstance(plain, dict):
        raise damaged(path, "it holds no fields")
    _require_format(root, kind, plain.pop("format", None))
    return plain


def stored_data(root: Path) -> dict[str, Any]:
    """The data that a folder was begun with: their fingerprint, counts and so on.

    Raises:
        LotteryError: the file is missing or damaged.
    """
    data: dict[str, Any] = parse_json(Folder(root).read(DATA), root / DATA)
    return data


def config_to_json(config: DataclassInstance) -> bytes:
    """The text of a configuration's file."""
    return to_json({"format": FORMAT, **to_plain(config)})


def _require_format(root: Path, kind: FolderKind[Any], number: object) -> None:
    if number == FORMAT:
        return
    older = number is None or (isinstance(number, int) and number < FORMAT)
    has = "no format number" if number is None else f"format {number}"
    raise LotteryError(
        f"{root} is a {kind.name} of {'an older' if older else 'a newer'} version: {kind.file} has {has}, and this "
        f"version reads format {FORMAT}; use the version that made it, or begin anew with another --out.",
        ExitCode.BAD_DATA,
    )


def _require_free(root: Path, kind: FolderKind[Any]) -> None:
    """Refuse to begin in a folder that holds more than what a process leaves that was killed while it began there."""
    begun = {LOCK, MANIFEST, DATA}
    if root.is_dir() and any(
        path.name not in begun and path.suffix != ".tmp" for path in root.iterdir()
    ):
        raise LotteryError(f"{root} is not empty and is not a {kind.name}; choose another --out.")


def _continued(root: Path, kind: FolderKind[C], stored: C, config: C) -> C:
    """The configuration to go on with: the given one where it extends the stored one, else the stored one.

    Raises:
        LotteryError: they are of different work; each differing field is shown.
    """
    free = {name: getattr(stored, name) for name in (*kind.mendable, *kind.extendable)}
    alike = dataclasses.replace(config, **free)
    if alike != stored:
        before, now = _leaves(to_plain(stored)), _leaves(to_plain(alike))
        fields = [
            f"{name} is {before.get(name)!r} there and {now.get(name)!r} now"
            for name in sorted(before.keys() | now.keys())
            if before.get(name) != now.get(name)
        ]
        raise LotteryError(
            f"{root} holds another {kind.subject}: {'; '.join(fields)}. Choose another --out."
        )
    extended = any(getattr(config, name) > getattr(stored, name) for name in kind.extendable)
    return config if extended else stored


def _leaves(value: Any, where: str = "") -> dict[str, Any]:
    """Every plain value by its dotted name."""
    if not isinstance(value, dict):
        return {where: value}
    found: dict[str, Any] = {}
    for key, item in value.items():
        found |= _leaves(item, f"{where}.{key}" if where else key)
    return found


def _require_same_data(root: Path, stored: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    before, now = stored["fingerprint"], data["fingerprint"]
    if before != now:
        raise LotteryError(
            f"{root} was begun with other data: fingerprint {before[:12]}, not {now[:12]}; choose another --out."
        )
