"""The search space of convolutional networks, layer by layer; torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from nas.genotypes.convolutional_encodings import ENAS_MACRO_OPERATIONS
from nas.genotypes.values import Layer, LayerwiseGenotype
from nas.search.space import Decision, Dialect, Space, SpaceEntry, checked_choices
from training.specs import ImageSpec

if TYPE_CHECKING:
    from nas.search.configs import SearchConfig


@dataclass(frozen=True, kw_only=True)
class LayerSpace(Space):
    """A convolutional network layer by layer (Pham et al. 2018, section 2.3): an operation and skips.

    Attributes:
        layers: how many.
        operations: words of `nas.genotypes.values.LAYER_OPERATIONS`, in the order of their numbers.
    """

    name: ClassVar[str] = "layers"

    layers: int = 12
    operations: tuple[str, ...] = tuple(ENAS_MACRO_OPERATIONS.values())

    @property
    def operation_words(self) -> tuple[str, ...]:
        """See `Space.operation_words`."""
        return self.operations

    def decisions(self) -> tuple[Decision, ...]:
        """Per layer its operation, then a skip from each output before its direct input."""
        return tuple(
            decision
            for layer in range(self.layers)
            for decision in (
                Decision(kind="operation", choices=len(self.operations), node=layer),
                *(
                    Decision(kind="skip", choices=2, node=layer, source=output)
                    for output in range(layer)
                ),
            )
        )

    def genotype(self, choices: Sequence[int]) -> LayerwiseGenotype:
        """See `Space.genotype`."""
        rest = iter(checked_choices(self.decisions(), choices))
        layers = []
        for index in range(self.layers):
            operation = self.operations[next(rest)]
            skips = tuple(output for output in range(index) if next(rest))
            layers.append(Layer(operation=operation, skips=skips))
        return LayerwiseGenotype(layers=tuple(layers))


def _layers(config: SearchConfig) -> LayerSpace:
    return LayerSpace(layers=config.layers)


LAYERS = SpaceEntry(
    summary="a convolutional network layer by layer",
    kind=ImageSpec.kind,
    network="searched-layers",
    sized_as="enas-macro",
    module="nas.search.shared_layers",
    shared="SharedLayers",
    dialects={"enas": Dialect(encoding="ENAS macro", make=_layers)},
)
