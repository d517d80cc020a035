"""Random crops, flips and cut-out squares of a batch of images.

Per image, batched on the device, a function of (seed, step).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from training.noise import bernoulli, integers, keys, site_number

SITES = (
    "augmentation rows",
    "augmentation columns",
    "augmentation flip",
    "augmentation cutout rows",
    "augmentation cutout columns",
)


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What is done to training images.

    Attributes:
        crop_padding: pixels of black around an image before a crop of its own size is taken anywhere in it; 0 is off.
        flip: whether half of the images are mirrored left to right.
        cutout: pixels of the side of a square that is then cut out; 0 is off.
    """

    crop_padding: int = 0
    flip: bool = False
    cutout: int = 0


def augmentation_sites(device: torch.device) -> Tensor:
    """The numbers of the sites that draw, `[5]` int32."""
    return torch.tensor([site_number(s) for s in SITES], dtype=torch.int32, device=device)


def augment(
    images: Tensor,
    seeds: Tensor,
    sites: Tensor,
    step: Tensor,
    augmentation: Augmentation,
    black: Tensor,
) -> Tensor:
    """Crop and flip each image on its own (He et al. 2016, arXiv 1512.03385, section 4.2), then cut a square out.

    Args:
        images: `[R, B, C, H, W]`.
        seeds: `[R]` int32, of the replicates.
        sites: `[5]` int32, from `augmentation_sites`.
        step: int32 scalar, on the device.
        augmentation: what to do.
        black: the value of a black pixel, `[C]`.

    Returns:
        `[R, B, C, H, W]`.
    """
    drawn = keys(seeds, sites, step)
    if augmentation.crop_padding or augmentation.flip:
        images = _crop(images, drawn[:, :3], augmentation, black)
    if augmentation.cutout:
        images = _cut_out(images, drawn[:, 3:], augmentation.cutout)
    return images


def _crop(images: Tensor, drawn: Tensor, augmentation: Augmentation, black: Tensor) -> Tensor:
    """Crops of padded images, some of them mirrored; keys `[R, 3, 2]`."""
    count, batch, channels, height, width = images.shape
    device, pad = images.device, augmentation.crop_padding
    for_rows, for_columns, for_flip = drawn.unbind(1)
    rows = torch.arange(height, device=device) + integers(for_rows, (batch, 1), 2 * pad + 1)
    columns = torch.arange(width, device=device)
    if augmentation.flip:
        mirrored = bernoulli(for_flip, (batch, 1), 0.5)
        columns = torch.where(mirrored, width - 1 - columns, columns)
    columns = columns + integers(for_columns, (batch, 1), 2 * pad + 1)
    shape = (count, batch, channels, height + 2 * pad, width + 2 * pad)
    padded = black.to(images.dtype)[:, None, None].repeat(count, batch, 1, *shape[3:])
    padded[..., pad : pad + height, pad : pad + width] = images
    replicate = torch.arange(count, device=device)[:, None, None, None]
    image = torch.arange(batch, device=device)[:, None, None]
    cut = padded[replicate, image, :, rows[..., None], columns[..., None, :]]
    return cut.movedim(-1, 2)


def _cut_out(images: Tensor, drawn: Tensor, side: int) -> Tensor:
    """Set a square of each image to 0, which is the mean once images are normalised; keys `[R, 2, 2]`.

    DeVries & Taylor 2017 (arXiv 1708.04552, section 3.2): its centre is any pixel, so part of it may lie outside. Of an
    odd side all is cut out; of an even one the centre is the first pixel of the second half.
    """
    for_rows, for_columns = drawn.unbind(1)
    within = []
    for key, length in ((for_rows, images.shape[3]), (for_columns, images.shape[4])):
        first = integers(key, (images.shape[1], 1), length) - side // 2
        offset = torch.arange(length, device=images.device) - first
        within.append((offset >= 0) & (offset < side))
    hole = within[0][..., :, None] & within[1][..., None, :]
    return images.masked_fill(hole[:, :, None], 0.0)
