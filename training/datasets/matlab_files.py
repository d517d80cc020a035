"""Arrays of numbers in MATLAB files of version 5 (MathWorks, "MAT-File Format", chapter 1).

scipy reads them too, but a damaged file can bring it, and Python with it, to a crash.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Container, Iterator
from pathlib import Path

import numpy as np

from training.datasets.raw_images import Array, bad_file, read_whole
from training.errors import in_one_line

# Types of data elements, as table 1-1 of the format numbers them.
_NUMBERS = {1: "<i1", 2: "<u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8"}
_MATRIX, _COMPRESSED = 14, 15
# Classes of arrays (table 1-3): double, single and the whole numbers; not cells, structures, objects, text, sparse.
_NUMERIC_CLASSES = range(6, 16)
_COMPLEX = 0x0800
_HEADER = 128
# Bytes that a compressed element may grow to, ten times the largest array of the data sets that are read, and elements
# of a file or an array: theirs have a few.
_MOST, _MOST_ELEMENTS = 1 << 31, 1000


def read_mat(path: Path, names: Container[str]) -> dict[str, Array]:
    """The arrays of numbers in a file that have one of some names, by name.

    Raises:
        LotteryError: the file is damaged, or of another version.
    """
    data = read_whole(path)
    if len(data) < _HEADER or data[124:128] != b"\x00\x01IM":
        raise bad_file(path, "it does not begin like a MATLAB file of version 5")
    try:
        return dict(_arrays(memoryview(data)[_HEADER:], names))
    except (ArithmeticError, LookupError, MemoryError, ValueError, zlib.error) as error:
        raise bad_file(path, f"it can't be read as a MATLAB file ({in_one_line(error)})") from None


def _arrays(data: memoryview, names: Container[str]) -> Iterator[tuple[str, Array]]:
    """The arrays of numbers in a row of elements; a compressed one holds one array."""
    for kind, content in _elements(data):
        packed = kind == _COMPRESSED
        for inner, part in _elements(_unpacked(content)) if packed else [(kind, content)]:
            if inner == _MATRIX:
                yield from _matrix(part, names)


def _elements(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The type and content of each element: a tag of 8 bytes, or of 4 with up to 4 bytes of content behind it."""
    offset, count = 0, 0
    while offset < len(data):
        count += 1
        if count > _MOST_ELEMENTS:
            raise ValueError(f"it has more than {_MOST_ELEMENTS:,} elements")
        kind, length = _words(data[offset : offset + 8], 2)
        first, end = offset + 8, offset + 8 + length
        if kind >> 16:
            kind, length = kind & 0xFFFF, kind >> 16
            first, end = offset + 4, offset + 4 + length
        if end > len(data) or (first == offset + 4 and length > 4):
            raise ValueError("an element is longer than what is left of the file")
        yield kind, data[first:end]
        # Compressed elements follow each other without a gap, others begin at multiples of 8 bytes.
        offset = end if kind == _COMPRESSED else end + -end % 8


def _unpacked(content: memoryview) -> memoryview:
    stream = zlib.decompressobj()
    unpacked = stream.decompress(content, _MOST)
    if not stream.eof:
        raise ValueError("a compressed element is cut short or too long")
    return memoryview(unpacked)


def _matrix(content: memoryview, names: Container[str]) -> Iterator[tuple[str, Array]]:
    """The name and values of an array, if it is one of real numbers and wanted."""
    parts = list(_elements(content))
    if len(parts) < 3:
        raise ValueError("an array lacks its flags, its shape or its name")
    flags, *_ = _words(parts[0][1], 1)
    if flags & 0xFF not in _NUMERIC_CLASSES or flags & _COMPLEX:
        return
    shape = _words(parts[1][1], len(parts[1][1]) // 4)
    name = bytes(parts[2][1]).decode("ascii")
    if name not in names:
        return
    kind, raw = parts[3] if len(parts) > 3 else (2, memoryview(b""))
    if kind not in _NUMBERS:
        raise ValueError(f"{name!a} has values of the unknown type {kind}")
    values = np.frombuffer(raw, dtype=_NUMBERS[kind]).copy()
    if values.size != math.prod(shape):
        raise ValueError(f"{name!a} has {values.size:,} values, not {math.prod(shape):,}")
    yield name, values.reshape(shape, order="F")


def _words(data: memoryview, count: int) -> list[int]:
    """The first so many numbers of 4 bytes."""
    if len(data) < 4 * count:
        raise ValueError("an element is cut short")
    return [int(n) for n in np.frombuffer(data[: 4 * count], dtype="<u4")]
