"""What must hold of every shared-weight network."""

from __future__ import annotations

import gc
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from nas.search.shared import SharedNetwork
from training.dropout import noise_sites, set_noise

SEED, STEP = 7, 3


def flat(outputs: Any) -> list[Tensor]:
    """The tensors of what a network returns."""
    if isinstance(outputs, Tensor):
        return [outputs]
    return [tensor for output in outputs for tensor in flat(output)]


def gradients(shared: SharedNetwork, outputs: Any) -> dict[str, Tensor]:
    """The gradients of some function of the outputs, where there are any."""
    shared.zero_grad()
    torch.stack([tensor.sin().sum() for tensor in flat(outputs)]).sum().backward()
    return {name: p.grad for name, p in shared.named_parameters() if p.grad is not None}


def path_of(shared: SharedNetwork, genotype: Any) -> dict[str, Tensor]:
    """The weights of an architecture, by the names of the parameters of its stand-alone network."""
    chosen = shared.select(genotype)
    own = chosen.network.named_parameters()
    return {name: chosen.tensors.get(name, parameter) for name, parameter in own}


def assert_as_alone(
    shared: SharedNetwork, alone: nn.Module, genotype: Any, *inputs: Any
) -> dict[str, Tensor]:
    """Outputs and gradients are those of a stand-alone network with the weights of the path; returns the gradients."""
    path = path_of(shared, genotype)
    expected_shapes = {name: p.shape for name, p in alone.named_parameters()}
    assert {name: tensor.shape for name, tensor in path.items()} == expected_shapes
    assert noise_sites(shared.drawing()).keys() == noise_sites(shared).keys()
    set_noise(shared.drawing(), SEED, STEP)
    set_noise(alone, SEED, STEP)
    outputs = shared(genotype, *inputs)
    found = gradients(shared, outputs)
    expected_outputs = functional_call(alone, path, inputs)
    expected = gradients(shared, expected_outputs)
    assert type(outputs) is type(expected_outputs)
    torch.testing.assert_close(flat(outputs), flat(expected_outputs))
    assert found.keys() == expected.keys()
    torch.testing.assert_close(found, expected)
    return found


def live() -> tuple[int, int]:
    """How many tensors and modules there are."""
    gc.collect()
    # By type, since `isinstance` asks some objects for their class, which warns.
    kinds = [type(thing) for thing in gc.get_objects()]
    return sum(issubclass(k, Tensor) for k in kinds), sum(issubclass(k, nn.Module) for k in kinds)
