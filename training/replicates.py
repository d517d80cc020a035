"""Replicates: copies of one network that are trained as one program."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from training.batching import Batching
from training.batching_rules import BatchingRules
from training.convolutions import convolving
from training.dropout import drop_paths, noise_sites
from training.errors import LotteryError
from training.network_tensors import buffer_slots, copied, copy_tensors, own_tensors, owners
from training.noise import keys, seeds_tensor, site_number, torch_seeded
from training.repeatable import rerouting
from training.rows import in_rows, joined, row_of, stacked_results

Function = Callable[..., Any]


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
        stacked: every parameter and buffer `[R, ...]`, detached, by its name in the network; a tied one stands once.
        assigned: how often a buffer was assigned anew while it trained.
    """

    _seeds: Tensor
    _sites: Tensor
    _now: Tensor

    def __init__(
        self, networks: Sequence[nn.Module], noise_seeds: Sequence[int], batching: Batching
    ) -> None:
        super().__init__()
        if len(networks) != len(noise_seeds) or not networks:
            raise ValueError(f"{len(networks)} networks but {len(noise_seeds)} noise seeds")
        self.batching = batching
        self.noise_seeds = tuple(noise_seeds)
        self.assigned = 0
        self._draw = self._next = 0
        modules = networks[:1] if batching == "stacked" else networks
        self.networks = nn.ModuleList([copied(network) for network in modules])
        self.stacked = joined([own_tensors(network) for network in networks], batching == "looped")
        self._point_to_stacked()
        self._drop_paths = drop_paths(self)
        self._owners = owners(self.network)
        self._convolving = convolving(self.network)
        sites = noise_sites(self.network)
        self._noise = [list(noise_sites(network).values()) for network in self.networks]
        device = next(self.network.parameters()).device
        numbers = torch.tensor(
            [site_number(name) for name in sites], dtype=torch.int32, device=device
        )
        self.register_buffer("_sites", numbers, persistent=False)
        self.register_buffer("_seeds", seeds_tensor(noise_seeds, device), persistent=False)
        now = torch.zeros((), dtype=torch.int32, device=device)
        self.register_buffer("_now", now, persistent=False)

    def __len__(self) -> int:
        return len(self.noise_seeds)

    @property
    def network(self) -> nn.Module:
        """The first module: its structure is that of all."""
        return self.networks[0]

    def weights(self) -> dict[str, Tensor]:
        """Every parameter `[R, ...]`, detached, by its name in the network; a tied one stands once."""
        return {name: self.stacked[name] for name, _ in self.network.named_parameters()}

    def leaves(self) -> dict[str, list[nn.Parameter]]:
        """What is differentiated, by name: the whole parameter, stacked, or each replicate's own, looped."""
        tables = [dict(network.named_parameters()) for network in self.networks]
        return {name: [table[name] for table in tables] for name in tables[0]}

    def tensors(self) -> dict[str, Tensor]:
        """Parameters and persistent buffers `[R, ...]`, detached: the whole of what a network is."""
        persistent = self.network.state_dict().keys()
        buffers = (name for name, _ in self.network.named_buffers() if name in persistent)
        return self.weights() | {name: self.stacked[name] for name in buffers}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy parameters and buffers `[R, ...]` in place."""
        copy_tensors(self.tensors(), tensors)

    def advance(self, draw: int, progress: float = 0.0) -> None:
        """Give every site of every replicate its draws.

        Args:
            draw: their number; every part of every step has its own.
            progress: the share of training that is done, which scheduled drop-path follows.
        """
        self.go_to(draw, progress)
        self.draw()

    def go_to(self, draw: int, progress: float = 0.0) -> None:
        """Say what `draw` gives next; see `advance` for the arguments."""
        self._next = draw
        if self._drop_paths:
            shares = [path.progress for path in self._drop_paths]
            torch._foreach_zero_(shares)
            torch._foreach_add_(shares, progress)
        if self._noise[0]:
            self._now.fill_(draw)

    def draw(self) -> None:
        """Give every site of every replicate its next draws: always by the same operations, on the device alone."""
        self._draw, self._next = self._next, self._next + 1
        if self._noise[0]:
            table = keys(self._seeds, self._sites, self._now)
            drawn = [table] if self.batching == "stacked" else table.unbind(0)
            to = [site.key for sites in self._noise for site in sites]
            torch._foreach_copy_(to, [key for one in drawn for key in one.unbind(-2)])
            self._now.add_(1)

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
            return stacked_results(results)
        tensors: dict[str, Tensor] = {n: getattr(module, own) for n, module, own in self._owners}
        with rerouting(self._seeds.device), BatchingRules():
            result, anew = vmap(self._one(function))(tensors, *inputs)
        for name, new in anew.items():
            self._assign(name, new.unbind(0))
        return result

    def _looped(self, r: int, function: Function, inputs: Sequence[Any]) -> Any:
        # What is evaluated draws the same at every evaluation, also after a resume.
        draw = self._draw if self.training else -1
        device = self._seeds.device
        seeded = torch_seeded(device, self.noise_seeds[r], draw)
        with seeded, rerouting(device), self._convolving():
            return function(self.networks[r], *(row_of(value, r) for value in inputs))

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
        for name, slots in self._buffer_slots.items():
            now = [getattr(slot.module, slot.name) for slot in slots]
            if any(new is not slot.buffer for new, slot in zip(now, slots, strict=True)):
                self._assign(name, now)

    def _assign(self, name: str, rows: Sequence[Tensor]) -> None:
        """Put a buffer that was assigned anew in the place of the one before.

        While it trains not in place: the backward pass may need the values before. In evaluation mode in place, as
        steps that are replayed know the buffer by where it lies.
        """
        before, new = self.stacked.get(name), rows[0]
        buffers = {n: slots[0].buffer for n, slots in self._buffer_slots.items()}
        if before is None or sum(buffers.get(name) is buffer for buffer in buffers.values()) != 1:
            raise LotteryError(
                f"The network's forward assigns its {name} anew; only buffers may change there, each in one place."
            )
        if (before.shape[1:], before.dtype) != (new.shape, new.dtype):
            raise LotteryError(
                f"The network's forward makes its buffer {name} {new.dtype} {list(new.shape)}, which was "
                f"{before.dtype} {list(before.shape[1:])}; a buffer keeps its type and shape."
            )
        stacked = in_rows([row.detach() for row in rows], self.batching == "looped")
        if not self.training:
            stacked = before.copy_(stacked)
        self.stacked[name] = stacked
        self._buffer_slots[name] = [
            slot._replace(buffer=stacked if self.batching == "stacked" else stacked[r])
            for r, slot in enumerate(self._buffer_slots[name])
        ]
        for slot in self._buffer_slots[name]:
            setattr(slot.module, slot.name, slot.buffer)
        self.assigned += self.training

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """As any module's, which gives each tensor other memory; then together again."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        tables = [own_tensors(network) for network in self.networks]
        whole = self.batching == "stacked"
        self.stacked = tables[0] if whole else joined(tables, aligned=True)
        self._point_to_stacked()
        return self

    def _point_to_stacked(self) -> None:
        """Have the modules' tensors, tied ones too, lie in the memory of the stacked ones."""
        for r, network in enumerate(self.networks):
            named = [*network.named_parameters(), *network.named_buffers()]
            for name, tensor in named:
                stacked = self.stacked[name]
                tensor.data = stacked if self.batching == "stacked" else stacked[r]
        self._buffer_slots = buffer_slots(self.networks)
