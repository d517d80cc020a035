"""The commands for a card: parts that fail cost nothing but themselves, and tables come of the file alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from gpu_goals import GOALS, best, verdict
from gpu_networks import CASES, rehearsed
from gpu_parts import configurations
from gpu_rows import Rows
from gpu_runner import Part, Record, run_parts
from gpu_studies import REHEARSED, STUDIES
from gpu_study_command import copy_small, curve, exit_code
from gpu_tables import tables

from lottery.recipes.catalog import recipe
from training.errors import ExitCode
from training.toml_text import override

ROOT = Path(__file__).parents[1]
GPU = ROOT / "benchmarks/gpu.py"
# What a part's process does with the path of its result.
LEAVES = "import json, sys; from pathlib import Path; out = Path(sys.argv[-1]); "
WRITES = f"{LEAVES}out.write_text(json.dumps({{'rows': [{{'a': 1}}], 'at': None}})); "


def part(name: str, code: str, limit: float = 20.0, needed: bool = False) -> Part:
    return Part(name=name, command=(sys.executable, "-c", code), limit=limit, needed=needed)


def run(*parts: Part, budget: float = 60.0) -> list[Record]:
    return run_parts(parts, budget, lambda _: None)


FAULTS = {
    "crashes": (f"{WRITES}1 / 0", "failed", "exit code 1"),
    "is killed, as where memory runs out": (
        f"{WRITES}import os; os.kill(os.getpid(), 9)",
        "failed",
        "signal 9",
    ),
    "hangs": (f"{WRITES}import time; time.sleep(60)", "out of time", "ended at its limit"),
    "writes bad JSON": (f"{LEAVES}out.write_text('[')", "failed", "no result that is JSON"),
    "writes other JSON": (f"{LEAVES}out.write_text('{{}}')", "failed", "no result that is JSON"),
    "writes nothing": (LEAVES, "failed", "no result that is JSON"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_part_that_fails_costs_only_itself(fault: str) -> None:
    code, state, why = FAULTS[fault]
    bad, good = run(part("bad", code, limit=3.0), part("good", WRITES))
    assert bad["state"] == state
    assert why in bad["why"]
    # What it had found is there.
    assert bad["rows"] == ([{"a": 1}] if code.startswith(WRITES) else [])
    assert (good["state"], good["rows"], good["starts"]) == ("done", [{"a": 1}], 1)


def test_what_a_part_says_last_is_kept() -> None:
    (record,) = run(part("loud", "print('x' * 5000); raise SystemExit('no card')"))
    assert record["log"].endswith("no card\n")
    assert len(record["log"]) <= 3000


def test_the_budget_is_kept() -> None:
    began = time.monotonic()
    hangs = f"{WRITES}import time; time.sleep(60)"
    first, second, third = run(part("a", hangs, 1.0), part("b", hangs), part("c", WRITES), budget=3)
    assert time.monotonic() - began < 6
    assert [first["state"], second["state"]] == ["out of time", "out of time"]
    assert (third["state"], third["why"], third["starts"]) == ("not begun", "no time was left", 0)


def test_nothing_is_begun_after_a_needed_part_that_failed() -> None:
    first, second = run(part("a", "1 / 0", needed=True), part("b", WRITES))
    assert (first["state"], second["state"]) == ("failed", "not begun")


def test_processes_of_a_part_end_with_it(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    child = f"import time; time.sleep(4); open({str(alive)!r}, 'w')"
    code = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"
    run(part("parent", code, limit=1.0))
    time.sleep(4.5)
    assert not alive.exists()


ITEMS = """
import os, sys
from pathlib import Path
sys.path.insert(0, "benchmarks")
from gpu_rows import Rows
rows = Rows(Path(sys.argv[-1]))
for n in range(4):
    if not rows.has({"n": n}):
        with rows.item({"n": n}, 2.0 if n == 2 else 20.0) as found:
            if n == 0:
                raise MemoryError
            if n == 1:
                os.kill(os.getpid(), 9)
            if n == 2:
                import time; time.sleep(60)
            found["square"] = n * n
"""


def test_an_item_that_ends_its_process_is_written_down_and_the_next_ones_follow() -> None:
    ended = "its process ended here, see the log"
    (record,) = run(part("items", ITEMS))
    assert record["state"] == "done"
    assert record["starts"] == 3
    assert record["rows"] == [
        {"n": 0, "error": "out of memory"},
        {"n": 1, "error": ended},
        {"n": 2, "error": ended},
        {"n": 3, "square": 9},
    ]


def test_a_part_that_ends_at_once_is_not_begun_for_ever() -> None:
    (record,) = run(part("always", "raise SystemExit(3)"))
    assert (record["starts"], record["why"]) == (1, "its process ended with exit code 3")


def test_a_lost_device_ends_the_process(tmp_path: Path) -> None:
    rows = Rows(tmp_path / "rows.json")
    with pytest.raises(RuntimeError), rows.item({"n": 1}, 20.0):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
    with rows.item({"n": 2}, 20.0):
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
    left = json.loads((tmp_path / "rows.json").read_bytes())
    assert [row["error"].split(":")[0] for row in left["rows"]] == ["RuntimeError", "out of memory"]


def gpu(*words: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    """The command from the bare tree, as where the project is not installed."""
    command = [sys.executable, str(GPU), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **more)


def test_it_is_rehearsed_on_a_cpu(tmp_path: Path) -> None:
    path = tmp_path / "gpu.json"
    outside = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = gpu("--rehearse", "--only", "versions,lenet", "--json", path, cwd=tmp_path, env=outside)
    found = json.loads(path.read_bytes())
    assert [part["state"] for part in found["parts"]] == ["done", "done"], done.stderr
    steps = found["parts"][1]["rows"]
    assert len(steps) == len([*configurations(rehearsed(CASES["lenet"]))])
    assert not [row for row in steps if "error" in row]
    assert all(row["replicate_steps_per_second"] > 0 for row in steps)
    assert "A rehearsal on a CPU" in done.stdout
    assert gpu("--table", path).stdout == done.stdout


def test_a_signal_leaves_what_was_found(tmp_path: Path) -> None:
    path = tmp_path / "gpu.json"
    command = [sys.executable, str(GPU), "--rehearse", "--only", "versions", "--json", str(path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not path.exists():
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
    assert process.returncode == ExitCode.ABORTED
    assert said.endswith("Error: Stopped; what was found until then is in the file.\n")
    (record,) = json.loads(path.read_bytes())["parts"]
    assert (record["state"], record["why"]) == ("stopped", "a signal ended everything")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--only", "lennet"), "There is no part 'lennet'; did you mean lenet"),
        (("--budget", "0"), "--budget 0 is no number of seconds"),
        (("--table", "missing.json"), "missing.json does not exist."),
        (("--table", str(ROOT / "README.md")), "README.md is damaged: it is not valid JSON"),
        (("--table", "list.json"), "list.json is no result of benchmarks/gpu.py"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    (tmp_path / "list.json").write_text("[]")
    done = gpu(*words, cwd=tmp_path)
    assert done.returncode in (ExitCode.ERROR, ExitCode.BAD_DATA)
    assert done.stderr.startswith("Error: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def step(network: str, count: int, mode: str, rate: float, precision: str = "fp32") -> Record:
    way = {"network": network, "replicates": count, "precision": precision, "mode": mode}
    return {**way, "batching": "stacked", "replicate_steps_per_second": rate, "milliseconds": 1.5}


STEPS = [
    step("lenet", 128, "replayed", 120_000.0),
    step("resnet", 1, "replayed", 50.0),
    step("resnet", 16, "replayed", 200.0),
    step("resnet", 16, "called", 320.0),
    step("awd-lstm", 1, "plain", 100.0),
    step("awd-lstm", 1, "replayed", 90.0),
    step("awd-lstm", 5, "replayed", 300.0),
    step("naonet-a", 1, "plain", 4.0),
    step("naonet-a", 1, "replayed", 12.0, "bf16"),
    {**step("conv-6", 16, "called", 1.0), "error": "out of memory"},
]


def result(parts: list[Record]) -> dict[str, Any]:
    return {
        "format": 1,
        "rehearsed": False,
        "budget": 450,
        "python": "3.12.1",
        "began": "2026-12-01 05:00:00",
        "parts": parts,
    }


def record(name: str, rows: list[Record], state: str = "done") -> Record:
    return {"name": name, "state": state, "why": "", "seconds": 1.5, "starts": 1, "rows": rows}


def test_goals_are_read_off_the_best_way() -> None:
    values = [(goal.measured(STEPS, "fp32"), goal.measured(STEPS, "bf16")) for goal in GOALS]
    assert values == [
        (120_000.0, None),
        (None, None),
        (6.4, None),
        (0.9, None),
        (3.0, None),
        *[(None, None)] * 3,
        (None, 3.0),
    ]
    assert [verdict(v, 6) for v in (6.4, 5.9, None)] == ["reached", "not reached", "not measured"]
    assert best(STEPS, "awd-lstm", 1, "fp32", plain=True) == 100.0


def test_what_goals_are_about_is_measured() -> None:
    for goal in GOALS:
        counts = {way["replicates"] for way in configurations(CASES[goal.network])}
        assert {1, goal.count} <= counts, goal


def test_tables_come_of_a_file_by_hand() -> None:
    machine = {"what": "machine", "device": "A card", "memory_mb": 1024 * 80}
    tests = [
        {"test": "tests/test_a.py::test_b", "outcome": "failed", "error": "line 1\nassert | 2"},
        {"test": "tests/test_a.py::test_c", "outcome": "passed"},
        {"test": "tests/test_a.py::test_d", "error": "its process ended here, see the log"},
    ]
    missing = {"import": "triton", "error": "ModuleNotFoundError"}
    text = tables(
        result(
            [
                record("versions", [{"import": "torch", "version": "2.11"}, missing, machine]),
                record("tests", tests, "out of time"),
                record("ceilings", [{"what": "copy", "value": 3000.0, "unit": "GB/s"}]),
                record("lenet", STEPS),
            ]
        )
    )
    for line in (
        "## A card, 80 GiB, 2026-12-01 05:00:00",
        "Python 3.12.1, torch 2.11.",
        "Not imported: triton.",
        "| tests | out of time |  | 1.5 | 1 |",
        "CUDA tests: 1 passed, 1 failed, 0 skipped, 1 ended their process.",
        "  assert | 2",
        "| copy | – | 3,000 | GB/s |",
        "| ResNet-20: R = 16 times R = 1 | 6 | 6.4 | reached | – | not measured |",
        "| AWD-LSTM, R = 1: times cuDNN's LSTM | 1 | 0.9 | not reached | – | not measured |",
        "| awd-lstm | 5 | stacked | fp32 | replayed | 300 | 1.5 | – | – | – | 3 |  |",
        "| conv-6 | 16 | stacked | fp32 | called | 1 | 1.5 | – | – | – | – | out of memory |",
    ):
        assert line in text.splitlines(), (line, text)


def test_an_empty_result_has_a_table() -> None:
    assert "an unknown device" in tables(result([]))


def test_the_most_valuable_way_comes_first() -> None:
    ways = [*configurations(CASES["lenet"])]
    assert [way["mode"] for way in ways[:2]] == ["plain", "plain"]
    assert {way["replicates"] for way in ways[2:5]} == {1, 16, 128}
    assert len({way["mode"] for way in ways[2:5]}) == 1
    # One after the other, 128 are no use.
    assert not [way for way in ways if way["batching"] == "looped" and way["replicates"] == 128]
    assert len({tuple(way.items()) for way in ways}) == len(ways)


@pytest.mark.parametrize("study", [*STUDIES, *REHEARSED], ids=lambda study: study.recipe)
def test_studies_change_what_their_recipes_have(study: Any) -> None:
    found = override(recipe(study.recipe), *study.changes)
    assert found != recipe(study.recipe)
    assert study.data in ("", found.data.name)


def test_what_is_copied_of_a_run_is_small_and_no_tensor(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "level-00").mkdir(parents=True)
    for name, size in {
        "experiment.json": 10,
        "level-00/records.json": 10,
        "level-00/weights.safetensors": 10,
        "metrics.jsonl": 3_000_000,
    }.items():
        (run / name).write_bytes(b"x" * size)
    assert copy_small(run, tmp_path / "out") == ["metrics.jsonl"]
    copied = sorted(p.name for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert copied == ["experiment.json", "records.json"]


def test_the_curve_is_the_mean_of_the_dense_seeds(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    rows = [
        {"level": level, "seed": seed, "step": 10, "metric": "loss", "value": value}
        for level, seed, value in ((0, 0, 1.0), (0, 1, 2.0), (0, 2, None), (1, 0, 9.0))
    ]
    # A line that is being written is no line yet.
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"level"')
    assert curve(path).splitlines()[-1] == "| 10 | 1.5 |"


@pytest.mark.parametrize(
    ("states", "code"),
    [
        (("done", "left out"), ExitCode.DONE),
        (("done", "stopped"), ExitCode.RESUMABLE),
        (("stopped", "not begun"), ExitCode.RESUMABLE),
        (("failed", "stopped"), ExitCode.ERROR),
    ],
)
def test_the_exit_code_says_whether_there_is_more_to_do(
    states: tuple[str, ...], code: ExitCode
) -> None:
    assert exit_code([{"state": state} for state in states]) == code


def test_studies_without_data_are_refused_before_anything_begins(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks/gpu_study.py"), "--data-root", str(tmp_path)]
    outside = {key: value for key, value in os.environ.items() if key != "LOTTERY_DATA"}
    done = subprocess.run(
        command, cwd=tmp_path, env=outside, capture_output=True, text=True, check=False
    )
    assert done.returncode == ExitCode.BAD_DATA
    assert "There are no data: mnist needs MNIST/raw below --data-root;" in done.stderr
    assert [*tmp_path.iterdir()] == []
