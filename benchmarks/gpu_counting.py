"""The command of `gpu_launches.py`."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from gpu_clock import EnoughError
from gpu_networks import CASES, Case, rehearsed
from gpu_steps import train_by
from gpu_tables import markdown
from torch import Tensor
from torch.optim import SGD

from training.batching import Batching
from training.capture import Observed
from training.errors import LotteryError, chosen
from training.storage import to_json, write_file

META = torch.device("meta")
OUT = Path("results/benchmarks/gpu")
# Microseconds of a host for one kernel.
EACH = 4.0
# Operations that start nothing, besides views: they find memory, or are the host's own.
QUIET = ("empty", "new_empty", "_unsafe_view", "_local_scalar_dense", "lift_fresh", "detach")
COUNTS: Mapping[str, tuple[int, ...]] = {"lenet": (1, 16, 128), "awd-lstm": (1, 5)}
FEW: tuple[int, ...] = (1, 4)
MOST_LOOPED = 16
BATCHINGS: tuple[Batching, ...] = ("stacked", "looped")


class Counting(Observed):
    """Counts the operations that it sees, by their names."""

    def __init__(self) -> None:
        super().__init__()
        self.all: Counter[str] = Counter()
        self.started: Counter[str] = Counter()

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Carry an operation out and count it."""
        name = func.overloadpacket.__name__
        self.all[name] += 1
        if not func.is_view and not name.startswith(QUIET):
            self.started[name] += 1
        return func(*args, **(kwargs or {}))


def count_step(case: Case, count: int, batching: Batching) -> Counting:
    """The operations of the third step."""
    counting, entered, taken = Counting(), ExitStack(), 0

    def hook(_: object) -> None:
        nonlocal taken
        taken += 1
        if taken == 2:
            entered.enter_context(counting)
        elif taken == 3:
            entered.close()
            raise EnoughError

    with without_values():
        train_by(hook, case, count, batching, "fp32", "called", META)
    return counting


def _is_true(tensor: Tensor) -> bool:
    return not tensor.is_meta and bool(tensor.item())


def _plain_sgd(_: object, parameters: Any) -> SGD:
    return SGD(parameters, 0.1, foreach=True)


@contextmanager
def without_values() -> Iterator[None]:
    """Everything in fp32: autocast and fused optimizers know no device without memory, and no truth is read there."""
    with (
        mock.patch("training.loop.make_optimizer", _plain_sgd),
        mock.patch("training.differentiation.matrix_precision", lambda *_: nullcontext()),
        mock.patch("torch.is_autocast_enabled", lambda *_: False),
        mock.patch.object(Tensor, "__bool__", _is_true),
    ):
        yield


def row(name: str, case: Case, count: int, batching: Batching) -> dict[str, Any]:
    """What a step is made of."""
    found = count_step(case, count, batching)
    operations, kernels = found.all.total(), found.started.total()
    return {
        "network": name,
        "replicates": count,
        "batching": batching,
        "operations": operations,
        "kernels": kernels,
        "host_milliseconds": round(kernels * EACH / 1e3, 2),
        "most": dict(found.started.most_common(5)),
    }


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The counts as Markdown."""
    head = (
        *("network", "R", "batching", "operations", "of which start kernels"),
        *("host, ms, one by one", "so steps/s at most", "replicate-steps/s at most", "mostly"),
    )
    lines = []
    for one in rows:
        most = ", ".join(f"{name} {count:,}" for name, count in one["most"].items())
        steps = 1e3 / max(one["host_milliseconds"], 1e-3)
        names = ("network", "replicates", "batching", "operations", "kernels", "host_milliseconds")
        lines.append((*(one[n] for n in names), steps, steps * one["replicates"], most))
    return markdown(head, lines)


def main(description: str | None) -> None:
    """Count, print and write."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(CASES), help="some of the networks")
    parser.add_argument("--tiny", action="store_true", help="narrow networks, in seconds")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of launches.json and .md")
    arguments = parser.parse_args()
    try:
        cases = {name: chosen("network", name, CASES) for name in arguments.only.split(",")}
        rows: list[dict[str, Any]] = []
        for name, full in cases.items():
            case = rehearsed(full) if arguments.tiny else full
            for count, batching in itertools.product(COUNTS.get(name, FEW), BATCHINGS):
                if batching == "stacked" or count <= MOST_LOOPED:
                    rows.append(row(name, case, count, batching))
                    sys.stderr.write(f"{name}, R = {count}, {batching}\n")
                    found = {"torch": torch.__version__, "microseconds_each": EACH, "rows": rows}
                    write_file(arguments.out / "launches.json", to_json(found))
                    write_file(arguments.out / "launches.md", page(rows).encode())
    except LotteryError as error:
        sys.stderr.write(f"Error: {error}\n")
        sys.exit(int(error.exit_code))
    sys.stdout.write(table(rows))


def page(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table with what it says."""
    return f"""# Operations of a training step, and what they cost a host

Nothing here was measured on a card. `python benchmarks/gpu_launches.py` counted it, with torch {torch.__version__},
on the `meta` device, which computes nothing and takes the ways of any device that is not a CPU: the third step, fp32,
called, with masks, clipping and plain SGD, which is one operation over all parameters as a fused optimizer is.

An operation that is no view starts about one kernel, and a host takes {EACH:g} microseconds or more for each: a step
that starts them one by one takes at least as long as the sixth column says, however fast the card is. As one CUDA graph
a step is started in about ten microseconds, and what the kernels themselves take is left. In bf16 there are casts too.

{table(rows)}"""
