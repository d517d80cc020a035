"""Crops and flips: worked answers, and draws that are a function of (seed, step)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.tiny_tasks import image_data
from training.augmentation import Augmentation, augment, augmentation_sites
from training.noise import seeds_tensor
from training.tasks.image_classification import ImageClassification

BOTH = Augmentation(crop_padding=1, flip=True)
BLACK = -1.0


def augmented(images: Tensor, seeds: list[int], step: int, how: Augmentation) -> Tensor:
    now = torch.tensor(step, dtype=torch.int32)
    device = images.device
    sites = augmentation_sites(device)
    return augment(images, seeds_tensor(seeds, device), sites, now, how, BLACK)


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
