"""Forgotten examples: by hand, on a run of images and one of text, as files and as a figure."""

from __future__ import annotations

import base64
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.figures import FIGURES
from analysis.rendering import save_figure
from analysis.tables import read_study
from lottery.exemplars import Exemplars, read_exemplars
from lottery.identity import TICKET, ReplicateId
from lottery.levels import read_scores
from lottery.measurements import forgotten
from lottery.measurements.forgotten import (
    FORGOTTEN,
    OF_IMAGES,
    ForgottenSettings,
    exchanged,
    most_lost,
    pixels,
    rises,
)
from lottery.measurements.measuring import measure_levels
from lottery.pruning.config import PruningConfig
from lottery.readings import Reading
from lottery.run_folder import EXEMPLARS
from lottery.runs import Run
from tests.fake_runs import write_run
from tests.tiny_runs import TINY, TINY_TEXT, carry_out, digits, session, text
from training.datasets.images import ImageData
from training.errors import ExitCode, LotteryError
from training.folders import Folder
from training.tasks.language_modelling import LanguageModelling

ONE_LEVEL = dataclasses.replace(
    TINY, levels=1, arms=("random-mask",), pruning=PruningConfig(rate=0.9)
)


def measured(run: Run, **how: object) -> list[Reading]:
    one = session(ONE_LEVEL, run.root) if not how else session(TINY_TEXT, run.root, text())
    return measure_levels(one, "forgotten", FORGOTTEN, ForgottenSettings(), [0, 1])


def test_what_is_lost_and_gained_by_hand() -> None:
    dense, pruned = torch.tensor([1, 1, 0, 0, 1]), torch.tensor([1, 0, 1, 0, 0])
    assert exchanged(dense, pruned) == (40.0, 20.0)
    rise, share = rises(torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([2.0, 2.0, 2.0, 7.0]))
    assert (rise, share) == (0.75, 50.0)


def test_what_most_networks_lose_by_hand() -> None:
    # Of the third, half of the dense networks is not most; of the fifth, half of the tickets is not.
    dense = torch.tensor([1.0, 0.75, 0.5, 1.0, 1.0, 0.0])
    pruned = torch.tensor([0.25, 0.0, 0.0, 0.0, 0.5, 1.0])
    assert most_lost(dense, pruned) == [3, 0, 1]


def test_a_run_of_images(tmp_path: Path) -> None:
    carry_out(ONE_LEVEL, tmp_path / "tiny")
    run = Run(tmp_path / "tiny")
    readings = measured(run)
    assert {(r.level, r.arm, r.at, r.other) for r in readings} == {
        (1, arm, "best", "test") for arm in (TICKET, "random-mask")
    }
    dense, own = (read_scores(run.level(level)) for level in (0, 1))
    found = {(r.replicate, r.metric): r.value for r in readings}
    assert len(found) == len(readings) == 2 * 2 * len(OF_IMAGES)
    for one, scores in own.items():
        before = dense[ReplicateId(TICKET, one.seed)]
        lost, gained = (found[one, metric] for metric in OF_IMAGES)
        assert lost is not None and gained is not None
        assert lost == pytest.approx(float(100 * ((before == 1) & (scores == 0)).double().mean()))
        # What was lost less what was gained is the difference of the accuracies.
        difference = float(100 * (before.double().mean() - scores.double().mean()))
        assert lost - gained == pytest.approx(difference)
    (kept,) = read_exemplars(run.root)
    both = [dense[ReplicateId(TICKET, s)] - 2 * own[ReplicateId(TICKET, s)].int() for s in (0, 1)]
    expected = ((both[0] == 1) & (both[1] == 1)).nonzero().flatten().tolist()
    assert (kept.unit, kept.networks, kept.among) == ("images", 2, 500)
    assert kept.found == len(expected) > 0
    assert [one.index for one in kept.shown] == expected[: forgotten.SHOWN]
    data = digits().data
    assert isinstance(data, ImageData)
    for shown in kept.shown:
        assert shown.label == str(int(data.test.labels[shown.index]))
        assert base64.b64decode(shown.pixels) == pixels(data, data.test.images[shown.index])


def test_pixels_are_those_of_the_image() -> None:
    data = digits().data
    assert isinstance(data, ImageData)
    image = data.test.images[0]
    shown = np.frombuffer(pixels(data, image), dtype=np.uint8)
    assert (shown.size, shown.min(), shown.max()) == (64, 0, 255)
    # Ink is bright, and the digits have 17 greys.
    assert {int(v) for v in shown} <= {round(255 * grey / 16) for grey in range(17)}
    assert np.array_equal(shown.argsort(kind="stable"), image.flatten().argsort(stable=True))


def test_a_run_of_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgotten, "LEAST_OCCURRENCES", 2)
    carry_out(dataclasses.replace(TINY_TEXT, levels=1), tmp_path / "tiny", text())
    run = Run(tmp_path / "tiny")
    readings = measured(run, text=True)
    dense, own = (read_scores(run.level(level)) for level in (0, 1))
    value = {(r.replicate, r.metric): r.value for r in readings}
    one = ReplicateId(TICKET, 1)
    rise = float((own[one].double() - dense[one].double()).mean())
    assert value[one, "rise of loss"] == pytest.approx(rise)
    (kept,) = read_exemplars(run.root)
    assert kept.unit == "words" and 0 < len(kept.shown) <= kept.found <= kept.among
    task = text()
    assert isinstance(task, LanguageModelling)
    tokens = task.data.test
    differences = []
    for word in kept.shown:
        here = tokens == word.index
        assert int(here.sum()) >= 2
        for scores, told in ((dense, word.dense), (own, word.pruned)):
            both = [scores[ReplicateId(TICKET, seed)][here].double().mean() for seed in (0, 1)]
            assert told == pytest.approx(float(sum(both)) / 2)
        differences.append(word.pruned - word.dense)
    assert differences == sorted(differences, reverse=True) and differences[-1] > 0


def test_the_figure_shows_images_and_words(tmp_path: Path) -> None:
    images = write_run(tmp_path / "images", levels=3, seeds=(0, 1), readings=True)
    study = read_study([images])
    drawing = FIGURES["forgotten-examples"].drawing(study)
    assert drawing.data["index"].tolist() == [7, 9] and "pixels" not in drawing.data
    (axes,) = drawing.draw().axes
    assert [text.get_text() for text in axes.texts] == ["7: 3", "9: 5"]
    (first, _) = axes.images
    assert np.array_equal(np.asarray(first.get_array()), [[0, 50, 100], [150, 200, 255]])
    assert "4 of 500 images" in axes.get_title()
    written = save_figure(drawing.draw(), drawing.data, tmp_path / "x", ["svg", "png"])
    again = save_figure(drawing.draw(), drawing.data, tmp_path / "x2" / "x", ["svg", "png"])
    assert [a.read_bytes() for a in written] == [b.read_bytes() for b in again]


def test_without_a_measurement_there_is_nothing_to_draw(tmp_path: Path) -> None:
    study = read_study([write_run(tmp_path / "plain", levels=1, seeds=(0, 1))])
    drawing = FIGURES["forgotten-examples"].drawing(study)
    assert drawing.data.empty
    with pytest.raises(LotteryError, match="lottery measure forgotten"):
        drawing.draw()


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (b'"format": 1', b'"format": 9', "another format"),
        (b'"found": 4', b'"found": 1', "2 shown of 1 images"),
        (b'"level": 1', b'"level": 2', "it is of level 2"),
        (b'"ADJklsj/"', b'"ADJk"', "has not 6 bytes"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, before: bytes, after: bytes, words: str) -> None:
    run = write_run(tmp_path / "run", levels=1, seeds=(0, 1), readings=True)
    folder, name = Folder(run), EXEMPLARS.format(level=1)
    data = folder.read(name)
    assert before in data
    folder.write(name, data.replace(before, after))
    with pytest.raises(LotteryError, match=words) as refused:
        read_exemplars(run)
    assert refused.value.exit_code == ExitCode.BAD_DATA


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", levels=2, seeds=(0, 1), readings=True)
    (found,) = read_exemplars(run)
    assert isinstance(found, Exemplars) and (found.level, len(found.shown)) == (2, 2)
    assert found.shape == (2, 3, 1)
