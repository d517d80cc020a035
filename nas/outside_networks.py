"""Networks that are not ours: torchvision's, and the user's own."""

from __future__ import annotations

import functools
import importlib
import traceback
from collections.abc import Callable
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from nas.catalog import TORCHVISION, own_parts
from training.checkpoints import RESERVED
from training.errors import LotteryError, in_one_line, unknown
from training.noise import our_dropout
from training.specs import ImageSpec, Spec

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
    try:
        network = factory(spec, **sizes)
    except LotteryError:
        raise
    except (Exception, SystemExit) as error:
        raise LotteryError(
            f"{name} failed with {in_one_line(error)}; it is called with a {type(spec).__name__} and the "
            f"sizes {sizes or 'that are set'}, and returns a torch.nn.Module."
        ) from error
    if not isinstance(network, nn.Module):
        raise LotteryError(
            f"{name} gave {type(network).__name__}, but it must return a torch.nn.Module."
        )
    lazy = [key for key, parameter in network.named_parameters() if is_lazy(parameter)]
    if lazy:
        raise LotteryError(
            f"{name} leaves {lazy[0]} without a shape; run its lazy modules on an example before you "
            "return the network."
        )
    if RESERVED in dict(network.named_parameters()) | dict(network.named_buffers()):
        raise LotteryError(
            f"{name} has a parameter or buffer {RESERVED}, a name that files of tensors keep for "
            "themselves; give it another."
        )
    return replace_stochastic_depth(network)


def import_factory(name: str) -> Factory:
    """The user's own function that makes a network. This runs their code: call it only for names they typed.

    Args:
        name: `package.module:factory`, the module importable from where Python looks.

    Raises:
        LotteryError: the name is malformed, the module can't be imported, or it has no such function.
    """
    module, path = own_parts(name)
    try:
        held: Any = importlib.import_module(module)
    except (Exception, SystemExit) as error:
        raise LotteryError(
            f"The module {module!r} of the network {name} can't be imported: {in_one_line(error)}; "
            f"{_advice(module, error)}."
        ) from error
    try:
        found = functools.reduce(getattr, path.split("."), held)
    except AttributeError:
        known = [key for key, value in vars(held).items() if callable(value)]
        raise unknown(f"function in {module}", path, known) from None
    if not callable(found):
        raise LotteryError(
            f"{name} is {type(found).__name__}, but it must be a function that returns a network."
        )
    factory: Factory = found
    return factory


def _advice(module: str, error: BaseException) -> str:
    """What to do about a module that can't be imported: put it where it is found, or mend the line at fault."""
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
