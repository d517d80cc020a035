"""Cores through time: derivatives by hand against differences, alone and stacked, and in bf16."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from nas.genotypes.published import ENAS_RNN, NAO_RNN
from nas.genotypes.values import RecurrentGenotype
from nas.recurrent.cells import LSTMLayer, RecurrentCore, SearchedRecurrentCell
from nas.recurrent.language_model import LanguageModel
from nas.recurrent.loop import Cell, Multiply, MultiplyBack, Saved, State, unroll
from nas.recurrent.on_lstm import OrderedLSTMLayer
from nas.recurrent.pointwise import ACTIVATIONS
from tests.tiny_tasks import text_task
from training.batching import Batching
from training.configs import OptimizerConfig, TrainingConfig
from training.dropout import set_noise
from training.loop import begin, train
from training.replicates import Replicates
from training.steps import Steps
from training.tasks.language_modelling import LanguageModelling

T, B, E, H = 4, 2, 3, 4
# States are read once, twice, and by nodes that are not next to each other.
SPARSE = RecurrentGenotype(
    first="sigmoid", nodes=((0, "relu"), (0, "tanh"), (1, "identity"), (2, "tanh")), output=(3, 4)
)
OUTPUTS = RecurrentGenotype(first="tanh", nodes=((0, "tanh"), (0, "relu")), output=(0, 1, 2))
Make = Callable[[], RecurrentCore]
CORES: dict[str, Make] = {
    "lstm": lambda: LSTMLayer(E, H, 0.3, second_bias=True),
    "on-lstm": lambda: OrderedLSTMLayer(E, H, 2, 0.3),
    "enas": lambda: SearchedRecurrentCell(ENAS_RNN, E, H, 0.2, 0.3),
    "nao": lambda: SearchedRecurrentCell(NAO_RNN, E, H),
    "sparse": lambda: SearchedRecurrentCell(SPARSE, E, H),
    "short": lambda: SearchedRecurrentCell(OUTPUTS, E, H),
}


def core_of(name: str) -> RecurrentCore:
    torch.manual_seed(0)
    core = CORES[name]().double()
    set_noise(core, seed=0, step=0)
    with torch.no_grad():
        for parameter in core.parameters():
            parameter.mul_(2.0)
    return core


def inputs(core: RecurrentCore) -> tuple[Tensor, State]:
    x = torch.randn(T, B, E, dtype=torch.float64, requires_grad=True)
    state = tuple(torch.randn_like(s).requires_grad_() for s in core.initial_state(B))
    return x, state


@pytest.mark.parametrize("name", CORES)
def test_derivatives_are_those_of_small_differences(name: str) -> None:
    core = core_of(name)
    x, state = inputs(core)
    names = [n for n, _ in core.named_parameters()]
    held = len(names)

    def run(*tensors: Tensor) -> tuple[Tensor, ...]:
        own = dict(zip(names, tensors[:held], strict=True))
        outputs, after = functional_call(core, own, (tensors[held], tensors[held + 1 :]))
        return outputs, *after

    assert torch.autograd.gradcheck(run, (*core.parameters(), x, *state), fast_mode=True)


@pytest.mark.parametrize("name", CORES)
def test_without_gradients_the_outputs_are_the_same(name: str) -> None:
    core = core_of(name)
    x, state = inputs(core)
    outputs, after = core(x, state)
    with torch.no_grad():
        alone, end = core(x, state)
        several = vmap(lambda x: core(x, state)[0])(torch.stack([x, 2 * x]))
    assert torch.equal(alone, outputs)
    assert not alone.requires_grad
    torch.testing.assert_close(end, after)
    torch.testing.assert_close(several[0], outputs)


@pytest.mark.parametrize("name", CORES)
def test_replicates_may_share_weights_and_state(name: str) -> None:
    core = core_of(name)
    x, state = inputs(core)
    many = torch.stack([x.detach(), x.detach() + 1]).requires_grad_()
    outputs = vmap(lambda x: core(x, state)[0])(many)
    ours = torch.autograd.grad(outputs.square().sum(), [many, *state, *core.parameters()])
    looped = torch.stack([core(each, state)[0] for each in many.unbind(0)])
    theirs = torch.autograd.grad(looped.square().sum(), [many, *state, *core.parameters()])
    torch.testing.assert_close(outputs, looped)
    torch.testing.assert_close(ours, theirs)


def test_a_backward_pass_may_be_repeated() -> None:
    core = core_of("enas")
    x, state = inputs(core)
    loss = core(x, state)[0].square().sum()
    first = torch.autograd.grad(loss, [*core.parameters()], retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(loss, [*core.parameters()]), first)


def test_there_is_no_second_derivative() -> None:
    core = core_of("lstm")
    outputs, _ = core(*inputs(core))
    with pytest.raises(RuntimeError, match="a first derivative only"):
        torch.autograd.grad(outputs.sum(), [*core.parameters()], create_graph=True)


class _Sum(Cell):
    """h' = x + W h."""

    def step(
        self, added: Tensor, state: State, constants: State, multiply: Multiply
    ) -> tuple[State, Saved]:
        return (multiply(0, state[0], added),), ()

    def step_back(
        self,
        outside: Tensor,
        grads: State,
        saved: Saved,
        constants: State,
        multiply: MultiplyBack,
    ) -> State:
        return (multiply(0, grads[0] + outside),)


def test_a_linear_core_by_hand() -> None:
    # h = 1; 2 + 3 h = 5; 4 + 3 * 5 = 19. With loss h_1 + h_2: dh_2 = 1, dh_1 = 1 + 3 = 4, dW = 1 * 5 + 4 * 1 = 9,
    # and dh_0 = 3 * 4 = 12.
    x = torch.tensor([2.0, 4.0]).view(2, 1, 1).requires_grad_()
    w = torch.tensor([[3.0]], requires_grad=True)
    h = torch.ones(1, 1, requires_grad=True)
    outputs, (last,) = unroll(_Sum(), x, [w], (h,))
    assert outputs.flatten().tolist() == [5.0, 19.0]
    assert last.tolist() == [[19.0]]
    outputs.sum().backward()
    assert x.grad is not None
    assert x.grad.flatten().tolist() == [4.0, 1.0]
    assert w.grad is not None
    assert h.grad is not None
    assert (w.grad.item(), h.grad.item()) == (9.0, 12.0)


@pytest.mark.parametrize("word", ACTIVATIONS)
def test_derivatives_of_activations(word: str) -> None:
    x = torch.linspace(-2, 2, 8, dtype=torch.float64)
    value, ahead, behind = x.clone(), x + 1e-6, x - 1e-6
    for tensor in (value, ahead, behind):
        ACTIVATIONS[word].apply(tensor)
    grad = torch.full_like(x, 3.0)
    ACTIVATIONS[word].back(grad, value)
    torch.testing.assert_close(grad, 3 * (ahead - behind) / 2e-6)


def losses(task: LanguageModelling, name: str, precision: str, batching: Batching) -> Tensor:
    """The losses of 6 steps, `[6, 2]`."""
    torch.manual_seed(0)
    widths = [8, 12, 8]
    makers: dict[str, Callable[[int, int], RecurrentCore]] = {
        "lstm": lambda i, h: LSTMLayer(i, h, 0.3),
        "on-lstm": lambda i, h: OrderedLSTMLayer(i, h, 4, 0.3),
        "searched": lambda i, h: SearchedRecurrentCell(ENAS_RNN, i, h, 0.1, 0.1),
    }
    network: nn.Module = LanguageModel(
        task.data.spec.vocabulary, 8, [makers[name](i, h) for i, h in pairwise(widths)]
    )
    config = TrainingConfig(
        steps=Steps(iterations=6),
        batch_size=task.batch_size,
        eval_every=Steps(iterations=100),
        optimizer=OptimizerConfig(name="sgd", learning_rate=1.0, clip_norm=0.25),
        precision="bf16" if precision == "bf16" else "fp32",
    )
    state = begin(Replicates([network] * 2, [0, 1], batching), task, config, 0)
    seen: list[Tensor] = []

    def note(state: object) -> None:
        seen.extend(recent[-1:])

    recent = state.recent
    train(state, task, config, 3, {}, note)
    return torch.stack(seen)


@pytest.mark.parametrize("name", ["lstm", "on-lstm", "searched"])
def test_bf16_trains_as_fp32_does(name: str) -> None:
    task = text_task()
    full = losses(task, name, "fp32", "looped")
    torch.testing.assert_close(losses(task, name, "fp32", "stacked"), full)
    for batching in ("looped", "stacked"):
        halves = losses(task, name, "bf16", batching)
        assert not torch.equal(halves, full)
        # 8 bits of mantissa: a product is off by 2**-9 of itself, a loss over few words by less.
        torch.testing.assert_close(halves, full, rtol=5e-3, atol=0.0)


@pytest.mark.cuda
@pytest.mark.parametrize("name", CORES)
def test_cuda_gives_what_a_cpu_gives(name: str) -> None:
    core = core_of(name)
    x, state = inputs(core)
    outputs, _ = core(x, state)
    expected = torch.autograd.grad(outputs.square().sum(), [*core.parameters()])
    there = core.cuda()
    on_cuda, _ = there(x.cuda(), tuple(s.cuda() for s in state))
    torch.testing.assert_close(on_cuda.cpu(), outputs)
    grads = torch.autograd.grad(on_cuda.square().sum(), [*there.parameters()])
    torch.testing.assert_close([g.cpu() for g in grads], [*expected])
