"""The parts of `gpu.py`, each in a process that this begins with the name of one and the path of its result."""

from __future__ import annotations

import argparse
import gc
import importlib
import itertools
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from gpu_clock import Clock
from gpu_networks import CASES, MOST_LOOPED, Case, rehearsed
from gpu_rows import Row, Rows
from gpu_steps import MODES, plain_steps, train_by
from gpu_tests import run_tests

from training.device import choose_device, environment, now
from training.errors import LotteryError

IMPORTS = (
    *("torch", "torchvision", "numpy", "triton", "scipy", "pandas", "matplotlib", "seaborn"),
    *("sklearn", "PIL", "safetensors", "click", "rich", "jinja2", "filelock"),
    *("pytest", "hypothesis", "training.loop", "nas.catalog.building", "nas.search.search"),
    *("lottery.sessions", "lottery.cli.main", "analysis.report"),
)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What all parts are told.

    Attributes:
        device: where it is measured.
        rehearsed: whether sizes are tiny.
        seconds: that a configuration is timed for.
        item_limit: seconds after which a configuration's process is ended.
    """

    device: torch.device
    rehearsed: bool
    seconds: float
    item_limit: float


def versions(rows: Rows, setting: Setting) -> None:
    """What is imported, and the machine.

    Raises:
        LotteryError: there is no CUDA device, and this is no rehearsal.
    """
    for name in IMPORTS:
        key = {"import": name}
        if not rows.has(key):
            with rows.item(key, setting.item_limit) as found:
                module = importlib.import_module(name)
                found["version"] = str(getattr(module, "__version__", "imported"))
    with rows.item({"what": "machine"}, setting.item_limit) as found:
        found.update(machine(setting))
    if setting.device.type != "cuda" and not setting.rehearsed:
        raise LotteryError(
            "There is no CUDA device here; --rehearse goes through everything on a CPU."
        )


def machine(setting: Setting) -> Row:
    """Device, memory, versions."""
    found: Row = {**environment(setting.device, "fp32"), "cores": os.cpu_count()}
    found["processor"] = platform.processor() or platform.machine()
    if setting.device.type == "cuda":
        properties = torch.cuda.get_device_properties(setting.device)
        free, total = torch.cuda.mem_get_info(setting.device)
        found |= {
            "capability": f"{properties.major}.{properties.minor}",
            "multiprocessors": properties.multi_processor_count,
            "memory_mb": total // 2**20,
            "free_mb": free // 2**20,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }
    return found


def ceilings(rows: Rows, setting: Setting) -> None:
    """How fast the device copies, and multiplies square matrices."""
    kinds = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16}
    ways = {"copy": partial(copying, setting)} | {
        f"{name} product": partial(multiplying, setting, name, kind)
        for name, kind in kinds.items()
        if name != "tf32" or setting.device.type == "cuda"
    }
    for what, measure in ways.items():
        if not rows.has({"what": what}):
            with rows.item({"what": what}, setting.item_limit) as found:
                found.update(measure())


def copying(setting: Setting) -> Row:
    """Bytes read and written per second."""
    count = 2**20 if setting.rehearsed else 2**30
    source = torch.ones(count, dtype=torch.uint8, device=setting.device)
    to = torch.empty_like(source)
    each = least_seconds(lambda: to.copy_(source), setting)
    return {"value": round(2 * count / each / 1e9, 1), "unit": "GB/s", "size": count}


def multiplying(setting: Setting, name: str, kind: torch.dtype) -> Row:
    """Floating-point operations per second of a product."""
    size = 128 if setting.rehearsed else 8192
    torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
    a, b = torch.randn(2, size, size, device=setting.device).to(kind).unbind(0)
    each = least_seconds(partial(torch.mm, a, b), setting)
    return {"value": round(2 * size**3 / each / 1e12, 2), "unit": "TFLOP/s", "size": size}


def least_seconds(function: Callable[[], object], setting: Setting) -> float:
    """The least of some stretches of calls, per call."""
    for _ in range(3):
        function()
    began = now(setting.device)
    function()
    calls = max(1, int(setting.seconds / 5 / max(now(setting.device) - began, 1e-6)))
    found = []
    for _ in range(5):
        began = now(setting.device)
        for _ in range(calls):
            function()
        found.append((now(setting.device) - began) / calls)
    return min(found)


def configurations(case: Case) -> Iterator[Row]:
    """Every way to train a case, the most valuable first: the plain one, then the fastest mode of each count."""
    for precision in ("fp32", "bf16"):
        yield {"replicates": 1, "batching": "alone", "precision": precision, "mode": "plain"}
    modes = [*reversed(MODES)]
    ways = itertools.product(modes, ("stacked", "looped"), ("fp32", "bf16"), case.counts)

    def unusual(way: tuple[str, str, str, int]) -> tuple[int, ...]:
        mode, batching, precision, _ = way
        others = modes.index(mode), int(batching == "looped"), int(precision == "bf16")
        return (sum(others), *others)

    for mode, batching, precision, count in sorted(ways, key=unusual):
        if batching == "stacked" or count <= MOST_LOOPED:
            yield {
                "replicates": count,
                "batching": batching,
                "precision": precision,
                "mode": mode,
            }


def throughput(name: str, rows: Rows, setting: Setting) -> None:
    """A network's training steps in every way."""
    case = rehearsed(CASES[name]) if setting.rehearsed else CASES[name]
    for way in configurations(case):
        key = {"network": name, **way}
        if rows.has(key):
            continue
        with rows.item(key, setting.item_limit) as found:
            began = time.perf_counter()
            clock = Clock(setting.device, setting.seconds)
            remark = take_steps(clock, case, way, setting.device)
            whole, typical = clock.milliseconds()
            found |= {
                "milliseconds": round(whole, 4),
                "typical_milliseconds": round(typical, 4),
                "replicate_steps_per_second": round(1e3 * way["replicates"] / whole, 2),
                "peak_memory_mb": clock.peak_memory(),
            }
            if remark:
                found["remark"] = f"replayed: {remark}"
            if clock.launched is not None:
                found |= {
                    "launches": clock.launched.launches,
                    "kernels": clock.launched.kernels,
                }
            found["seconds"] = round(time.perf_counter() - began, 1)
        gc.collect()
        if setting.device.type == "cuda":
            torch.cuda.empty_cache()


def take_steps(clock: Clock, case: Case, way: Mapping[str, Any], device: torch.device) -> str:
    """Train in one of the ways until the clock has had enough; why there were no graphs, where a capture failed."""
    if way["mode"] == "plain":
        plain_steps(clock, case, way["precision"], device)
        return ""
    count, batching, precision = way["replicates"], way["batching"], way["precision"]
    return train_by(clock, case, count, batching, precision, way["mode"], device)


def tests(rows: Rows, setting: Setting) -> None:
    """The tests that need CUDA."""
    run_tests(rows, setting.item_limit * 2)


PARTS: Mapping[str, Callable[[Rows, Setting], None]] = {
    "versions": versions,
    "tests": tests,
    "ceilings": ceilings,
    **{name: partial(throughput, name) for name in CASES},
}


def main() -> None:
    """Do one part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--rehearse", action="store_true")
    parser.add_argument("result", type=Path)
    arguments = parser.parse_args()
    tiny: bool = arguments.rehearse
    setting = Setting(
        device=choose_device("cpu" if tiny else "auto"),
        rehearsed=tiny,
        seconds=0.01 if tiny else 0.8,
        item_limit=60.0 if tiny else 25.0,
    )
    # The project's own steps say what they want; torch's default would round a plain one's convolutions.
    torch.backends.cudnn.allow_tf32 = False
    try:
        PARTS[arguments.part](Rows(arguments.result), setting)
    except LotteryError as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
