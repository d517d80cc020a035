"""VGG networks for small images, and the Conv-2, Conv-4 and Conv-6 that are cut from them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from nas.convolutional.image_sizes import check_halvings
from nas.convolutional.initialisation import initialise
from nas.convolutional.lenet import Classifier
from training.specs import ImageSpec

# Convolutions in each of the five stages (Simonyan & Zisserman 2015, table 1, columns A, B, D, E).
STAGES = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}


class ConvN(nn.Module):
    """Blocks of two 3x3 convolutions and a 2x2 pooling, then linear layers (Frankle & Carbin 2019, figure 2).

    Every layer but the last has a bias and a ReLU. Weights are Gaussian Glorot, biases 0, as there. From the layers
    that the figure lists follow 4,301,642 (Conv-2), 2,425,930 (Conv-4) and 2,262,602 (Conv-6) parameters for CIFAR-10;
    of the last the figure says 1.7 M, but the rest of its row (1.1 M in convolutions) agrees.

    Args:
        spec: of the images.
        blocks: channels of each block: 64; 64 and 128; or 64, 128 and 256 in the paper.
        widths: of the hidden linear layers, 256 and 256 in the paper.

    Raises:
        LotteryError: the images are too small for so many poolings.
    """

    def __init__(self, spec: ImageSpec, *, blocks: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        check_halvings(spec, len(blocks), f"conv-{2 * len(blocks)}")
        self.features = nn.Sequential()
        inputs = spec.channels
        for channels in blocks:
            for source in (inputs, channels):
                self.features.append(nn.Conv2d(source, channels, 3, padding=1))
                self.features.append(nn.ReLU())
            self.features.append(nn.MaxPool2d(2))
            inputs = channels
        pixels = (spec.height >> len(blocks)) * (spec.width >> len(blocks))
        self.classifier = Classifier(inputs * pixels, widths, spec.classes)
        initialise(self, "glorot")

    def forward(self, images: Tensor) -> Tensor:
        """The logits `[B, classes]` of images `[B, C, H, W]`."""
        logits: Tensor = self.classifier(self.features(images))
        return logits


class VGG(nn.Module):
    """Five stages of 3x3 convolutions with batch norm and ReLU, a pooling between them, and one linear layer.

    The convolutions are those of Simonyan & Zisserman 2015, table 1. As pruning studies train them on CIFAR (Liu et
    al. 2019, arXiv 1810.05270; Frankle & Carbin 2019, figure 2), convolutions have no bias but a batch norm, the fifth
    pooling is a mean over all pixels that are left, which 32 x 32 images make 2 x 2, and one linear layer stands in
    place of three. Weights are Gaussian Glorot, biases 0 (Frankle & Carbin 2019, figure 2).

    Args:
        spec: of the images.
        depth: 11, 13, 16 or 19; convolutions and, of the original, three linear layers.
        width: channels of the first stage, 64 in the paper; the others have 2, 4, 8 and 8 times as many.

    Raises:
        LotteryError: the images are too small for four poolings.
    """

    def __init__(self, spec: ImageSpec, *, depth: int, width: int) -> None:
        super().__init__()
        check_halvings(spec, len(STAGES[depth]) - 1, f"vgg-{depth}")
        self.features = nn.Sequential()
        inputs = spec.channels
        for stage, convolutions in enumerate(STAGES[depth]):
            if stage > 0:
                self.features.append(nn.MaxPool2d(2))
            for _ in range(convolutions):
                channels = width * min(2**stage, 8)
                self.features.append(nn.Conv2d(inputs, channels, 3, padding=1, bias=False))
                self.features.append(nn.BatchNorm2d(channels))
                self.features.append(nn.ReLU())
                inputs = channels
        self.classifier = nn.Linear(inputs, spec.classes)
        initialise(self, "glorot")

    def forward(self, images: Tensor) -> Tensor:
        """The logits `[B, classes]` of images `[B, C, H, W]`."""
        features: Tensor = self.features(images)
        logits: Tensor = self.classifier(features.mean((2, 3)))
        return logits
