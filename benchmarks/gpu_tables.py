"""A result of `gpu.py` as Markdown; torch-free."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gpu_goals import GOALS, PLAIN, best, verdict

Row = Mapping[str, Any]
ABSENT = "–"
PRECISIONS = ("fp32", "bf16")


def tables(found: Mapping[str, Any]) -> str:
    """All of a result."""
    parts = {part["name"]: part for part in found["parts"]}
    steps = [row for part in parts.values() for row in part["rows"] if "mode" in row]
    sections = [_head(found, parts), _parts(found["parts"])]
    if "tests" in parts:
        sections.append(_tests(parts["tests"]["rows"]))
    if "ceilings" in parts:
        sections.append(_ceilings(parts["ceilings"]["rows"]))
    if steps and not found["rehearsed"]:
        sections.append(_goals(steps))
    if steps:
        sections.append(_steps(steps))
    return "\n".join(sections)


def markdown(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(value: object) -> str:
    if value is None:
        return ABSENT
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    if isinstance(value, int):
        return f"{value:,}"
    return " ".join(str(value).split()).replace("|", "\\|")


def _head(found: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    rows = parts["versions"]["rows"] if "versions" in parts else []
    machine: Row = next((row for row in rows if row.get("what") == "machine"), {})
    versions = {row["import"]: row["version"] for row in rows if "version" in row}
    missing = [row["import"] for row in rows if "import" in row and "error" in row]
    said = ", ".join(f"{n} {v}" for n, v in versions.items() if v != "imported")
    device = f"{machine.get('device', 'an unknown device')}"
    memory = f", {machine['memory_mb'] / 1024:.0f} GiB" if "memory_mb" in machine else ""
    lines = [f"## {device}{memory}, {found['began']}", ""]
    if found["rehearsed"]:
        lines += ["A rehearsal on a CPU with tiny sizes: its figures mean nothing.", ""]
    lines += [f"Python {found['python']}, {said}." if said else f"Python {found['python']}.", ""]
    if missing:
        lines += [f"Not imported: {', '.join(missing)}.", ""]
    return "\n".join(lines)


def _parts(parts: Sequence[Mapping[str, Any]]) -> str:
    rows = [(p["name"], p["state"], p["why"], p["seconds"], p["starts"]) for p in parts]
    return markdown(("part", "state", "why", "seconds", "starts"), rows)


def _tests(rows: Sequence[Row]) -> str:
    outcomes = ("passed", "failed", "skipped")
    counts = {name: sum(row.get("outcome") == name for row in rows) for name in outcomes}
    ended = [row for row in rows if "outcome" not in row]
    said = ", ".join(f"{count} {name}" for name, count in counts.items())
    more = f", {len(ended)} ended their process" if ended else ""
    lines = [f"CUDA tests: {said}{more}.", ""]
    for row in rows:
        if "error" in row:
            lines += [f"- `{row['test']}`", "", *_quoted(row["error"]), ""]
    return "\n".join(lines)


def _quoted(text: str) -> list[str]:
    return ["  ```", *(f"  {line}" for line in text.replace("```", "'''").splitlines()), "  ```"]


def _ceilings(rows: Sequence[Row]) -> str:
    found = [
        (row["what"], row.get("size"), row.get("value"), row.get("unit", row.get("error")))
        for row in rows
    ]
    return markdown(("at most", "size", "rate", ""), found)


def _goals(steps: Sequence[Row]) -> str:
    rows = []
    for goal in GOALS:
        values = [goal.measured(steps, precision) for precision in PRECISIONS]
        each = [part for v in values for part in (v, verdict(v, goal.least))]
        rows.append((goal.what, goal.least, *each))
    return markdown(("goal", "at least", "fp32", "", "bf16", ""), rows)


def _steps(steps: Sequence[Row]) -> str:
    head = (
        *("network", "R", "batching", "precision", "mode", "replicate-steps/s", "ms per step"),
        *("launches", "kernels", "peak memory, MB", "times plain", "remark"),
    )
    rows = []
    for row in steps:
        rate = row.get("replicate_steps_per_second")
        plain = best(steps, row["network"], 1, row["precision"], plain=True)
        times = rate / plain if rate and plain and row["mode"] != PLAIN else None
        names = ("network", "replicates", "batching", "precision", "mode")
        found = ("replicate_steps_per_second", "milliseconds", "launches", "kernels")
        rows.append(
            (
                *(row[name] for name in names),
                *(row.get(name) for name in found),
                row.get("peak_memory_mb"),
                times,
                row.get("error", row.get("remark", "")),
            )
        )
    return markdown(head, rows)
