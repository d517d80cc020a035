"""Random crops and flips of a batch of images: per image, batched on the device, a function of (seed, step)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from training.noise import bernoulli, integers, keys, site_number

SITES = ("augmentation rows", "augmentation columns", "augmentation flip")


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What is done to training images.

    Attributes:
        crop_padding: pixels of black around an image before a crop of its own size is taken anywhere in it; 0 is off.
        flip: whether half of the images are mirrored left to right.
    """

    crop_padding: int = 0
    flip: bool = False


def augmentation_sites(device: torch.device) -> Tensor:
    """The numbers of the places that draw, `[3]` int32."""
    return torch.tensor([site_number(s) for s in SITES], dtype=torch.int32, device=device)


def augment(
    images: Tensor,
    seeds: Tensor,
    sites: Tensor,
    step: Tensor,
    augmentation: Augmentation,
    black: float,
) -> Tensor:
    """Crop and flip each image on its own (He et al. 2016, arXiv 1512.03385, section 4.2).

    Args:
        images: `[R, B, C, H, W]`.
        seeds: `[R]` int32, of the replicates.
        sites: `[3]` int32, from `augmentation_sites`.
        step: int32 scalar, on the device.
        augmentation: what to do.
        black: the value of a black pixel.

    Returns:
        `[R, B, C, H, W]`.
    """
    count, batch, _, height, width = images.shape
    device, pad = images.device, augmentation.crop_padding
    for_rows, for_columns, for_flip = keys(seeds, sites, step).unbind(1)
    rows = torch.arange(height, device=device) + integers(for_rows, (batch, 1), 2 * pad + 1)
    columns = torch.arange(width, device=device)
    if augmentation.flip:
        mirrored = bernoulli(for_flip, (batch, 1), 0.5)
        columns = torch.where(mirrored, width - 1 - columns, columns)
    columns = columns + integers(for_columns, (batch, 1), 2 * pad + 1)
    padded = F.pad(images, (pad, pad, pad, pad), value=black)
    replicate = torch.arange(count, device=device)[:, None, None, None]
    image = torch.arange(batch, device=device)[:, None, None]
    cut = padded[replicate, image, :, rows[..., None], columns[..., None, :]]
    return cut.movedim(-1, 2)
