"""The only door to networks: from a name and sizes to a module with its initial weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from nas.auxiliary import AuxiliaryHead
from nas.awd_lstm import awd_lstm
from nas.catalog import NETWORKS, entry
from nas.conv_cells import CellNetwork
from nas.conv_layers import LayerNetwork
from nas.entry import NetworkEntry, check_size
from nas.genotypes import RecurrentGenotype
from nas.language_model import LanguageModel
from nas.lenet import LeNet, LeNet5
from nas.outside_networks import Factory, own_network, torchvision_network
from nas.random_genotypes import random_cells, random_layers
from nas.recurrent_cells import SearchedRecurrentCell
from nas.resnet import ResNet
from nas.vgg import VGG, ConvN
from training.errors import LotteryError
from training.noise import replace_dropout
from training.specs import ImageSpec, Spec, TextSpec


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
) -> LanguageModel:
    """A searched recurrent cell between a tied embedding and decoder, all `hidden` wide.

    Args:
        spec: of the text.
        genotype: the cell.
        hidden: width of the embedding and of every state.
        dropout_embedding: of whole words, `drop_e` in enas_lm.
        dropout_input: locked, on the embedded input, `drop_i`.
        dropout_cell_input: one mask on what the cell reads, `drop_x`.
        dropout_cell_state: one mask on the states of all nodes, `drop_l`.
        dropout_output: locked, on the cell's output, `drop_o`.
    """
    cell = SearchedRecurrentCell(genotype, hidden, hidden, dropout_cell_input, dropout_cell_state)
    return LanguageModel(
        spec.vocabulary,
        hidden,
        [cell],
        dropout_embedding=dropout_embedding,
        dropout_input=dropout_input,
        dropout_output=dropout_output,
    )


def random_cell_network(spec: ImageSpec, *, seed: int, nodes: int, **sizes: Any) -> CellNetwork:
    """Cells of so many nodes that are drawn from a seed, wired as ENAS does.

    Args:
        spec: of the images.
        seed: of the cells, not of the weights.
        nodes: in each cell.
        sizes: as `CellNetwork` takes them.
    """
    return CellNetwork(spec, genotype=random_cells(seed, nodes), wiring="enas", **sizes)


def random_layer_network(spec: ImageSpec, *, seed: int, layers: int, **sizes: Any) -> LayerNetwork:
    """So many layers, their operations and skips drawn from a seed.

    Args:
        spec: of the images.
        seed: of the layers, not of the weights.
        layers: how many.
        sizes: as `LayerNetwork` takes them.
    """
    return LayerNetwork(spec, genotype=random_layers(seed, layers), separable=True, **sizes)


# name -> constructor(spec, **sizes), with `genotype` too where the catalog has one.
BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "enas-micro": partial(CellNetwork, wiring="enas"),
    "enas-micro-paper": partial(CellNetwork, wiring="enas"),
    "enas-macro": partial(LayerNetwork, separable=True),
    "enas-macro-released": partial(LayerNetwork, separable=False),
    "naonet-a": partial(CellNetwork, wiring="nao"),
    "naonet-b": partial(CellNetwork, wiring="nao"),
    "nao-ws-cnn": partial(CellNetwork, wiring="nao"),
    "nao-v2": partial(CellNetwork, wiring="nao"),
    "darts-v1": partial(CellNetwork, wiring="darts"),
    "darts-v2": partial(CellNetwork, wiring="darts"),
    "nasnet-a": partial(CellNetwork, wiring="darts"),
    "amoebanet-a": partial(CellNetwork, wiring="darts"),
    "pnasnet-5": partial(CellNetwork, wiring="darts"),
    "random-micro": random_cell_network,
    "random-macro": random_layer_network,
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
    "enas-lm": searched_language_model,
    "awd-lstm": awd_lstm,
    "lstm": awd_lstm,
}

TASKS: dict[type[ImageSpec] | type[TextSpec], str] = {ImageSpec: "images", TextSpec: "text"}


def build(
    name: str,
    size: Mapping[str, object],
    spec: Spec,
    generator: torch.Generator,
    factory: Factory | None = None,
) -> nn.Module:
    """A network with initial weights.

    Args:
        name: in the catalog, `torchvision/NAME` or `package.module:factory`.
        size: what differs from the catalog's sizes.
        spec: what the task asks for.
        generator: the initial weights are a function of its state; it is advanced. torch's global
            generators are left as they were.
        factory: of a network of the user's own, from `import_factory`; else unused.

    Raises:
        LotteryError: the name or a size is unknown or impossible, or the network is for another
            kind of task.
    """
    found = entry(name)
    sizes = check_size(found, size)
    _check_task(found, spec)
    if found.genotype is not None:
        sizes["genotype"] = found.genotype
    seed = int(torch.randint(2**63 - 1, (), generator=generator, device=generator.device))
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: it would seed CUDA too, which the fork does not restore.
        torch.default_generator.manual_seed(seed)
        network = _builder(found, factory)(spec, **sizes)
    return replace_dropout(network)


def counted_parameters(network: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that a network is counted and pruned by; a tied one stands once.

    Those of an auxiliary head, which only helps while the network trains, are none of them.
    """
    heads = [module for module in network.modules() if isinstance(module, AuxiliaryHead)]
    theirs = {id(parameter) for head in heads for parameter in head.parameters()}
    return {name: p for name, p in network.named_parameters() if id(p) not in theirs}


def _builder(found: NetworkEntry, factory: Factory | None) -> Callable[..., nn.Module]:
    if found.origin == "own":
        return partial(own_network, found.name, factory=factory)
    return BUILDERS.get(found.name) or partial(torchvision_network, found.name)


def _check_task(found: NetworkEntry, spec: Spec) -> None:
    task = TASKS[type(spec)]
    if found.task not in (task, "any"):
        others = ", ".join(sorted(name for name, e in NETWORKS.items() if e.task == task))
        raise LotteryError(
            f"The network {found.name} is for {found.task} and this task is about {task}; "
            f"choose one of {others}."
        )
