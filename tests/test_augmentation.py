"""Crops, flips and cut-out squares: worked answers, and draws that are a function of (seed, step)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.tiny_tasks import image_data
from training.augmentation import Augmentation, augment, augmentation_sites
from training.noise import seeds_tensor
from training.tasks.image_classification import ImageClassification

BOTH = Augmentation(crop_padding=1, flip=True)
BLACK = -1.0
SMALL = st.integers(0, 3)


def augmented(images: Tensor, seeds: list[int], step: int, how: Augmentation) -> Tensor:
    now = torch.tensor(step, dtype=torch.int32)
    device = images.device
    sites = augmentation_sites(device)
    black = torch.full((images.shape[2],), BLACK)
    return augment(images, seeds_tensor(seeds, device), sites, now, how, black)


def every_version(image: Tensor) -> list[Tensor]:
    """The 18 crops of an image `[C, H, W]` with one pixel of padding, plain and mirrored."""
    height, width = image.shape[1:]
    padded = F.pad(image, (1, 1, 1, 1), value=BLACK)
    crops = [padded[:, r : r + height, c : c + width] for r in range(3) for c in range(3)]
    mirrored = F.pad(image.flip(-1), (1, 1, 1, 1), value=BLACK)
    return crops + [mirrored[:, r : r + height, c : c + width] for r in range(3) for c in range(3)]


def test_each_image_is_one_of_its_crops_and_all_crops_occur() -> None:
    image = torch.arange(12.0).view(1, 3, 4)
    images = image.expand(1, 600, 1, 3, 4)
    versions = every_version(image)
    seen = [0] * len(versions)
    for one in augmented(images, [7], 0, BOTH)[0]:
        seen[next(i for i, version in enumerate(versions) if torch.equal(one, version))] += 1
    # 600 draws over 18 versions: 33 each, with a standard deviation below 6.
    assert min(seen) > 10
    assert max(seen) < 60


def test_a_flip_alone_mirrors_about_half() -> None:
    images = torch.tensor([[1.0, 2.0]]).expand(1, 1000, 1, 1, 2)
    flipped = augmented(images, [3], 5, Augmentation(flip=True))[0, :, 0, 0, 0] == 2.0
    assert 430 < int(flipped.sum()) < 570


def test_draws_depend_on_seed_and_step_and_not_on_neighbours() -> None:
    images = torch.randn(1, 40, 2, 5, 5)
    stack = augmented(images.expand(3, -1, -1, -1, -1), [1, 2, 1], 4, BOTH)
    assert torch.equal(stack[0], stack[2])
    assert not torch.equal(stack[0], stack[1])
    assert torch.equal(augmented(images, [2], 4, BOTH)[0], stack[1])
    assert not torch.equal(augmented(images, [2], 5, BOTH)[0], stack[1])


def test_a_task_augments_what_it_trains_on() -> None:
    data = image_data()
    plain = ImageClassification(data, 5).batches([0, 1])(3)
    task = ImageClassification(data, 5, BOTH)
    images, labels = task.batches([0, 1])(3)
    assert torch.equal(labels, plain[1])
    assert images.shape == plain[0].shape
    assert not torch.equal(images, plain[0])
    now, device = torch.tensor(3, dtype=torch.int32), images.device
    seeds, sites = seeds_tensor([0, 1], device), augmentation_sites(device)
    assert torch.equal(images, augment(plain[0], seeds, sites, now, BOTH, data.black))


def test_black_is_a_value_per_channel() -> None:
    images = torch.full((1, 200, 3, 2, 2), 9.0)
    black = torch.tensor([-1.0, -2.0, -3.0])
    now, device = torch.tensor(0, dtype=torch.int32), torch.device("cpu")
    sites, seeds = augmentation_sites(device), seeds_tensor([0], device)
    how = Augmentation(crop_padding=2)
    cropped = augment(images, seeds, sites, now, how, black)
    for channel, value in enumerate(black.tolist()):
        assert set(cropped[:, :, channel].flatten().tolist()) == {9.0, value}


def test_a_square_is_cut_out_around_any_pixel() -> None:
    # A square of 2 x 2 in 3 x 3 pixels: its centre is the lower right pixel of the square.
    rows = [[0], [0, 1], [1, 2]]
    versions = []
    for down in rows:
        for right in rows:
            image = torch.ones(3, 3)
            for row in down:
                image[row, right] = 0.0
            versions.append(image)
    seen = [0] * 9
    for one in augmented(torch.ones(1, 900, 1, 3, 3), [5], 2, Augmentation(cutout=2))[0, :, 0]:
        seen[next(i for i, version in enumerate(versions) if torch.equal(one, version))] += 1
    # 100 each, with a standard deviation below 10.
    assert min(seen) > 60
    assert max(seen) < 140


@given(
    st.integers(-(2**31), 2**31 - 1),
    st.integers(0, 2**31 - 1),
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(1, 6),
)
def test_what_is_cut_out_is_one_rectangle_in_every_channel(
    seed: int, step: int, side: int, height: int, width: int
) -> None:
    images = torch.ones(1, 4, 2, height, width)
    cut = augmented(images, [seed], step, Augmentation(cutout=side))
    assert torch.equal(images, torch.ones_like(images))
    for image in cut[0]:
        assert torch.equal(image[0], image[1])
        hole = image[0] == 0.0
        rows, columns = hole.any(1), hole.any(0)
        assert torch.equal(hole, rows[:, None] & columns)
        for line in (rows, columns):
            # A centre on a pixel keeps at least half of the side within.
            places = line.nonzero().flatten().tolist()
            assert places == list(range(places[0], places[-1] + 1))
            assert min((side + 1) // 2, len(line)) <= len(places) <= side


@given(st.integers(0, 1000), SMALL, st.booleans(), SMALL, st.integers(0, 3))
def test_any_augmentation_is_a_function_of_seed_and_step(
    step: int, padding: int, flip: bool, cutout: int, before: int
) -> None:
    how = Augmentation(crop_padding=padding, flip=flip, cutout=cutout)
    images = torch.arange(1.0, 97.0).view(1, 4, 2, 3, 4)
    stack = augmented(images.expand(3, -1, -1, -1, -1), [7, 7 + before, 9], step, how)
    assert torch.equal(stack[0], augmented(images, [7], step, how)[0])
    assert stack.shape == (3, 4, 2, 3, 4)
    # What is there was there before, is black, or is cut out.
    for image, original in zip(stack[0], images[0], strict=True):
        assert set(image.flatten().tolist()) <= {*original.flatten().tolist(), BLACK, 0.0}
    if how == Augmentation():
        assert torch.equal(stack[1], images[0])


def test_cutting_out_leaves_the_draws_of_crops_and_flips_alone() -> None:
    images = torch.rand(2, 50, 1, 5, 5) + 1.0
    plain = augmented(images, [1, 2], 3, BOTH)
    cut = augmented(images, [1, 2], 3, Augmentation(crop_padding=1, flip=True, cutout=3))
    assert torch.equal(torch.where(cut == 0.0, 0.0, plain), cut)
    assert not torch.equal(cut, plain)
