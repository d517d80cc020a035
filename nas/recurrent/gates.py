"""Which rows of a recurrent layer's matrices belong to which gate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

from torch import nn

from nas.normalised_weights import gains
from nas.recurrent.cells import LSTMLayer, SearchedRecurrentCell
from nas.recurrent.gru import GRULayer
from nas.recurrent.on_lstm import OrderedLSTMLayer

# Gate -> the rows of a matrix that compute it.
Rows = dict[str, slice]

LSTM = ("input", "forget", "output", "candidate")
# torch's own order, as its documentation has it: (W_ii|W_if|W_ig|W_io).
TORCH_LSTM = ("input", "forget", "candidate", "output")
GRU = ("reset", "update", "candidate")
HIGHWAY = ("candidate", "gate")
MASTERS = ("master input", "master forget")


def gate_rows(network: nn.Module) -> dict[str, Rows]:
    """The gates of every matrix of a recurrent layer, by the parameter's name, in the order of the rows.

    Candidates are listed beside the gates, so that the blocks of a matrix cover it. A matrix of a layer that has no
    gates, such as torch.nn.RNN's or the projection of torch.nn.LSTM, is left out. Of one that is computed, as weight
    normalisation does, they are those of the matrix behind it.

    Args:
        network: one replicate's network, not a stack.
    """
    found = {}
    for path, module in network.named_modules():
        sizes = _sizes(module)
        for name in _matrices(module, sum(sizes.values())):
            found[f"{path}.{name}" if path else name] = _slices(sizes)
    return found


def _slices(sizes: dict[str, int]) -> Rows:
    ends = accumulate(sizes.values())
    return {
        gate: slice(end - size, end) for (gate, size), end in zip(sizes.items(), ends, strict=True)
    }


def _of_equal_sizes(gates: tuple[str, ...]) -> Callable[[Any], dict[str, int]]:
    return lambda core: dict.fromkeys(gates, core.state_sizes[0])


def _of_torch(gates: tuple[str, ...]) -> Callable[[Any], dict[str, int]]:
    return lambda module: dict.fromkeys(gates, module.hidden_size)


def _ordered(core: OrderedLSTMLayer) -> dict[str, int]:
    return dict.fromkeys(MASTERS, core.chunks) | dict.fromkeys(LSTM, core.state_sizes[0])


_SIZES: dict[type[nn.Module], Callable[[Any], dict[str, int]]] = {
    LSTMLayer: _of_equal_sizes(LSTM),
    GRULayer: _of_equal_sizes(GRU),
    OrderedLSTMLayer: _ordered,
    SearchedRecurrentCell: _of_equal_sizes(HIGHWAY),
    nn.LSTM: _of_torch(TORCH_LSTM),
    nn.LSTMCell: _of_torch(TORCH_LSTM),
    nn.GRU: _of_torch(GRU),
    nn.GRUCell: _of_torch(GRU),
}


def _sizes(module: nn.Module) -> dict[str, int]:
    """Gate -> how many rows each matrix of a module has of it, in their order; nothing of other modules."""
    for kind, sizes in _SIZES.items():
        if isinstance(module, kind):
            return sizes(module)
    return {}


def _matrices(module: nn.Module, rows: int) -> Iterator[str]:
    """The names of a module's own matrices of so many rows."""
    scales = gains(module) if rows else set()
    for name, parameter in module.named_parameters():
        own = "." not in name or isinstance(module, SearchedRecurrentCell)
        own = (own or name.startswith("parametrizations.")) and name not in scales
        if rows and own and parameter.dim() == 2 and len(parameter) == rows:
            yield name
