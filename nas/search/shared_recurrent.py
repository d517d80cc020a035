"""Weights that the language models of all recurrent cells of a space share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn

from nas.genotypes.values import RecurrentGenotype
from nas.recurrent.cells import RecurrentCore
from nas.recurrent.language_model import LanguageModel
from nas.recurrent.searched_language_model import RELEASES, searched_language_model
from nas.search.recurrent_space import RecurrentSpace
from nas.search.shared_weights import Selection, SharedNetwork
from training.specs import TextSpec


class SharedLanguageModel(SharedNetwork):
    """The shared weights of language models around a searched cell, `nas.recurrent.searched_language_model`.

    A node has one matrix for each state that it may read, whatever its activation (Pham et al. 2018, section 2.1). In
    code it has one for each state and activation: ENAS (`ptb_enas_child.py`), which also has batch norms in the cell
    while it searches, enas_lm (`src/child.py`) and NAO-WS (`rnn/model.py`), whose decoder has a bias too.

    Args:
        spec: of the text.
        space: of the cells.
        initial: embedding and matrices are uniform within this at first; None for what a stand-alone one begins with.
        sizes: of the language model, by name.
    """

    def __init__(
        self,
        spec: TextSpec,
        space: RecurrentSpace,
        *,
        initial: float | None = None,
        **sizes: Any,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.sizes = sizes
        # What every model has stands here under the names that it has there.
        common = self._model(RecurrentGenotype(first="tanh", nodes=(), output=(0,)))
        for name, child in common.named_children():
            self.add_module(name, child)
        for name, parameter in common.named_parameters(recurse=False):
            self.register_parameter(name, parameter)
        self._common = tuple(name for name, _ in common.named_parameters())
        hidden = int(sizes["hidden"])
        bound = initial or RELEASES["enas"].bound(hidden)
        self.weight_nodes = nn.ParameterDict(
            {
                _pair(node, previous): torch.empty(2 * hidden, hidden).uniform_(-bound, bound)
                for node in range(1, space.nodes)
                for previous in range(node)
            }
        )
        for parameter in common.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def select(self, genotype: RecurrentGenotype) -> Selection:
        """See `SharedNetwork.select`."""
        with torch.device("meta"):
            network = self._model(genotype)
        network.train(self.training)
        tensors: dict[str, Tensor] = {name: self.get_parameter(name) for name in self._common}
        for index, (previous, _) in enumerate(genotype.nodes):
            name = f"cores.0.weight_nodes.{index}"
            tensors[name] = self.weight_nodes[_pair(index + 1, previous)]
        # The keys of this step's noise.
        tensors |= self.named_buffers()
        return Selection(network=network, tensors=tensors)

    def initial_state(self, batch: int) -> tuple[Tensor, ...]:
        """The zero state for `batch` sequences."""
        (core,) = cast(Iterable[RecurrentCore], self.cores)
        return core.initial_state(batch)

    def _model(self, genotype: RecurrentGenotype) -> LanguageModel:
        return searched_language_model(self.spec, genotype=genotype, **self.sizes)


def _pair(node: int, previous: int) -> str:
    return f"{previous}-{node}"
