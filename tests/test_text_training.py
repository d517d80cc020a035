"""Activation regularisation: by numbers that are written out, and off by default."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor, nn

from lottery.recipes.catalog import recipe
from nas.catalog.building import build
from nas.recurrent.language_model import LanguageModel, Output
from tests.tiny_tasks import config, image_task, some_text, stack, trained
from training.checkpoints import checkpoint_to_bytes
from training.configs import AveragingConfig, DataConfig, OptimizerConfig
from training.dropout import Dropout, set_noise
from training.errors import LotteryError
from training.replicates import Replicates
from training.tasks.catalog import load_task
from training.tasks.language_modelling import LanguageModelling
from training.tasks.settings import TextTraining

SGD = OptimizerConfig(name="sgd", learning_rate=0.5, clip_norm=0.25)
DROPPED = [[[1.0, 1.0]], [[2.0, 0.0]], [[0.0, 0.0]]]
RAW = [[[0.0, 0.0]], [[1.0, 2.0]], [[1.0, 0.0]]]


class Written(nn.Module):
    """Gives outputs that are written out, for any tokens; all eight words are equally likely."""

    def __init__(self, rows: int = 3, regularised: bool = True) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.register_buffer("dropped", torch.tensor(DROPPED[:rows]))
        self.register_buffer("raw", torch.tensor(RAW[:rows]))
        self.regularised = regularised

    def forward(self, tokens: Tensor, state: tuple[Tensor, ...]) -> Output | tuple[Tensor, object]:
        """Equal logits."""
        logits = 0.0 * self.scale * torch.ones(*tokens.shape, 8)
        if not self.regularised:
            return logits, state
        dropped, raw = (self.scale * self.get_buffer(name) for name in ("dropped", "raw"))
        return Output(logits, state, dropped, raw)


def penalty(settings: TextTraining, network: nn.Module, rows: int = 3) -> Tensor:
    """What is added to the cross-entropy, log 8."""
    task = LanguageModelling(some_text(), 3, 7, settings=settings)
    tokens = torch.zeros(rows, 1, dtype=torch.int64)
    loss, state = task.loss(network, (torch.ones(1, 2),), tokens, tokens)
    assert torch.equal(state[0], torch.ones(1, 2))
    return loss - math.log(8)


@pytest.mark.parametrize(
    ("settings", "value"),
    [
        (TextTraining(), 0.0),
        # (1 + 1 + 4) / 6 = 1 of the dropped outputs, (1 + 4 + 1) / 6 = 1 of the raw ones.
        (TextTraining(activation=2.0), 2.0),
        (TextTraining(activation=3.0, activation_of="raw"), 3.0),
        # Differences (1, 2) and (0, -2): (1 + 4 + 0 + 4) / 4.
        (TextTraining(slowness=1.0), 2.25),
        (TextTraining(activation=2.0, slowness=2.0), 6.5),
        # Of the dropped outputs (1, -1) and (-2, 0): (1 + 1 + 4 + 0) / 4.
        (TextTraining(slowness=1.0, slowness_of="dropped"), 1.5),
        (TextTraining(activation=3.0, slowness=2.0, slowness_of="dropped"), 6.0),
        (TextTraining(activation=3.0, activation_of="raw", slowness=2.0), 7.5),
    ],
)
def test_penalties_are_means_of_squares(settings: TextTraining, value: float) -> None:
    network = Written()
    found = penalty(settings, network)
    assert float(found.detach()) == pytest.approx(value, abs=1e-6)
    found.backward()
    # Squares of outputs that are proportional to the scale, 1.
    assert network.scale.grad is not None
    assert float(network.scale.grad) == pytest.approx(2 * value, abs=1e-5)


def test_the_dropped_and_the_raw_outputs_are_told_apart() -> None:
    network = Written(rows=2)
    # Of the first two tokens: dropped (1 + 1 + 4) / 4, raw (1 + 4) / 4.
    both = [
        float(penalty(TextTraining(activation=1.0, activation_of=of), network, 2).detach())
        for of in ("dropped", "raw")
    ]
    assert both == pytest.approx([1.5, 1.25], abs=1e-6)


def test_a_window_of_one_token_has_nothing_that_changes() -> None:
    settings = TextTraining(activation=1.0, slowness=5.0)
    assert float(penalty(settings, Written(rows=1), 1).detach()) == pytest.approx(1.0, abs=1e-6)


def test_enas_is_regularised_as_in_its_release() -> None:
    # `_build_train` and `_model` of ptb_enas_child.py: both the cross-entropy and the slowness are sums over the
    # window, divided by the columns, and the differences are of what is left behind the output mask.
    settings = recipe("enas-rnn-ptb").training.text
    spec, rows, columns, units = some_text().spec, 35, 3, 748
    size = {"dropout_output": 0.76, "dropout_embedding": 0.0}
    network = build("enas-rnn", size, spec, torch.Generator().manual_seed(0)).double()
    assert isinstance(network, LanguageModel)
    tokens = torch.randint(8, (rows + 1, columns), generator=torch.Generator().manual_seed(1))
    task = LanguageModelling(some_text(), 3, 7, settings=settings)
    state = tuple(tensor.double() for tensor in network.initial_state(columns))
    set_noise(network, seed=0, step=0)
    with torch.no_grad():
        loss, _ = task.loss(network, state, tokens[:-1], tokens[1:])
        all_h = network(tokens[:-1], state).raw
    above = network.dropouts_above[0]
    assert isinstance(above, Dropout)
    kept = above.noise.keep((1, columns, units), 0.76)
    all_h = all_h * kept / 0.24
    logits = all_h @ network.embedding.weight.detach().t()
    surprise = logits.logsumexp(-1) - logits.gather(-1, tokens[1:, :, None])[..., 0]
    slowness = (all_h[1:] - all_h[:-1]).square().sum()
    released = surprise.sum() / columns + 1e-3 * slowness / columns
    assert float(rows * loss) == pytest.approx(float(released), rel=1e-4)
    # On the raw output it would be less by the share of units that are kept.
    raw = dataclasses.replace(settings, slowness_of="raw")
    task = LanguageModelling(some_text(), 3, 7, settings=raw)
    with torch.no_grad():
        loss, _ = task.loss(network, state, tokens[:-1], tokens[1:])
    weaker = (rows * float(loss) * columns - float(surprise.sum())) / (1e-3 * float(slowness))
    assert weaker == pytest.approx(0.24, rel=0.1)


@pytest.mark.parametrize("batching", ["stacked", "looped"])
def test_replicates_are_regularised_each_for_itself(batching: str) -> None:
    task = LanguageModelling(some_text(), 1, 3, settings=TextTraining(activation=2.0, slowness=1.0))
    networks = [Written(), Written()]
    networks[1].scale.data.fill_(2.0)
    replicates = Replicates(networks, [0, 1], "stacked" if batching == "stacked" else "looped")
    tokens = torch.zeros(2, 3, 1, dtype=torch.int64)
    losses, _ = replicates(task.loss, (torch.ones(2, 1, 2),), tokens, tokens)
    assert losses.tolist() == pytest.approx([4.25 + math.log(8), 17.0 + math.log(8)])


@pytest.mark.parametrize("settings", [TextTraining(activation=1.0), TextTraining(slowness=1.0)])
def test_a_network_without_these_outputs_is_refused(settings: TextTraining) -> None:
    with pytest.raises(LotteryError, match=r"need a network that gives its last output .* to 0\.$"):
        penalty(settings, Written(regularised=False))
    penalty(TextTraining(), Written(regularised=False))


def test_images_know_no_settings_of_text() -> None:
    training = dataclasses.replace(config(), text=TextTraining(slowness=1.0))
    with pytest.raises(LotteryError, match="for language models, but digits are images"):
        load_task(DataConfig(name="digits"), training, None, torch.device("cpu"))


def end(settings: TextTraining, averaging: AveragingConfig) -> bytes:
    """The state of a short training."""
    how = dataclasses.replace(config(8, 4, SGD), text=settings, averaging=averaging)
    task = LanguageModelling(some_text(), 3, 7, settings=settings)
    state = trained(stack("awd-lstm", (0, 1)), task, how)
    assert all(loss is not None for loss in state.validations[-1].loss)
    return checkpoint_to_bytes(state)


def test_with_everything_off_it_is_plain_training() -> None:
    plain = trained(
        stack("awd-lstm", (0, 1)), LanguageModelling(some_text(), 3, 7), config(8, 4, SGD)
    )
    off = TextTraining(activation_of="raw", window_cap=3)
    assert end(off, AveragingConfig(patience=1)) == checkpoint_to_bytes(plain)


@pytest.mark.parametrize(
    "settings",
    [
        TextTraining(activation=2.0),
        TextTraining(activation=2.0, activation_of="raw"),
        TextTraining(slowness=1.0),
        TextTraining(slowness=1.0, slowness_of="dropped"),
        TextTraining(varied_windows=True, window_cap=2),
    ],
)
def test_each_strategy_changes_what_is_learned(settings: TextTraining) -> None:
    assert end(settings, AveragingConfig()) != end(TextTraining(), AveragingConfig())


def test_penalties_are_not_in_what_is_evaluated() -> None:
    replicates = stack("awd-lstm", (0, 1)).eval()
    assert isinstance(replicates, Replicates)
    plain, regularised = (
        LanguageModelling(some_text(), 3, 7, settings=settings).evaluate(replicates, "test")
        for settings in (TextTraining(), TextTraining(activation=9.0, slowness=9.0))
    )
    assert torch.equal(plain.loss, regularised.loss)


def test_images_leave_the_rate_to_the_schedule() -> None:
    assert image_task().rate_factor(3) == 1.0
