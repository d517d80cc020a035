"""Second derivatives and flows, against torch's own and by hand, and every criterion with every scope and schedule."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.functional import hvp
from torch.func import functional_call

from lottery.checks import check
from lottery.experiments import Experiment, NetworkConfig
from lottery.pruning.config import PruningConfig
from lottery.pruning.criteria import CRITERIA
from lottery.pruning.gradients import (
    TEMPERATURE,
    flow_gradients,
    hessian_gradients,
)
from lottery.pruning.masks import kept, stack_tensors, tensors_of
from lottery.pruning.schedules import SCHEDULES
from lottery.pruning.scopes import SCOPES
from lottery.session import Session
from lottery.tickets import pruned_masks, trained_weights
from nas.catalog.building import build
from tests.tiny_runs import TINY, TINY_TEXT, dense_run, session, text
from tests.tiny_tasks import config, image_task
from training.batching import Batching
from training.errors import LotteryError
from training.noise import generator
from training.replicates import Replicates

SEEDS = (0, 5)
SIZES: dict[str, dict[str, object]] = {
    "lenet-300-100": {"widths": [8, 6]},
    "conv-2": {"blocks": [3], "widths": [5]},
    "resnet": {"depth": 8, "width": 2},
}


def plain(name: str, seed: int) -> nn.Module:
    network = build(name, SIZES[name], image_task().spec, generator(seed, "initial weights"))
    for parameter in network.parameters():
        # No bias is 0.
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator(seed, "moved"))
    return network


def by_torch(network: nn.Module, seed: int, batches: int, of: Sequence[str]) -> dict[str, Tensor]:
    """The Hessian of the mean softened loss times its gradient, by torch.autograd.functional, in double precision."""
    network.train().double()
    parameters = dict(network.named_parameters())
    draw = image_task().batches([seed])

    def loss(*own: Tensor) -> Tensor:
        total = torch.zeros((), dtype=torch.float64)
        for step in range(batches):
            images, labels = (tensor[0] for tensor in draw(step))
            changed = parameters | dict(zip(of, own, strict=True))
            logits = functional_call(network, changed, images.double())
            total = total + nn.functional.cross_entropy(logits / TEMPERATURE, labels)
        return total / batches

    inputs = tuple(parameters[name].detach().requires_grad_() for name in of)
    _, found = hvp(loss, inputs, torch.autograd.grad(loss(*inputs), inputs))
    return dict(zip(of, found, strict=True))


@pytest.mark.parametrize("batches", [1, 3])
@pytest.mark.parametrize("batching", ["stacked", "looped"])
@pytest.mark.parametrize("name", sorted(SIZES))
def test_second_derivatives_are_those_of_torch(name: str, batching: Batching, batches: int) -> None:
    networks = [plain(name, seed) for seed in SEEDS]
    weights = stack_tensors(tensors_of(network) for network in networks)
    replicates, names = Replicates(networks, SEEDS, batching), [*weights][:3:2]
    found = hessian_gradients(replicates, image_task(), config(), weights, batches, names)
    assert [*found] == names
    for r, (network, seed) in enumerate(zip(networks, SEEDS, strict=True)):
        expected = by_torch(network, seed, batches, names)
        for key, one in expected.items():
            scale = float(one.abs().max())
            torch.testing.assert_close(found[key][r].double(), one, rtol=1e-3, atol=1e-4 * scale)
            assert scale > 0


def test_the_flow_through_a_perceptron_by_hand() -> None:
    """R = sum over paths of |w|, from an input of ones; biases start paths of their own."""
    networks = [plain("lenet-300-100", seed) for seed in SEEDS]
    weights = stack_tensors(tensors_of(network) for network in networks)
    double = [network.double() for network in networks]
    for batching in ("stacked", "looped"):
        found = flow_gradients(
            Replicates(double, SEEDS, "stacked" if batching == "stacked" else "looped"),
            image_task(),
            weights,
        )
        for r in range(2):
            a, p, b, q, c = (
                weights[f"{layer}.{kind}"][r].abs().double()
                for layer, kind in (
                    ("layers.0", "weight"),
                    ("layers.0", "bias"),
                    ("layers.1", "weight"),
                    ("layers.1", "bias"),
                    ("layers.2", "weight"),
                )
            )
            hidden = a.sum(1) + p
            upper = b @ hidden + q
            after = c.sum(0)
            torch.testing.assert_close(found["layers.2.weight"][r], upper.expand(len(c), -1))
            torch.testing.assert_close(found["layers.1.weight"][r], after[:, None] * hidden)
            into = (after @ b)[:, None].expand(a.shape)
            torch.testing.assert_close(found["layers.0.weight"][r], into)


# Whatever can be combined, is


CONVOLUTIONAL = dataclasses.replace(
    TINY, arms=(), network=NetworkConfig(name="conv-2", size={"blocks": (3,), "widths": (5,)})
)


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A run that has finished its level 0."""
    return dense_run(CONVOLUTIONAL, tmp_path_factory.mktemp("dense") / "run")


def combined(criterion: str, scope: str, schedule: str) -> Experiment:
    densities = () if schedule == "geometric" else (0.5, 0.4)
    pruning = PruningConfig(
        criterion=criterion, scope=scope, schedule=schedule, densities=densities, rate=0.5
    )
    return dataclasses.replace(CONVOLUTIONAL, pruning=pruning)


@pytest.mark.parametrize("criterion", sorted(CRITERIA))
def test_every_scope_and_schedule_goes_with_a_criterion(
    criterion: str, dense: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    fewer = dataclasses.replace(CRITERIA[criterion], rounds=min(5, CRITERIA[criterion].rounds))
    monkeypatch.setitem(CRITERIA, criterion, fewer)
    for scope, schedule in product(SCOPES, SCHEDULES):
        one = dataclasses.replace(dense, experiment=combined(criterion, scope, schedule))
        try:
            check(one)
        except LotteryError as error:
            # Linear layers hold most of this network's weights.
            assert scope.startswith("smart-ratio") and "A smart ratio can't keep" in str(error)
            continue
        masks = pruned_masks(one, 1, trained_weights(one, 0))
        counts = {kept(mask) for mask in masks.values()}
        assert len(counts) == 1
        shape = {name: tuple(m.shape) for name, m in next(iter(masks.values())).items()}
        total = sum(int(torch.Size(one).numel()) for one in shape.values())
        first = int(torch.Size(next(iter(shape.values()))).numel())
        whole = first / 2 if scope == "uniform" else 0
        assert counts.pop() == pytest.approx(total / 2 + whole, abs=len(shape))


def test_a_smart_ratio_of_a_network_that_has_room_for_it(dense: Session) -> None:
    pruning = PruningConfig(
        criterion="snip", scope="smart-ratio", schedule="one-shot", densities=(0.35, 0.32)
    )
    one = dataclasses.replace(dense, experiment=dataclasses.replace(CONVOLUTIONAL, pruning=pruning))
    check(one)
    for mask in pruned_masks(one, 1, trained_weights(one, 0)).values():
        shares = [float(m.float().mean()) for m in mask.values()]
        assert shares[-2:] == pytest.approx([0.3, 0.3], abs=0.05)
        assert min(shares[:-2]) > 0.3


@pytest.mark.parametrize("criterion", ["grasp", "synflow"])
def test_what_is_for_images_alone_is_refused_for_text(criterion: str) -> None:
    pruning = dataclasses.replace(TINY_TEXT.pruning, criterion=criterion)
    experiment = dataclasses.replace(TINY_TEXT, pruning=pruning)
    with pytest.raises(LotteryError, match=f"{criterion} can't score awd-lstm on this data: "):
        check(session(experiment, task=text()))


@pytest.mark.parametrize("criterion", ["snip", "gradient", "gradient-times-weight"])
def test_gradients_on_text(criterion: str, tmp_path: Path) -> None:
    pruning = dataclasses.replace(TINY_TEXT.pruning, criterion=criterion)
    experiment = dataclasses.replace(TINY_TEXT, arms=(), levels=1, pruning=pruning)
    check(session(experiment, task=text()))
