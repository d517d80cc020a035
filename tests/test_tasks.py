"""Tasks: data order, losses and metrics of images, and tasks by name, against plain loops."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.tiny_tasks import image_task as make_image_task
from tests.tiny_tasks import network, some_text, stack
from training.batching import Batching
from training.configs import DataConfig, OptimizerConfig, TrainingConfig
from training.datasets.images import ImageData, LabelledImages
from training.errors import LotteryError
from training.metrics import ACCURACY
from training.replicates import Replicates
from training.specs import ImageSpec, TextSpec
from training.steps import Steps
from training.tasks.catalog import load_task
from training.tasks.image_classification import ImageClassification
from training.tasks.language_modelling import LanguageModelling
from training.tasks.task import Task

CPU = torch.device("cpu")


def numbered_images(count: int, batch_size: int) -> ImageClassification:
    """Images of one pixel that holds their number; the label is the number too."""

    def split(first: int, length: int) -> LabelledImages:
        numbers = torch.arange(first, first + length)
        return LabelledImages(numbers.float().view(-1, 1, 1, 1), numbers % 3)

    data = ImageData(
        name="numbered",
        fingerprint="",
        spec=ImageSpec(channels=1, height=1, width=1, classes=3),
        train=split(0, count),
        validation=split(100, 4),
        test=split(200, 4),
        mean=(0.0,),
        deviation=(1.0,),
    )
    return ImageClassification(data, batch_size)


def numbers(task: Task, seed: int, steps: range) -> list[int]:
    """Which images a replicate sees."""
    batch = task.batches([seed])
    return [int(n) for step in steps for n in batch(step)[0].flatten().tolist()]


# --- images


@given(st.integers(-(2**31), 2**31 - 1), st.integers(0, 3))
def test_the_order_is_a_permutation_and_a_function_of_seed_and_epoch(seed: int, epoch: int) -> None:
    task = numbered_images(12, 4)
    steps = range(3 * epoch, 3 * epoch + 3)
    seen = numbers(task, seed, steps)
    assert sorted(seen) == list(range(12))
    assert numbers(task, seed, steps) == seen
    assert numbers(numbered_images(12, 4), seed, range(3 * epoch, 3 * epoch + 1)) == seen[:4]


def test_seeds_and_epochs_differ_in_their_order() -> None:
    task = numbered_images(12, 4)
    orders = {
        tuple(numbers(task, seed, range(3 * e, 3 * e + 3))) for seed in (0, 1) for e in (0, 1)
    }
    assert len(orders) == 4


def test_an_epoch_leaves_out_what_fills_no_batch() -> None:
    task = numbered_images(14, 4)
    assert task.steps_per_epoch == 3
    first, second = numbers(task, 0, range(3)), numbers(task, 0, range(3, 6))
    assert len(set(first)) == len(set(second)) == 12
    assert set(first) != set(second)


def test_replicates_of_equal_seeds_see_equal_batches(image_task: ImageClassification) -> None:
    batch = image_task.batches([7, 3, 7])
    for step in range(9):
        images, labels = batch(step)
        assert images.shape == (3, 6, 1, 8, 8)
        assert labels.shape == (3, 6)
        assert torch.equal(images[0], images[2])
        assert torch.equal(labels[0], labels[2])
        assert not torch.equal(images[0], images[1])
        alone = image_task.batches([3])(step)
        assert torch.equal(alone[0][0], images[1])


def test_images_keep_their_labels() -> None:
    images, labels = numbered_images(12, 4).batches([0, 1])(1)
    assert torch.equal(images.flatten(1).long() % 3, labels)


class Fixed(nn.Module):
    """Logits that depend on nothing but a weight."""

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, images: Tensor) -> Tensor:
        """The same row for each image."""
        return self.logits.expand(len(images), -1)


def test_accuracy_of_a_network_that_always_says_the_same() -> None:
    task = numbered_images(12, 4)
    # Validation labels are 100 to 103 modulo 3: 1, 2, 0, 1.
    replicates = Replicates([Fixed(0.0, 1.0, 0.0), Fixed(9.0, 0.0, 0.0)], [0, 1], "stacked").eval()
    assert isinstance(replicates, Replicates)
    scored = task.evaluate(replicates, "validation")
    assert task.metric is ACCURACY
    assert scored.scores.tolist() == [[1, 0, 0, 1], [0, 0, 1, 0]]
    assert scored.scores.dtype == torch.uint8
    assert scored.metric.tolist() == [50.0, 25.0]
    # The cross-entropies are log(e + 2) less the label's logit.
    total = torch.tensor([1.0, 0.0, 0.0]).exp().sum().log()
    assert float(scored.loss[0]) == pytest.approx(float(total) - 0.5)
    assert scored.loss.dtype == torch.float64


class Two(nn.Module):
    """A classifier, and while it trains an auxiliary one beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.first = Fixed(0.0, 1.0, 0.0)
        self.second = Fixed(2.0, 0.0, 0.0)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """One output, or two."""
        first: Tensor = self.first(images)
        return (first, self.second(images)) if self.training else first


@pytest.mark.parametrize("batching", ["stacked", "looped"])
def test_an_auxiliary_classifier_adds_its_loss_at_its_weight(batching: Batching) -> None:
    task = ImageClassification(numbered_images(12, 4).data, 4, auxiliary_weight=0.25)
    replicates = Replicates([Two(), Two()], [0, 1], batching)
    images, labels = task.batches([0, 1])(0)
    losses, _ = replicates(task.loss, (), images, labels)
    for r in range(2):
        first, second = (
            F.cross_entropy(torch.tensor([row] * 4), labels[r])
            for row in ([0.0, 1.0, 0.0], [2.0, 0.0, 0.0])
        )
        assert float(losses[r].detach()) == pytest.approx(float(first + 0.25 * second))
    replicates.eval()
    alone, _ = replicates(task.loss, (), images, labels)
    assert bool((alone < losses).all())
    assert task.evaluate(replicates, "validation").metric.tolist() == [50.0, 50.0]


def test_of_several_outputs_the_first_is_scored() -> None:
    task = numbered_images(12, 4)
    replicates = Replicates([Two()], [0], "looped").train()
    assert isinstance(replicates, Replicates)
    # The second would say class 0, which is right once in four.
    assert task.evaluate(replicates, "validation").metric.tolist() == [50.0]


def test_images_are_scored_as_a_plain_loop_scores_them(image_task: ImageClassification) -> None:
    replicates = stack("resnet", (0, 1))
    replicates.eval()
    for name, split in (("validation", image_task.data.validation), ("test", image_task.data.test)):
        scored = image_task.evaluate(replicates, name)
        for r, seed in enumerate((0, 1)):
            plain = network("resnet", seed).eval()
            with torch.no_grad():
                logits = plain(split.images)
            loss = F.cross_entropy(logits, split.labels)
            right = logits.argmax(1) == split.labels
            assert float(scored.loss[r]) == pytest.approx(float(loss), rel=1e-4)
            assert scored.scores[r].bool().tolist() == right.tolist()
            assert float(scored.metric[r]) == pytest.approx(100 * float(right.double().mean()))


def test_the_loss_of_images_is_the_mean_cross_entropy(image_task: ImageClassification) -> None:
    plain = network("lenet-300-100", 0).eval()
    images, labels = image_task.batches([0])(0)
    loss, carry = image_task.loss(plain, (), images[0], labels[0])
    torch.testing.assert_close(loss, F.cross_entropy(plain(images[0]), labels[0]))
    assert carry == ()


def test_unknown_splits_are_refused(
    image_task: ImageClassification, text_task: LanguageModelling
) -> None:
    with pytest.raises(KeyError):
        image_task.evaluate(stack("resnet", (0,)), "training")
    with pytest.raises(KeyError):
        text_task.evaluate(stack("enas-lm", (0,)), "training")


def test_the_example_is_one_image_or_one_window(
    image_task: ImageClassification, text_task: LanguageModelling
) -> None:
    shapes = []

    def note(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        shapes.append(tuple(given[0].shape))

    for task, name, count in ((image_task, "resnet", 1), (text_task, "enas-lm", 7)):
        run = network(name, 0).eval()
        run.register_forward_pre_hook(note)
        assert cast(Task, task).run_example(run) == count
    assert shapes == [(1, 1, 8, 8), (7, 1)]


# --- from configurations


def training(batch_size: int, **settings: Any) -> TrainingConfig:
    """Of which a task needs the batch size and its own settings."""
    return TrainingConfig(
        steps=Steps(iterations=1),
        batch_size=batch_size,
        eval_every=Steps(iterations=1),
        optimizer=OptimizerConfig(name="sgd", learning_rate=0.1),
        **settings,
    )


def test_tasks_are_loaded_by_name() -> None:
    weighted = training(64, auxiliary_weight=0.3)
    images = load_task(DataConfig(name="digits"), weighted, None, CPU)
    assert isinstance(images, ImageClassification)
    assert images.auxiliary_weight == 0.3
    assert images.steps_per_epoch == 1000 // 64
    assert images.data.description()["name"] == "digits"
    text = load_task(DataConfig(name="pydoc", options={"sequence": 20}), training(64), None, CPU)
    assert isinstance(text, LanguageModelling)
    assert text.sequence == 20
    assert isinstance(text.spec, TextSpec)


def test_rare_words_may_all_be_left_out() -> None:
    options = {"least_count": 10**6, "sequence": 20}
    task = load_task(DataConfig(name="pydoc", options=options), training(64), None, CPU)
    assert isinstance(task, LanguageModelling)
    assert task.data.words == ("<unk>", "<eos>")


@pytest.mark.parametrize("size", [27, 10**6])
def test_a_batch_larger_than_the_data_is_refused(size: int) -> None:
    images = make_image_task().data
    with pytest.raises(
        LotteryError, match=rf"training\.batch_size = {size} is more than the 26 tr"
    ):
        ImageClassification(images, size)
    with pytest.raises(LotteryError, match=r"training\.batch_size = 92 is more than the 92 train"):
        LanguageModelling(some_text(), 92, 7)


def test_a_missing_data_root_is_an_error_of_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOTTERY_DATA", raising=False)
    with pytest.raises(LotteryError, match="was not found"):
        load_task(DataConfig(name="mnist"), training(60), Path("nowhere"), CPU)
