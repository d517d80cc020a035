"""Replicates: copies of one network that are trained as one program."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from training.batching_rules import BatchingRules
from training.errors import LotteryError
from training.noise import (
    drop_paths,
    keys,
    noise_sites,
    seeds_tensor,
    site_number,
    torch_seeded,
)
from training.specs import ImageSpec, Spec

Batching = Literal["stacked", "looped"]
Function = Callable[..., Any]
# Channels times pixels from which on convolutional replicates are faster one after the other on a CPU; see benchmarks.
LARGE_FEATURES = 20_000
# Bytes, torch's own alignment of new tensors on a CPU. Products sum in an order that depends on where they begin.
ALIGNMENT = 64


class Replicates(nn.Module):
    """R copies of one network, their parameters and buffers together as tensors `[R, ...]`.

    Calling it maps a function that is written for one network over all of them:

        losses = replicates(task.loss, images, labels)     # images [R, B, ...], losses [R]

    either *stacked*, as one program under `vmap` on parameters `[R, ...]`, or *looped*, one replicate after the other,
    each a module of its own whose tensors are the rows of those `[R, ...]`. Replicates don't touch each other, so the
    gradient of the summed loss holds each one's own. It is an ordinary module: optimizers and `torch.compile` work on
    its parameters.

    Looped, a replicate's numbers are those that it has alone, bit for bit: it runs the same operations on tensors that
    lie in memory alike, which decides the order of sums in a product. Stacked, products of other shapes sum in another
    order: one step agrees to some units in the last place (6e-8 of a number in fp32), and training amplifies that as it
    does any rounding.

    A network of others may draw from torch's global generators: looped, these are set from each replicate's noise seed
    and the step before its forward pass. It may also assign its buffers anew, rather than change them in place.

    Args:
        networks: built alike, one per replicate; their weights become the starting weights.
        noise_seeds: one per replicate, for everything that is drawn while training.
        batching: stacked or looped.

    Attributes:
        networks: stacked, one module, whose tensors lead with R; looped, R modules.
        assigned: how often a buffer was assigned anew.
    """

    _seeds: Tensor
    _sites: Tensor

    def __init__(
        self, networks: Sequence[nn.Module], noise_seeds: Sequence[int], batching: Batching
    ) -> None:
        super().__init__()
        if len(networks) != len(noise_seeds) or not networks:
            raise ValueError(f"{len(networks)} networks but {len(noise_seeds)} noise seeds")
        self.batching = batching
        self.noise_seeds = tuple(noise_seeds)
        self.assigned = 0
        self._step = 0
        modules = networks[:1] if batching == "stacked" else networks
        self.networks = nn.ModuleList([copied(network) for network in modules])
        self._stacked = _joined([_own_tensors(network) for network in networks], batching)
        self._point_to_stacked()
        self._drop_paths = drop_paths(self)
        self._places = _places(self.network)
        sites = noise_sites(self.network)
        self._noise = [list(noise_sites(network).values()) for network in self.networks]
        device = next(self.network.parameters()).device
        numbers = torch.tensor(
            [site_number(name) for name in sites], dtype=torch.int32, device=device
        )
        self.register_buffer("_sites", numbers, persistent=False)
        self.register_buffer("_seeds", seeds_tensor(noise_seeds, device), persistent=False)

    def __len__(self) -> int:
        return len(self.noise_seeds)

    @property
    def network(self) -> nn.Module:
        """The first module: its structure is that of all."""
        return self.networks[0]

    def weights(self) -> dict[str, Tensor]:
        """Every parameter `[R, ...]`, detached, by its name in the network; a tied one stands once."""
        return {name: self._stacked[name] for name, _ in self.network.named_parameters()}

    def leaves(self) -> dict[str, list[nn.Parameter]]:
        """What is differentiated, by name: the whole parameter, stacked, or each replicate's own, looped."""
        tables = [dict(network.named_parameters()) for network in self.networks]
        return {name: [table[name] for table in tables] for name in tables[0]}

    def tensors(self) -> dict[str, Tensor]:
        """Parameters and persistent buffers `[R, ...]`, detached: the whole of what a network is."""
        persistent = self.network.state_dict().keys()
        buffers = (name for name, _ in self.network.named_buffers() if name in persistent)
        return self.weights() | {name: self._stacked[name] for name in buffers}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy parameters and buffers `[R, ...]` in place."""
        copy_tensors(self.tensors(), tensors)

    def advance(self, step: Tensor, progress: float = 0.0) -> None:
        """Give every site of every replicate its draws for a step.

        Args:
            step: an int32 scalar on the device.
            progress: the share of training that is done, which scheduled drop-path follows.
        """
        if self.batching == "looped":
            self._step = int(step)
        if self._drop_paths:
            shares = [path.progress for path in self._drop_paths]
            torch._foreach_zero_(shares)
            torch._foreach_add_(shares, progress)
        if self._noise[0]:
            table = keys(self._seeds, self._sites, step)
            drawn = [table] if self.batching == "stacked" else table.unbind(0)
            to = [site.key for sites in self._noise for site in sites]
            torch._foreach_copy_(to, [key for one in drawn for key in one.unbind(-2)])

    def forward(self, function: Function, *inputs: Any) -> Any:
        """Apply `function(network, *inputs)` to every replicate.

        Args:
            function: written for one network, which it may call.
            inputs: tensors, or tuples of tensors, that lead with R.

        Returns:
            What `function` returns, each tensor leading with R.
        """
        if self.batching == "looped":
            results = [self._looped(r, function, inputs) for r in range(len(self))]
            self._keep_assigned()
            return _stack(results)
        tensors: dict[str, Tensor] = {n: getattr(module, own) for n, module, own in self._places}
        with BatchingRules():
            result, anew = vmap(self._one(function))(tensors, *inputs)
        for name, new in anew.items():
            self._assign(name, new.unbind(0))
        return result

    def _looped(self, r: int, function: Function, inputs: Sequence[Any]) -> Any:
        # What is evaluated draws the same at every look, also after a resume.
        step = self._step if self.training else -1
        with torch_seeded(self._seeds.device, self.noise_seeds[r], step):
            return function(self.networks[r], *(_row(value, r) for value in inputs))

    def _one(self, function: Function) -> Function:
        def apply(tensors: dict[str, Tensor], *inputs: Any) -> tuple[Any, dict[str, Tensor]]:
            present = dict(tensors)

            def network(*arguments: Any) -> Any:
                # Tied places all stand in `present`: looking for them at every call would take time.
                # What the network assigns anew is there afterwards.
                return functional_call(self.network, present, arguments, tie_weights=False)

            result = function(network, *inputs)
            return result, {n: t for n, t in present.items() if t is not tensors[n]}

        return apply

    def _keep_assigned(self) -> None:
        """Take what looped replicates have assigned anew into the tensors `[R, ...]`."""
        for name, places in self._buffers_held.items():
            now = [getattr(module, own) for module, own, _ in places]
            if any(new is not held for new, (_, _, held) in zip(now, places, strict=True)):
                self._assign(name, now)

    def _assign(self, name: str, rows: Sequence[Tensor]) -> None:
        """Put a buffer that was assigned anew in the place of the one before.

        Not in place: the backward pass may need the values before.
        """
        before, new = self._stacked.get(name), rows[0]
        held = {n: places[0][2] for n, places in self._buffers_held.items()}
        if before is None or sum(held.get(name) is tensor for tensor in held.values()) != 1:
            raise LotteryError(
                f"The network's forward assigns its {name} anew; only buffers may change there, each in one place."
            )
        if (before.shape[1:], before.dtype) != (new.shape, new.dtype):
            raise LotteryError(
                f"The network's forward makes its buffer {name} {new.dtype} {list(new.shape)}, which was "
                f"{before.dtype} {list(before.shape[1:])}; a buffer keeps its type and shape."
            )
        stacked = _in_rows([row.detach() for row in rows], self.batching)
        self._stacked[name] = stacked
        places = self._buffers_held[name]
        self._buffers_held[name] = [
            (module, own, stacked if self.batching == "stacked" else stacked[r])
            for r, (module, own, _) in enumerate(places)
        ]
        for module, own, tensor in self._buffers_held[name]:
            setattr(module, own, tensor)
        self.assigned += 1

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """As any module's, which gives each tensor other memory; then together again."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        tables = [_own_tensors(network) for network in self.networks]
        whole = self.batching == "stacked"
        self._stacked = tables[0] if whole else _joined(tables, self.batching)
        self._point_to_stacked()
        return self

    def _point_to_stacked(self) -> None:
        """Have the modules' tensors, tied ones too, lie in the memory of the stacked ones."""
        for r, network in enumerate(self.networks):
            named = [*network.named_parameters(), *network.named_buffers()]
            for name, tensor in named:
                stacked = self._stacked[name]
                tensor.data = stacked if self.batching == "stacked" else stacked[r]
        self._buffers_held = _held(self.networks)


@torch.no_grad()
def copy_tensors(to: Mapping[str, Tensor], source: Mapping[str, Tensor]) -> None:
    """Copy tensors by name, in place.

    Raises:
        ValueError: a name or a shape differs.
    """
    if to.keys() != source.keys():
        raise ValueError(f"names differ: {sorted(to.keys() ^ source.keys())}")
    for name, tensor in to.items():
        if tensor.shape != source[name].shape:
            raise ValueError(f"{name} is {list(source[name].shape)}, not {list(tensor.shape)}")
        tensor.copy_(source[name])


def default_batching(network: nn.Module, spec: Spec, device: torch.device, count: int) -> Batching:
    """The measured default for `count` replicates.

    Stacked, but looped where `vmap` has no rule (torch's own recurrent modules) and, on a CPU, for a single replicate,
    where stacking only costs, and for convolutions whose features are too large for a stack's to stay in the cache.
    """
    if has_torch_recurrence(network):
        return "looped"
    if device.type != "cpu":
        return "stacked"
    widths = [m.out_channels for m in network.modules() if isinstance(m, nn.Conv2d)]
    pixels = spec.height * spec.width if isinstance(spec, ImageSpec) else 0
    large = bool(widths) and median(widths) * pixels >= LARGE_FEATURES
    return "looped" if count == 1 or large else "stacked"


def has_torch_recurrence(network: nn.Module) -> bool:
    """Whether one of torch's own recurrent modules stands in a network."""
    return any(isinstance(module, nn.RNNBase) for module in network.modules())


@torch.no_grad()
def copied(network: nn.Module) -> nn.Module:
    """A copy of a network, also where a recurrent layer of torch remembers weights that were computed from others."""
    for module in network.modules():
        if isinstance(module, nn.RNNBase):
            # Without a gradient now, as nothing that has one can be copied.
            module._update_flat_weights()
    return copy.deepcopy(network)


def _own_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, detached; tied ones stand once."""
    named = [*network.named_parameters(), *network.named_buffers()]
    return {name: tensor.detach() for name, tensor in named}


def _joined(tables: Sequence[Mapping[str, Tensor]], batching: Batching) -> dict[str, Tensor]:
    """The networks' tensors by name as `[R, ...]`."""
    return {name: _in_rows([table[name] for table in tables], batching) for name in tables[0]}


def _in_rows(rows: Sequence[Tensor], batching: Batching) -> Tensor:
    """A tensor `[R, ...]` whose rows lie alike for every R; looped, also apart, so that all begin aligned.

    Kernels `[out, in, H, W]` on a CPU have their channels last: a convolution takes its layout from its kernel, and
    what follows from its input, so that a whole network runs in the layout that is fastest there and nothing is
    converted inside a step.
    """
    first = rows[0]
    last = first.dim() == 4 and first.device.type == "cpu"
    layout = torch.channels_last if last else torch.contiguous_format
    strides = torch.empty(first.shape, device="meta", memory_format=layout).stride()
    apart = first.numel()
    if batching == "looped":
        line = ALIGNMENT // first.element_size()
        apart = -(-apart // line) * line
    stacked = torch.empty_strided(
        (len(rows), *first.shape), (apart, *strides), dtype=first.dtype, device=first.device
    )
    for to, row in zip(stacked, rows, strict=True):
        to.copy_(row)
    return stacked


def _places(network: nn.Module) -> list[tuple[str, nn.Module, str]]:
    """Where each parameter and buffer stands, tied ones everywhere: name, module, name in the module.

    Found once: walking a network at every step takes a small one's time.
    """
    named = [
        *network.named_parameters(remove_duplicate=False),
        *network.named_buffers(remove_duplicate=False),
    ]
    split = [(name, *name.rpartition(".")) for name, _ in named]
    return [(name, network.get_submodule(path), own) for name, path, _, own in split]


def _held(networks: Iterable[nn.Module]) -> dict[str, list[tuple[nn.Module, str, Tensor]]]:
    """Where each buffer stands, tied ones everywhere, by name: in every module its own one, its name there, itself."""
    held: dict[str, list[tuple[nn.Module, str, Tensor]]] = {}
    for network in networks:
        for name, buffer in network.named_buffers(remove_duplicate=False):
            path, _, own = name.rpartition(".")
            held.setdefault(name, []).append((network.get_submodule(path), own, buffer))
    return held


def _row(value: Any, r: int) -> Any:
    """One replicate's part of tensors that lead with R, aligned in memory as that of a replicate alone."""
    if isinstance(value, tuple):
        return tuple(_row(item, r) for item in value)
    row: Tensor = value[r]
    return row.clone() if row.data_ptr() % ALIGNMENT else row


def _stack(results: Sequence[Any]) -> Any:
    if isinstance(results[0], tuple):
        return tuple(_stack(items) for items in zip(*results, strict=True))
    return torch.stack(list(results))
