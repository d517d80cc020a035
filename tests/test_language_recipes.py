"""Recipes of language models: each value is its source's, and each network builds."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from lottery.experiments import Experiment
from lottery.pruning.groups import LayerKinds
from lottery.pruning.prunable import prunable_names
from lottery.pruning.scopes import kept_at
from lottery.recipes.awd_ablations import AWD_ABLATIONS, ablation_rows
from lottery.recipes.catalog import RECIPES, recipe
from lottery.recipes.language import AWD_LSTM_PTB, LANGUAGE
from lottery.recipes.recipe import small_recipes
from lottery.recipes.searched_language import SEARCHED_LANGUAGE
from lottery.recipes.small_experiments import TEXT
from nas.catalog.building import build
from nas.catalog.catalog import entry
from nas.catalog.entry import check_size
from nas.convolutional.auxiliary import counted_parameters
from nas.recurrent.language_model import LanguageModel
from training.configs import AveragingConfig
from training.specs import TextSpec
from training.steps import Steps
from training.tasks.settings import TextTraining

FULL = sorted(each.name for each in (*LANGUAGE, *SEARCHED_LANGUAGE))
WORDS = {"ptb": TextSpec(vocabulary=10_000), "wikitext-2": TextSpec(vocabulary=33_278)}
ABLATIONS = ablation_rows(AWD_LSTM_PTB.config)
FAMILY = [f"awd-lstm-ptb-{row}" for row in ABLATIONS]
SMALL = [each.name for each in small_recipes((*LANGUAGE, *SEARCHED_LANGUAGE, *AWD_ABLATIONS))]


def sizes(experiment: Experiment) -> dict[str, object]:
    """Every size of its network."""
    return check_size(entry(experiment.network.name), experiment.network.size)


# Name: batch, window, epochs, of which fine-tuning, learning rate, weight decay, clip norm, AR, TAR, cap, patience.
TRAINING: dict[str, tuple[object, ...]] = {
    # salesforce/awd-lstm-lm, README and main.py; finetune.py for the cap.
    "awd-lstm-ptb": (20, 70, 1000, 500, 30, 1.2e-6, 0.25, 2, 1, 10, 5),
    "awd-lstm-wt2": (80, 70, 1500, 750, 30, 1.2e-6, 0.25, 2, 1, 10, 5),
    # yikangshen/Ordered-Neurons, README and main.py.
    "on-lstm-ptb": (20, 70, 1000, 500, 30, 1.2e-6, 0.25, 2, 1, 10, 5),
    # google-research/enas_lm, src/fixed_lib.py: a decay without the half.
    "enas-lm-ptb": (64, 35, 3000, 0, 20, 1.6e-6, 0.25, 0.7, 0, 20, 10),
    # renqianluo/NAO, NAO/rnn and NAO-WS/rnn, and quark0/darts, rnn/train.py.
    "nao-rnn-ptb": (64, 35, 4000, 0, 20, 8e-7, 0.25, 0, 1e-3, 20, 5),
    "nao-rnn-wt2": (64, 35, 2000, 0, 20, 5e-7, 0.25, 0, 1e-3, 20, 5),
    "nao-ws-rnn-ptb": (64, 35, 4000, 0, 20, 8e-7, 0.25, 0, 1e-3, 20, 5),
    "darts-rnn-ptb": (64, 35, 8000, 0, 20, 8e-7, 0.25, 0, 1e-3, 20, 5),
    "darts-rnn-v1-ptb": (64, 35, 8000, 0, 20, 8e-7, 0.25, 0, 1e-3, 20, 5),
}


@pytest.mark.parametrize("name", TRAINING)
def test_the_numbers_of_published_training(name: str) -> None:
    found = recipe(name)
    how, sgd = found.training, found.training.optimizer
    assert (
        how.batch_size,
        found.data.options["sequence"],
        how.steps.epochs,
        how.averaging.finetune.epochs,
        sgd.learning_rate,
        sgd.weight_decay,
        sgd.clip_norm,
        how.text.activation,
        how.text.slowness,
        how.text.window_cap,
        how.averaging.patience,
    ) == TRAINING[name]
    assert (sgd.name, sgd.momentum, how.schedule.name) == ("sgd", 0, "constant")
    assert how.averaging.trigger == "non-monotone"
    assert how.text.varied_windows
    # The releases of AWD-LSTM, DARTS and NAO take the dropped output, the others the raw one.
    raw = name in ("on-lstm-ptb", "enas-lm-ptb")
    assert how.text.activation_of == ("raw" if raw else "dropped")
    assert how.text.slowness_of == "raw"


# Name: hidden units, and the dropouts of embedding, input, hidden and output with DropConnect, or of embedding, input,
# cell input, cell state and output.
DROPOUTS: dict[str, tuple[object, ...]] = {
    "awd-lstm-ptb": (1150, 0.1, 0.4, 0.25, 0.4, 0.5),
    "awd-lstm-wt2": (1150, 0.1, 0.65, 0.2, 0.4, 0.5),
    "on-lstm-ptb": (1150, 0.1, 0.5, 0.3, 0.45, 0.45),
    "enas-rnn-ptb": (748, 0.21, 0.0, 0.75, 0.25, 0.76),
    "enas-lm-ptb": (800, 0.125, 0.175, 0.725, 0.225, 0.75),
    "nao-rnn-ptb": (850, 0.0, 0.2, 0.75, 0.25, 0.75),
    "nao-rnn-wt2": (700, 0.0, 0.2, 0.75, 0.15, 0.75),
    "nao-ws-rnn-ptb": (850, 0.0, 0.2, 0.75, 0.25, 0.75),
    "darts-rnn-ptb": (850, 0.1, 0.2, 0.75, 0.25, 0.75),
    "darts-rnn-v1-ptb": (850, 0.1, 0.2, 0.75, 0.25, 0.75),
}


@pytest.mark.parametrize("name", DROPOUTS)
def test_the_dropouts_of_published_training(name: str) -> None:
    size = sizes(recipe(name))
    dropouts = {key: value for key, value in size.items() if isinstance(value, float)}
    assert (size["hidden"], *dropouts.values()) == DROPOUTS[name]


def test_enas_sums_over_the_window_what_is_a_mean_here() -> None:
    how = recipe("enas-rnn-ptb").training
    sgd = how.optimizer
    assert (how.batch_size, how.steps, how.averaging) == (64, Steps(epochs=2000), AveragingConfig())
    # 35 words: the gradient of the sum is 35 times that of the mean, and is clipped at 0.25.
    assert sgd.learning_rate == 20 * 35
    assert sgd.clip_norm is not None
    assert sgd.clip_norm * sgd.learning_rate == pytest.approx(0.25 * 20)
    assert sgd.weight_decay * sgd.learning_rate == pytest.approx(2 * 5e-7 * 20)
    # 1e-3 times a sum over 34 differences of 748 units, and over the 35 words that the loss sums.
    assert how.text.slowness == pytest.approx(1e-3 * 34 * 748 / 35, abs=1e-4)
    assert how.text.slowness_of == "dropped"
    assert recipe("random-rnn-ptb").training == how
    # Where the published rate has fallen half of the way to the next step.
    milestones = [milestone.epochs for milestone in how.schedule.milestones]
    assert milestones[:2] == [14 + 58, 14 + 58 + 117]
    assert how.schedule.factor == pytest.approx(0.9991**117, abs=1e-4)
    ended = how.schedule.factor ** len(milestones)
    assert ended == pytest.approx(0.9991 ** (2000 - 14), rel=0.06)


def test_the_lstm_without_dropout() -> None:
    # Zaremba et al. 2014, section 4.1: 20 words summed, 4 epochs at 1, halved after each of the 9 others.
    found = recipe("lstm-ptb")
    how = found.training
    assert (how.batch_size, found.data.options, how.steps) == (
        20,
        {"sequence": 20},
        Steps(epochs=13),
    )
    assert (how.optimizer.learning_rate, how.optimizer.clip_norm) == (20 * 1.0, 5 / 20)
    assert [str(m) for m in how.schedule.milestones] == [f"{epoch}ep" for epoch in range(4, 13)]
    assert (how.schedule.factor, how.text, how.averaging) == (
        0.5,
        TextTraining(),
        AveragingConfig(),
    )
    assert recipe("gru-ptb").training == how


def test_the_numbers_of_yu_and_others() -> None:
    found = recipe("yu20-lstm-wt2")
    how, adam = found.training, found.training.optimizer
    assert (how.batch_size, found.data.options, how.steps) == (
        30,
        {"sequence": 50},
        Steps(epochs=10),
    )
    assert (adam.name, adam.learning_rate, adam.beta1, adam.beta2, adam.epsilon) == (
        *("adam", 1e-3),
        *(0.9, 0.999, 1e-3),
    )
    assert sizes(found) == {"hidden": 650, "layers": 2, "dropout_hidden": 0.5}
    assert (found.levels, found.pruning.rate, found.pruning.embeddings) == (20, 0.2, True)
    assert found.rewinding.step == Steps(epochs=1)
    assert "random-ticket" in found.arms


# Name: trained parameters, as the sources count them; ENAS and enas_lm have no bias in their decoders.
PARAMETERS = {
    "awd-lstm-ptb": 24_221_600,
    "awd-lstm-wt2": 33_556_078,
    "on-lstm-ptb": 25_232_180,
    "enas-rnn-ptb": 22_027_104,
    "enas-lm-ptb": 20_800_000,
    # 2 * 850 * 850 for each of 12 nodes and the input, tied embedding, bias: 27.30 million with 11 searched nodes.
    "nao-rnn-ptb": 2 * 13 * 850**2 + 850 * 10_000 + 10_000,
    "nao-ws-rnn-ptb": 2 * 13 * 850**2 + 850 * 10_000 + 10_000,
    "nao-rnn-wt2": 2 * 13 * 700**2 + 700 * 33_278 + 33_278,
    "darts-rnn-ptb": 22_960_000,
    "darts-rnn-v1-ptb": 22_960_000,
    # Two layers of 200, each 4 * 200 * (200 + 200 + 1), tied embedding, bias.
    "lstm-ptb": 2 * 4 * 200 * 401 + 200 * 10_000 + 10_000,
    "gru-ptb": 2 * 3 * 200 * 402 + 200 * 10_000 + 10_000,
    "yu20-lstm-wt2": 2 * 4 * 650 * 1302 + 650 * 33_278 + 33_278,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_parameters_of_a_recipe(name: str) -> None:
    found = recipe(name)
    with torch.device("meta"):
        network = build(
            found.network.name, found.network.size, WORDS[found.data.name], torch.Generator()
        )
    counted = counted_parameters(network)
    assert sum(parameter.numel() for parameter in counted.values()) == PARAMETERS[name]
    pruned = prunable_names(network, found.pruning.embeddings)
    assert ("embedding.weight" in pruned) == (name == "yu20-lstm-wt2")


@pytest.mark.parametrize("name", FULL)
def test_language_models_are_pruned_late_and_globally(name: str) -> None:
    found = recipe(name)
    assert (found.pruning.scope, found.pruning.rate) == ("global", 0.2)
    assert (found.rewinding.step, found.rewinding.weights) == (Steps(epochs=1), "start")
    assert found.pruning.embeddings == (name == "yu20-lstm-wt2")
    assert "Yu et al. 2020" in found.source
    # 0.8 ** 15 and 0.8 ** 20.
    kept = kept_at({"weight": (1_000_000,)}, found.levels, found.pruning, LayerKinds())
    assert kept in (35_184, 35_185, 11_529, 11_530)
    assert found.resolved(664).training.steps.iterations == 664 * found.training.steps.epochs


def differing(name: str, suffix: str = "") -> set[str]:
    """In what a row of the ablation table differs from the whole, name and source aside."""
    whole, found = recipe(f"awd-lstm-ptb{suffix}"), recipe(f"{name}{suffix}")
    how = {
        field.name
        for field in dataclasses.fields(whole.training)
        if getattr(whole.training, field.name) != getattr(found.training, field.name)
    }
    before, after = sizes(whole), sizes(found)
    same = dataclasses.replace(
        found,
        name=whole.name,
        source=whole.source,
        network=whole.network,
        training=whole.training,
    )
    assert same == whole
    return how | {size for size, value in after.items() if value != before[size]}


ROWS = {
    "without-finetuning": {"steps", "averaging"},
    "without-averaging": {"averaging"},
    "without-varied-windows": {"text"},
    "without-embedding-dropout": {"dropout_embedding"},
    "without-weight-decay": {"optimizer"},
    "without-regularisation": {"text"},
    "with-full-embedding": {"embedding"},
    "without-dropconnect": {"dropconnect"},
}


@pytest.mark.parametrize("suffix", ["", "-small"])
@pytest.mark.parametrize("row", ABLATIONS)
def test_a_row_of_the_ablation_leaves_out_one_thing(row: str, suffix: str) -> None:
    assert differing(f"awd-lstm-ptb-{row}", suffix) == ROWS[row]
    found = recipe(f"awd-lstm-ptb-{row}{suffix}")
    assert (
        f"table 4, of a network of full size, validation / test: {ABLATIONS[row].published}"
        in found.source
    )
    assert found.source.endswith(recipe(f"awd-lstm-ptb{suffix}").source)


def test_what_the_rows_of_the_ablation_leave_out() -> None:
    def row(name: str) -> Experiment:
        return recipe(f"awd-lstm-ptb-{name}")

    assert row("without-finetuning").training.steps == Steps(epochs=500)
    assert row("without-finetuning").training.averaging == AveragingConfig(trigger="non-monotone")
    assert row("without-averaging").training.averaging == AveragingConfig()
    assert not row("without-varied-windows").training.text.varied_windows
    assert sizes(row("without-embedding-dropout"))["dropout_embedding"] == 0.0
    assert row("without-weight-decay").training.optimizer.weight_decay == 0.0
    regularised = row("without-regularisation").training.text
    assert (regularised.activation, regularised.slowness) == (0.0, 0.0)
    assert sizes(row("with-full-embedding"))["embedding"] == 1150
    assert sizes(row("without-dropconnect"))["dropconnect"] == 0.0


def test_every_language_recipe_has_a_small_one() -> None:
    assert [each.name for each in AWD_ABLATIONS] == FAMILY
    assert set(SMALL) == {f"{name}-small" for name in (*FULL, *FAMILY)}
    assert {*SMALL, *FULL, *FAMILY} <= set(RECIPES)
    assert all(RECIPES[f"{name}-small"] is RECIPES[name].small for name in (*FULL, *FAMILY))


@pytest.mark.parametrize("name", FULL)
def test_a_small_recipe_is_the_full_one_made_small(name: str) -> None:
    full, found = recipe(name), recipe(f"{name}-small")
    assert (found.seeds, found.levels, found.arms) == (
        (0, 1, 2),
        3,
        ("reinitialised", "random-mask"),
    )
    assert found.training.text == full.training.text
    assert found.training.averaging.trigger == full.training.averaging.trigger
    assert found.training.optimizer.weight_decay == full.training.optimizer.weight_decay
    assert found.pruning == dataclasses.replace(full.pruning, rate=0.5)
    assert Steps() != found.rewinding.step
    assert found.training.steps.iterations <= 600
    # The tuning of the last steps has looks enough to be triggered, and steps before it.
    finetune = found.training.averaging.finetune
    assert (finetune == Steps()) == (full.training.averaging.finetune == Steps())
    assert finetune.iterations < found.training.steps.iterations - found.rewinding.step.iterations
    assert all(v <= TEXT.noise for v in sizes(found).values() if isinstance(v, float))
    for size, value in sizes(found).items():
        told = f"{size} {value} in place of {sizes(full)[size]}"
        assert (told in found.source) == (value != sizes(full)[size])
    assert found.source.endswith(f"{name} is from {full.source}")


def test_a_small_source_says_what_changed() -> None:
    assert recipe("awd-lstm-ptb-small").source.startswith(
        "this project: awd-lstm-ptb, to be tried in minutes, with levels 3 in place of 15; network.size: embedding 64 "
        "in place of 400, hidden 128 in place of 1150, layers 2 in place of 3, dropout_embedding 0.05 in place of "
        "0.1, dropout_input 0.05 in place of 0.4, dropout_hidden 0.05 in place of 0.25, dropout_output 0.05 in place "
        "of 0.4, dropconnect 0.05 in place of 0.5; data.options: sequence 20 in place of 70, least_count 10, train "
        "60000, validation 8000, test 8000; training: steps 600it in place of 1000ep, eval_every 40it in place of "
        "1ep; training.optimizer: learning_rate 10 in place of 30; training.averaging: patience 2 in place of 5, "
        "finetune 120it in place of 500ep; pruning: rate 0.5 in place of 0.2; rewinding: step 20it in place of 1ep. "
        "awd-lstm-ptb is from salesforce/awd-lstm-lm"
    )
    enas = recipe("enas-rnn-ptb-small").source
    assert "clip_norm 0.25 in place of 0.00714286; training.schedule: milestones [14it ... " in enas
    yu = recipe("yu20-lstm-wt2-small").source
    assert "arms [reinitialised, random-mask] in place of [reinitialised, random-ticket]" in yu


@pytest.mark.parametrize("name", sorted(SMALL))
def test_a_small_network_runs(name: str) -> None:
    found = recipe(name)
    network = build(
        found.network.name, found.network.size, TextSpec(vocabulary=30), torch.Generator()
    )
    assert isinstance(network, LanguageModel)
    output = network(torch.zeros(3, 2, dtype=torch.int64), network.initial_state(2))
    assert output.logits.shape == (3, 2, 30)
    # Both penalties need what the last core puts out.
    assert output.raw.shape == output.dropped.shape
    total = sum(p.numel() for p in network.parameters())
    assert total < 400_000
