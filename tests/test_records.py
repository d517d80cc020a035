"""Records: written, read, derived and refused."""

from __future__ import annotations

import dataclasses
import doctest
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lottery import identity
from lottery.experiments import RUN_FOLDER
from lottery.history import read_history
from lottery.identity import ReplicateId
from lottery.records import (
    GateCount,
    LayerCount,
    Record,
    Value,
    read_records,
    records_from_json,
    records_to_json,
)
from lottery.run_folder import HISTORY, read_description
from nas.search.configs import SEARCH_FOLDER
from nas.search.records import read_result, read_search_history
from tests.fake_runs import write_run
from training.errors import ExitCode, LotteryError
from training.folders import MANIFEST, Folder
from training.metrics import ACCURACY, PERPLEXITY
from training.work_folders import is_there

PATH = Path("records.json")
RECORD = Record(
    run="r",
    network="lenet-300-100",
    origin="designed",
    recipe="demo",
    data="mnist",
    arm="ticket",
    seed=3,
    copy=1,
    noise_seed=77,
    level=1,
    kept=80,
    prunable=100,
    parameters=110,
    multiply_adds=80,
    bytes=373,
    steps=20,
    best_step=12,
    diverged_at=None,
    metric=ACCURACY,
    values=(Value(at="best", split="test", metric="accuracy", value=97.5),),
    layers=(LayerCount(name="w", kept=80, total=100),),
    embeddings=False,
)


def test_what_follows_from_the_counts() -> None:
    assert RECORD.density == 0.8
    assert RECORD.remaining == 90


@given(
    kept=st.integers(0, 100),
    value=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    seed=st.integers(-(2**31), 2**31 - 1),
    diverged=st.none() | st.integers(0, 10**9),
    name=st.text(min_size=1),
)
def test_what_is_written_comes_back(
    kept: int, value: float | None, seed: int, diverged: int | None, name: str
) -> None:
    record = dataclasses.replace(
        RECORD,
        run=name,
        kept=kept,
        seed=seed,
        diverged_at=diverged,
        metric=PERPLEXITY,
        values=(Value(at="end", split="validation", metric="perplexity", value=value),),
    )
    assert records_from_json(records_to_json([record, RECORD]), PATH) == [record, RECORD]


GATED = LayerCount(
    name="w",
    kept=80,
    total=100,
    gates=(GateCount(name="a", kept=50, total=50), GateCount(name="b", kept=30, total=50)),
)


def test_gates_and_embeddings_come_back() -> None:
    record = dataclasses.replace(RECORD, layers=(GATED,), embeddings=True)
    assert records_from_json(records_to_json([record]), PATH) == [record]


def test_gates_that_are_not_the_whole_layer_are_refused() -> None:
    layer = dataclasses.replace(GATED, kept=79)
    data = records_to_json([dataclasses.replace(RECORD, layers=(layer,))])
    with pytest.raises(LotteryError, match="the gates of w sum up to 80 of 100"):
        records_from_json(data, PATH)


def spoiled(change: Callable[[dict[str, Any]], object]) -> bytes:
    plain = json.loads(records_to_json([RECORD]))
    change(plain)
    return json.dumps(plain).encode()


@pytest.mark.parametrize(
    "change",
    [
        lambda plain: plain.pop("records"),
        lambda plain: plain.update(records=7),
        lambda plain: plain["records"][0].pop("seed"),
        lambda plain: plain["records"][0].pop("copy"),
        lambda plain: plain["records"][0].pop("noise_seed"),
        lambda plain: plain["records"][0].pop("embeddings"),
        lambda plain: plain["records"][0]["layers"][0].pop("gates"),
        lambda plain: plain["records"][0].update(more=1),
        lambda plain: plain["records"][0].update(kept=101),
        lambda plain: plain["records"][0].update(prunable=111),
        lambda plain: plain["records"][0].update(kept="80"),
        lambda plain: plain["records"][0].update(metric=None),
        lambda plain: plain["records"][0].update(layers=[[]]),
        lambda plain: plain["records"][0]["layers"][0].update(gates=[7]),
        lambda plain: plain["records"][0]["layers"][0].update(gates=None),
        lambda plain: plain["records"][0]["values"][0].update(value=float("nan")),
        lambda plain: plain["records"][0]["values"][0].update(value=10**400),
        lambda plain: plain["records"].append("text"),
    ],
)
def test_damage_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(
        LotteryError, match=r"^records.json is damaged: a record can't be read"
    ) as e:
        records_from_json(spoiled(change), PATH)
    assert e.value.exit_code == ExitCode.BAD_DATA


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_not_json_is_refused(data: bytes) -> None:
    with pytest.raises(LotteryError, match="not valid JSON"):
        records_from_json(data, PATH)


@pytest.mark.parametrize("schema", [1, 3])
def test_another_schema_says_what_to_do(schema: int) -> None:
    data = spoiled(lambda plain: plain.update(schema=schema))
    told = f"schema {schema}; this version reads schema 2: use the version that wrote it, or train"
    with pytest.raises(LotteryError, match=told) as error:
        records_from_json(data, PATH)
    assert error.value.exit_code == ExitCode.BAD_DATA


def test_replicates_are_ordered_and_say_which_they_are() -> None:
    copies = [ReplicateId("ticket", 3, 1), ReplicateId("ticket", 3), ReplicateId("a", 9)]
    assert [str(one) for one in sorted(copies)] == [
        *("a, seed 9", "ticket, seed 3", "ticket, seed 3, copy 1")
    ]
    assert RECORD.replicate == copies[0]
    assert len({*copies, RECORD.replicate}) == 3


def test_a_run_is_read_level_by_level_with_the_ticket_first(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", levels=2, seeds=(1, 0))
    found = [(r.level, r.arm, r.seed) for r in read_records(run)]
    pruned = [(arm, seed) for arm in ("ticket", "random-mask", "reinitialised") for seed in (0, 1)]
    assert found == [(0, "ticket", 0), (0, "ticket", 1)] + [(n, *p) for n in (1, 2) for p in pruned]


@pytest.mark.parametrize("read", [read_records, read_history, read_description])
def test_what_is_no_run_is_refused(read: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises(LotteryError, match="is not a run: it has no experiment.json"):
        read(tmp_path)


def test_a_flipped_bit_of_a_run_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", levels=1)
    path = run / "level-01" / "records.json"
    path.write_bytes(path.read_bytes().replace(b"0", b"1", 1))
    with pytest.raises(LotteryError, match="SHA-256 differs") as error:
        read_records(run)
    assert error.value.exit_code == ExitCode.BAD_DATA


@pytest.mark.parametrize("name", ["level-01/records.json", "level-02/random-mask/records.json"])
def test_records_that_are_gone_are_missed(tmp_path: Path, name: str) -> None:
    run = write_run(tmp_path / "a", levels=2)
    (run / name).unlink()
    with pytest.raises(LotteryError, match=rf"/a is damaged: {name} is missing; restore it") as e:
        read_records(run)
    assert e.value.exit_code == ExitCode.BAD_DATA


def test_only_records_of_levels_are_missed(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", levels=1)
    before = read_records(run)
    folder = Folder(run)
    # A study may be kept without its weights.
    for name in ("level-01/weights.safetensors", "measurements/records.json"):
        folder.write(name, b"1")
        folder.path(name).unlink()
    assert read_records(run) == before


STUDIES = Path(__file__).parents[1] / "results" / "studies"


@pytest.mark.parametrize("manifest", sorted(STUDIES.rglob("manifest.json")), ids=str)
def test_the_studies_that_are_kept_can_be_read(manifest: Path) -> None:
    kept = manifest.parent
    if is_there(kept, SEARCH_FOLDER):
        assert read_result(kept).records
    else:
        assert is_there(kept, RUN_FOLDER)
        assert read_records(kept)


@pytest.mark.parametrize("manifest", sorted(STUDIES.rglob("manifest.json")), ids=str)
def test_every_file_of_a_study_that_is_kept_is_listed_and_sound(manifest: Path) -> None:
    kept = manifest.parent
    names = {path.relative_to(kept).as_posix() for path in kept.rglob("*") if path.is_file()}
    for name in names - {MANIFEST}:
        assert Folder(kept).read(name)
    assert read_search_history(kept) if is_there(kept, SEARCH_FOLDER) else read_history(kept)


def test_a_history_that_is_there_but_not_listed_is_damaged(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", levels=1, seeds=(0,))
    unlist(run, HISTORY)
    with pytest.raises(LotteryError, match="metrics.jsonl is damaged: manifest.json does not list"):
        read_history(run)
    (run / HISTORY).unlink()
    assert read_history(run) == []


def unlist(folder: Path, name: str) -> None:
    """Leave a file where it is and take it out of the manifest."""
    data = (folder / name).read_bytes()
    Folder(folder).remove(name)
    (folder / name).write_bytes(data)


def test_a_line_cut_short_at_the_end_of_the_history_is_passed_over(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", levels=0, seeds=(0,))
    before = read_history(run)
    with (run / HISTORY).open("ab") as file:
        file.write(b'{"level": 0, "arm"')
    assert read_history(run) == before
    assert [row.step for row in before] == list(range(0, 1001, 50))


@pytest.mark.parametrize("line", [b"{}\n", b"[]\n", b"not json\n", b"[" * 100_000 + b"\n"])
def test_a_line_that_can_not_be_read_is_named(line: bytes, tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", levels=0, seeds=(0,))
    Folder(run).write(HISTORY, Folder(run).read(HISTORY) + line)
    with pytest.raises(LotteryError, match="line 22 can't be read"):
        read_history(run)


def test_descriptions_that_were_not_written_are_empty(tmp_path: Path) -> None:
    described = read_description(write_run(tmp_path / "a", levels=0))
    assert described["environments"] == []
    assert described["data"]["fingerprint"] == "d41d8cd9"
    assert described["experiment"]["name"] == "demo"


def test_the_examples_hold() -> None:
    found = doctest.testmod(identity)
    assert (found.attempted, found.failed) == (1, 0)
