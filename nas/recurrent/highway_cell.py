"""One time step of a searched cell of highway nodes, with its derivative."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nas.genotypes.values import RecurrentGenotype
from nas.recurrent.loop import Cell, Multiply, MultiplyBack, Saved, State
from nas.recurrent.pointwise import ACTIVATIONS, sigmoid_back

# Stands for the state before the step, among the numbers of a genotype's states.
_BEFORE = -1


class HighwayCell(Cell):
    """The step of `nas.recurrent.cells.SearchedRecurrentCell`.

    Nodes that read the same state are computed together: matrix 0 makes state 0, and matrix k the nodes that read the
    k-th of the states that are read. There is one constant or none: the mask `[..., B, H]` on what matrices read.

    Attributes:
        genotype: the nodes and the output.
        readers: by each state that is read, ascending, the states that are made from it.
    """

    def __init__(self, genotype: RecurrentGenotype) -> None:
        self.genotype = genotype
        self._output = genotype.output
        self._activations = (genotype.first, *(activation for _, activation in genotype.nodes))
        readers: dict[int, list[int]] = {}
        for node, (source, _) in enumerate(genotype.nodes, start=1):
            readers.setdefault(source, []).append(node)
        self.readers = {source: readers[source] for source in sorted(readers)}

    def step(
        self, added: Tensor, state: State, constants: State, multiply: Multiply
    ) -> tuple[State, Saved]:
        """See `Cell.step`; the state is (h,)."""
        (h,) = state
        saved, made = _highways(h, multiply(0, _masked(h, constants), added), self._of([0]))
        states = {0: made[0]}
        for index, (source, readers) in enumerate(self.readers.items(), start=1):
            before = states[source]
            product = multiply(index, _masked(before, constants))
            own, made = _highways(before, product, self._of(readers))
            saved += own
            states.update(zip(readers, made, strict=True))
        return (torch.stack([states[n] for n in self._output]).mean(0),), saved

    def step_back(
        self,
        outside: Tensor,
        grads: State,
        saved: Saved,
        constants: State,
        multiply: MultiplyBack,
    ) -> State:
        """See `Cell.step_back`."""
        # Of every state the gradient so far; a genotype has no state that the output doesn't depend on.
        into = dict.fromkeys(self._output, (grads[0] + outside) / len(self._output))
        stages = [(_BEFORE, [0]), *self.readers.items()]
        for index, (source, readers) in reversed([*enumerate(stages)]):
            grad = torch.stack([into[reader] for reader in readers], -2)
            own = saved[3 * index : 3 * index + 3]
            product, straight = _highways_back(grad, own, self._of(readers))
            before = straight + _masked(multiply(index, product), constants)
            into[source] = into[source] + before if source in into else before
        return (into[_BEFORE],)

    def _of(self, states: Sequence[int]) -> list[str]:
        return [self._activations[state] for state in states]


def _masked(x: Tensor, mask: State) -> Tensor:
    return x * mask[0] if mask else x


def _highways(
    before: Tensor, product: Tensor, activations: Sequence[str]
) -> tuple[Saved, Sequence[Tensor]]:
    """The k states `[..., B, H]` after nodes that read the same one, from their product `[..., B, 2kH]`.

    Saved are, `[..., B, k, H]` each, candidates, gates, and what each candidate differs from the state before.
    """
    halves = product.unflatten(-1, (2, len(activations), -1))
    candidates, gates = halves.unbind(-3)
    gates.sigmoid_()
    for candidate, activation in zip(candidates.unbind(-2), activations, strict=True):
        ACTIVATIONS[activation].apply(candidate)
    stays = before.unsqueeze(-2)
    differences = candidates - stays
    after = torch.addcmul(stays, gates, differences)
    return (candidates, gates, differences), after.unbind(-2)


def _highways_back(grad: Tensor, saved: Saved, activations: Sequence[str]) -> tuple[Tensor, Tensor]:
    """The gradients of the product `[..., B, 2kH]` and, past the product, of the state before `[..., B, H]`."""
    candidates, gates, differences = saved
    shape = grad.shape
    into = grad.new_empty((*shape[:-2], 2, *shape[-2:]))
    into_candidates, into_gates = into.unbind(-3)
    torch.mul(grad, gates, out=into_candidates)
    straight = (grad - into_candidates).sum(-2)
    values = zip(into_candidates.unbind(-2), candidates.unbind(-2), activations, strict=True)
    for into_candidate, candidate, activation in values:
        ACTIVATIONS[activation].back(into_candidate, candidate)
    torch.mul(grad, differences, out=into_gates)
    sigmoid_back(into_gates, gates)
    return into.flatten(-3), straight
