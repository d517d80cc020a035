"""Real studies on whatever card is at hand, in at most 6 minutes, to be gone on with by the same command.

    python benchmarks/gpu_study.py --data-root DATA [--data-root MORE] [--out FOLDER] [--work FOLDER] [--budget 360]
    python benchmarks/gpu_study.py --rehearse

The most valuable first, each with its limit: LeNet-300-100 on MNIST as in figure 2 of Frankle & Carbin 2019,
ResNet-20 on CIFAR-10 with late rewinding, and a dense AWD-LSTM on the Penn Treebank. A study is stopped at its limit by
a signal; the same command resumes it (exit code 75 says that there is more to do). Runs are in the folder --work; what
may be committed, records, tables and figures but no weights, is copied to --out. Data are looked for in every
--data-root and LOTTERY_DATA before anything begins; a study without data is left out. `--rehearse` does it all on a CPU
with tiny networks and embedded data.

It runs from the bare tree; the project need not be installed.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    importlib.import_module("gpu_study_command").main(__doc__)
