"""Folders with a manifest, which notices a flipped bit and outlives writers that are killed; and their lock.

`manifest.json` holds each file's size and SHA-256; what is read back is checked against it. While a file is replaced it
knows the versions, old and new: whichever is there counts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import filelock

from training.errors import LotteryError
from training.storage import (
    damaged,
    disk_error,
    parse_json,
    read_file,
    remove_file,
    remove_temporaries,
    sha256,
    to_json,
    write_file,
)

MANIFEST = "manifest.json"
LOCK = "lock"

# Size and SHA-256 of a file's content; None for no file.
Version = dict[str, Any] | None
# The versions of each file, the newest first; one alone unless a write was cut short.
Manifest = dict[str, list[Version]]


@dataclass(frozen=True)
class Folder:
    """A folder with a manifest: what is written through it is checked when it is read.

    Attributes:
        root: where it is.
    """

    root: Path

    def path(self, name: str) -> Path:
        """Where the file `name` is or would be."""
        return self.root / name

    def write(self, name: str, data: bytes) -> None:
        """Write a file; wherever that is cut short, either what was there before or the new content counts.

        The manifest first knows both, then the file is replaced, then the manifest knows the new content alone.
        """
        new = _version(data)
        before = self._manifest().get(name, [None])
        if before == [None]:
            # What does not count may lie there, and would not be what the manifest is about to list.
            remove_file(self.path(name))
        self._record(name, [new, *(version for version in before if version != new)])
        write_file(self.path(name), data)
        self._record(name, [new])

    def append(self, name: str, data: bytes) -> None:
        """Add to a file, cheaply; what is added does not count until the file is written anew with it."""
        path = self.path(name)
        try:
            with path.open("ab") as file:
                file.write(data)
        except OSError as error:
            raise disk_error(error, path, len(data)) from error

    def read(self, name: str, *, appended: bool = False) -> bytes:
        """The bytes of a file, checked against the manifest; another process may be writing meanwhile.

        Args:
            name: of the file.
            appended: whether `append` adds to it; what was added since it was written is left out.

        Raises:
            LotteryError: missing, not in the manifest, or changed since it was written.
        """
        while True:
            manifest = self._manifest()
            try:
                return self._checked(name, manifest.get(name, [None]), appended)
            except LotteryError:
                if self._manifest() == manifest:
                    raise

    def _checked(self, name: str, versions: list[Version], appended: bool) -> bytes:
        path = self.path(name)
        data = read_file(path)
        known = [version for version in versions if version is not None]
        if not known:
            raise damaged(path, f"{MANIFEST} does not list it")
        for version in known:
            part = data[: version["bytes"]] if appended else data
            if _version(part) == version:
                return part
        remedy = "remove it and go on without it" if appended else "remove the run and start again"
        size = known[0]["bytes"]
        if len(data) < size or (len(data) > size and not appended):
            raise damaged(path, f"it has {len(data):,} bytes, not the {size:,} written", remedy)
        raise damaged(path, f"its SHA-256 differs from the one in {MANIFEST}", remedy)

    def holds(self, name: str) -> bool:
        """Whether a file was written completely."""
        return self.path(name).is_file() and self._manifest().get(name, [None]) != [None]

    def names(self) -> list[str]:
        """Every file that counts, sorted; one that the manifest alone has was removed by someone else."""
        return sorted(
            name
            for name, versions in self._manifest().items()
            if None not in versions or (versions != [None] and self.path(name).is_file())
        )

    def remove(self, name: str) -> None:
        """Remove a file, or end a removal that was cut short; it stops counting first."""
        if self._manifest().get(name, [None]) != [None]:
            self._record(name, [None])
        remove_file(self.path(name))
        self._record(name, [])

    def tidy(self) -> None:
        """Clear up what writers left that were killed; for the process that has locked the folder.

        Temporary files go, and files whose removal had begun. Of a file that was being written the manifest keeps the
        version that is there.
        """
        remove_temporaries(self.root)
        manifest = self._manifest()
        for name, versions in manifest.items():
            if versions == [None]:
                self.remove(name)
            elif len(versions) > 1:
                self._record(name, self._there(name, versions))

    def _there(self, name: str, versions: list[Version]) -> list[Version]:
        """The version of a file that is there; all of them if none is, for it is damaged then."""
        path = self.path(name)
        if not path.is_file():
            return [] if None in versions else versions
        data = read_file(path)
        for version in versions:
            if version is not None and _version(data[: version["bytes"]]) == version:
                return [version]
        return versions

    def _record(self, name: str, versions: list[Version]) -> None:
        """Put the versions of a file into the manifest; one without any leaves it."""
        before = self._manifest()
        manifest = {n: one for n, one in {**before, name: versions}.items() if one}
        if manifest != before:
            content = {"files": manifest, "sha256": sha256(to_json(manifest))}
            write_file(self.path(MANIFEST), to_json(content))

    def _manifest(self) -> Manifest:
        path = self.path(MANIFEST)
        if not path.exists():
            return {}
        content = parse_json(read_file(path), path)
        files = content.get("files") if isinstance(content, dict) else None
        if not isinstance(files, dict) or not all(map(_is_entry, files, files.values())):
            raise damaged(path, "it does not hold the size and SHA-256 of each file")
        if sha256(to_json(files)) != content.get("sha256"):
            raise damaged(path, "its own SHA-256 differs from the one in it")
        return files


def _version(data: bytes) -> Version:
    return {"bytes": len(data), "sha256": sha256(data)}


def _is_entry(name: str, versions: object) -> bool:
    """Whether a manifest may say this of a file: one inside its folder."""
    path = PurePosixPath(name)
    inside = not path.is_absolute() and ".." not in path.parts
    return (
        inside and isinstance(versions, list) and bool(versions) and all(map(_is_version, versions))
    )


def _is_version(value: object) -> bool:
    return value is None or (
        isinstance(value, dict)
        and isinstance(value.get("bytes"), int)
        and isinstance(value.get("sha256"), str)
    )


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """Keep every second process out of a folder while this one works in it.

    Raises:
        LotteryError: another process is at work there, or the folder can't be made.
    """
    path = root / LOCK
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(path, timeout=0)
        lock.acquire()
    except filelock.Timeout:
        raise LotteryError(
            f"Another process is at work in {root}; wait for it or choose another --out."
        ) from None
    except OSError as error:
        raise disk_error(error, path) from error
    try:
        yield
    finally:
        lock.release()
