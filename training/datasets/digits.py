"""scikit-learn's handwritten digits, which need no files."""

from __future__ import annotations

import numpy as np
import torch

from training.datasets.raw_images import RawImages, RawSplit
from training.noise import generator


def read_digits() -> RawImages:
    """scikit-learn's handwritten digits: 1,797 images of 8 x 8 with values 0 to 16, embedded.

    A fixed permutation puts 500 of them into the test split.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images, labels = bunch.images.astype(np.uint8)[:, None], bunch.target.astype(np.int64)
    order = torch.randperm(len(labels), generator=generator(0, "digits split")).numpy()
    test, train = (
        RawSplit(images=images[part], labels=labels[part]) for part in (order[:500], order[500:])
    )
    return RawImages(name="digits", train=train, test=test, classes=10, white=16.0)
