"""The hand-designed networks for images, each with its source; torch-free."""

from __future__ import annotations

from nas.catalog.entry import CIFAR_10, MNIST, Builder, PublishedResult, network_entry
from nas.catalog.sizes import Count, Counts, Size, depth

LTH = "Frankle & Carbin 2019, arXiv 1803.03635, figure 2"
LMC = "Frankle et al. 2020, arXiv 1912.05671, table 1"
HE = "He et al. 2016, arXiv 1512.03385"
VGG = f"Simonyan & Zisserman 2015, arXiv 1409.1556, table 1; for CIFAR as {LTH}"

CONVOLUTIONS = Builder("nas.convolutional.vgg", "ConvN")
RESNET_20: dict[str, Size] = {"depth": depth(20), "width": Count(16)}


def _resnet(shortcut: str, initialisation: str) -> Builder:
    options = {"shortcut": shortcut, "initialisation": initialisation}
    return Builder("nas.convolutional.resnet", "ResNet", options)


def _vgg(layers: int) -> Builder:
    return Builder("nas.convolutional.vgg", "VGG", {"depth": layers})


def _weights(value: str, source: str = LTH) -> PublishedResult:
    return PublishedResult(what="weights", value=value, source=source)


def _accuracy(value: str, source: str) -> PublishedResult:
    return PublishedResult(what="CIFAR-10 test accuracy", value=value, source=source)


def _error(value: str, source: str) -> PublishedResult:
    return PublishedResult(what="CIFAR-10 test error", value=value, source=source)


DESIGNED = (
    network_entry(
        "lenet-300-100",
        "fully connected layers of any widths",
        f"LeCun et al. 1998, section III.C.2; {LTH}",
        MNIST,
        Builder("nas.convolutional.lenet", "LeNet"),
        {"widths": Counts((300, 100))},
        _weights("266 K"),
        PublishedResult(what="MNIST test accuracy", value="98.3 ± 0.1 %", source=LMC),
    ),
    network_entry(
        "lenet-5",
        "two convolutions with pooling and three fully connected layers",
        "LeCun et al. 1998, section II.B and figure 2",
        MNIST,
        Builder("nas.convolutional.lenet", "LeNet5"),
        {"channels": Counts((6, 16)), "widths": Counts((120, 84))},
        PublishedResult(
            what="trained parameters, with a partly connected second convolution",
            value="60,000",
            source="LeCun et al. 1998, section II.B",
        ),
        PublishedResult(
            what="MNIST test error without distortions",
            value="0.95 %",
            source="LeCun et al. 1998, section III.B",
        ),
    ),
    network_entry(
        "conv-2",
        "two convolutions and three fully connected layers",
        LTH,
        CIFAR_10,
        CONVOLUTIONS,
        {"blocks": Counts((64,)), "widths": Counts((256, 256))},
        _weights("4.3 M, of which 38 K in convolutions"),
    ),
    network_entry(
        "conv-4",
        "four convolutions and three fully connected layers",
        LTH,
        CIFAR_10,
        CONVOLUTIONS,
        {"blocks": Counts((64, 128)), "widths": Counts((256, 256))},
        _weights("2.4 M, of which 260 K in convolutions"),
    ),
    network_entry(
        "conv-6",
        "six convolutions and three fully connected layers",
        f"{LTH}; its layers have 2.3 M weights, though it says 1.7 M",
        CIFAR_10,
        CONVOLUTIONS,
        {"blocks": Counts((64, 128, 256)), "widths": Counts((256, 256))},
        _weights("1.7 M, of which 1.1 M in convolutions"),
    ),
    network_entry(
        "resnet",
        "residual network of depth 6n + 2, shortcuts of 1x1 convolutions, He initialisation",
        f"{HE}, sections 4.1 (option B) and 4.2; as ResNet-20 in {LMC}",
        CIFAR_10,
        _resnet("projected", "he"),
        RESNET_20,
        _accuracy("91.7 ± 0.1 % (depth 20)", LMC),
        _weights("274 K (depth 20, running averages of batch norm among them)"),
    ),
    network_entry(
        "resnet-glorot",
        "the same network with Gaussian Glorot initialisation",
        f"{LTH}, where it is called Resnet-18 and has 20 layers",
        CIFAR_10,
        _resnet("projected", "glorot"),
        RESNET_20,
        _weights("274 K (running averages of batch norm among them), 270 K in convolutions"),
    ),
    network_entry(
        "resnet-padded",
        "residual network of depth 6n + 2, shortcuts without weights, He initialisation",
        f"{HE}, section 4.2 (option A)",
        CIFAR_10,
        _resnet("padded", "he"),
        RESNET_20,
        *(
            _error(f"{error} % (depth {layers}, {weights} M parameters)", f"{HE}, table 6")
            for layers, weights, error in (
                (20, "0.27", "8.75"),
                (32, "0.46", "7.51"),
                (44, "0.66", "7.17"),
                (56, "0.85", "6.97"),
                (110, "1.7", "6.43"),
            )
        ),
    ),
    network_entry(
        "vgg-11",
        "8 convolutions in five stages, batch norm",
        VGG,
        CIFAR_10,
        _vgg(11),
        {"width": Count(64)},
    ),
    network_entry(
        "vgg-13",
        "10 convolutions in five stages, batch norm",
        VGG,
        CIFAR_10,
        _vgg(13),
        {"width": Count(64)},
    ),
    network_entry(
        "vgg-16",
        "13 convolutions in five stages, batch norm",
        VGG,
        CIFAR_10,
        _vgg(16),
        {"width": Count(64)},
        _accuracy("93.7 %", LMC),
    ),
    network_entry(
        "vgg-19",
        "16 convolutions in five stages, batch norm",
        VGG,
        CIFAR_10,
        _vgg(19),
        {"width": Count(64)},
        _weights("20.0 M"),
    ),
)
