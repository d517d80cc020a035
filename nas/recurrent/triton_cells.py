"""Recurrent cells whose parts between products are one kernel each: on a card a time step is bound by its launches.

The cells that they stand for are their reference: `LSTMCell`, `OrderedCell`, `HighwayCell`. They compute the same to
rounding, in fp32. They add the projected input themselves, which spares the copy of it that a product would add to, and
take products in bf16 as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, chain
from typing import NamedTuple

import torch
from torch import Tensor

from nas.genotypes.values import RecurrentGenotype
from nas.recurrent import triton_operators as operators
from nas.recurrent.highway_cell import HighwayCell
from nas.recurrent.loop import Cell, Multiply, MultiplyBack, Saved, State
from nas.recurrent.lstm_cell import LSTMCell
from nas.recurrent.ordered_cell import OrderedCell

# As triton_highways numbers them.
_CODES = {"tanh": 0, "relu": 1, "sigmoid": 2, "identity": 3}


class TritonLSTMCell(Cell):
    """As `LSTMCell`.

    Args:
        products: their precision.
    """

    def __init__(self, products: torch.dtype) -> None:
        self.products = products

    def step(
        self, added: Tensor, state: State, constants: State, multiply: Multiply
    ) -> tuple[State, Saved]:
        """See `Cell.step`; the state is (h, c)."""
        h, c = state
        gates, h, after = operators.lstm_step(multiply(0, h), added, c)
        return (h, after), (gates, c, after)

    def step_back(
        self,
        outside: Tensor,
        grads: State,
        saved: Saved,
        constants: State,
        multiply: MultiplyBack,
    ) -> State:
        """See `Cell.step_back`."""
        into, into_c = operators.lstm_step_back(outside, *grads, *saved, self.products)
        return multiply(0, into), into_c


class TritonOrderedCell(Cell):
    """As `OrderedCell`.

    Args:
        chunks: n, the values of a master gate.
        products: their precision.
    """

    def __init__(self, chunks: int, products: torch.dtype) -> None:
        self._chunks = chunks
        self.products = products

    def step(
        self, added: Tensor, state: State, constants: State, multiply: Multiply
    ) -> tuple[State, Saved]:
        """See `Cell.step`; the state is (h, c)."""
        h, c = state
        *saved, h, after = operators.ordered_step(multiply(0, h), added, c, self._chunks)
        return (h, after), (*saved, c, after)

    def step_back(
        self,
        outside: Tensor,
        grads: State,
        saved: Saved,
        constants: State,
        multiply: MultiplyBack,
    ) -> State:
        """See `Cell.step_back`."""
        into, into_c = operators.ordered_step_back(outside, *grads, *saved, self.products)
        return multiply(0, into), into_c


# What the integers of 64 bits hold in which the kernels get the activations, two bits each.
_MOST_STATES = 31


class _Stage(NamedTuple):
    """The states that are made from one, among all of them in the order in which they are made.

    Attributes:
        source: what they are made from; one more than there are stands for the state before the step.
        first: of those that are made.
        codes: their activations.
    """

    source: int
    first: int
    codes: int


class TritonHighwayCell(HighwayCell):
    """As `HighwayCell`, of up to `_MOST_STATES` states.

    Args:
        genotype: the nodes and the output.
        products: their precision.
    """

    def __init__(self, genotype: RecurrentGenotype, products: torch.dtype) -> None:
        super().__init__(genotype)
        self.products = products
        made = [0, *chain(*self.readers.values())]
        self._count = len(made)
        self._chosen = sum(1 << made.index(state) for state in self._output)
        sources = [self._count, *(made.index(source) for source in self.readers)]
        stages = [[0], *self.readers.values()]
        firsts = accumulate(map(len, stages), initial=0)
        codes = (_codes(self._of(states)) for states in stages)
        self._stages = [*map(_Stage, sources, firsts, codes)]

    def step(
        self, added: Tensor, state: State, constants: State, multiply: Multiply
    ) -> tuple[State, Saved]:
        """See `Cell.step`; the state is (h,)."""
        (h,) = state
        mask = constants[0] if constants else None
        states = h.new_empty((self._count, *h.shape))
        # What matrices read, where that is something else than the states.
        reads = None
        if mask is not None or self.products != h.dtype:
            reads = torch.empty_like(states, dtype=self.products)
        before, read = h, h if mask is None else h * mask
        saved = []
        for index, (source, first, codes) in enumerate(self._stages):
            if index:
                before = states[source]
                read = before if reads is None else reads[source]
            made = (states, reads, multiply(index, read), None if index else added)
            saved.append(operators.highway_step(*made, before, mask, first, codes))
        return (operators.highway_output(states, self._chosen),), (h, states, *saved)

    def step_back(
        self,
        outside: Tensor,
        grads: State,
        saved: Saved,
        constants: State,
        multiply: MultiplyBack,
    ) -> State:
        """See `Cell.step_back`."""
        h, states, *values = saved
        into = operators.highway_output_back(outside, *grads, self._count + 1, self._chosen)
        for index in reversed(range(len(self._stages))):
            source, first, codes = self._stages[index]
            before = states[source] if index else h
            product = operators.highway_step_back(
                into, values[index], before, first, source, codes, self.products
            )
            read = multiply(index, product)
            if constants:
                into[source].addcmul_(read, constants[0])
            else:
                into[source].add_(read)
        return (into[self._count],)


def triton_cell(cell: Cell, products: torch.dtype) -> Cell:
    """What computes the same as a plain cell; the cell itself, where there is nothing.

    Args:
        cell: the plain one.
        products: their precision.
    """
    match cell:
        case LSTMCell():
            return TritonLSTMCell(products)
        case OrderedCell():
            return TritonOrderedCell(cell.chunks, products)
        case HighwayCell() if len(cell.genotype.nodes) < _MOST_STATES:
            return TritonHighwayCell(cell.genotype, products)
    return cell


def _codes(activations: Sequence[str]) -> int:
    return sum(_CODES[word] << 2 * k for k, word in enumerate(activations))
