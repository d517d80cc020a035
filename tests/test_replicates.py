"""Replicates: each is what it would be alone, stacked or looped."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from tests.tiny_tasks import (
    ADAM,
    config,
    half_masks,
    network,
    stack,
    task_for,
    trained,
    zero_pruned,
)
from training.batching import DEFAULTS, Batching, BatchingDefaults, default_batching
from training.configs import OptimizerConfig
from training.dropout import Dropout, DropPath, drop_paths, set_noise
from training.replicates import Replicates
from training.specs import ImageSpec, TextSpec
from training.state import TrainingState
from training.tasks.task import Evaluation, Network, Task

SEEDS = (3, 1, 4, 15, 9)
NETWORKS = ("lenet-300-100", "resnet", "enas-micro", "awd-lstm", "enas-lm")
# Six steps of SGD in fp32: products of other shapes are summed in another order, so results differ
# in the last bits, 6e-8 of each; what is allowed is some hundred times that.
TOLERANCE = 2e-5
SGD = OptimizerConfig(name="sgd", learning_rate=0.1, momentum=0.9, clip_norm=1.0)


def assert_near(mine: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    assert mine.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(mine[name], tensor, rtol=TOLERANCE, atol=TOLERANCE)


def rows(replicates: Replicates, r: int) -> dict[str, Tensor]:
    return {name: tensor[r : r + 1] for name, tensor in replicates.tensors().items()}


def after_training(name: str, seeds: tuple[int, ...], batching: Batching = "stacked") -> Replicates:
    """A stack of the tiny task after six steps with dropout on."""
    replicates = stack(name, seeds, batching)
    trained(replicates, task_for(name), config(optimizer=SGD))
    return replicates


@pytest.mark.parametrize("name", NETWORKS)
def test_a_replicate_of_five_is_the_one_that_is_trained_alone(name: str) -> None:
    five = after_training(name, SEEDS)
    before = stack(name, [SEEDS[3]]).tensors()
    alone = after_training(name, (SEEDS[3],))
    moved = [bool((t != before[n]).any()) for n, t in alone.tensors().items()]
    assert sum(moved) > len(moved) / 2
    assert_near(rows(five, 3), alone.tensors())


@pytest.mark.parametrize(
    ("name", "optimizer"), [("resnet", SGD), ("awd-lstm", SGD), ("lenet-300-100", ADAM)]
)
def test_looped_a_replicate_is_itself_alone_bit_for_bit(
    name: str, optimizer: OptimizerConfig
) -> None:
    task = task_for(name)
    how = config(5, 2, dataclasses.replace(optimizer, weight_decay=1e-3))
    seeds = (3, 1, 4)

    def run(*which: int) -> tuple[Replicates, TrainingState, Evaluation]:
        replicates = stack(name, [seeds[r] for r in which], "looped")
        masks = {key: mask[[*which]] for key, mask in half_masks(stack(name, seeds)).items()}
        zero_pruned(replicates, masks)
        state = trained(replicates, task, how, masks)
        return replicates, state, task.evaluate(replicates.eval(), "test")

    three, state, scored = run(0, 1, 2)
    for r in (0, 2):
        alone, its_state, its_score = run(r)
        assert all(torch.equal(t[0], three.tensors()[n][r]) for n, t in alone.tensors().items())
        assert [one.loss[0] for one in its_state.validations] == [
            one.loss[r] for one in state.validations
        ]
        assert torch.equal(its_score.scores[0], scored.scores[r])
        assert torch.equal(its_score.loss[0], scored.loss[r])


@pytest.mark.parametrize("shape", [(3, 1, 3, 3), (1, 3, 3, 3), (4, 5, 1, 1), (7,), (5, 3), ()])
def test_looped_the_rows_of_any_stack_lie_alike_and_aligned(shape: tuple[int, ...]) -> None:
    class One(nn.Module):
        """A parameter and a buffer."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(shape))
            self.register_buffer("held", torch.zeros(shape))

    networks = [One() for _ in range(3)]
    strides = set()
    for count in (1, 2, 3):
        replicates = Replicates(networks[:count], range(count), "looped")
        for r, own in enumerate(replicates.networks):
            for name, tensor in [*own.named_parameters(), *own.named_buffers()]:
                assert tensor.data_ptr() % 64 == 0
                assert tensor.data_ptr() == replicates.tensors()[name][r].data_ptr()
                assert torch.equal(tensor, dict(networks[r].state_dict())[name])
                strides.add(tensor.stride())
    assert len(strides) == 1


def test_looped_what_a_replicate_is_given_begins_aligned() -> None:
    replicates = Replicates([nn.Linear(3, 2)] * 3, range(3), "looped")
    given: list[Tensor] = []

    def kept(network: Network, first: Tensor, others: tuple[Tensor, Tensor]) -> Tensor:
        given.extend((first, *others))
        out: Tensor = network(first)
        return out

    # None of its rows but the first begins at a multiple of 64 bytes, and no part of it.
    batch = torch.randn(3, 5, 3)
    parts = batch.narrow(1, 1, 3), batch.narrow(1, 4, 1)
    replicates(kept, batch, parts)
    assert [x.data_ptr() % 64 for x in given] == [0] * 9
    for x, row in zip(given, [t[r] for r in range(3) for t in (batch, *parts)], strict=True):
        assert torch.equal(x, row)


def test_looped_every_replicate_is_a_module_of_its_own() -> None:
    class Counting(nn.Module):
        """Counts its calls, and adds the count."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))
            self.calls = 0

        def forward(self, x: Tensor) -> Tensor:
            """The input and the count."""
            self.calls += 1
            return x + self.weight + self.calls

    replicates = Replicates([Counting(), Counting()], [0, 1], "looped")
    for call in (1, 2):
        out = replicates(lambda network, x: network(x), torch.zeros(2, 1))
        assert out.tolist() == [[call], [call]]


@pytest.mark.parametrize("batching", ["stacked", "looped"])
def test_tensors_and_modules_stay_together_after_a_change_of_type(batching: Batching) -> None:
    replicates = Replicates([nn.Linear(2, 3), nn.Linear(2, 3)], [0, 1], batching).double()
    replicates.load({n: torch.full_like(t, 2.0) for n, t in replicates.tensors().items()})
    assert all(t.dtype == torch.float64 for t in replicates.tensors().values())
    assert all(bool((p == 2).all()) for p in replicates.parameters())


def test_replicates_differ_from_one_another() -> None:
    five = after_training("lenet-300-100", SEEDS)
    weight = next(iter(five.tensors().values()))
    assert len({tuple(row.flatten().tolist()) for row in weight}) == 5


def test_one_replicate_is_a_plain_loop_of_torch() -> None:
    """The same steps with a module, autograd and SGD of torch alone."""
    task = task_for("lenet-300-100")
    plain = network("lenet-300-100", seed=3)
    optimizer = torch.optim.SGD(plain.parameters(), 0.1, momentum=0.9)
    batch = task.batches([3])
    for step in range(6):
        images, labels = batch(step)
        set_noise(plain, seed=3, step=step)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(plain(images[0]), labels[0])
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        optimizer.step()
    mine = after_training("lenet-300-100", (3,))
    assert_near({n: t[0] for n, t in mine.tensors().items()}, plain.state_dict())


def test_running_values_are_kept_per_replicate() -> None:
    task = task_for("resnet")
    replicates = after_training("resnet", SEEDS[:2])
    held = replicates.tensors()
    counts = [t for n, t in held.items() if n.endswith("num_batches_tracked")]
    assert counts
    assert all(t.tolist() == [6, 6] for t in counts)
    means = next(t for n, t in held.items() if n.endswith("running_mean"))
    assert not torch.equal(means[0], means[1])
    before = {n: t.clone() for n, t in held.items()}
    replicates.eval()
    task.evaluate(replicates, "validation")
    assert all(torch.equal(t, before[n]) for n, t in replicates.tensors().items())


def test_tied_weights_stay_tied() -> None:
    replicates = after_training("awd-lstm", SEEDS[:2])
    inner = replicates.network
    assert [n for n, _ in replicates.weights().items() if "embedding" in n] == ["embedding.weight"]

    class Tied(nn.Module):
        """Two linear layers with one weight."""

        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(3, 3)
            self.second = nn.Linear(3, 3)
            self.second.weight = self.first.weight

        def forward(self, x: Tensor) -> Tensor:
            """Through both."""
            out: Tensor = self.second(self.first(x))
            return out

    tied = Replicates([Tied(), Tied()], [0, 1], "stacked")
    inner = tied.network
    assert isinstance(inner, Tied)
    assert inner.first.weight is inner.second.weight
    assert sorted(tied.weights()) == ["first.bias", "first.weight", "second.bias"]
    x = torch.ones(2, 4, 3)
    out = tied(lambda run, rows: run(rows).sum(), x)
    torch.autograd.backward(out.sum())
    grad = inner.first.weight.grad
    assert grad is not None
    # Both uses count: the gradient of one network alone, through both layers.
    alone = Tied()
    alone.load_state_dict({n: t[0] for n, t in tied.tensors().items()}, strict=False)
    torch.autograd.backward(alone(x[0]).sum())
    expected = alone.first.weight.grad
    assert expected is not None
    torch.testing.assert_close(grad[0], expected)


class OwnLSTM(nn.Module):
    """What a user may bring: torch's own recurrent module and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(8, 4)
        self.drop = Dropout(0.3)
        self.core = nn.LSTM(4, 5)
        self.decoder = nn.Linear(5, 8)

    def initial_state(self, batch: int) -> tuple[Tensor, Tensor]:
        """Zeros `[1, batch, 5]`."""
        like = self.decoder.weight
        return like.new_zeros(1, batch, 5), like.new_zeros(1, batch, 5)

    def forward(
        self, tokens: Tensor, state: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Logits and the state after the window."""
        out, after = self.core(self.drop(self.embedding(tokens)), state)
        return self.decoder(out), after


def test_the_lstm_of_torch_is_trained_looped() -> None:
    task = task_for("awd-lstm")

    def own(seed: int) -> OwnLSTM:
        torch.manual_seed(seed)
        return OwnLSTM()

    assert default_batching(own(0), task.spec, task.device, 5) == "looped"
    three = Replicates([own(seed) for seed in (0, 1, 2)], [0, 1, 2], "looped")
    alone = Replicates([own(1)], [1], "looped")
    for replicates in (three, alone):
        trained(replicates, task, config(optimizer=SGD))
    assert_near(rows(three, 1), alone.tensors())


def test_the_measured_default() -> None:
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    small, large = (ImageSpec(channels=1, height=n, width=n, classes=2) for n in (8, 32))
    linear, narrow, wide = nn.Linear(2, 2), nn.Conv2d(1, 8, 3), nn.Conv2d(1, 64, 3)
    assert default_batching(linear, large, cpu, 2) == "stacked"
    assert default_batching(linear, large, cpu, 1) == "looped"
    assert default_batching(linear, large, cuda, 1) == "stacked"
    assert default_batching(wide, small, cpu, 2) == "stacked"
    assert default_batching(narrow, large, cpu, 2) == "stacked"
    assert default_batching(wide, large, cpu, 2) == "looped"
    assert default_batching(wide, large, cuda, 2) == "stacked"
    assert default_batching(wide, large, torch.device("meta"), 1) == "stacked"
    assert default_batching(nn.GRU(2, 2), TextSpec(vocabulary=2), cuda, 5) == "looped"


def test_a_measurement_on_a_card_sets_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = BatchingDefaults(source="a card", single="looped", large_features=4000)
    monkeypatch.setitem(DEFAULTS, "cuda", measured)
    cuda, spec = torch.device("cuda"), ImageSpec(channels=1, height=8, width=8, classes=2)
    wide, narrow = nn.Conv2d(1, 64, 3), nn.Conv2d(1, 8, 3)
    assert default_batching(wide, spec, cuda, 2) == "looped"
    assert default_batching(narrow, spec, cuda, 2) == "stacked"
    assert default_batching(narrow, spec, cuda, 1) == "looped"


def test_every_drop_path_follows_progress_after_a_change_of_type() -> None:
    paths = [DropPath(0.5), DropPath(0.5)]
    replicates = Replicates([nn.Sequential(*paths, nn.Linear(1, 1))], [0], "looped").double()
    replicates.advance(0, progress=0.5)
    assert [path.progress.item() for path in drop_paths(replicates)] == [0.5, 0.5]


def test_kernels_lie_with_channels_last() -> None:
    replicates = stack("resnet", [0, 1])
    kernels = [p for p in replicates.parameters() if p.dim() == 5 and p.shape[2] > 1]
    assert kernels
    assert all(kernel.stride(2) == 1 for kernel in kernels)


@pytest.mark.parametrize("name", ["lenet-300-100", "resnet", "awd-lstm"])
def test_tensors_are_in_the_layout_of_the_network_and_load_again(name: str) -> None:
    replicates = stack(name, SEEDS)
    names = network(name, 3).state_dict()
    held = replicates.tensors()
    assert held.keys() == {n for n in names if n in held}
    for n, tensor in held.items():
        assert tensor.shape == (5, *names[n].shape)
    assert_near({n: t[0] for n, t in held.items()}, {n: names[n] for n in held})
    drawn = {n: torch.randn(t.shape).to(t.dtype) for n, t in held.items()}
    replicates.load(drawn)
    assert all(torch.equal(t, drawn[n]) for n, t in replicates.tensors().items())


def test_load_refuses_other_names_and_shapes() -> None:
    replicates = stack("lenet-300-100", [0])
    with pytest.raises(ValueError, match="names differ: "):
        replicates.load({})
    two = {n: t.expand(2, *t.shape[1:]) for n, t in replicates.tensors().items()}
    with pytest.raises(ValueError, match=r"1\.layers\.0\.weight is \[2, 8, 64\], not \[1, 8, 64\]"):
        replicates.load(two)
    with pytest.raises(ValueError, match=r"is \[1, 8, 64\], not \[2, 8, 64\]"):
        stack("lenet-300-100", [0, 1]).load(replicates.tensors())


def test_the_networks_given_are_left_alone() -> None:
    given = [nn.Linear(2, 2), nn.Linear(2, 2)]
    before = copy.deepcopy(given[0].state_dict())
    replicates = Replicates(given, [0, 1], "stacked")
    replicates.load({n: torch.zeros_like(t) for n, t in replicates.tensors().items()})
    assert all(torch.equal(t, before[n]) for n, t in given[0].state_dict().items())


@pytest.mark.parametrize("batching", ["stacked", "looped"])
def test_one_replicate_is_no_special_case(batching: Batching) -> None:
    layer = nn.Linear(2, 3)
    replicates = Replicates([layer], [0], batching)
    x = torch.randn(1, 4, 2)
    out, twice = replicates(lambda run, rows: (run(rows), (2 * run(rows),)), x)
    assert out.shape == (1, 4, 3)
    torch.testing.assert_close(out[0], layer(x[0]))
    torch.testing.assert_close(twice[0], 2 * out)


@pytest.mark.parametrize("batching", ["stacked", "looped"])
def test_noise_is_that_of_a_network_alone(batching: Batching) -> None:
    """What a stack draws at each site is what `set_noise` gives for the same seed and step."""

    def build() -> nn.Sequential:
        return nn.Sequential(
            Dropout(0.5), DropPath(0.5), nn.Linear(9, 9), Dropout(0.5), DropPath(0.9)
        )

    replicates = Replicates([build(), build()], [5, 8], batching)
    x = torch.ones(2, 3, 9)
    for step in (0, 7):
        replicates.advance(step, progress=0.7)
        out = replicates(lambda run, rows: run(rows), x)
        for r, seed in enumerate((5, 8)):
            alone = build()
            alone.load_state_dict({n: t[r] for n, t in replicates.tensors().items()})
            set_noise(alone, seed, step, progress=0.7)
            torch.testing.assert_close(out[r], alone(x[r]))


def test_the_gradient_of_the_sum_is_each_ones_own() -> None:
    replicates = stack("lenet-300-100", SEEDS[:2])
    task: Task = task_for("lenet-300-100")
    images, labels = task.batches(SEEDS[:2])(0)

    def gradients(factors: Tensor) -> list[Tensor]:
        replicates.zero_grad()
        losses, _ = replicates(task.loss, (), images, labels)
        torch.autograd.backward((losses * factors).sum())
        return [p.grad.clone() for p in replicates.parameters() if p.grad is not None]

    both, first = gradients(torch.ones(2)), gradients(torch.tensor([1.0, 0.0]))
    for together, alone in zip(both, first, strict=True):
        torch.testing.assert_close(together[0], alone[0])
        assert not alone[1].any()


def test_as_many_seeds_as_networks() -> None:
    with pytest.raises(ValueError, match="1 networks but 2 noise seeds"):
        Replicates([nn.Linear(1, 1)], [0, 1], "stacked")
    with pytest.raises(ValueError, match="0 networks"):
        Replicates([], [], "stacked")
