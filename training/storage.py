"""The one write protocol: whole files or none, hashes that notice a flipped bit, and a lock.

Every file is written to a temporary name in its own folder, synced, renamed, and the folder synced. A *folder with a
manifest* (a run) also records each file's size and SHA-256 in `manifest.json`; what is read back is checked against it.
While a file is replaced the manifest knows its versions, old and new: whichever is there counts.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import uuid4

import filelock

from training.errors import ExitCode, LotteryError

MANIFEST = "manifest.json"
LOCK = "lock"
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{32}\.tmp")

# Size and SHA-256 of a file's content; None for no file.
Version = dict[str, Any] | None
# The versions of each file, the newest first; one alone unless a write was cut short.
Manifest = dict[str, list[Version]]


def disk_error(error: OSError, path: Path, size: int | None = None) -> LotteryError:
    """One sentence for a failed read or write: what, where, and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        free = shutil.disk_usage(_existing(path.parent)).free
        need = "" if size is None else f"{size:,} bytes were needed, "
        return LotteryError(
            f"The disk is full: {path} could not be written ({need}{free:,} are free); "
            "free some space and run the same command again to resume.",
            ExitCode.DISK,
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return LotteryError(
            f"No permission for {path}; choose another folder with --out or change its rights.",
            ExitCode.DISK,
        )
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return LotteryError(
            f"{path} can't be written: there is a file where its folder would be; choose another --out.",
            ExitCode.DISK,
        )
    return LotteryError(f"{path}: {error.strerror or error}.", ExitCode.DISK)


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; what stood there before stays until the new one is safe.

    Raises:
        LotteryError: the disk is full, the folder may not be written to, or there is something else than a file.
    """
    if path.exists() and not path.is_file():
        raise LotteryError(
            f"{path} is a folder or a device, which no file replaces; name a file.", ExitCode.DISK
        )
    # Not tempfile's: its files can be read by their owner alone, and those of a run are often shared.
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise disk_error(error, path, len(data)) from error
        raise


def _remove_file(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise disk_error(error, path) from error


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_file(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        LotteryError: it is missing or unreadable.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise LotteryError(f"{path} does not exist.", ExitCode.BAD_DATA) from None
    except OSError as error:
        raise disk_error(error, path) from error


def to_json(value: object) -> bytes:
    """Readable, canonical JSON: sorted keys, and null for every number that is not finite, as JSON has none."""
    text = json.dumps(_finite(value), indent=1, sort_keys=True, allow_nan=False)
    return (text + "\n").encode()


def to_json_lines(values: Iterable[object]) -> bytes:
    """The same with one line per value."""
    lines = (json.dumps(_finite(one), sort_keys=True, allow_nan=False) for one in values)
    return "".join(f"{line}\n" for line in lines).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def parse_json(data: bytes, path: Path) -> Any:
    """The value that JSON text stands for.

    Raises:
        LotteryError: it is damaged; `path` is named.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise damaged(path, "it is not valid JSON") from None


def damaged(path: Path, fault: str, remedy: str = "remove the run and start again") -> LotteryError:
    """The error for a file that can't be what it was when it was written."""
    return LotteryError(
        f"{path} is damaged: {fault}; restore it from a copy or {remedy}.", ExitCode.BAD_DATA
    )


def sha256(data: bytes) -> str:
    """The SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


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
            _remove_file(self.path(name))
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
        _remove_file(self.path(name))
        self._record(name, [])

    def tidy(self) -> None:
        """Clear up what writers left that were killed; for the process that has locked the folder.

        Temporary files go, and files whose removal had begun. Of a file that was being written the manifest keeps the
        version that is there.
        """
        for path in self.root.rglob(".*.tmp"):
            if _TEMPORARY.fullmatch(path.name):
                _remove_file(path)
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
        manifest = {n: held for n, held in {**before, name: versions}.items() if held}
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
