"""One forward pass of a network, traced: its multiply-adds by parameter, its convolutions and its output layer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.utils import parametrize
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lottery.products import PRODUCTS, Product
from lottery.pruning.groups import LayerKinds
from nas.normalised_weights import gains

aten = torch.ops.aten
# Joins tensors, so that what it returns belongs to each by its size.
_JOINS = (aten.cat, aten.stack)


@dataclass(frozen=True, kw_only=True)
class ForwardPass:
    """What a forward pass does with a network's parameters.

    Attributes:
        multiply_adds: per example, by the name of the parameter that takes part; "" for products of no single one.
        kinds: which parameters belong to the output layer, and which are kernels of convolutions.
    """

    multiply_adds: Mapping[str, int]
    kinds: LayerKinds


@dataclass(frozen=True, kw_only=True)
class _Origin:
    """Where the values of a tensor come from.

    Attributes:
        from_input: whether they follow from the network's input, not from parameters and what it makes alone.
        shares: of what follows from parameters alone, the share that belongs to each; none if that is not clear.
        layers: the parameters of the last products on the way from the input.
    """

    from_input: bool
    shares: Mapping[str, float] = field(default_factory=dict)
    layers: frozenset[str] = frozenset()


_INPUT = _Origin(from_input=True)
_CONSTANT = _Origin(from_input=False)


class _Tracer(TorchDispatchMode):
    """Sees every operation, and follows where the values of each tensor's memory come from."""

    def __init__(self, network: nn.Module) -> None:
        TorchDispatchMode.__init__(self)
        self.counts: dict[str, float] = defaultdict(float)
        self.convolutions: set[str] = set()
        self.output: frozenset[str] = frozenset()
        # Parameters may lie side by side in one memory, as cuDNN's recurrent layers have them.
        self._stored: dict[StorageWeakRef, list[tuple[range, _Origin]]] = defaultdict(list)
        self._origins: dict[StorageWeakRef, _Origin] = {}
        scales = gains(network)
        for name, parameter in network.named_parameters():
            if parameter.dim() >= 2 and name not in scales:
                first = int(parameter.storage_offset())
                offsets = range(first, first + int(parameter.numel()))
                origin = _Origin(from_input=False, shares={name: 1.0})
                self._stored[_memory(parameter)].append((offsets, origin))

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: nothing is compiled here, and skipping means loading the compiler, which takes seconds."""
        return False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        multiply = PRODUCTS.get(func.overloadpacket)
        if multiply is None:
            # In inference mode operations arrive that are made of others.
            with self:
                made_of_others = func.decompose(*args, **(kwargs or {}))
            if made_of_others is not NotImplemented:
                return made_of_others
        output = func(*args, **(kwargs or {}))
        products = [*multiply(args, output)] if multiply else []
        inputs = _strided([args, kwargs])
        before = {_memory(tensor) for tensor in inputs}
        layers = self._multiplied(products, inputs) if products else self._layers(inputs)
        for tensor in _strided(output):
            # A view follows from its memory; so does what was changed in place, and from all else that did it.
            if _memory(tensor) in before and not func._schema.is_mutable:
                continue
            if any(self.origin(one).from_input for one in inputs):
                found = _Origin(from_input=True, layers=layers)
            elif func.overloadpacket in _JOINS:
                found = _Origin(from_input=False, shares=self._joined(inputs))
            else:
                shares = {} if products else self._shares(inputs, tensor.numel())
                found = _Origin(from_input=False, shares=shares)
            self._origins[_memory(tensor)] = found
        return output

    def origin(self, tensor: Tensor) -> _Origin:
        """Where a tensor's values come from."""
        memory, offset = _memory(tensor), tensor.storage_offset()
        if memory in self._origins:
            return self._origins[memory]
        parts = self._stored.get(memory, [])
        return next((origin for offsets, origin in parts if offset in offsets), _CONSTANT)

    def enter(self, module: nn.Module, inputs: Any, named: Any) -> None:
        """A hook before the network: what it is called with is its input, wherever that was made."""
        self._origins |= {_memory(tensor): _INPUT for tensor in _strided([inputs, named])}

    def leave(self, module: nn.Module, inputs: Any, output: Any) -> None:
        """A hook behind the network: its logits come first of what it returns."""
        found = _strided(output)
        self.output = self.origin(found[0]).layers if found else frozenset()

    def _multiplied(self, products: Sequence[Product], inputs: Sequence[Tensor]) -> frozenset[str]:
        """Count products, and return the parameters of the last products before what comes out."""
        operands = {id(operand) for product in products for operand in product.operands}
        # Such as what is added to the product.
        layers = self._layers([tensor for tensor in inputs if id(tensor) not in operands])
        for product in products:
            origins = [self.origin(operand) for operand in product.operands]
            # As spectral normalisation by a hook has it.
            of_vectors = min(operand.dim() for operand in product.operands) < 2
            if of_vectors and not any(origin.from_input for origin in origins):
                continue
            sizes = [operand.numel() for operand in product.operands]
            weights = [(n, o.shares) for n, o in zip(sizes, origins, strict=True) if o.shares]
            shares = max(weights, key=lambda pair: pair[0])[1] if weights else {"": 1.0}
            for name, share in shares.items():
                self.counts[name] += share * product.multiply_adds
            names = frozenset(shares) - {""}
            self.convolutions |= names if product.convolution else frozenset()
            of_activations = all(origin.from_input for origin in origins)
            layers |= self._layers(product.operands) if of_activations else names
        return layers

    def _layers(self, tensors: Sequence[Tensor]) -> frozenset[str]:
        return frozenset().union(*(self.origin(tensor).layers for tensor in tensors))

    def _joined(self, parts: Sequence[Tensor]) -> Mapping[str, float]:
        """Matrices side by side: a product with them belongs to each by its size."""
        found = [(part.numel(), self.origin(part).shares) for part in parts]
        joined: dict[str, float] = defaultdict(float)
        for size, shares in found if any(shares for _, shares in found) else ():
            for name, share in (shares or {"": 1.0}).items():
                joined[name] += share * size / sum(size for size, _ in found)
        return joined

    def _shares(self, inputs: Sequence[Tensor], size: int) -> Mapping[str, float]:
        """Whose values a weight has that was made of others: of the one that is as large, such as it is scaled."""
        found = [(tensor.numel(), self.origin(tensor).shares) for tensor in inputs]
        weights = [pair for pair in found if pair[1]]
        candidates = [shares for numel, shares in weights if numel == size]
        candidates = candidates or [shares for _, shares in weights]
        alike = all(shares == candidates[0] for shares in candidates)
        return candidates[0] if candidates and alike else {}


def _strided(value: Any) -> list[Tensor]:
    """The tensors in arguments or results; sparse ones have no memory of their own."""
    leaves = tree_leaves(value)
    return [t for t in leaves if isinstance(t, Tensor) and t.layout is torch.strided]


def _memory(tensor: Tensor) -> StorageWeakRef:
    # As long as a reference lives, no other memory has its identity.
    return StorageWeakRef(tensor.untyped_storage())


def trace(network: nn.Module, run: Callable[[nn.Module], int]) -> ForwardPass:
    """What one forward pass does with the parameters of a network.

    Matrix products and convolutions are counted, as executed, which is what the literature counts: not what is
    elementwise, looked up or added. A product belongs to the parameter that takes part in it, also through a view of
    it, normalised, or side by side with others; a tied weight counts under its first name. Products of activations, as
    in attention, belong to none. What is there for the sake of a weight is not counted: what a parametrization does,
    and a matrix by a vector neither of which follows from the input, as in spectral normalisation.

    The output layer is whose products become the logits, up to operations that multiply no matrices.

    Args:
        network: in any mode; it is run in evaluation mode.
        run: runs it once and returns how many examples that took, as `Task.run_example`.
    """
    training = network.training
    network.eval()
    tracer = _Tracer(network)
    before = network.register_forward_pre_hook(tracer.enter, with_kwargs=True)
    after = network.register_forward_hook(tracer.leave)
    with before, after, torch.no_grad(), _attention_in_parts(), parametrize.cached(), tracer:
        # Computed once, here, and not counted.
        for module in filter(parametrize.is_parametrized, network.modules()):
            for name in cast(nn.ModuleDict, module.parametrizations):
                getattr(module, name)
        tracer.counts.clear()
        examples = run(network)
    network.train(training)
    return ForwardPass(
        multiply_adds={name: round(n / examples) for name, n in tracer.counts.items()},
        kinds=LayerKinds(output=tracer.output, convolutions=frozenset(tracer.convolutions)),
    )


@contextmanager
def _attention_in_parts() -> Iterator[None]:
    """Inside, no whole layer of attention is one operation, as torch has it when nothing is trained."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def effective(counts: Mapping[str, int], density: Mapping[str, float]) -> int:
    """Multiply-adds that are left when each masked parameter keeps a share of its weights."""
    return round(sum(count * density.get(name, 1.0) for name, count in counts.items()))
