"""Replicates: copies of one network that are trained as one program."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from statistics import median
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from training.batching_rules import CpuRules
from training.noise import drop_paths, keys, noise_sites, seeds_tensor, site_number
from training.specs import ImageSpec, Spec

Batching = Literal["stacked", "looped"]
Function = Callable[..., Any]
# Channels times pixels from which on convolutional replicates are faster one after the other on a CPU; see benchmarks.
LARGE_FEATURES = 20_000


class Replicates(nn.Module):
    """R copies of one network, their parameters and buffers stacked along a new first dimension.

    Calling it maps a function that is written for one network over all of them:

        losses = replicates(task.loss, images, labels)     # images [R, B, ...], losses [R]

    either *stacked* (one program under `vmap`) or *looped* (one replicate after the other, on views of the same
    tensors). Replicates don't touch each other, so the gradient of the summed loss holds each one's own. It is an
    ordinary module: optimizers, `torch.compile` and `state_dict` work on it.

    Args:
        networks: built alike, one per replicate; their weights become the starting weights.
        noise_seeds: one per replicate, for everything that is drawn while training.
        batching: stacked or looped.
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
        self.network = copied(networks[0])
        parameters = _aligned(networks, nn.Module.named_parameters)
        buffers = _aligned(networks, nn.Module.named_buffers)
        _replace_tensors(self.network, parameters, buffers)
        self._drop_paths = drop_paths(self.network)
        self._places = _places(self.network)
        sites = noise_sites(self.network)
        self._noise = list(sites.values())
        device = next(self.network.parameters()).device
        numbers = torch.tensor(
            [site_number(name) for name in sites], dtype=torch.int32, device=device
        )
        self.register_buffer("_sites", numbers, persistent=False)
        self.register_buffer("_seeds", seeds_tensor(noise_seeds, device), persistent=False)

    def __len__(self) -> int:
        return len(self.noise_seeds)

    def weights(self) -> dict[str, nn.Parameter]:
        """Every parameter `[R, ...]` by its name in the network; a tied one stands once."""
        return dict(self.network.named_parameters())

    def tensors(self) -> dict[str, Tensor]:
        """Parameters and persistent buffers `[R, ...]`, detached: the whole of what a network is."""
        persistent = self.network.state_dict().keys()
        held = {name: p.detach() for name, p in self.weights().items()}
        return held | {n: b for n, b in self.network.named_buffers() if n in persistent}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy parameters and buffers `[R, ...]` in place."""
        copy_tensors(self.tensors(), tensors)

    def advance(self, step: Tensor, progress: float = 0.0) -> None:
        """Give every site of every replicate its draws for a step.

        Args:
            step: an int32 scalar on the device.
            progress: the share of training that is done, which scheduled drop-path follows.
        """
        if self._drop_paths:
            shares = [path.progress for path in self._drop_paths]
            torch._foreach_zero_(shares)
            torch._foreach_add_(shares, progress)
        if self._noise:
            table = keys(self._seeds, self._sites, step)
            torch._foreach_copy_([site.key for site in self._noise], list(table.unbind(1)))

    def forward(self, function: Function, *inputs: Any) -> Any:
        """Apply `function(network, *inputs)` to every replicate.

        Args:
            function: written for one network, which it may call.
            inputs: tensors, or tuples of tensors, that lead with R.

        Returns:
            What `function` returns, each tensor leading with R.
        """
        tensors: dict[str, Tensor] = {n: getattr(module, own) for n, module, own in self._places}
        if self.batching == "stacked":
            with CpuRules() if self._seeds.device.type == "cpu" else nullcontext():
                return vmap(self._one(function))(tensors, *inputs)
        rows = _unbind(tensors)
        results = [
            self._one(function)(row, *(_pick(value, r) for value in inputs))
            for r, row in enumerate(rows)
        ]
        return _stack(results)

    def _one(self, function: Function) -> Function:
        def apply(tensors: dict[str, Tensor], *inputs: Any) -> Any:
            def network(*arguments: Any) -> Any:
                # Tied places all stand in `tensors`: looking for them at every call would take time.
                return functional_call(self.network, tensors, arguments, tie_weights=False)

            return function(network, *inputs)

        return apply


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


def _aligned(
    networks: Sequence[nn.Module], named: Callable[[nn.Module], Iterator[tuple[str, Tensor]]]
) -> dict[str, Tensor]:
    """The networks' tensors by name, stacked to `[R, ...]`."""
    tables = [dict(named(network)) for network in networks]
    return {
        name: _kernels_channels_last(torch.stack([t[name].detach() for t in tables]))
        for name in tables[0]
    }


def _kernels_channels_last(stacked: Tensor) -> Tensor:
    """Kernels `[R, out, in, H, W]` on a CPU with channels last in memory; anything else as it is.

    A convolution takes its layout from its kernel, and what follows from its input: so a whole network runs in the
    layout that is fastest on a CPU, and nothing is converted inside a step.
    """
    if stacked.dim() != 5 or stacked.device.type != "cpu":
        return stacked
    folded = stacked.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    return folded.view(stacked.shape)


def _replace_tensors(
    network: nn.Module, parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor]
) -> None:
    """Put stacked tensors in the places of a network's own; tied places share one."""
    stacked: dict[int, nn.Parameter | Tensor] = {}
    for name, parameter in network.named_parameters():
        stacked[id(parameter)] = nn.Parameter(parameters[name], parameter.requires_grad)
    for name, buffer in network.named_buffers():
        stacked[id(buffer)] = buffers[name]
    for module in network.modules():
        own: list[tuple[str, Tensor]] = [
            *module.named_parameters(recurse=False, remove_duplicate=False)
        ]
        own += [*module.named_buffers(recurse=False, remove_duplicate=False)]
        for name, tensor in own:
            setattr(module, name, stacked[id(tensor)])


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


def _unbind(tensors: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    # The gradient of `unbind` is stacked, which is a copy; a single replicate does without.
    columns = {
        name: (tensor.squeeze(0),) if len(tensor) == 1 else tensor.unbind(0)
        for name, tensor in tensors.items()
    }
    count = len(next(iter(columns.values())))
    return [{name: column[r] for name, column in columns.items()} for r in range(count)]


def _pick(value: Any, r: int) -> Any:
    if isinstance(value, tuple):
        return tuple(_pick(item, r) for item in value)
    return value[r]


def _stack(results: Sequence[Any]) -> Any:
    if isinstance(results[0], tuple):
        return tuple(_stack(items) for items in zip(*results, strict=True))
    return torch.stack(list(results))
