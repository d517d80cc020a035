"""A run on disk: its names, and the refusal to mix two experiments."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from lottery.experiments import RUN_FOLDER, NetworkConfig
from lottery.history import HistoryRow, read_history
from lottery.identity import TICKET, ReplicateId
from lottery.run_folder import HISTORY
from lottery.runs import Run, begin_history, end_level, finish_history
from tests.tiny_runs import TINY, open_run
from training.errors import ExitCode, LotteryError
from training.lines import from_lines, to_lines
from training.toml_text import override
from training.work_folders import stored_config

FACTS: dict[str, object] = {"name": "digits", "fingerprint": "0123456789abcdef"}


def test_the_names_of_the_files() -> None:
    run = Run(Path("results/runs/a"))
    assert run.name == "a"
    assert run.start(ReplicateId(TICKET, -3)) == "start/seed--3.safetensors"
    # Copies begin alike.
    assert run.start(ReplicateId(TICKET, 3, 2)) == "start/seed-3.safetensors"
    optimizer = run.start_optimizer(ReplicateId(TICKET, 3, 2))
    assert optimizer == "start/seed-3-optimizer.safetensors"
    level, added = run.level(2), run.level(12, "dense")
    assert (level.run, level.number, level.name) == (run, 2, "level-02")
    assert (added.number, added.name) == (12, "level-12/dense")
    assert level.tickets == "level-02/tickets.safetensors"
    assert level.masks == "level-02/masks.safetensors"
    assert level.weights == "level-02/weights.safetensors"
    assert level.predictions == "level-02/predictions.safetensors"
    assert level.execution == "level-02/execution.json"
    assert level.records == "level-02/records.json"
    assert added.records == "level-12/dense/records.json"


def test_checkpoints_are_told_apart_by_what_they_hold(tmp_path: Path) -> None:
    run = Run(tmp_path)
    level = run.level(1)
    one, ten, late = (
        level.checkpoint(range(0, 1), 5),
        level.checkpoint(range(0, 10), 5),
        level.checkpoint(range(0, 1), 1_000),
    )
    added = run.level(1, "dense")
    for name in (late, ten, one, added.checkpoint(range(0, 1), 7)):
        run.folder.write(name, b"x")
    assert level.checkpoints(range(0, 1)) == [one, late]
    assert level.checkpoints(range(0, 10)) == [ten]
    assert set(level.checkpoints()) == {one, ten, late}
    assert added.checkpoints() == ["level-01/dense/checkpoint-0-1-000000007.safetensors"]


def test_a_level_that_ends_keeps_no_checkpoints_and_says_so(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for files in (run.level(1), run.level(1, "dense"), run.level(2)):
        run.folder.write(files.checkpoint(range(0, 1), 5), b"x")
    run.folder.write(run.level(1).tickets, b"x")
    end_level(run.level(1))
    assert run.folder.names() == [
        run.level(1).name + "/dense/checkpoint-0-1-000000005.safetensors",
        run.level(1).tickets,
        run.level(2).name + "/checkpoint-0-1-000000005.safetensors",
    ]
    progress = json.loads((tmp_path / "progress.json").read_text())
    assert progress == {"level": 1, "finished": True}


def test_what_of_a_level_is_finished(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert run.finished(1) == []
    for files in (run.level(1), run.level(1, "dense"), run.level(1, "random-mask"), run.level(11)):
        run.folder.write(files.records, b"x")
    run.folder.write(run.level(1, "shuffled-mask").weights, b"x")
    assert [files.name for files in run.finished(1)] == [
        "level-01",
        "level-01/dense",
        "level-01/random-mask",
    ]
    assert run.finished(1)[1] == run.level(1, "dense")
    # What someone else removed is not done.
    (tmp_path / run.level(1).records).unlink()
    assert [files.added_arm for files in run.finished(1)] == ["dense", "random-mask"]


def test_a_new_run_stores_its_experiment(tmp_path: Path) -> None:
    run = open_run(tmp_path / "a", TINY, FACTS)
    assert stored_config(run.root, RUN_FOLDER) == TINY
    assert not run.level(0).is_done()
    assert stored_config(open_run(tmp_path / "a", TINY, FACTS).root, RUN_FOLDER) == TINY


def test_another_experiment_is_refused_with_both_values(tmp_path: Path) -> None:
    open_run(tmp_path / "a", TINY, FACTS)
    other = override(override(TINY, "pruning.rate=0.25"), "training.batch_size=32")
    with pytest.raises(LotteryError) as error:
        open_run(tmp_path / "a", other, FACTS)
    assert str(error.value) == (
        f"{tmp_path / 'a'} holds another experiment: pruning.rate is 0.5 there and 0.25 now; "
        "training.batch_size is 50 there and 32 now. Choose another --out."
    )
    wider = dataclasses.replace(TINY, network=NetworkConfig(name="resnet"))
    with pytest.raises(
        LotteryError, match=r"network.name is 'lenet-300-100' there and 'resnet' now"
    ):
        open_run(tmp_path / "a", wider, FACTS)


def test_another_wording_of_the_source_is_the_same_experiment(tmp_path: Path) -> None:
    open_run(tmp_path / "a", TINY, FACTS)
    worded = dataclasses.replace(TINY, source="the same, in other words")
    assert stored_config(open_run(tmp_path / "a", worded, FACTS).root, RUN_FOLDER) == TINY


def test_more_levels_extend_and_fewer_change_nothing(tmp_path: Path) -> None:
    for levels, stored in ((2, 2), (5, 5), (1, 5)):
        run = open_run(tmp_path / "a", dataclasses.replace(TINY, levels=levels), FACTS)
        assert stored_config(run.root, RUN_FOLDER).levels == stored


def test_other_data_are_refused(tmp_path: Path) -> None:
    open_run(tmp_path / "a", TINY, FACTS)
    with pytest.raises(LotteryError, match="fingerprint 0123456789ab, not ffff"):
        open_run(tmp_path / "a", TINY, {**FACTS, "fingerprint": "ffff"})


def test_a_folder_with_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(LotteryError, match="is not empty and is not a run"):
        open_run(tmp_path, TINY, FACTS)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_start_that_was_cut_off_is_made_again(tmp_path: Path) -> None:
    Run(tmp_path).folder.write("data.json", b"{}\n")
    (tmp_path / "lock").touch()
    (tmp_path / ".experiment.json.abc.tmp").touch()
    assert stored_config(open_run(tmp_path, TINY, FACTS).root, RUN_FOLDER) == TINY


def test_what_killed_writers_left_goes_when_a_run_begins_or_goes_on(tmp_path: Path) -> None:
    left = tmp_path / f".experiment.json.{'0f' * 16}.tmp"
    for _ in range(2):
        left.write_bytes(b"{")
        open_run(tmp_path, TINY, FACTS)
        assert not left.exists()


def test_a_damaged_experiment_is_refused(tmp_path: Path) -> None:
    run = open_run(tmp_path / "a", TINY, FACTS)
    path = run.root / "experiment.json"
    path.write_bytes(path.read_bytes().replace(b"0.5", b"0.6"))
    with pytest.raises(LotteryError, match="SHA-256") as error:
        stored_config(run.root, RUN_FOLDER)
    assert error.value.exit_code == ExitCode.BAD_DATA


def test_what_is_no_run_has_no_experiment(tmp_path: Path) -> None:
    with pytest.raises(LotteryError, match="is not a run"):
        stored_config(tmp_path, RUN_FOLDER)


def rows_of(level: int, *values: float | None) -> list[HistoryRow]:
    """Losses of one replicate at steps 6, 12 and so on."""
    return [
        HistoryRow(
            level=level, arm="ticket", seed=0, copy=0, step=6 * n, metric="loss", value=value
        )
        for n, value in enumerate(values, 1)
    ]


def test_what_was_appended_counts_once_its_level_is_finished(tmp_path: Path) -> None:
    run = open_run(tmp_path / "a", TINY, FACTS)
    begin_history(run)
    first, second = rows_of(0, 1.25, float("inf")), rows_of(1, 0.5)
    run.folder.append(HISTORY, to_lines(first))
    assert read_history(run.root) == []
    # A process that goes on, or another one that reads, takes these lines for a level in progress.
    begin_history(run)
    assert run.folder.read(HISTORY) == b""
    run.folder.append(HISTORY, to_lines(first))
    finish_history(run, first)
    written = [*rows_of(0, 1.25, None)]
    assert read_history(run.root) == written
    # A killed writer's half line, and lines of a level that is trained again, whatever they say.
    run.folder.append(HISTORY, to_lines(rows_of(1, 9.0)) + b'{"cut')
    assert read_history(run.root) == written
    begin_history(run)
    assert (run.root / HISTORY).read_text() == (
        '{"arm": "ticket", "copy": 0, "level": 0, "metric": "loss", "seed": 0, "step": 6, "value": 1.25}\n'
        '{"arm": "ticket", "copy": 0, "level": 0, "metric": "loss", "seed": 0, "step": 12, "value": null}\n'
    )
    for _ in range(2):  # A level that was stopped before its records is finished again.
        finish_history(run, second)
    assert read_history(run.root) == written + second


def test_levels_that_were_written_are_not_parsed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that many levels take no more time each than few; a level in between is replaced all the same."""
    run = open_run(tmp_path / "a", TINY, FACTS)
    begin_history(run)
    for level in range(3):
        finish_history(run, rows_of(level, 1.25, 1.0))
    parsed: list[bytes] = []

    def spy(kind: type[HistoryRow], line: bytes, path: Path) -> list[HistoryRow]:
        parsed.append(line)
        return from_lines(kind, line, path)

    monkeypatch.setattr("lottery.runs.from_lines", spy)
    finish_history(run, rows_of(3, 0.5))
    finish_history(run, rows_of(30, 0.5))
    assert parsed == []
    finish_history(run, rows_of(1, 0.75))
    assert len(parsed) == 2
    expected = [*rows_of(0, 1.25, 1.0), *rows_of(2, 1.25, 1.0)]
    expected += [*rows_of(3, 0.5), *rows_of(30, 0.5), *rows_of(1, 0.75)]
    assert read_history(run.root) == expected
    # Another arm of a level leaves that level's own rows.
    added = dataclasses.replace(rows_of(2, 0.25)[0], arm="random-mask")
    finish_history(run, [added])
    assert read_history(run.root) == [*expected, added]


def test_a_history_that_was_changed_is_named_and_can_be_done_without(tmp_path: Path) -> None:
    run = open_run(tmp_path / "a", TINY, FACTS)
    finish_history(run, rows_of(0, 1.25, 1.0))
    path = run.root / HISTORY
    whole = path.read_bytes()
    other = to_lines(rows_of(0, 3.25, 1.0))
    for changed in (whole.replace(b"1.25", b"1.26"), whole[: whole.index(b"\n") + 1], other, b""):
        path.write_bytes(changed)
        for read in (lambda: read_history(run.root), lambda: begin_history(run)):
            with pytest.raises(
                LotteryError, match="metrics.jsonl is damaged: .* remove it"
            ) as error:
                read()
            assert error.value.exit_code == ExitCode.BAD_DATA
    path.unlink()
    assert read_history(run.root) == []
    begin_history(run)
    run.folder.append(HISTORY, b"now")
    assert read_history(run.root) == []
    finish_history(run, rows_of(1, 0.5))
    assert read_history(run.root) == rows_of(1, 0.5)
