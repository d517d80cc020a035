"""Networks that are not ours: torchvision's, and the user's own."""

from __future__ import annotations

import functools
import importlib
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from nas.catalog.catalog import TORCHVISION, is_known, own_parts
from training.checkpoints import RESERVED
from training.errors import LotteryError, in_one_line, is_out_of_memory, unknown
from training.named_values import is_own
from training.noise import DropPath, Noise, our_dropout
from training.replicates import Replicates
from training.specs import ImageSpec, Spec

# The suite's own packages, which go before a user's of the same name.
PACKAGES = ("training", "nas", "lottery", "analysis")
# From the spec and the sizes to a network with its initial weights.
Factory = Callable[..., nn.Module]

# These come with auxiliary classifiers unless told otherwise, and warn unless told to initialise.
_WITHOUT_AUXILIARY: dict[str, dict[str, Any]] = {
    name: {"aux_logits": False, "init_weights": True} for name in ("googlenet", "inception_v3")
}


def torchvision_network(name: str, spec: ImageSpec) -> nn.Module:
    """A classification network of torchvision, without trained weights and auxiliary classifiers.

    Its stochastic depth draws as all our noise does, not from a global generator.

    Args:
        name: as `torchvision.models.list_models` has it, after `torchvision/`.
        spec: of the images.

    Raises:
        LotteryError: there is no such network, or the images are not coloured.
    """
    from torchvision import models

    own = name.removeprefix(TORCHVISION)
    known = models.list_models(module=models)
    if own not in known:
        raise unknown("network of torchvision", own, known)
    if spec.channels != 3:
        raise LotteryError(
            f"{name} takes images of 3 channels and these have {spec.channels}; choose coloured "
            "images, or a network of `lottery networks`."
        )
    network: nn.Module = models.get_model(
        own, weights=None, num_classes=spec.classes, **_WITHOUT_AUXILIARY.get(own, {})
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


def import_factory(name: str, folder: Path | None = None) -> Factory:
    """The user's own function that makes a network. This runs their code: call it only for names they typed.

    Args:
        name: `package.module:factory`, the module importable from where Python looks.
        folder: where Python looks too: while the module is imported before all else, as `python -m` does, and then
            after it, so that a file of the user's hides no library that this project imports later.

    Raises:
        LotteryError: the name is malformed, the module can't be imported, or it has no such function.
    """
    module, path = own_parts(name)
    for package in PACKAGES:
        importlib.import_module(package)
    here = [] if folder is None else [str(folder)]
    sys.path[:0] = here
    try:
        held: Any = importlib.import_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise LotteryError(
            f"The module {module!r} of the network {name} can't be imported: {in_one_line(error)}; "
            f"{_advice(module, error)}."
        ) from error
    finally:
        sys.path[:] = [*(path for path in sys.path if path not in here), *here]
    try:
        found = functools.reduce(getattr, path.split("."), held)
    except AttributeError:
        known = [key for key, value in vars(held).items() if callable(value)]
        if (package := module.partition(".")[0]) in PACKAGES:
            raise LotteryError(
                f"There is no function {path!r} in {module}: {_taken(package)}."
            ) from None
        raise unknown(f"function in {module}", path, known) from None
    if not callable(found):
        raise LotteryError(
            f"{name} is {type(found).__name__}, but it must be a function that returns a network."
        )
    factory: Factory = found
    return factory


def _advice(module: str, error: BaseException) -> str:
    """What to do about a module that can't be imported: put it where it is found, or mend the line at fault."""
    if isinstance(error, ImportError) and error.name:
        package = error.name.partition(".")[0]
        if package in PACKAGES:
            return _taken(package)
    # Python names the package where that is what it did not find.
    if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
        return "it must be in the current folder or installed"
    if isinstance(error, SyntaxError) and error.filename:
        return f"mend {error.filename}, line {error.lineno}"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename not in (__file__, importlib.__file__)
        and not frame.filename.startswith("<frozen")
    ]
    return f"mend {frames[-1].filename}, line {frames[-1].lineno}" if frames else "mend its code"


def _taken(package: str) -> str:
    return (
        f"{package} is the name of a package of this suite, so give a package of your own another"
    )
