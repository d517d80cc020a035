"""Every kernel of Triton's compiles for a card, also where there is none."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Sizes of an AWD-LSTM and an ON-LSTM; products in bf16.
_COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from nas.recurrent import triton_highways as highways, triton_kernels as kernels

BLOCKS = {"H": 1150, "BLOCK": 256}
TILE = {"N": 115, "C": 10, "CHUNKS": 128, "UNITS": 16}
NUMBERS = ("rows", "count", "codes", "first", "source", "chosen", "number")
LOW = ("product", "added", "reads", "into_product")

def kind(name, sizes):
    if name in sizes:
        return "constexpr"
    if name in NUMBERS or name.endswith(("_replicate", "_row")):
        return "i32"
    return "*bf16" if name in LOW else "*fp32"

def compiled(kernel, sizes):
    signature = {name: kind(name, sizes) for name in kernel.arg_names}
    constants = {(kernel.arg_names.index(name),): size for name, size in sizes.items()}
    source = ASTSource(kernel, signature, constexprs=constants)
    return triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": 8})

for kernel in (kernels.lstm_step, kernels.lstm_step_back):
    print(len(compiled(kernel, BLOCKS).asm["cubin"]))
for kernel in (kernels.ordered_step, kernels.ordered_step_back):
    print(len(compiled(kernel, TILE).asm["cubin"]))
plain = BLOCKS | {"added": None, "mask": None, "reads": None}
for sizes in (BLOCKS, plain):
    print(len(compiled(highways.highway_step, sizes).asm["cubin"]))
for kernel in (highways.highway_step_back, highways.highway_output, highways.highway_output_back):
    print(len(compiled(kernel, BLOCKS).asm["cubin"]))
"""


@pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="Triton is not installed here"
)
def test_kernels_compile_for_a_card(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": root, "TRITON_CACHE_DIR": str(tmp_path)}
    environment.pop("TRITON_INTERPRET", None)
    done = subprocess.run(
        [sys.executable, "-c", _COMPILE],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 9
