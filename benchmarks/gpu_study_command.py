"""The command line of `gpu_study.py`."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gpu_runner import ROOT
from gpu_studies import REHEARSED, STUDIES, Study
from gpu_tables import markdown

from training.datasets.catalog import data_entry
from training.errors import ExitCode, LotteryError, visible
from training.storage import to_json, write_file

BUDGET = 360.0
OUT, WORK = Path("results/benchmarks/gpu/studies"), Path("results/runs/gpu")
# Seconds that are left for tables and figures, of each of them, and for a run to stop in good order.
AFTERWARDS, EACH, GRACE = 45.0, 15.0, 20.0
# Bytes of a file beyond which it is not copied.
MOST = 2_000_000
LOTTERY = (sys.executable, "-m", "lottery.cli.start")
Outcome = dict[str, Any]


def main(description: str | None) -> None:
    """Run the command; errors are one sentence."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-root", type=Path, action="append", default=[], metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=OUT, help=f"what may be kept; {OUT} by default")
    parser.add_argument("--work", type=Path, default=WORK, help=f"the runs; {WORK} by default")
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds in all")
    parser.add_argument("--rehearse", action="store_true", help="on a CPU, tiny, embedded data")
    try:
        sys.exit(run(parser.parse_args()))
    except LotteryError as error:
        sys.stderr.write(f"Error: {error}\n")
        sys.exit(int(error.exit_code))


def run(arguments: argparse.Namespace) -> int:
    """Carry the studies out as far as time goes; what the process returns.

    Raises:
        LotteryError: there are data for none of them, or a file can't be written.
    """
    studies = REHEARSED if arguments.rehearse else STUDIES
    roots = [*arguments.data_root]
    if os.environ.get("LOTTERY_DATA"):
        roots.append(Path(os.environ["LOTTERY_DATA"]))
    folders = {study.name: folder_of(study.data, roots) for study in studies}
    outcomes = [begun(study, folders[study.name]) for study in studies]
    if all(folder is None for folder in folders.values()):
        raise LotteryError(
            f"There are no data: {'; '.join(o['why'] for o in outcomes)}.", ExitCode.BAD_DATA
        )
    out, work, device = arguments.out, arguments.work, "cpu" if arguments.rehearse else "cuda"
    ends = time.monotonic() + arguments.budget - AFTERWARDS
    # What time is left after the first round goes to what is not done, in the same order.
    for round_number in (1, 2):
        for study, outcome in zip(studies, outcomes, strict=True):
            limit = study.limit if round_number == 1 else ends
            seconds = min(limit, ends - time.monotonic())
            folder = folders[study.name]
            if folder is None or seconds <= 0 or outcome["state"] not in ("not begun", "stopped"):
                continue
            carry_out(study, outcome, seconds, work / study.name, folder, device)
            sys.stderr.write(f"{study.name}: {outcome['state']}{outcome['why']}\n")
            write_file(out / "studies.json", to_json(outcomes))
    for study, outcome in zip(studies, outcomes, strict=True):
        if outcome["state"] in ("done", "stopped"):
            show(study, outcome, work / study.name, out / study.name)
    write_file(out / "studies.json", to_json(outcomes))
    write_file(out / "README.md", page(outcomes, arguments.rehearse).encode())
    sys.stdout.write(page(outcomes, arguments.rehearse))
    return exit_code(outcomes)


def folder_of(data: str, roots: Sequence[Path]) -> Path | None:
    """The first folder that holds all files of a data set; any is as good as another for embedded data."""
    if not data:
        return ROOT
    paths = data_entry(data).paths
    return next((r.resolve() for r in roots if all(p.is_file() for p in paths(r))), None)


def begun(study: Study, folder: Path | None) -> Outcome:
    """The outcome of a study before it begins."""
    place = (
        f"{study.data} needs {data_entry(study.data).location} below --data-root"
        if study.data
        else ""
    )
    return {
        "study": study.name,
        "command": f"lottery {shlex.join(study.words())}",
        "state": "not begun" if folder else "left out",
        "why": "" if folder else place,
        "seconds": 0.0,
        "exit_code": None,
        "not_copied": [],
    }


def carry_out(
    study: Study, outcome: Outcome, seconds: float, run: Path, data: Path, device: str
) -> None:
    """Begin a run or go on with it, and stop it after so many seconds."""
    words = [*study.words(), "--device", device, "--quiet", "--out", str(run)]
    began = time.monotonic()
    process = subprocess.Popen(
        [*LOTTERY, *words],
        # By this and not by an option, so that the folder is not part of what is recorded.
        env={**os.environ, "PYTHONPATH": str(ROOT), "LOTTERY_DATA": str(data)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    said = b""
    try:
        _, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            _, said = process.communicate(timeout=GRACE)
    finally:
        process.kill()
        process.wait()
    outcome["seconds"] = round(outcome["seconds"] + time.monotonic() - began, 1)
    code = outcome["exit_code"] = process.returncode
    stopped = code in (int(ExitCode.RESUMABLE), -int(signal.SIGKILL))
    outcome["state"] = "done" if code == 0 else "stopped" if stopped else "failed"
    lines = said.decode(errors="replace").strip().splitlines()
    outcome["why"] = f": {visible(lines[-1])}" if code != 0 and lines else ""


def show(study: Study, outcome: Outcome, run: Path, out: Path) -> None:
    """Levels as text, figures, and copies of all small files that are no tensors."""
    outcome["not_copied"] = copy_small(run, out / "run")
    (out / "curve.md").unlink(missing_ok=True)
    history = run / "metrics.jsonl"
    if history.is_file():
        write_file(out / "curve.md", curve(history).encode())
    levels = lottery("show", str(run))
    if levels:
        write_file(out / "levels.txt", levels)
        for figure in study.figures:
            lottery("plot", figure, str(run), "--out", str(out), "--format", "png")


def lottery(*words: str) -> bytes:
    """What a command prints; nothing where it fails or takes too long."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with contextlib.suppress(subprocess.SubprocessError):
        done = subprocess.run(
            [*LOTTERY, *words], env=environment, capture_output=True, timeout=EACH, check=True
        )
        return done.stdout
    return b""


def copy_small(run: Path, out: Path) -> list[str]:
    """Copy a run's files but for tensors and what is large; the names of what is large."""
    left = []
    for path in sorted(run.rglob("*")):
        name = path.relative_to(run)
        if path.is_file() and path.suffix in (".json", ".jsonl"):
            if path.stat().st_size > MOST:
                left.append(str(name))
            else:
                write_file(out / name, path.read_bytes())
    return left


def curve(history: Path) -> str:
    """The dense network's validation over its training, the mean over seeds, as Markdown."""
    values: dict[tuple[int, str], list[float]] = {}
    for line in history.read_bytes().splitlines():
        with contextlib.suppress(ValueError):
            row = json.loads(line)
            if row["level"] == 0 and row["value"] is not None:
                values.setdefault((row["step"], row["metric"]), []).append(row["value"])
    steps = sorted({step for step, _ in values})
    metrics = sorted({metric for _, metric in values})
    # A long training has hundreds.
    shown = steps[:: max(1, len(steps) // 40)]
    rows = [(step, *(_mean(values.get((step, m), [])) for m in metrics)) for step in shown]
    return markdown(("step", *metrics), rows)


def _mean(values: Sequence[float]) -> str:
    return f"{sum(values) / len(values):.4g}" if values else ""


def page(outcomes: Sequence[Outcome], rehearsed: bool) -> str:
    """What was carried out, as Markdown."""
    rows = [
        (o["study"], f"`{o['command']}`", f"{o['state']}{o['why']}", o["seconds"]) for o in outcomes
    ]
    said = (
        "A rehearsal on a CPU with tiny networks: its figures mean nothing.\n\n"
        if rehearsed
        else ""
    )
    return f"# Studies of one short session\n\n{said}{markdown(('study', 'command', 'state', 's'), rows)}"


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """75 where the same command would go on, 1 where something failed, else 0."""
    states = {outcome["state"] for outcome in outcomes}
    if "failed" in states:
        return int(ExitCode.ERROR)
    return int(ExitCode.RESUMABLE if states & {"stopped", "not begun"} else ExitCode.DONE)
