"""The auxiliary classifier, which gives the middle of a deep network a gradient of its own."""

from __future__ import annotations

from torch import Tensor, nn

# Width of the two convolutions and side of the pool, in melodyguan/enas (`micro_child.py`),
# renqianluo/NAO_pytorch (`AuxHeadCIFAR`) and quark0/darts (`AuxiliaryHeadCIFAR`) alike.
_NARROW, _WIDE = 128, 768
_POOL, _STRIDE = 5, 3


class AuxiliaryHead(nn.Module):
    """ReLU, mean of 5x5 pixels at stride 3, two convolutions, linear classifier.

    The first convolution is 1x1, to 128 channels; the second, to 768, covers the whole map that is
    left, 2 x 2 where the features are 8 x 8. Both are followed by batch norm and ReLU. A map with
    fewer than 5 rows or columns is averaged over all of them, so every size is possible.

    The head is thrown away after training. The release of ENAS excludes its weights from what it
    trains, so there it stays at its initial values; here, as in NAO and DARTS, it is trained.

    Args:
        channels: of the features.
        size: height and width of the features.
        classes: how many logits there are.
        bias: whether the classifier has one; not in ENAS.
    """

    def __init__(self, channels: int, size: tuple[int, int], classes: int, bias: bool) -> None:
        super().__init__()
        window = (min(_POOL, size[0]), min(_POOL, size[1]))
        left = [(length - side) // _STRIDE + 1 for length, side in zip(size, window, strict=True)]
        self.features = nn.Sequential(
            nn.ReLU(),
            nn.AvgPool2d(window, stride=_STRIDE),
            nn.Conv2d(channels, _NARROW, 1, bias=False),
            nn.BatchNorm2d(_NARROW),
            nn.ReLU(),
            nn.Conv2d(_NARROW, _WIDE, (left[0], left[1]), bias=False),
            nn.BatchNorm2d(_WIDE),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(_WIDE, classes, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """The logits `[B, classes]` of features `[B, C, H, W]`."""
        logits: Tensor = self.classifier(self.features(x).flatten(1))
        return logits


def counted_parameters(network: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that a network is counted and pruned by; a tied one stands once.

    Those of an auxiliary head, which only helps while the network trains, are none of them.
    """
    heads = [module for module in network.modules() if isinstance(module, AuxiliaryHead)]
    theirs = {id(parameter) for head in heads for parameter in head.parameters()}
    return {name: p for name, p in network.named_parameters() if id(p) not in theirs}
