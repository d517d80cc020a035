"""Networks that are not ours: torchvision's, and the user's own."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from nas.catalog.catalog import TORCHVISION, is_known
from training.checkpoints import RESERVED
from training.dropout import DropPath, Noise, our_dropout
from training.errors import LotteryError, in_one_line, is_out_of_memory, unknown
from training.named_values import is_own
from training.replicates import Replicates
from training.specs import ImageSpec, Spec

# From the spec and the sizes to a network with its initial weights.
Factory = Callable[..., nn.Module]

# These come with auxiliary classifiers unless told otherwise, and warn unless told to initialise.
_WITHOUT_AUXILIARY: dict[str, dict[str, Any]] = {
    name: {"aux_logits": False, "init_weights": True} for name in ("googlenet", "inception_v3")
}


def torchvision_network(spec: ImageSpec, *, model: str) -> nn.Module:
    """A classification network of torchvision, without trained weights and auxiliary classifiers.

    Its stochastic depth draws as all our noise does, not from a global generator.

    Args:
        spec: of the images.
        model: its name, as `torchvision.models.list_models` has it.

    Raises:
        LotteryError: there is no such network, or the images are not coloured.
    """
    from torchvision import models

    known = models.list_models(module=models)
    if model not in known:
        raise unknown("network of torchvision", model, known)
    if spec.channels != 3:
        raise LotteryError(
            f"{TORCHVISION}{model} takes images of 3 channels and these have {spec.channels}; choose coloured "
            "images, or a network of `lottery networks`."
        )
    network: nn.Module = models.get_model(
        model, weights=None, num_classes=spec.classes, **_WITHOUT_AUXILIARY.get(model, {})
    )
    return replace_stochastic_depth(network)


def replace_stochastic_depth(network: nn.Module) -> nn.Module:
    """Put our noise in the place of torchvision's stochastic depth, in place, so that its draws repeat.

    Raises:
        LotteryError: a path is dropped always.
    """
    from torchvision.ops import StochasticDepth

    for name, module in [*network.named_modules(remove_duplicate=False)]:
        if type(module) is StochasticDepth:
            parent, _, own = name.rpartition(".")
            shared = (1, 2, 3, 4) if module.mode == "row" else (0, 1, 2, 3, 4)
            setattr(network.get_submodule(parent), own, our_dropout(name, module.p, shared))
    return network


def own_network(name: str, factory: Factory | None, spec: Spec, /, **sizes: Any) -> nn.Module:
    """A network that the user's own code makes.

    Args:
        name: `package.module:factory`.
        factory: what `import_factory` gave for that name; None where the user did not name it.
        spec: handed on to the factory.
        sizes: handed on to the factory, whatever they are called.

    Raises:
        LotteryError: it was not named, or the factory fails or gives something else than a network.
    """
    if factory is None:
        raise LotteryError(
            f"The network {name} is code of your own, which is imported only when the command line "
            f"names it; add --network {name}."
        )
    told = (
        f"it is called with the task's {type(spec).__name__} and the sizes {sizes or 'that are set'}, and "
        "returns a torch.nn.Module"
    )
    seed = torch.default_generator.initial_seed()
    with their_code(f"{name} failed", told):
        network = factory(spec, **sizes)
    if torch.default_generator.initial_seed() != seed:
        raise LotteryError(
            f"{name} seeds torch's generator itself, so that every seed of an experiment would start from "
            "the same weights; leave torch.manual_seed out: it is seeded anew for each replicate."
        )
    if not isinstance(network, nn.Module):
        raise LotteryError(
            f"{name} gave {type(network).__name__}, but it must return a torch.nn.Module."
        )
    _check_tensors(network, name)
    with their_code(f"{name} failed", told):
        _keep_buffers(network)
    return replace_stochastic_depth(network)


def _check_tensors(network: nn.Module, name: str) -> None:
    """Refuse parameters and buffers that are no numbers in memory, or that no file can hold."""
    for key, tensor in [*network.named_parameters(), *network.named_buffers()]:
        if key == RESERVED:
            raise LotteryError(
                f"{name} has a parameter or buffer {RESERVED}, a name that files of tensors keep for "
                "themselves; give it another."
            )
        if is_lazy(tensor):
            raise LotteryError(
                f"{name} leaves {key} without a shape; run its lazy modules on an example before you "
                "return the network."
            )
        if tensor.is_meta:
            raise LotteryError(
                f"{name} leaves {key} on the device meta, without values; move the network to the CPU "
                "with to_empty and draw its initial weights before you return it."
            )
        if tensor.is_complex() and isinstance(tensor, nn.Parameter):
            raise LotteryError(
                f"{name} has the complex parameter {key}, and parameters are pruned by how large real "
                "numbers are; keep its real and imaginary parts as two, and use torch.complex in forward."
            )
        if tensor.dtype == torch.complex128:
            raise LotteryError(
                f"{name} has {key} in complex128, which no file holds; make it complex64."
            )


def _keep_buffers(network: nn.Module) -> None:
    """Have every buffer kept with the weights, in place: each replicate has its own, and a resumed run knows it."""
    persistent = network.state_dict().keys()
    for name, buffer in [*network.named_buffers(remove_duplicate=False)]:
        path, _, own = name.rpartition(".")
        module = network.get_submodule(path)
        # What noise holds is written at every step.
        if name not in persistent and not isinstance(module, DropPath | Noise):
            module.register_buffer(own, buffer)


@contextmanager
def their_code(what: str, advice: str) -> Iterator[None]:
    """Make one sentence of whatever the user's code raises inside, an exit too.

    Args:
        what: begins the sentence; what was raised follows in brackets, and where in the user's files.
        advice: ends it.

    Raises:
        LotteryError: that sentence. Errors of ours, a lack of memory and Ctrl-C pass through.
    """
    try:
        yield
    except (KeyboardInterrupt, LotteryError):
        raise
    except BaseException as error:
        if is_out_of_memory(error):
            raise
        raise LotteryError(f"{what} ({in_one_line(error)}){_line(error)}; {advice}.") from error


def _line(error: BaseException) -> str:
    """The last line of the user's own files that an exception came through, as words behind it."""
    lines = [
        (frame.f_code.co_filename, number)
        for frame, number in traceback.walk_tb(error.__traceback__)
        if is_own(frame.f_globals.get("__name__", ""), beside="")
    ]
    return " in {}, line {}".format(*lines[-1]) if lines else ""


@contextmanager
def code_of(name: str, what: str, advice: str) -> Iterator[None]:
    """`their_code` of what passes of a network from outside raise inside.

    What a network of the catalog raises is ours, as is what the code around a network does: it is left as it is.
    """
    try:
        yield
    except BaseException as error:
        if is_known(name) or not _of_a_pass(error):
            raise
        with their_code(f"{name} {what}", advice):
            raise


def _of_a_pass(error: BaseException) -> bool:
    """Whether an exception came out of a method of a network, as forward is, or out of a backward pass."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    objects = [frame.f_locals.get("self") for frame in frames]
    # A stack is a module too, and ours.
    modules = [o for o in objects if isinstance(o, nn.Module) and not isinstance(o, Replicates)]
    return bool(modules) or torch.autograd.backward.__code__ in [f.f_code for f in frames]
