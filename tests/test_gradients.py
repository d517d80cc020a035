"""Mean gradients of the training loss, against torch.autograd on one network after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import nn

from lottery.pruning.gradients import mean_gradients
from lottery.pruning.masks import Tensors, apply_mask, stack_tensors, tensors_of
from nas.catalog.building import build
from tests.tiny_tasks import config, image_task, stack, task_for, text_task
from training.batching import Batching
from training.noise import generator
from training.replicates import Replicates
from training.tasks.task import Carry, Task

SEEDS = (0, 5)
# Without any dropout.
SIZES: dict[str, dict[str, object]] = {
    "lenet-300-100": {"widths": [8, 6]},
    "awd-lstm": {"embedding": 5, "hidden": 6, "layers": 1}
    | dict.fromkeys(
        (
            *("dropout_embedding", "dropout_input", "dropout_hidden", "dropout_output"),
            "dropconnect",
        ),
        0.0,
    ),
}


def plain(name: str, seed: int) -> nn.Module:
    return build(name, SIZES[name], task_for(name).spec, generator(seed, "initial weights"))


def by_hand(network: nn.Module, seed: int, task: Task, batches: int) -> Tensors:
    """The mean of the gradients of each batch's loss, of one network and one batch at a time."""
    network.train()
    carry: Carry = tuple(
        tensor[0] for tensor in task.first_carry(Replicates([network], [seed], "looped"))
    )
    draw, sums = task.batches([seed]), list[Tensors]()
    for step in range(batches):
        loss, carry = task.loss(network, carry, *(tensor[0] for tensor in draw(step)))
        names, parameters = zip(*network.named_parameters(), strict=True)
        sums.append(dict(zip(names, torch.autograd.grad(loss, parameters), strict=True)))
    return {name: torch.stack([one[name] for one in sums]).mean(0) for name in sums[0]}


@pytest.mark.parametrize("batching", ["stacked", "looped"])
@pytest.mark.parametrize("name", sorted(SIZES))
def test_they_are_the_mean_of_each_batchs_own(name: str, batching: Batching) -> None:
    task, networks = task_for(name), [plain(name, seed) for seed in SEEDS]
    weights = [tensors_of(network) for network in networks]
    expected = [by_hand(n, seed, task, 2) for n, seed in zip(networks, SEEDS, strict=True)]
    replicates = Replicates(networks, SEEDS, batching)
    found = mean_gradients(replicates, task, config(), stack_tensors(weights), 2)
    assert found.keys() == expected[0].keys()
    for key, gradient in found.items():
        assert gradient.shape == (2, *weights[0][key].shape)
        for r in range(2):
            torch.testing.assert_close(gradient[r], expected[r][key], rtol=1e-5, atol=1e-7)
            assert bool(gradient[r].any())
    # Other batches, other gradients; and of one network other ones than of the other.
    alone = mean_gradients(replicates, task, config(), stack_tensors(weights), 1)
    assert all(not torch.equal(alone[key], found[key]) for key in found)
    assert all(not torch.equal(gradient[0], gradient[1]) for gradient in found.values())


@pytest.mark.parametrize("batching", ["stacked", "looped"])
def test_pruned_weights_have_gradients_too(batching: Batching) -> None:
    """Those that would revive them, which criteria look at."""
    task, networks = image_task(), [plain("lenet-300-100", seed) for seed in SEEDS]
    whole = stack_tensors(tensors_of(network) for network in networks)
    mask = {"layers.0.weight": torch.rand(whole["layers.0.weight"].shape) < 0.5}
    sparse = apply_mask(mask, whole)
    found = mean_gradients(Replicates(networks, SEEDS, batching), task, config(), sparse, 2)
    assert bool(found["layers.0.weight"][~mask["layers.0.weight"]].any())
    again = mean_gradients(Replicates(networks, SEEDS, batching), task, config(), sparse, 2)
    assert all(torch.equal(found[name], again[name]) for name in found)


@pytest.mark.parametrize("name", ["lenet-300-100", "awd-lstm"])
def test_with_dropout_they_repeat_and_are_those_of_each_alone(name: str) -> None:
    """Dropout is drawn by each replicate's noise seed, and the text's state begins anew with each epoch."""
    task = task_for(name)
    batches = task.steps_per_epoch + 1

    def of(seeds: Sequence[int], batching: Batching) -> Tensors:
        replicates = stack(name, seeds, batching)
        weights = {n: t.clone() for n, t in replicates.tensors().items()}
        return mean_gradients(replicates, task, config(), weights, batches)

    looped, stacked = of(SEEDS, "looped"), of(SEEDS, "stacked")
    for r, seed in enumerate(SEEDS):
        alone = of([seed], "looped")
        assert all(torch.equal(alone[n][0], gradient[r]) for n, gradient in looped.items())
    for key, gradient in looped.items():
        torch.testing.assert_close(stacked[key], gradient, rtol=1e-3, atol=1e-5)


def test_a_parameter_that_the_loss_does_not_follow_from_has_a_gradient_of_0() -> None:
    def unused(seed: int) -> nn.Module:
        network = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
        network.register_parameter("idle", nn.Parameter(torch.ones(2, 3)))
        frozen = nn.Parameter(torch.full((2,), float(seed)), requires_grad=False)
        network.register_parameter("frozen", frozen)
        return network

    networks = [unused(seed) for seed in SEEDS]
    weights = stack_tensors(tensors_of(network) for network in networks)
    task = image_task()
    found = mean_gradients(Replicates(networks, SEEDS, "looped"), task, config(), weights, 2)
    assert found.keys() == {"idle", "1.weight", "1.bias"}
    assert torch.equal(found["idle"], torch.zeros(2, 2, 3))


@pytest.mark.parametrize("task", [image_task, text_task])
def test_they_are_of_the_batches_that_training_begins_with(task: Callable[[], Task]) -> None:
    """One batch's are what the first step of a training differentiates."""
    name = "lenet-300-100" if task is image_task else "awd-lstm"
    replicates = stack(name, SEEDS, "looped")
    weights = {n: t.clone() for n, t in replicates.tensors().items()}
    found = mean_gradients(replicates, task(), config(), weights, 1)
    one = task()
    replicates.train()
    replicates.advance(0)
    carry, batch = one.first_carry(replicates), one.batches(SEEDS)(0)
    loss, _ = replicates(one.loss, carry, *batch)
    loss.sum().backward()
    for key, leaves in replicates.leaves().items():
        grads = [leaf.grad for leaf in leaves if leaf.grad is not None]
        assert torch.equal(torch.stack(grads), found[key])
