"""Reading runs into tidy tables."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pandas as pd
import pytest

from analysis.frontier import comparison
from analysis.published import read_published
from analysis.rows import results_at
from analysis.structure import density_per_gate, density_per_layer
from analysis.tables import (
    GATES,
    HISTORIES,
    TABLE,
    read_study,
    read_table,
)
from analysis.text_tables import (
    BITS,
    comparison_table,
    gates_table,
    is_of_characters,
    levels_table,
    results_table,
    run_line,
)
from analysis.verdicts import answer_questions
from lottery.experiments import RUN_FOLDER
from lottery.history import HistoryRow
from lottery.records import read_records
from lottery.run_folder import HISTORY, read_description
from tests.fake_runs import OTHER, PRUNABLE, write_run
from training.errors import ExitCode, LotteryError
from training.folders import Folder
from training.lines import to_lines
from training.metrics import PERPLEXITY
from training.specs import ImageSpec, Spec, TextSpec
from training.storage import to_json
from training.work_folders import DATA, FORMAT

IMAGES = ImageSpec(channels=1, height=8, width=8, classes=10)
TEXT = TextSpec(vocabulary=100)


class Recordings(ImageSpec):
    """A kind of data that the analysis has never heard of."""

    unit = "recordings"
    limits = ("train",)


OTHER_KIND = Recordings(channels=1, height=8, width=8, classes=10)


def test_one_row_per_number(tmp_path: Path) -> None:
    table = read_table([write_run(tmp_path / "a", levels=2, seeds=(3, 4))])
    assert tuple(table.columns) == TABLE
    # 2 seeds x (1 dense + 2 levels x 3 arms) x (2 points x 2 splits + 1 loss)
    assert len(table) == 2 * 7 * 5
    dense = results_at(table).iloc[0]
    assert (dense["level"], dense["density"], dense["parameters"]) == (0, 1.0, PRUNABLE + OTHER)
    assert (dense["unit"], dense["higher_is_better"], dense["margin"]) == ("%", True, 0.2)
    assert table[table["metric"] == "loss"]["margin"].isna().all()
    assert set(table["seed"]) == {3, 4}


def test_a_diverged_replicate_has_no_value(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", lambda arm, level, seed: None if seed else 98.0, levels=0)
    rows = results_at(read_table([run]))
    assert rows["diverged"].tolist() == [False, True, True, True, True]
    assert rows["value"].isna().tolist() == [False, True, True, True, True]


def test_a_run_without_a_finished_level_says_what_to_do(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "new")
    folder.write(RUN_FOLDER.file, to_json({"format": FORMAT}))
    with pytest.raises(LotteryError, match="no finished level yet; run its `lottery prune`"):
        read_table([tmp_path / "new"])


def test_no_run_and_no_such_point_are_errors(tmp_path: Path) -> None:
    with pytest.raises(LotteryError, match="No run was given"):
        read_table([])
    table = read_table([write_run(tmp_path / "a", levels=0)])
    with pytest.raises(LotteryError, match=r"at middle/test; known: best/validation, best/test"):
        results_at(table, at="middle")


def test_runs_of_one_name_are_told_apart_and_repeats_read_once(tmp_path: Path) -> None:
    first, second = (write_run(tmp_path / side / "run", levels=0) for side in "ab")
    table = read_table([first, second, first])
    assert set(table["run"]) == {"a/run", "b/run"}
    assert len(results_at(table)) == 10


def test_histories_are_of_finished_levels(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", levels=1, seeds=(0,))
    before = read_study([run]).histories
    assert tuple(before.columns) == HISTORIES
    assert set(before["level"]) == {0, 1}
    stopped = HistoryRow(level=2, arm="ticket", seed=0, copy=0, step=50, metric="loss", value=1.5)
    # A level may have its history and no records yet, or be in training.
    written = Folder(run).read(HISTORY) + to_lines([stopped])
    Folder(run).write(HISTORY, written)
    Folder(run).append(HISTORY, to_lines([stopped]))
    pd.testing.assert_frame_equal(read_study([run]).histories, before)


def test_a_run_bears_the_name_of_its_folder(tmp_path: Path) -> None:
    run = write_run(tmp_path / "before", levels=0).rename(tmp_path / "after")
    assert set(read_table([run])["run"]) == {"after"}
    assert {record.run for record in read_records(run)} == {"after"}


def test_layers_and_their_mean_density(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", levels=1, seeds=(0, 1))
    layers = read_study([run]).layers
    # 2 seeds x (dense + 3 arms) x 3 layers
    assert len(layers) == 2 * 4 * 3
    means = density_per_layer(layers)
    first = means[means["level"] == 1].iloc[0]
    assert (first["name"], first["kept"], first["total"], first["n"]) == (
        "fc1.weight",
        188_160,
        235_200,
        2,
    )
    assert first["density"] == pytest.approx(0.8)


def test_gates_and_their_mean_density(tmp_path: Path) -> None:
    text = write_run(tmp_path / "text", metric=PERPLEXITY, levels=1, seeds=(0, 1))
    study = read_study([text, write_run(tmp_path / "images", levels=1)])
    assert tuple(study.gates.columns) == GATES
    # 2 seeds x (dense + 3 arms) x 2 gates, all of one layer
    assert len(study.gates) == 2 * 4 * 2
    means = density_per_gate(study.gates)
    # 188,160 of 235,200 weights are kept, all of the first tenth among them.
    pruned = means[means["level"] == 1][["run", "name", "gate", "kept", "total", "n"]]
    assert pruned.to_numpy().tolist() == [
        ["text", "fc1.weight", "candidate", 23_520, 23_520, 2],
        ["text", "fc1.weight", "gate", 164_640, 211_680, 2],
    ]
    assert means["density"].tolist() == pytest.approx([1, 1, 1, 164_640 / 211_680])


def test_the_gates_of_the_last_level_as_text(tmp_path: Path) -> None:
    study = read_study([write_run(tmp_path / "a", metric=PERPLEXITY, levels=2)])
    table = gates_table(study.gates, "a")
    assert table.head == ("matrix", "level", "candidate", "gate")
    # 0.64 x 235,200 - 23,520 of 211,680
    assert table.rows == [("fc1.weight", "2", "100 %", "60 %")]


def test_no_gates_have_no_mean_density(tmp_path: Path) -> None:
    study = read_study([write_run(tmp_path / "a", levels=1)])
    assert density_per_gate(study.gates).empty


def test_whether_embeddings_are_pruned_is_told(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", metric=PERPLEXITY, levels=1, arms=("ticket",))
    table = read_table([run])
    assert not table["embeddings"].any()
    assert {row[4] for row in comparison_table(table).rows} == {"100 %"}
    folder = Folder(run)
    for name in ("level-00/records.json", "level-01/records.json"):
        held = folder.read(name).replace(b'"embeddings": false', b'"embeddings": true')
        folder.write(name, held)
    table = read_table([run])
    assert table["embeddings"].all()
    assert comparison(table)["embeddings"].all()
    assert {row[4] for row in comparison_table(table).rows} == {"100 % with embeddings"}


def test_a_study_holds_descriptions_and_baselines(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", metric=PERPLEXITY, levels=0)
    study = read_study([run])
    assert study.descriptions["a"]["experiment"]["name"] == "demo"
    assert study.baselines.iloc[0].tolist() == ["a", "unigram", "test", "perplexity", 740.25]


def test_a_run_without_a_description_of_its_data_has_no_baselines(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", levels=0)
    Folder(run).remove(DATA)
    assert read_study([run]).baselines.empty


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("arm,density,value\n", "no column source"),
        ("arm,density,value,source\nticket,0.2,98,a\nticket,x,98,a\n", "row 2: it needs an arm"),
        ("arm,density,value,source\nticket,-0.1,98,a\n", "row 1: it needs an arm"),
        ("arm,density,value,source\nticket,20,98,a\n", "a density from 0 to 1"),
        ("arm,density,value,source\nticket,0.2,inf,a\n", "row 1"),
        ("arm,density,value,source\n,0.2,98,a\n", "row 1"),
        ("arm,density,value,source\nticket,0.2,98,\n", "row 1"),
        ("", "can't be read as CSV"),
    ],
)
def test_published_figures_that_can_not_be_drawn_are_named(
    tmp_path: Path, text: str, hint: str
) -> None:
    path = tmp_path / "published.csv"
    path.write_text(text)
    with pytest.raises(LotteryError, match=hint) as raised:
        read_published(path)
    assert raised.value.exit_code == ExitCode.BAD_DATA


def test_published_figures_are_text_and_numbers(tmp_path: Path) -> None:
    path = tmp_path / "published.csv"
    path.write_text("arm,density,value,source\n1,0,98,2019\n")
    found = read_published(path).iloc[0]
    assert found.tolist() == ["1", 0.0, 98.0, "2019"]
    path.write_text("arm,density,value,source\n")
    assert read_published(path).empty


@pytest.mark.parametrize(
    ("options", "spec", "named"),
    [
        (
            {"train": 60_000, "validation": 8000, "test": 8000},
            TEXT,
            "ptb cut to 60,000 tokens (validation and test too)",
        ),
        ({"validation": 8000}, TEXT, "ptb, validation cut"),
        ({"test": 8000, "train": 0}, TEXT, "ptb, test cut"),
        ({"least_count": 10, "sequence": 20}, TEXT, "ptb"),
        (
            {"train": 4000, "test": 800, "validation": 400},
            IMAGES,
            "ptb cut to 4,000 images (test too)",
        ),
        ({"train": 4000, "validation": 400}, IMAGES, "ptb cut to 4,000 images"),
        ({"train": 9, "test": 8}, TEXT, "ptb cut to 9 tokens (test too)"),
        ({"validation": 400, "flip": 1}, IMAGES, "ptb"),
        ({"train": 9, "test": 8}, OTHER_KIND, "ptb cut to 9 recordings"),
    ],
)
def test_a_part_of_the_data_never_passes_for_the_whole(
    tmp_path: Path, options: dict[str, int], spec: Spec, named: str
) -> None:
    run = write_run(tmp_path / "a", levels=1, data="ptb", metric=PERPLEXITY)
    folder = Folder(run)
    described = read_description(run)
    folder.write(DATA, to_json({**described["data"], **spec.description()}))
    data = {"name": "ptb", "options": options}
    experiment = {"format": FORMAT, **described["experiment"], "data": data}
    folder.write(RUN_FOLDER.file, to_json(experiment))
    study = read_study([run])
    assert set(study.table["data"]) == {named}
    assert run_line(study, "a").startswith(f"lenet-300-100 on {named}; unigram perplexity")
    assert results_table(study.table).select("data").rows == [(named,)]
    assert f"on {named}" in answer_questions(study.table)[0].question


def test_text_of_characters_has_bits_beside_its_perplexity(tmp_path: Path) -> None:
    """A loss of ln 2 is one bit; one that diverged counts in no mean."""
    run = write_run(
        tmp_path / "a",
        lambda arm, level, seed: 1e9 if seed < 2 else None,
        levels=1,
        metric=PERPLEXITY,
    )
    study = read_study([run])
    assert not is_of_characters(study, "a")
    assert BITS not in levels_table(study.table, "a").head
    at = (study.table["metric"] == "loss") & (study.table["at"] == "best")
    losses = study.table[at].assign(split="test")
    losses["value"] = math.log(2) * (1 + losses["level"] + losses["seed"])
    described = study.descriptions["a"]
    data = {**described["data"], "cut into": "characters"}
    letters = dataclasses.replace(
        study,
        table=pd.concat([study.table, losses], ignore_index=True),
        descriptions={"a": {**described, "data": data}},
    )
    assert is_of_characters(letters, "a")
    found = levels_table(letters.table, "a", characters=True).select("level", "arm", BITS)
    # Seeds 0 and 1 are left: 1 and 2 bits at level 0, 2 and 3 at level 1.
    assert ("0", "ticket", "1.50") in found.rows
    assert ("1", "ticket", "2.50") in found.rows
    ((beside,),) = results_table(letters.table, ["a"]).select("dense test metric").rows
    assert beside.endswith(", 1.50 bits per character")
    assert BITS not in str(results_table(study.table).rows)
