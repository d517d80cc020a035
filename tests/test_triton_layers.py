"""Layers with the cells of Triton's kernels: what is captured and replayed of them, and how they train on a card."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from nas.genotypes.published import ENAS_RNN
from nas.genotypes.values import RecurrentGenotype
from nas.recurrent.cells import LSTMLayer, RecurrentCore, SearchedRecurrentCell
from nas.recurrent.language_model import LanguageModel
from nas.recurrent.lstm_cell import LSTMCell
from nas.recurrent.on_lstm import OrderedLSTMLayer
from nas.recurrent.step_cells import cell_for
from tests.tiny_tasks import text_task
from training.capture import Capture, capture
from training.configs import OptimizerConfig, TrainingConfig
from training.loop import begin, train
from training.replay import Replayed
from training.replicates import Replicates
from training.steps import Steps
from training.tasks.language_modelling import LanguageModelling

pytest.importorskip("triton", reason="Triton is not installed here")

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
# Three products a time step.
GENOTYPE = RecurrentGenotype(
    first="tanh", nodes=((0, "relu"), (0, "tanh"), (1, "identity")), output=(2, 3)
)
CORES: dict[str, Callable[[], RecurrentCore]] = {
    "lstm": lambda: LSTMLayer(3, 4, 0.3),
    "on-lstm": lambda: OrderedLSTMLayer(3, 4, 2, 0.3),
    "searched": lambda: SearchedRecurrentCell(GENOTYPE, 3, 4, 0.2, 0.3),
}


def by_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have layers take Triton's cells, wherever they are."""
    monkeypatch.setattr("nas.recurrent.step_cells.runs_triton", lambda state: True)
    monkeypatch.setattr("nas.recurrent.cells.is_fused", lambda x: False)


def launches(captured: Capture) -> int:
    """The operations that compute something: views and allocations launch nothing on a card."""
    nothing = ("empty", "new_empty", "empty_like", "_unsafe_view", "detach", "_reshape_alias")
    names = [op.target._schema.name.partition("::")[2] for op in captured.operations]
    views = [op.target.is_view for op in captured.operations]
    return sum(not view and name not in nothing for view, name in zip(views, names, strict=True))


def step_of(core: RecurrentCore, replicates: int) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """A training step of a stacked core: from inputs `[R, T, 2, 3]` to losses and gradients."""
    stacked = Replicates([core] * replicates, range(replicates), "stacked").to(DEVICE).train()
    stacked.advance(0)

    def step(x: Tensor) -> tuple[Tensor, ...]:
        for parameter in stacked.parameters():
            parameter.grad = None

        def loss(network: nn.Module, x: Tensor) -> Tensor:
            state = tuple(x.new_zeros(2, width) for width in core.state_sizes)
            outputs: Tensor = network(x, state)[0]
            return outputs.square().sum()

        losses = stacked(loss, x)
        losses.sum().backward()
        return losses.detach(), *(p.grad for p in stacked.parameters() if p.grad is not None)

    return step


@pytest.mark.parametrize(("name", "most"), [("lstm", 4), ("on-lstm", 4), ("searched", 18)])
def test_a_time_step_is_few_operations_that_a_capture_holds(
    name: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, x = step_of(CORES[name](), 2), torch.randn(2, 4, 2, 3, device=DEVICE)
    plain = step(x)
    by_triton(monkeypatch)
    results, longer = capture(step, [x])
    _, shorter = capture(step, [x[:, :2].clone()])
    torch.testing.assert_close(results, plain, rtol=1e-4, atol=1e-5)
    assert not longer.obstacle
    # Both ways: a product and a kernel each; of highways such for each of the states that are read.
    assert launches(longer) - launches(shorter) <= 2 * most


@pytest.mark.parametrize("name", CORES)
def test_a_replay_repeats_a_step(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    by_triton(monkeypatch)
    step, calls = step_of(CORES[name](), 2), []

    def called(x: Tensor) -> tuple[Tensor, ...]:
        calls.append(x)
        return step(x)

    replayed = Replayed(called, lambda: None, 20)
    for _ in range(4):
        x = torch.randn(2, 2, 2, 3, device=DEVICE)
        for mine, expected in zip(replayed(x), step(x), strict=True):
            assert torch.equal(mine, expected)
    assert len(calls) == 2


def losses_on_a_card(name: str, precision: str) -> Tensor:
    """The losses of 6 steps of two stacked replicates, `[6, 2]`."""
    tiny = text_task()
    task = LanguageModelling(tiny.data.to(torch.device("cuda")), tiny.batch_size, tiny.sequence)
    torch.manual_seed(0)
    makers: dict[str, Callable[[int, int], RecurrentCore]] = {
        "lstm": lambda i, h: LSTMLayer(i, h, 0.3),
        "on-lstm": lambda i, h: OrderedLSTMLayer(i, h, 4, 0.3),
        "searched": lambda i, h: SearchedRecurrentCell(ENAS_RNN, i, h, 0.1, 0.1),
    }
    cores = [makers[name](8, 12), makers[name](12, 8)]
    network = LanguageModel(task.data.spec.vocabulary, 8, cores).cuda()
    config = TrainingConfig(
        steps=Steps(iterations=6),
        batch_size=task.batch_size,
        eval_every=Steps(iterations=100),
        optimizer=OptimizerConfig(name="sgd", learning_rate=1.0, clip_norm=0.25),
        precision="bf16" if precision == "bf16" else "fp32",
    )
    state = begin(Replicates([network] * 2, [0, 1], "stacked"), task, config, 0)
    seen: list[Tensor] = []
    train(state, task, config, 3, {}, lambda _: seen.extend(state.recent[-1:]))
    return torch.stack(seen)


@pytest.mark.cuda
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", CORES)
def test_a_card_trains_as_with_the_plain_cells(
    name: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = losses_on_a_card(name, precision)
    assert torch.equal(losses_on_a_card(name, precision), ours)
    monkeypatch.setattr("nas.recurrent.step_cells.runs_triton", lambda state: False)
    plain = losses_on_a_card(name, precision)
    tolerance = 5e-3 if precision == "bf16" else 1e-5
    torch.testing.assert_close(ours, plain, rtol=tolerance, atol=0.0)


def test_a_cpu_has_the_plain_cells() -> None:
    state = torch.zeros(1, 2)
    cell = LSTMCell()
    assert cell_for(state, state, cell) is cell
