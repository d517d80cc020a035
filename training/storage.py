"""The one way to write and read files: whole or not at all, and one sentence for what goes wrong.

Every file is written to a temporary name in its own folder, synced, renamed, and the folder synced.
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
from pathlib import Path
from typing import Any
from uuid import uuid4

from training.errors import ExitCode, LotteryError

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{32}\.tmp")


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
            f"{path} is a folder or a device and is left as it is; name a file.", ExitCode.DISK
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


def remove_file(path: Path) -> None:
    """Remove a file, if it is there.

    Raises:
        LotteryError: the disk refuses.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise disk_error(error, path) from error


def remove_temporaries(folder: Path) -> None:
    """Remove what writers that were killed left anywhere below a folder."""
    for path in folder.rglob(".*.tmp"):
        if _TEMPORARY.fullmatch(path.name):
            remove_file(path)


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


def to_json_line(value: object) -> bytes:
    """The same in one line."""
    return (json.dumps(_finite(value), sort_keys=True, allow_nan=False) + "\n").encode()


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
