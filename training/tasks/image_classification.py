"""Image classification: cross-entropy and accuracy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from training.augmentation import Augmentation, augment, augmentation_sites
from training.configs import TrainingConfig
from training.datasets.data import Options
from training.datasets.images import ImageData
from training.errors import LotteryError
from training.losses import cross_entropy
from training.metrics import ACCURACY
from training.noise import generator, seeds_tensor, torch_seeded
from training.replicates import Replicates
from training.specs import ImageSpec
from training.tasks.image_rewards import ImageRewards
from training.tasks.outputs import classifiers
from training.tasks.settings import AUXILIARY_WEIGHT
from training.tasks.task import Batch, Carry, Evaluation, Loss, Network, Rewards, Task

_EVALUATION_BATCH = 2000
NO_AUGMENTATION = Augmentation()


class ImageClassification(Task):
    """Sort images into classes.

    Args:
        data: on the device where it is trained.
        batch_size: images per step; an epoch leaves out the images that don't fill a batch.
        augmentation: of the training images.
        auxiliary_weight: of the loss of each auxiliary classifier, where a network has one.
    """

    metric = ACCURACY
    data: ImageData
    spec: ImageSpec

    def __init__(
        self,
        data: ImageData,
        batch_size: int,
        augmentation: Augmentation = NO_AUGMENTATION,
        auxiliary_weight: float = AUXILIARY_WEIGHT,
    ) -> None:
        if batch_size > len(data.train):
            raise LotteryError(
                f"training.batch_size = {batch_size} is more than the {len(data.train):,} training "
                f"images of {data.name}; choose at most that many."
            )
        self.data = data
        self.spec = data.spec
        self.batch_size = batch_size
        self.augmentation = augmentation
        self.auxiliary_weight = auxiliary_weight
        self.device = data.train.labels.device
        self.steps_per_epoch = len(data.train) // batch_size

    def batches(self, seeds: Sequence[int]) -> Callable[[int], Batch]:
        """Images `[R, B, C, H, W]` and labels `[R, B]` of a step, gathered by index on the device."""
        orders: dict[int, Tensor] = {}
        images, labels = self.data.train.images, self.data.train.labels
        numbers, sites = seeds_tensor(seeds, self.device), augmentation_sites(self.device)
        now = torch.zeros((), dtype=torch.int32, device=self.device)
        black = self.data.black

        def batch(step: int) -> Batch:
            epoch, within = divmod(step, self.steps_per_epoch)
            if epoch not in orders:
                orders.clear()
                orders[epoch] = self._order(seeds, epoch)
            first = within * self.batch_size
            index = orders[epoch][:, first : first + self.batch_size]
            flat, shape = index.flatten(), index.shape
            chosen = images.index_select(0, flat).view(*shape, *images.shape[1:])
            if self.augmentation != NO_AUGMENTATION:
                now.fill_(step)
                chosen = augment(chosen, numbers, sites, now, self.augmentation, black)
            return chosen, labels.index_select(0, flat).view(shape)

        return batch

    def _order(self, seeds: Sequence[int], epoch: int) -> Tensor:
        """A permutation of the training images per replicate, `[R, N]`."""
        drawn = {
            seed: torch.randperm(len(self.data.train), generator=generator(seed, "order", epoch))
            for seed in set(seeds)
        }
        return torch.stack([drawn[seed] for seed in seeds]).to(self.device)

    def first_carry(self, replicates: Replicates, examples: int | None = None) -> Carry:
        """Nothing is carried between batches of images."""
        return ()

    def loss(self, network: Network, carry: Carry, *batch: Tensor) -> tuple[Tensor, Carry]:
        """The mean cross-entropy of images `[B, C, H, W]` with labels `[B]`.

        While it trains, a network may give (logits, auxiliary logits, ...): each auxiliary classifier's loss is added
        at its weight (Szegedy et al. 2015, arXiv 1409.4842, section 5).
        """
        images, labels = batch
        logits, *auxiliary = classifiers(network(images), images, self.spec.classes, training=True)
        loss = cross_entropy(logits, labels).mean()
        for others in auxiliary:
            loss = loss + self.auxiliary_weight * cross_entropy(others, labels).mean()
        return loss, carry

    def softened(self, temperature: float) -> Loss:
        """See `Task.softened`; auxiliary classifiers are softened too."""

        def loss(network: Network, carry: Carry, *batch: Tensor) -> tuple[Tensor, Carry]:
            def soft(images: Tensor) -> tuple[Tensor, ...]:
                logits = classifiers(network(images), images, self.spec.classes, training=True)
                return tuple(own / temperature for own in logits)

            return self.loss(soft, carry, *batch)

        return loss

    def flow(self, network: Network) -> Tensor:
        """See `Task.flow`: of one image of ones."""
        shape = (1, self.spec.channels, self.spec.height, self.spec.width)
        ones = torch.ones(shape, dtype=torch.float64, device=self.device)
        (logits,) = classifiers(network(ones), ones, self.spec.classes, training=False)
        return logits.sum()

    def score(self, network: Network, carry: Carry, *batch: Tensor) -> tuple[Tensor, Tensor]:
        """Per image: its cross-entropy, and whether the largest logit is its label's."""
        images, labels = batch
        (logits,) = classifiers(network(images), images, self.spec.classes, training=False)
        return cross_entropy(logits, labels), logits.argmax(-1) == labels

    @torch.no_grad()
    def evaluate(self, replicates: Replicates, split: str) -> Evaluation:
        """Loss, accuracy in percent, and which images are right."""
        part = self.data.splits()[split]
        losses, right = [], []
        pieces = zip(
            part.images.split(_EVALUATION_BATCH), part.labels.split(_EVALUATION_BATCH), strict=True
        )
        for images, labels in pieces:
            shared = (t.expand(len(replicates), *t.shape) for t in (images, labels))
            loss, hits = replicates(self.score, (), *shared)
            losses.append(loss)
            right.append(hits)
        loss, scores = torch.cat(losses, 1).double().cpu(), torch.cat(right, 1).cpu()
        return Evaluation(
            loss=loss.mean(1), metric=100.0 * scores.double().mean(1), scores=scores.to(torch.uint8)
        )

    def run_example(self, network: nn.Module) -> int:
        """One image `[1, C, H, W]`."""
        with torch_seeded(self.device, 0, 0):
            network(self.data.train.images[:1])
        return 1

    def check_evaluated(self, network: nn.Module) -> None:
        """One image by itself, as the last one of a split can be, and three."""
        for count in (1, 3):
            images = self.data.train.images[:count]
            classifiers(network(images), images, self.spec.classes, training=False)

    def rewards(self, seed: int, constant: float, size: int | None = None) -> Rewards:
        """See `Task.rewards`: the share of images that are right."""
        return ImageRewards(self.data.validation, seed, size or self.batch_size)


def image_classification(
    data: ImageData, options: Options, training: TrainingConfig
) -> ImageClassification:
    """The task of a data set of images, with the augmentation that its options ask for."""
    augmentation = Augmentation(
        crop_padding=options["crop_padding"],
        flip=options["flip"] > 0,
        cutout=options["cutout"],
    )
    return ImageClassification(data, training.batch_size, augmentation, training.auxiliary_weight)
