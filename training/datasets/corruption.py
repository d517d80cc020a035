"""Training images whose labels or pixels are corrupted, to find out what a mask owes to the data.

After Su et al. 2020 (arXiv 2009.11094, section 3), whose release permutes all values of an image, over channels too
(JingtongSu/sanity-checking-pruning, baseline.py).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from training.noise import generator

# Per cent of the training labels that are drawn anew, and whether each training image's pixels have an order of their
# own (1) or not (0).
CORRUPTION = {"random_labels": 0, "shuffled_pixels": 0}


def corruption_of(options: Mapping[str, int]) -> dict[str, int]:
    """What of a data set's options corrupts its training images; nothing where they are left as they are."""
    return {key: options[key] for key in CORRUPTION if options[key]}


def corrupted(
    images: Tensor,
    labels: Tensor,
    index: Tensor,
    count: int,
    classes: int,
    options: Mapping[str, int],
) -> tuple[Tensor, Tensor]:
    """The images and labels that are trained on, some labels drawn anew, and their pixels in other orders.

    What an image becomes does not depend on how many others are trained on; which labels are drawn anew is a matter of
    a fixed rank of each.

    Args:
        images: `[N, C, H, W]`; is changed in place, as a copy of a large data set would double what it takes.
        labels: `[N]`.
        index: which of the source's training images they are, `[N]`.
        count: how many training images the source has.
        classes: from which labels are drawn, each as likely as another, the right one too.
        options: of the data set.
    """
    if options["random_labels"]:
        rank = torch.randperm(count, generator=generator(0, "random labels"))[index]
        drawn = torch.randint(classes, (count,), generator=generator(0, "new labels"))[index]
        anew = rank.argsort()[: round(len(index) * options["random_labels"] / 100)]
        labels = labels.index_copy(0, anew, drawn[anew])
    if options["shuffled_pixels"]:
        for image, number in zip(images, index.tolist(), strict=True):
            values = image.flatten()
            order = torch.randperm(len(values), generator=generator(number, "shuffled pixels"))
            image.copy_(values[order].view(image.shape))
    return images, labels


def corruption_in_words(name: str, corruption: Mapping[str, int]) -> list[str]:
    """Sentences for whoever trains on corrupted data.

    >>> corruption_in_words("mnist", {"random_labels": 50})
    ['50 % of the labels of mnist that are trained on are drawn at random; those of validation and test are right.']
    """
    found = []
    if "random_labels" in corruption:
        found.append(
            f"{corruption['random_labels']} % of the labels of {name} that are trained on are drawn at random; those "
            "of validation and test are right."
        )
    if "shuffled_pixels" in corruption:
        found.append(
            f"The pixels of each image of {name} that is trained on stand in an order of its own; those of validation "
            "and test stand where they were."
        )
    return found
