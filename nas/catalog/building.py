"""The only door to networks: from a name and sizes to a module with its initial weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from nas.catalog.catalog import NETWORKS, entry
from nas.catalog.entry import NetworkEntry, check_size, genotype_of
from nas.catalog.outside_networks import Factory, own_network, torchvision_network
from nas.convolutional.auxiliary import AuxiliaryHead
from nas.convolutional.cells import CellNetwork
from nas.convolutional.layers import LayerNetwork
from nas.convolutional.lenet import LeNet, LeNet5
from nas.convolutional.resnet import ResNet
from nas.convolutional.vgg import VGG, ConvN
from nas.genotypes.encodings import missing_genotype
from nas.genotypes.values import RecurrentGenotype
from nas.normalised_weights import bear_zeros
from nas.recurrent.awd_lstm import awd_lstm, lstm, lstm_yu
from nas.recurrent.cells import SearchedRecurrentCell
from nas.recurrent.gru import gru
from nas.recurrent.language_model import LanguageModel
from nas.recurrent.on_lstm import on_lstm
from training.errors import LotteryError
from training.noise import replace_dropout
from training.specs import Spec, TextSpec


@dataclass(frozen=True)
class Release:
    """What a source's language model around a searched cell has its own way.

    Attributes:
        bound: width of the layers -> every weight, the tied embedding among them, is uniform within it at first.
        bias: whether the decoder has one, 0 at first.
    """

    bound: Callable[[int], float]
    bias: bool


RELEASES: dict[str, Release] = {
    # `_build_params` and `_get_log_probs` of ptb_enas_child.py in melodyguan/enas.
    "enas": Release(
        bound=lambda hidden: 0.1 if hidden <= 300 else 0.05 if hidden <= 400 else 0.04, bias=False
    ),
    # `child_init_range` and `_forward` of src/fixed_lib.py in google-research/enas_lm.
    "enas_lm": Release(bound=lambda hidden: 0.05, bias=False),
    # `INITRANGE` and `init_weights` of rnn/model.py in quark0/darts, and of its copies NAO/rnn and NAO-WS/rnn.
    "darts": Release(bound=lambda hidden: 0.04, bias=True),
}


def searched_language_model(
    spec: TextSpec,
    *,
    genotype: RecurrentGenotype,
    hidden: int,
    dropout_embedding: float,
    dropout_input: float,
    dropout_cell_input: float,
    dropout_cell_state: float,
    dropout_output: float,
    release: str = "enas",
) -> LanguageModel:
    """A searched recurrent cell between a tied embedding and decoder, all `hidden` wide.

    The five dropouts are those of enas_lm (src/fixed_lib.py), DARTS and NAO (rnn/model.py, the same
    in both), each with one mask for all time steps of a forward. ENAS (`ptb_enas_child.py`) has four:
    its `e_keep` drops positions, each for one sequence, and later repetitions of the word with them,
    where `dropout_embedding` drops a word everywhere.

    Args:
        spec: of the text.
        genotype: the cell.
        hidden: width of the embedding and of every state.
        dropout_embedding: of whole words, `drop_e` in enas_lm, `dropoute` in DARTS and NAO.
        dropout_input: locked, on the embedded input, `drop_i`, `dropouti`.
        dropout_cell_input: one mask on what the cell reads, `drop_x`, `dropoutx`.
        dropout_cell_state: one mask on the states of all nodes, `drop_l`, `dropouth`.
        dropout_output: locked, on the cell's output, `drop_o`, `dropout`.
        release: whose start and decoder it has, a word of `RELEASES`.
    """
    way = RELEASES[release]
    bound = way.bound(hidden)
    cell = SearchedRecurrentCell(
        genotype, hidden, hidden, dropout_cell_input, dropout_cell_state, bound
    )
    return LanguageModel(
        spec.vocabulary,
        hidden,
        [cell],
        dropout_embedding=dropout_embedding,
        dropout_input=dropout_input,
        dropout_output=dropout_output,
        bias=way.bias,
        bound=bound,
    )


# name -> constructor(spec, **sizes), with `genotype` too where the catalog has or draws one.
BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "enas-micro": partial(CellNetwork, wiring="enas"),
    "enas-micro-paper": partial(CellNetwork, wiring="enas"),
    "enas-macro": partial(LayerNetwork, separable=True),
    "enas-macro-released": partial(LayerNetwork, separable=False),
    "naonet-a": partial(CellNetwork, wiring="nao"),
    "naonet-b": partial(CellNetwork, wiring="nao"),
    "nao-ws-cnn": partial(CellNetwork, wiring="enas"),
    "nao-v2": partial(CellNetwork, wiring="nao"),
    "darts-v1": partial(CellNetwork, wiring="darts"),
    "darts-v2": partial(CellNetwork, wiring="darts"),
    "nasnet-a": partial(CellNetwork, wiring="darts"),
    "amoebanet-a": partial(CellNetwork, wiring="darts"),
    "pnasnet-5": partial(CellNetwork, wiring="darts"),
    "random-micro": partial(CellNetwork, wiring="enas"),
    "random-macro": partial(LayerNetwork, separable=True),
    "lenet-300-100": LeNet,
    "lenet-5": LeNet5,
    "conv-2": ConvN,
    "conv-4": ConvN,
    "conv-6": ConvN,
    "resnet": partial(ResNet, shortcut="projected", initialisation="he"),
    "resnet-glorot": partial(ResNet, shortcut="projected", initialisation="glorot"),
    "resnet-padded": partial(ResNet, shortcut="padded", initialisation="he"),
    "vgg-11": partial(VGG, depth=11),
    "vgg-13": partial(VGG, depth=13),
    "vgg-16": partial(VGG, depth=16),
    "vgg-19": partial(VGG, depth=19),
    "enas-rnn": searched_language_model,
    "enas-lm": partial(searched_language_model, release="enas_lm"),
    "nao-rnn": partial(searched_language_model, release="darts"),
    "nao-ws-rnn": partial(searched_language_model, release="darts"),
    "darts-rnn-v1": partial(searched_language_model, release="darts"),
    "darts-rnn-v2": partial(searched_language_model, release="darts"),
    "random-rnn": searched_language_model,
    "searched-cells": partial(CellNetwork, wiring="enas"),
    "searched-cells-nao": partial(CellNetwork, wiring="nao"),
    "searched-cells-darts": partial(CellNetwork, wiring="darts"),
    "searched-layers": partial(LayerNetwork, separable=True),
    "searched-rnn": searched_language_model,
    "awd-lstm": awd_lstm,
    "lstm": lstm,
    "lstm-yu": lstm_yu,
    "gru": gru,
    "on-lstm": on_lstm,
}


def build(
    name: str,
    size: Mapping[str, object],
    spec: Spec,
    generator: torch.Generator,
    factory: Factory | None = None,
    genotype: str = "",
) -> nn.Module:
    """A network with initial weights.

    Args:
        name: in the catalog, `torchvision/NAME` or `package.module:factory`.
        size: what differs from the catalog's sizes.
        spec: what the task asks for.
        generator: the initial weights are a function of its state; it is advanced. torch's global
            generators are left as they were.
        factory: of a network of the user's own, from `import_factory`; else unused.
        genotype: of a network of a given one, as text, see `nas.catalog.given_genotypes`.

    Raises:
        LotteryError: the name or a size is unknown or impossible, the genotype is missing or malformed, or the network
            is for another kind of task.
    """
    found = entry(name, genotype)
    sizes = check_size(found, size)
    _check_task(found, spec)
    graph = genotype_of(found, sizes)
    if graph is not None:
        # The sizes that drew it are not those of its network.
        drawing = found.drawn.sizes if found.drawn else ()
        sizes = {key: value for key, value in sizes.items() if key not in drawing}
        sizes["genotype"] = graph
    elif found.given:
        raise missing_genotype(found)
    seed = int(torch.randint(2**63 - 1, (), generator=generator, device=generator.device))
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: it would seed CUDA too, which the fork does not restore.
        torch.default_generator.manual_seed(seed)
        network = _builder(found, factory)(spec, **sizes)
    return bear_zeros(replace_dropout(network))


def counted_parameters(network: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that a network is counted and pruned by; a tied one stands once.

    Those of an auxiliary head, which only helps while the network trains, are none of them.
    """
    heads = [module for module in network.modules() if isinstance(module, AuxiliaryHead)]
    theirs = {id(parameter) for head in heads for parameter in head.parameters()}
    return {name: p for name, p in network.named_parameters() if id(p) not in theirs}


def _builder(found: NetworkEntry, factory: Factory | None) -> Callable[..., nn.Module]:
    if found.origin == "own":
        return partial(own_network, found.name, factory)
    return BUILDERS.get(found.name) or partial(torchvision_network, found.name)


def _check_task(found: NetworkEntry, spec: Spec) -> None:
    if found.task not in (spec.kind, "any"):
        others = ", ".join(sorted(name for name, e in NETWORKS.items() if e.task == spec.kind))
        remedy = f"one of {others}" if others else "other data, or a network of your own"
        raise LotteryError(
            f"The network {found.name} is for {found.task} and this task is about {spec.kind}; "
            f"choose {remedy}."
        )
