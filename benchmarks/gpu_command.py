"""The command line of `gpu.py`: which parts there are and in what order; torch-free."""

from __future__ import annotations

import argparse
import platform
import sys
import time
from pathlib import Path
from typing import Any

from gpu_networks import CASES
from gpu_runner import Part, Record, run_parts
from gpu_tables import tables

from training.errors import ExitCode, LotteryError, chosen, visible
from training.storage import parse_json, read_file, to_json, write_file

FORMAT = 1
BUDGET = 450.0
SCRIPT = Path(__file__).with_name("gpu_parts.py")
FILE = Path("gpu.json")
# Seconds of each part of a rehearsal, which comes to its end on a slow CPU too.
REHEARSED = 90.0
# Seconds of what comes before the networks.
FIRST = {"versions": 40.0, "tests": 140.0, "ceilings": 25.0}


def plan(rehearse: bool) -> dict[str, Part]:
    """Every part by name, in its order."""
    limits = FIRST | {name: case.limit for name, case in CASES.items()}
    tiny = ("--rehearse",) if rehearse else ()
    return {
        name: Part(
            name=name,
            command=(sys.executable, str(SCRIPT), *tiny, name),
            limit=REHEARSED if rehearse else limit,
            needed=name == "versions",
        )
        for name, limit in limits.items()
    }


def main(description: str | None) -> None:
    """Run the command; errors are one sentence."""
    try:
        sys.exit(run(arguments_of(description)))
    except LotteryError as error:
        sys.stderr.write(f"Error: {error}\n")
        sys.exit(int(error.exit_code))
    except KeyboardInterrupt:
        sys.stderr.write("Error: Stopped; what was found until then is in the file.\n")
        sys.exit(int(ExitCode.ABORTED))


def arguments_of(description: str | None) -> argparse.Namespace:
    """What was typed."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, default=FILE, help=f"the result; {FILE} by default")
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds in all")
    parser.add_argument("--only", default="", help="some of the parts, such as versions,lenet")
    parser.add_argument("--rehearse", action="store_true", help="on a CPU, with tiny sizes")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print a result as Markdown")
    return parser.parse_args()


def run(arguments: argparse.Namespace) -> int:
    """Measure, or print tables; what the process returns.

    Raises:
        LotteryError: a part or a file that does not exist, or a file of something else.
        KeyboardInterrupt: a signal came.
    """
    if arguments.table is not None:
        sys.stdout.write(tables(read_result(arguments.table)))
        return int(ExitCode.DONE)
    if not 0 < arguments.budget < 1e6:
        raise LotteryError(
            f"--budget {arguments.budget:g} is no number of seconds; try {BUDGET:g}."
        )
    parts = plan(arguments.rehearse)
    if arguments.only:
        parts = {name: chosen("part", name, parts) for name in arguments.only.split(",")}
    found: dict[str, Any] = {
        "format": FORMAT,
        "rehearsed": arguments.rehearse,
        "budget": arguments.budget,
        "python": platform.python_version(),
        "began": time.strftime("%Y-%m-%d %H:%M:%S"),
        "parts": [],
    }
    shown: dict[str, str] = {}

    def note(records: list[Record]) -> None:
        found["parts"] = records
        write_file(arguments.json, to_json(found))
        for record in records:
            if (
                record["state"] not in ("not begun", "running")
                and shown.get(record["name"]) != record["state"]
            ):
                shown[record["name"]] = record["state"]
                sys.stderr.write(f"{line_of(record)}\n")

    note([])
    records = run_parts([*parts.values()], arguments.budget, note)
    sys.stdout.write(tables(found))
    errors = [row for r in records if r["name"] in FIRST for row in r["rows"] if "error" in row]
    failed = any(record["state"] == "failed" for record in records)
    return int(ExitCode.ERROR if failed or errors else ExitCode.DONE)


def line_of(record: Record) -> str:
    """How a part went, in one line."""
    why = f": {record['why']}" if record["why"] else ""
    log = (
        f"; {visible(record['log'].strip().splitlines()[-1])}"
        if why and record["log"].strip()
        else ""
    )
    return f"{record['name']}: {record['state']} after {record['seconds']:g} s{why}{log}"


def read_result(path: Path) -> dict[str, Any]:
    """What `--json` wrote.

    Raises:
        LotteryError: it is missing, damaged or something else.
    """
    found = parse_json(read_file(path), path)
    if not isinstance(found, dict) or found.get("format") != FORMAT or "parts" not in found:
        raise LotteryError(
            f"{path} is no result of benchmarks/gpu.py; name a file that --json wrote.",
            ExitCode.BAD_DATA,
        )
    return found
