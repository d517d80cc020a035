"""Corrupted training images: seeded, of the training split alone, and told."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lottery.levels import read_masks
from lottery.pruning.masks import kept
from lottery.runs import Run
from lottery.transfer import with_source
from tests.tiny_runs import TINY, carry_out
from training.configs import DataConfig
from training.datasets.catalog import DATASETS, OPTIONS, load_data
from training.datasets.image_splits import image_data
from training.datasets.images import ImageData
from training.datasets.raw_images import RawImages, RawSplit
from training.errors import LotteryError
from training.specs import ImageSpec
from training.tasks.catalog import load_task


def digits(**options: int) -> ImageData:
    data = load_data(DataConfig(name="digits", options=options), None)
    assert isinstance(data, ImageData)
    return data


def coloured() -> RawImages:
    """Six images `[2, 3, 3]` whose values are all different."""
    values = np.arange(6 * 18, dtype=np.uint8).reshape(6, 2, 3, 3)
    split = RawSplit(images=values, labels=np.arange(6) % 3)
    return RawImages(name="x", train=split, test=split, classes=3)


def same(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one, other)


@pytest.mark.parametrize("share", [30, 100])
def test_so_many_labels_are_drawn_anew_and_nothing_else_changes(share: int) -> None:
    plain, noisy = digits(), digits(random_labels=share)
    assert same(plain.train.images, noisy.train.images)
    for split in ("validation", "test"):
        assert same(plain.splits()[split].labels, noisy.splits()[split].labels)
        assert same(plain.splits()[split].images, noisy.splits()[split].images)
    # A label that is drawn anew is the right one once in ten times: of 1,000 so many are wrong, six deviations wide.
    wrong, expected = int((plain.train.labels != noisy.train.labels).sum()), 9 * share
    assert abs(wrong - expected) < 6 * (share * 0.9) ** 0.5
    assert wrong <= 10 * share
    assert same(noisy.train.labels, digits(random_labels=share).train.labels)


def test_the_same_labels_are_drawn_whatever_the_share_and_the_limit() -> None:
    plain, some, all_drawn = digits(), digits(random_labels=30), digits(random_labels=100)
    changed = plain.train.labels != some.train.labels
    assert same(some.train.labels[changed], all_drawn.train.labels[changed])
    limited = digits(random_labels=100, train=200)
    assert same(limited.train.labels, all_drawn.train.labels[:200])


def test_pixels_of_each_training_image_have_an_order_of_their_own() -> None:
    plain, shuffled = digits(), digits(shuffled_pixels=1)
    assert (plain.mean, plain.deviation) == (shuffled.mean, shuffled.deviation)
    for split in ("validation", "test"):
        assert same(plain.splits()[split].images, shuffled.splits()[split].images)
    before, after = (data.train.images.flatten(1) for data in (plain, shuffled))
    assert same(before.sort(1).values, after.sort(1).values)
    assert all(not same(one, other) for one, other in zip(before, after, strict=True))
    assert same(plain.train.labels, shuffled.train.labels)
    limited = digits(shuffled_pixels=1, train=50)
    undone = [data.train.images * data.deviation[0] + data.mean[0] for data in (limited, shuffled)]
    assert torch.allclose(undone[0], undone[1][:50], atol=1e-6)


def test_pixels_move_over_channels_too_and_no_two_images_alike() -> None:
    options = {**OPTIONS, "validation": 1}
    plain, shuffled = (image_data(coloured(), {**options, "shuffled_pixels": n}) for n in (0, 1))
    orders = []
    for one, other in zip(plain.train.images, shuffled.train.images, strict=True):
        pairs = [
            [
                i * torch.tensor(plain.deviation)[:, None, None]
                + torch.tensor(plain.mean)[:, None, None]
            ]
            for i in (one, other)
        ]
        values = [(255 * pair[0]).round().flatten() for pair in pairs]
        orders.append(torch.stack([(values[0] == v).nonzero()[0, 0] for v in values[1]]))
        assert same(orders[-1].sort().values, torch.arange(18))
        # Some of the first channel's values came from the second.
        assert bool((orders[-1][:9] >= 9).any())
    assert len({tuple(order.tolist()) for order in orders}) == 5


def test_it_is_in_the_fingerprint_and_told() -> None:
    kinds = [{}, {"random_labels": 30}, {"random_labels": 31}, {"shuffled_pixels": 1}]
    found = [digits(**options) for options in kinds]
    assert len({data.fingerprint for data in found}) == 4
    assert "corruption" not in found[0].description()
    assert found[1].description()["corruption"] == {"random_labels": 30}
    (notice,) = found[1].description()["notices"]
    assert notice.startswith("30 % of the labels of digits that are trained on are drawn at random")
    (notice,) = found[3].description()["notices"]
    assert notice.startswith("The pixels of each image of digits that is trained on")


def test_every_image_data_set_has_the_options_and_they_have_an_end() -> None:
    for entry in DATASETS.values():
        both = {"random_labels", "shuffled_pixels"} <= {*entry.options}
        assert both == (entry.kind == ImageSpec.kind)
    with pytest.raises(LotteryError, match=r"random_labels = 101 is out of range; .* 0 to 100"):
        digits(random_labels=101)
    with pytest.raises(LotteryError, match=r"shuffled_pixels = 2 is out of range; .* 0 to 1"):
        digits(shuffled_pixels=2)


def test_masks_found_on_corrupted_data_are_trained_on_sound_ones(tmp_path: Path) -> None:
    small = dataclasses.replace(TINY, seeds=(0,), arms=(), levels=1)
    data = DataConfig(name="digits", options={"random_labels": 100})
    task = load_task(data, TINY.training, None, torch.device("cpu"))
    carry_out(small, tmp_path / "noisy", task)
    carry_out(small, tmp_path / "sound")
    whole = with_source(small, tmp_path / "noisy")
    carry_out(whole, tmp_path / "taken", source=Run(tmp_path / "noisy"))
    (one,) = small.tickets
    noisy, sound, taken = (
        read_masks(Run(tmp_path / name).level(1))[one] for name in ("noisy", "sound", "taken")
    )
    assert kept(noisy) == kept(sound)
    assert all(same(noisy[name], taken[name]) for name in taken)
    assert any(not same(noisy[name], sound[name]) for name in sound)
