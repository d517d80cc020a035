"""Recipes: each is an experiment that can be written, read and carried out."""

from __future__ import annotations

import dataclasses
import doctest
import itertools

import pytest
import torch

from lottery.controls import CONTROLS
from lottery.experiments import Experiment
from lottery.pruning.config import PruningConfig
from lottery.pruning.criteria import CRITERIA
from lottery.pruning.groups import LayerKinds
from lottery.pruning.prunable import prunable_names
from lottery.pruning.scopes import kept_at
from lottery.recipes import small_changes
from lottery.recipes.awd_ablations import AWD_ABLATIONS
from lottery.recipes.catalog import RECIPES, recipe
from lottery.recipes.deep import DEEP
from lottery.recipes.demo import DEMO
from lottery.recipes.instability import INSTABILITY, RENDA, YU
from lottery.recipes.language import LANGUAGE
from lottery.recipes.lth import LENET_SHORT, LTH
from lottery.recipes.recipe import small_recipes
from lottery.recipes.searched_images import SEARCHED_IMAGES
from lottery.recipes.searched_language import SEARCHED_LANGUAGE
from lottery.recipes.small_changes import differences
from lottery.recipes.ticket_science import TICKET_SCIENCE
from nas.catalog.building import build
from nas.catalog.catalog import entry
from nas.catalog.entry import check_size
from training.datasets.catalog import data_options
from training.errors import LotteryError
from training.optimizers import schedule_factor
from training.specs import ImageSpec, Spec, TextSpec
from training.steps import Steps
from training.toml_text import from_toml, to_toml

CIFAR = ImageSpec(channels=3, height=32, width=32, classes=10)
SPECS: dict[str, Spec] = {
    "digits": ImageSpec(channels=1, height=8, width=8, classes=10),
    "mnist": ImageSpec(channels=1, height=28, width=28, classes=10),
    "cifar-10": CIFAR,
    "pydoc": TextSpec(vocabulary=500),
    "ptb": TextSpec(vocabulary=10_000),
    "wikitext-2": TextSpec(vocabulary=33_278),
}
IMAGES = (*LTH, *DEEP, *SEARCHED_IMAGES)
SCIENCE = (*TICKET_SCIENCE, *INSTABILITY, *RENDA, *YU)
PUBLISHED = sorted({each.name for each in IMAGES} - {LENET_SHORT.name})
# Quick to build; the others are in the catalog, whose every network is built elsewhere.
BUILT = sorted(
    {"lth-lenet", *(each.name for each in (*DEMO, *small_recipes(IMAGES)))}
    - {"torchvision-resnet18-cifar10-small"}
)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_can_be_written_and_read(name: str) -> None:
    experiment = recipe(name)
    assert experiment.name == name
    assert experiment.source
    assert RECIPES[name].summary
    assert not RECIPES[name].summary.endswith(".")
    assert from_toml(Experiment, to_toml(experiment), name) == experiment
    assert set(experiment.arms) <= CONTROLS.keys()
    assert experiment.pruning.criterion in CRITERIA
    assert data_options(experiment.data)
    assert SPECS[experiment.data.name]
    assert check_size(entry(experiment.network.name), experiment.network.size) is not None


@pytest.mark.parametrize("name", BUILT)
def test_the_network_of_a_recipe_can_be_built(name: str) -> None:
    experiment = recipe(name)
    spec = SPECS[experiment.data.name]
    network = build(experiment.network.name, experiment.network.size, spec, torch.Generator())
    assert prunable_names(network, experiment.pruning.embeddings)


def test_the_papers_numbers() -> None:
    # Frankle & Carbin 2019, figure 2, and section 2 for the five trials.
    paper = recipe("lth-lenet")
    assert (len(paper.seeds), paper.training.batch_size) == (5, 60)
    assert paper.training.steps == Steps(iterations=50_000)
    assert (paper.training.optimizer.name, paper.training.optimizer.learning_rate) == (
        "adam",
        1.2e-3,
    )
    assert (paper.pruning.scope, paper.pruning.rate, paper.pruning.output_rate) == (
        "layerwise",
        0.2,
        0.1,
    )
    assert (paper.rewinding.step, paper.rewinding.weights) == (Steps(), "start")
    short = recipe("lth-lenet-short")
    assert short.training.steps == Steps(iterations=6_000)
    assert (short.pruning, short.network, short.data) == (paper.pruning, paper.network, paper.data)


# Name: batch, epochs, learning rate, what it ends at, weight decay, clip norm, cutout, dropout, drop-path, auxiliary.
RETRAINING: dict[str, tuple[object, ...]] = {
    # melodyguan/enas: cifar10_micro_final.sh and cifar10_macro_final.sh; l2_reg 2e-4 has no half.
    "enas-micro-cifar10": (144, 630, 0.05, 1e-4, 4e-4, None, 0, 0.2, 0.4, 1),
    "nao-ws-cnn-cifar10": (144, 630, 0.05, 1e-4, 4e-4, None, 0, 0.2, 0.4, 1),
    "enas-macro-cifar10": (100, 310, 0.05, 1e-3, 4e-4, None, 0, 0.5, None, None),
    # renqianluo/NAO_pytorch: train_NAONet_A_36, A_128, B_36 and V2_36, with the defaults of train_cifar.py.
    "naonet-a-cifar10": (128, 600, 0.025, 0.0, 3e-4, 5.0, 16, 0.4, 0.2, 1),
    "naonet-a-128-cifar10": (128, 600, 0.025, 0.0, 5e-4, 5.0, 16, 0.4, 0.3, 1),
    "naonet-b-cifar10": (128, 600, 0.025, 0.0, 3e-4, 5.0, 16, 0.4, 0.2, 1),
    "nao-v2-cifar10": (128, 600, 0.025, 0.0, 5e-4, 5.0, 16, 0.4, 0.2, 1),
    # quark0/darts: cnn/train.py.
    "darts-v2-cifar10": (96, 600, 0.025, 0.0, 3e-4, 5.0, 16, None, 0.2, 1),
}


@pytest.mark.parametrize("name", RETRAINING)
def test_the_numbers_of_published_retraining(name: str) -> None:
    found = recipe(name)
    how, size = found.training, found.network.size
    sgd = how.optimizer
    assert (
        how.batch_size,
        how.steps.epochs,
        sgd.learning_rate,
        round(sgd.learning_rate * how.schedule.least, 12),
        sgd.weight_decay,
        sgd.clip_norm,
        found.data.options["cutout"],
        size.get("dropout"),
        size.get("drop_path"),
        size.get("auxiliary"),
    ) == RETRAINING[name]
    assert (sgd.name, sgd.momentum, how.schedule.name) == ("sgd", 0.9, "cosine")
    # ENAS's optimizers look ahead; those of NAO_pytorch and DARTS do not.
    assert sgd.nesterov == (how.schedule.restart != Steps()) == (sgd.learning_rate == 0.05)
    assert how.auxiliary_weight == 0.4
    assert found.data.options["validation"] == 5000


@pytest.mark.parametrize("name", ["enas-micro-cifar10", "enas-macro-cifar10"])
def test_the_warm_restarts_of_enas_end_with_the_training(name: str) -> None:
    how = recipe(name).training
    schedule, total = how.schedule, how.steps.epochs
    first = schedule.restart.epochs
    assert (first, schedule.restart_factor) == (10, 2)
    lengths = (first * schedule.restart_factor**i for i in range(10))
    # 10 + 20 + 40 + 80 + 160 = 310, and 320 more are 630.
    ends = list(itertools.takewhile(lambda end: end <= total, itertools.accumulate(lengths)))
    assert ends[-1] == total
    # At the first step of each period the learning rate is back at its highest.
    rates = [schedule_factor(schedule, end, total, 1) for end in (0, *ends[:-1])]
    assert rates == [1.0] * len(ends)
    assert schedule_factor(schedule, ends[0] - 1, total, 1) < 0.05


# Name: batch, steps, learning rate, warm-up, milestones, rewind step, eval every, nesterov, weight decay, output rate.
TICKETS: dict[str, tuple[object, ...]] = {
    # Frankle & Carbin 2019, figure 2 (0 % of the output layer); weight decay of facebookresearch/open_lth.
    "lth-resnet18": (
        *(128, "30000it", 0.03, "20000it", ["20000it", "25000it"], "0it"),
        *("100it", False, 1e-4, 0.0),
    ),
    "lth-vgg19": (
        *(64, "112480it", 0.1, "10000it", ["56240it", "84360it"], "0it"),
        *("100it", False, 1e-4, 0.0),
    ),
    # Frankle et al. 2020, table 1; weight decay of facebookresearch/open_lth.
    "lmc-resnet20": (
        *(128, "63000it", 0.1, "0it", ["32000it", "48000it"], "2000it"),
        *("1ep", False, 1e-4, None),
    ),
    "lmc-vgg16": (
        *(128, "63000it", 0.1, "0it", ["32000it", "48000it"], "1000it"),
        *("1ep", False, 1e-4, None),
    ),
    # Renda et al. 2020, table 1.
    "renda-resnet20": (
        *(128, "182ep", 0.1, "0it", ["91ep", "136ep"], "0it"),
        *("1ep", True, 2e-4, None),
    ),
}


@pytest.mark.parametrize("name", TICKETS)
def test_the_numbers_of_deep_tickets(name: str) -> None:
    found = recipe(name)
    how = found.training
    assert (
        how.batch_size,
        str(how.steps),
        how.optimizer.learning_rate,
        str(how.schedule.warmup),
        [str(milestone) for milestone in how.schedule.milestones],
        str(found.rewinding.step),
        str(how.eval_every),
        how.optimizer.nesterov,
        how.optimizer.weight_decay,
        found.pruning.output_rate,
    ) == TICKETS[name]
    assert (how.optimizer.name, how.optimizer.momentum) == ("sgd", 0.9)
    assert found.data.options["validation"] == 5000
    assert (found.pruning.scope, found.pruning.rate) == ("global", 0.2)
    weights = "keep" if name.startswith("renda") else "start"
    assert (found.rewinding.weights, found.rewinding.schedule) == (weights, "rewind")


@pytest.mark.parametrize(
    ("name", "steps", "learning_rate", "rate"),
    [("lth-conv2", 20, 2e-4, 0.1), ("lth-conv4", 25, 3e-4, 0.1), ("lth-conv6", 30, 3e-4, 0.15)],
)
def test_the_numbers_of_small_convolutional_networks(
    name: str, steps: int, learning_rate: float, rate: float
) -> None:
    found = recipe(name)
    assert found.training.steps == Steps(iterations=1000 * steps)
    assert (found.training.batch_size, found.training.optimizer.name) == (60, "adam")
    assert found.training.optimizer.learning_rate == learning_rate
    assert found.pruning == PruningConfig(
        scope="layerwise", rate=0.2, convolution_rate=rate, output_rate=0.1
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_recipe_has_a_small_one(name: str) -> None:
    full, small = recipe(name), RECIPES[name].small
    assert small is not None
    found = small.config
    assert RECIPES[f"{name}-small"] is small
    assert (found.levels, found.seeds, found.arms) == (2, (0, 1, 2), ())
    assert found.training.steps.iterations <= 600
    assert found.network.name == full.network.name
    assert found.data.name == full.data.name
    assert found.pruning.rate == 0.5
    assert dataclasses.replace(found.pruning, rate=0.2) == full.pruning
    assert found.rewinding.weights == full.rewinding.weights
    assert (found.rewinding.step == Steps()) == (full.rewinding.step == Steps())
    assert found.resolved(125).training.schedule.restart == Steps()


def test_a_small_recipe_keeps_the_places_in_its_schedule() -> None:
    # 10,000, 56,240 and 84,360 of 112,480 steps are 27, 150 and 225 of 300.
    schedule = recipe("lth-vgg19-small").training.schedule
    assert schedule.warmup == Steps(iterations=27)
    assert schedule.milestones == (Steps(iterations=150), Steps(iterations=225))
    # Epochs 91 and 136 of 182.
    milestones = recipe("renda-resnet20-small").training.schedule.milestones
    assert milestones == (Steps(iterations=150), Steps(iterations=224))


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        (
            "lth-lenet",
            "seeds [0, 1, 2] in place of [0, 1, 2, 3, 4]; levels 2 in place of 20; arms none in place of "
            "[reinitialised]; data.options: validation 400 in place of 5000, train 4000, test 800; training: steps "
            "600it in place of 50000it, batch_size 32 in place of 60, eval_every 200it in place of 100it; pruning: "
            "rate 0.5 in place of 0.2",
        ),
        (
            "lth-conv2",
            "levels 2 in place of 20; arms none in place of [reinitialised]; network.size: blocks [8] in place of "
            "[64], widths [64, 64] in place of [256, 256]; data.options: validation 400 in place of 5000, train "
            "4000, test 800; training: steps 300it in place of 20000it, batch_size 32 in place of 60; "
            "training.optimizer: learning_rate 0.003 in place of 0.0002; pruning: rate 0.5 in place of 0.2",
        ),
        (
            "lmc-vgg16",
            "levels 2 in place of 20; arms none in place of [reinitialised, random-mask]; network.size: width 8 in "
            "place of 64; data.options: validation 400 in place of 5000, train 4000, test 800; training: steps 300it "
            "in place of 63000it, batch_size 32 in place of 128, eval_every 100it in place of 1ep; "
            "training.optimizer: name adam in place of sgd, learning_rate 0.003 in place of 0.1, momentum 0 in place "
            "of 0.9, weight_decay 0 in place of 0.0001; training.schedule: milestones [152it, 229it] in place of "
            "[32000it, 48000it]; pruning: rate 0.5 in place of 0.2; rewinding: step 10it in place of 1000it",
        ),
        (
            "enas-micro-cifar10",
            "levels 2 in place of 10; arms none in place of [reinitialised]; network.size: channels 4 in place of 36, "
            "normal_cells 1 in place of 5, drop_path 0.1 in place of 0.4, dropout 0.1 in place of 0.2; data.options: "
            "validation 400 in place of 5000, train 4000, test 800; training: steps 100it in place of 630ep, "
            "batch_size 32 in place of 144, eval_every 33it in place of 1ep; training.optimizer: name adam in place "
            "of sgd, learning_rate 0.01 in place of 0.05, momentum 0 in place of 0.9, nesterov false in place of "
            "true, weight_decay 0 in place of 0.0004; training.schedule: restart 0it in place of 10ep, least 0 in "
            "place of 0.002; pruning: rate 0.5 in place of 0.2",
        ),
    ],
)
def test_the_source_of_a_small_recipe_says_what_changed(name: str, changes: str) -> None:
    full = recipe(name)
    assert recipe(f"{name}-small").source == (
        f"this project: {name}, to be tried in minutes, with {changes}. {name} is from {full.source}"
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_source_tells_of_sizes_and_optimizer_just_when_they_change(name: str) -> None:
    full, found = recipe(name), recipe(f"{name}-small")
    changes = found.source.removesuffix(full.source)
    network = entry(full.network.name)
    before = check_size(network, full.network.size)
    for size, value in check_size(network, found.network.size).items():
        told = f"{size} {value} in place of {before[size]}"
        assert (told in changes) == (value != before[size])
    same = found.training.optimizer == full.training.optimizer
    assert ("training.optimizer: " in changes) == (not same)


def test_every_recipe_has_a_name_of_its_own() -> None:
    families = (*DEMO, *IMAGES, *SCIENCE, *LANGUAGE, *AWD_ABLATIONS, *SEARCHED_LANGUAGE)
    assert len(RECIPES) == len(families) + len(small_recipes(families))
    assert all(RECIPES[each.name] is each for each in (*families, *small_recipes(families)))


def test_the_differences_of_two_configurations() -> None:
    found = doctest.testmod(small_changes)
    assert (found.attempted > 0, found.failed) == (True, 0)
    before = {"levels": 9, "seeds": [0], "data": {"train": 5, "flip": 1}, "clip": None}
    after = {"levels": 2, "seeds": list(range(9)), "data": {"train": 3, "test": 1}, "clip": 0.25}
    assert differences(before, before) == []
    assert differences(before, after) == [
        "levels 2 in place of 9; seeds [0 ... 8, 9 in all] in place of [0]; clip 0.25",
        "data: train 3 in place of 5, flip none in place of 1, test 1",
    ]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("lmc-vgg16", "draws Kaiming normal weights"),
        ("lmc-vgg16", "here weights are Gaussian Glorot"),
        ("lmc-resnet20", "the output layer's bias uniformly; here they start at 1 and 0"),
        ("renda-resnet20", "draws convolutions with variance 1 / inputs"),
        ("nao-ws-cnn-cifar10", "which wire and train them as ENAS does: melodyguan/enas"),
        ("naonet-a-cifar10", "by a cosine (by the step here, by the epoch there)"),
        ("darts-v2-cifar10", "drop-path to 0.2 (both by the step here, by the epoch there)"),
        ("enas-micro-cifar10", "crops padded with black here, with the mean there"),
    ],
)
def test_a_source_says_where_a_recipe_departs_from_it(name: str, words: str) -> None:
    assert words in recipe(name).source


def test_a_small_recipe_keeps_its_noise_low() -> None:
    size = recipe("enas-micro-cifar10-small").network.size
    assert (size["drop_path"], size["dropout"], size["auxiliary"]) == (0.1, 0.1, 1)


def test_the_demo_pairs_searched_and_designed_networks() -> None:
    assert [each.config.data.name for each in DEMO] == ["digits", "digits", "pydoc", "pydoc"]
    assert all(RECIPES[each.name] is each for each in DEMO)
    digits = recipe("demo-digits-enas")
    one = {"weight": (100_000,)}
    assert kept_at(one, digits.levels, digits.pruning, LayerKinds()) == 10_737


def test_an_unknown_recipe_is_refused_with_the_nearest() -> None:
    with pytest.raises(LotteryError, match=r"'lth-lennet'; did you mean lth-lenet"):
        recipe("lth-lennet")
