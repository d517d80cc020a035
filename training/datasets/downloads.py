"""Fetching data sets through torchvision."""

from __future__ import annotations

from pathlib import Path

from training.errors import ExitCode, LotteryError, in_one_line

# Each data set's class of torchvision.
FETCHED = {
    "mnist": "MNIST",
    "fashion-mnist": "FashionMNIST",
    "kmnist": "KMNIST",
    "svhn": "SVHN",
    "cifar-10": "CIFAR10",
    "cifar-100": "CIFAR100",
}


def download(name: str, root: Path) -> None:
    """Fetch a data set's files into a data root, checked against the sums that torchvision publishes.

    Raises:
        LotteryError: there is no network, or the folder can't be written to.
    """
    from torchvision import datasets

    fetch = getattr(datasets, FETCHED[name])
    try:
        if name == "svhn":
            for split in ("train", "test"):
                fetch(str(root), split=split, download=True)
        else:
            fetch(str(root), download=True)
    except (OSError, RuntimeError) as error:
        raise LotteryError(
            f"{name} could not be fetched into {root} ({in_one_line(error)}); fetch its "
            "files elsewhere and put them where `lottery data` looks for them.",
            ExitCode.BAD_DATA,
        ) from None
