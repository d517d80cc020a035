"""The one write protocol: whole files or none, hashes that notice a flipped bit, and a lock.

Every file is written to a temporary name in its own folder, synced, renamed, and the folder synced. A *folder with a
manifest* (a run) also records each file's size and SHA-256 in `manifest.json`; what is read back is checked against it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import filelock

from training.errors import ExitCode, LotteryError

MANIFEST = "manifest.json"
LOCK = "lock"


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
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise disk_error(error, path, len(data)) from error


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
    """Readable, canonical JSON: sorted keys, no NaN."""
    return (json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def parse_json(data: bytes, path: Path) -> Any:
    """The value that JSON text stands for.

    Raises:
        LotteryError: it is damaged; `path` is named.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise damaged(path, "it is not valid JSON") from None


def damaged(path: Path, fault: str) -> LotteryError:
    """The error for a file that can't be what it was when it was written."""
    return LotteryError(
        f"{path} is damaged: {fault}; restore it from a copy or remove the run and start again.",
        ExitCode.BAD_DATA,
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
        """Write a file, then its hash: until both are there the file does not count."""
        write_file(self.path(name), data)
        self._record(name, data)

    def write_last(self, name: str, data: bytes) -> None:
        """Write a file whose presence says that something is finished: its hash first, then the file.

        Where it replaces one, the manifest knows both until the new file is there.
        """
        before = self._manifest().get(name)
        self._record(name, data, before)
        write_file(self.path(name), data)
        if before is not None:
            self._record(name, data)

    def read(self, name: str) -> bytes:
        """The bytes of a file, checked against the manifest.

        Raises:
            LotteryError: missing, not in the manifest, or changed since it was written.
        """
        data = read_file(self.path(name))
        entry = self._manifest().get(name)
        if entry is None:
            raise damaged(self.path(name), f"{MANIFEST} does not list it")
        given = _entry(data)
        if given in (_last(entry), entry.get("before")):
            return data
        if given["bytes"] != entry["bytes"]:
            raise damaged(
                self.path(name), f"it has {len(data):,} bytes, not the {entry['bytes']:,} written"
            )
        raise damaged(self.path(name), "its SHA-256 differs from the one in the manifest")

    def holds(self, name: str) -> bool:
        """Whether a file was written completely."""
        return self.path(name).is_file() and name in self._manifest()

    def names(self) -> list[str]:
        """Every file in the manifest, sorted."""
        return sorted(self._manifest())

    def remove(self, name: str) -> None:
        """Remove a file, also one that a killed removal left; its manifest entry goes first."""
        manifest = self._manifest()
        if manifest.pop(name, None) is not None:
            write_file(self.path(MANIFEST), to_json(manifest))
        self.path(name).unlink(missing_ok=True)

    def _record(self, name: str, data: bytes, before: dict[str, Any] | None = None) -> None:
        entry = _entry(data) if before is None else {**_entry(data), "before": _last(before)}
        write_file(self.path(MANIFEST), to_json({**self._manifest(), name: entry}))

    def _manifest(self) -> dict[str, Any]:
        path = self.path(MANIFEST)
        if not path.exists():
            return {}
        manifest = parse_json(read_file(path), path)
        if not isinstance(manifest, dict) or not all(map(_is_entry, manifest.values())):
            raise damaged(path, "it does not hold the size and SHA-256 of each file")
        return manifest


def _entry(data: bytes) -> dict[str, Any]:
    return {"bytes": len(data), "sha256": sha256(data)}


def _last(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry without the one that it replaces."""
    return {"bytes": entry["bytes"], "sha256": entry["sha256"]}


def _is_entry(value: object) -> bool:
    return (
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
            f"Another process is at work in {root}; wait for it or choose another --out.",
            ExitCode.DISK,
        ) from None
    except OSError as error:
        raise disk_error(error, path) from error
    try:
        yield
    finally:
        lock.release()
