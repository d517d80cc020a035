"""Masks as bit-packed safetensors files: one bit per weight; torch-free."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from training.storage import damaged

Bits = npt.NDArray[np.bool_]
_SHAPES = "shapes"


def pack_masks(masks: Mapping[str, Bits]) -> bytes:
    """The bytes of a mask file: each mask as packed bits; names, in their order, and shapes in the file's metadata."""
    packed = {name: np.packbits(mask, axis=None) for name, mask in masks.items()}
    shapes = {name: list(mask.shape) for name, mask in masks.items()}
    return save(packed, {_SHAPES: json.dumps(shapes)})


def unpack_masks(data: bytes, path: Path) -> dict[str, Bits]:
    """The masks in the bytes of a mask file, in the order in which they were packed.

    Raises:
        LotteryError: the file is damaged; `path` is named.
    """
    try:
        packed = load(data)
        shapes = json.loads(_metadata(data)[_SHAPES])
        if shapes.keys() != packed.keys():
            raise ValueError("names and masks differ")
        masks = {}
        for name, dimensions in shapes.items():
            bits, shape = packed[name], tuple(dimensions)
            if not all(type(length) is int and length >= 0 for length in shape):
                raise ValueError(f"{name} has the shape {shape}")
            count = math.prod(shape)
            if bits.dtype != np.uint8 or bits.size != -(-count // 8):
                raise ValueError(f"{name} has {bits.size} bytes for shape {shape}")
            masks[name] = np.unpackbits(bits, count=count).astype(np.bool_).reshape(shape)
        return masks
    except (
        *(SafetensorError, ArithmeticError, AttributeError, LookupError),
        *(RecursionError, TypeError, ValueError),
    ) as error:
        raise damaged(path, f"it is not a mask file ({error})") from None


def _metadata(data: bytes) -> dict[str, str]:
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    metadata: dict[str, str] = header["__metadata__"]
    return metadata
