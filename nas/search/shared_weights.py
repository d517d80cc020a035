"""What all shared-weight networks have in common."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The stand-alone network of one architecture, made of shared modules and weights.

    Attributes:
        network: as it is retrained; where it reads part of a shared module only, that stands in it whole.
        tensors: what stands in place of its own parameters and buffers, by their names in it.
    """

    network: nn.Module
    tensors: Mapping[str, Tensor]


class SharedNetwork(nn.Module, abc.ABC):
    """Abstract: one set of weights, of which every architecture of a space takes its part (Pham et al. 2018).

    The weights are those of the networks that architectures are *retrained* as, each stored by what it means in an
    architecture: so what an architecture gives with shared weights is exactly what its stand-alone network would give
    with them in training mode. Only its own path computes, and only that has gradients afterwards: all other weights'
    are None, or 0 where a weight is used in part.

    Batch norms have no running statistics, which would mix those of all architectures: they normalise by the batch
    whether the network trains or not. So ENAS's search for cells (`_model` of micro_child.py) and NAO_pytorch
    (`bn_train`) score architectures. ENAS's search for layers (`build_valid_rl` of general_child.py) and, in its cell,
    that for recurrent cells (ptb_ops.py) do so by moving averages over all that was trained; a recurrent cell has no
    batch norm here. A stand-alone network, which has running statistics, gives the same while it trains.

    Nothing is kept of an architecture between two calls.
    """

    @abc.abstractmethod
    def select(self, genotype: Any) -> Selection:
        """The network of an architecture of the space, to be used before the next call and thrown away."""

    def forward(self, genotype: Any, *inputs: Any) -> Any:
        """What the stand-alone network of an architecture gives with the shared weights."""
        chosen = self.select(genotype)
        return functional_call(chosen.network, {**chosen.tensors}, inputs, tie_weights=False)

    def drawing(self) -> nn.Module:
        """What draws, under the names that it has here: for `set_noise`, which walks all it is given."""
        return self

    def initial_state(self, batch: int) -> tuple[Tensor, ...]:
        """The state before a text of `batch` sequences; empty for images."""
        return ()


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The channels that are read of a concatenation of blocks, not all of which an architecture has.

    Attributes:
        blocks: those that it has, ascending.
        width: of a block, in channels.
    """

    blocks: tuple[int, ...]
    width: int

    @property
    def count(self) -> int:
        """How many channels are read."""
        return len(self.blocks) * self.width

    def of(self, module: nn.Module, name: str, *weights: str) -> dict[str, Tensor]:
        """The parts of a module's weights that read these channels.

        Args:
            module: reads all blocks.
            name: of the module in its network.
            weights: names in the module of its weights `[out, channels of all blocks, ...]`.

        Returns:
            `[out, count, ...]` by name in the network.
        """
        return {f"{name}.{own}": self._gathered(module.get_parameter(own)) for own in weights}

    def _gathered(self, weight: Tensor) -> Tensor:
        by_block: Tensor = weight.unflatten(1, (-1, self.width))
        # Made where they are used: to copy numbers to a device waits for it.
        every = torch.arange(by_block.shape[1], device=weight.device).unbind()
        blocks = torch.stack([every[block] for block in self.blocks])
        return by_block.index_select(1, blocks).flatten(1, 2)


def prefixed(name: str, tensors: Mapping[str, Tensor]) -> Iterable[tuple[str, Tensor]]:
    """Tensors by their names one module further out."""
    return ((f"{name}.{own}", tensor) for own, tensor in tensors.items())
