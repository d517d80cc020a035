"""What can be chosen by name of where and how is computed, each with what it means; torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

DEVICES: Mapping[str, str] = MappingProxyType(
    {
        "auto": "CUDA where there is one",
        "cpu": "the processor",
        "cuda": "a graphics card",
    }
)
# What multiplies matrices of fp32 on a CPU; `training.matrix_libraries` has how torch is told.
PRODUCTS: Mapping[str, str] = MappingProxyType(
    {
        "auto": "oneDNN where it is faster and as exact",
        "mkl": "torch's own",
        "onednn": "faster on AMD processors with AVX-512",
    }
)
PRECISIONS: Mapping[str, str] = MappingProxyType(
    {
        "fp32": "everything",
        "bf16": "matrix products and convolutions",
        "tf32": "the same, on CUDA",
    }
)
BATCHINGS: Mapping[str, str] = MappingProxyType(
    {
        "stacked": "as one program",
        "looped": "one after the other",
    }
)


def in_words(choices: Mapping[str, str]) -> str:
    """Every choice with what it means.

    >>> in_words({"on": "now", "off": "later"})
    'on (now), off (later)'
    """
    return ", ".join(f"{name} ({meaning})" for name, meaning in choices.items())
