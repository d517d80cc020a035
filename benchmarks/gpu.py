"""The CUDA path proved and measured on whatever card is at hand, in at most 7.5 minutes.

    python benchmarks/gpu.py [--json FILE] [--budget 450] [--only versions,lenet] [--rehearse]
    python benchmarks/gpu.py --table FILE.json

Versions and imports, the CUDA tests, what the card can do at most, then training steps of each network beside the plain
PyTorch step of the same network: the most valuable first, each part in a process of its own with its own limit. FILE is
rewritten as they go, so that a part that fails, hangs or has no time left costs nothing but itself. `--table` makes
Markdown of such a file. `--rehearse` goes through all of it on a CPU with tiny sizes, whose figures mean nothing.

It runs from the bare tree; the project need not be installed.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    importlib.import_module("gpu_command").main(__doc__)
