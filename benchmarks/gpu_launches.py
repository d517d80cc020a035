"""How many operations a training step is made of, counted without a card, and what that means for one.

    python benchmarks/gpu_launches.py [--only lenet,resnet] [--out results/benchmarks/gpu]

Every network at its full size on torch's `meta` device, which computes nothing: it takes the ways of any device that
is not a CPU, and each operation is seen. Views start nothing on a card; any other operation starts about one kernel,
some of cuDNN's and of sums two or three, and one over a list of tensors one for some hundred of them. Starting a kernel
takes a host 4 microseconds or more; a graph is started once for all of its kernels.

It runs from the bare tree; the project need not be installed.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    importlib.import_module("gpu_counting").main(__doc__)
