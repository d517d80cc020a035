"""The only door to networks: from a name and sizes to a module with its initial weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from nas.awd_lstm import awd_lstm
from nas.catalog import NETWORKS, NetworkEntry, check_size, entry
from nas.conv_cells import CellNetwork
from nas.genotypes import RecurrentGenotype
from nas.language_model import LanguageModel
from nas.lenet import LeNet
from nas.recurrent_cells import SearchedRecurrentCell
from nas.resnet import ResNet
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


# name -> constructor(spec, **sizes), with `genotype` too where the catalog has one.
BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "enas-micro": CellNetwork,
    "lenet-300-100": LeNet,
    "resnet": ResNet,
    "enas-rnn": searched_language_model,
    "enas-lm": searched_language_model,
    "awd-lstm": awd_lstm,
    "lstm": awd_lstm,
}

TASKS: dict[type[ImageSpec] | type[TextSpec], str] = {ImageSpec: "images", TextSpec: "text"}


def build(
    name: str, size: Mapping[str, object], spec: Spec, generator: torch.Generator
) -> nn.Module:
    """A network with initial weights.

    Args:
        name: in the catalog.
        size: what differs from the catalog's sizes.
        spec: what the task asks for.
        generator: the initial weights are a function of its state; it is advanced. torch's global
            generators are left as they were.

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
        network = BUILDERS[name](spec, **sizes)
    return replace_dropout(network)


def _check_task(found: NetworkEntry, spec: Spec) -> None:
    task = TASKS[type(spec)]
    if found.task != task:
        others = ", ".join(sorted(name for name, e in NETWORKS.items() if e.task == task))
        raise LotteryError(
            f"The network {found.name} is for {found.task} and this task is about {task}; "
            f"choose one of {others}."
        )
