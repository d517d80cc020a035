"""Networks of torchvision and of the user: what is built, and what is refused in one sentence."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.ops import StochasticDepth

from nas.catalog.building import build
from nas.catalog.catalog import entry
from nas.catalog.outside_networks import (
    Factory,
    own_network,
    replace_stochastic_depth,
)
from nas.catalog.own_code import import_factory
from training.checkpoints import tensors_from_bytes, tensors_to_bytes
from training.dropout import Dropout
from training.errors import LotteryError
from training.specs import ImageSpec, Spec, TextSpec

COLOURED = ImageSpec(channels=3, height=32, width=32, classes=7)
GREY = ImageSpec(channels=1, height=32, width=32, classes=7)

# Where in this file the user's own code failed.
LINE = rf" in {re.escape(__file__)}, line \d+"


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def linear(spec: Spec, width: int = 3) -> nn.Module:
    return nn.Linear(width, 2)


def own(factory: Factory | None, /, **size: object) -> nn.Module:
    return build("m:f", size, COLOURED, generator(), factory)


# torchvision


def test_a_network_of_torchvision() -> None:
    before = torch.get_rng_state()
    one, again = (build("torchvision/squeezenet1_1", {}, COLOURED, generator()) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    for a, b in zip(one.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    assert one.eval()(torch.randn(2, 3, 32, 32)).shape == (2, 7)
    assert any(isinstance(module, Dropout) for module in one.modules())
    assert not any(isinstance(module, nn.Dropout) for module in one.modules())


def test_auxiliary_classifiers_are_left_out() -> None:
    with torch.device("meta"):
        network = build("torchvision/googlenet", {}, COLOURED, generator())
    assert not [name for name, _ in network.named_parameters() if "aux" in name]


def test_what_torchvision_does_not_have() -> None:
    with pytest.raises(LotteryError, match="no network of torchvision 'resnet19'; did you mean"):
        build("torchvision/resnet19", {}, COLOURED, generator())
    # A detector is no classifier.
    with pytest.raises(LotteryError, match="no network of torchvision 'fasterrcnn_resnet50_fpn'"):
        build("torchvision/fasterrcnn_resnet50_fpn", {}, COLOURED, generator())
    with pytest.raises(LotteryError, match="takes images of 3 channels and these have 1; choose"):
        build("torchvision/resnet18", {}, GREY, generator())
    with pytest.raises(LotteryError, match="is for images and this task is about text"):
        build("torchvision/resnet18", {}, TextSpec(vocabulary=3), generator())
    with pytest.raises(LotteryError, match="resnet18 has no sizes, so 'depth' can't be set"):
        build("torchvision/resnet18", {"depth": 3}, COLOURED, generator())


def test_stochastic_depth_draws_as_our_noise_does() -> None:
    pair = nn.Sequential(StochasticDepth(0.5, "row"), StochasticDepth(0.5, "batch"))
    replace_stochastic_depth(pair)
    rows, batch = pair
    assert isinstance(rows, Dropout)
    assert isinstance(batch, Dropout)
    rows.noise.key.copy_(torch.tensor([5, 6]))
    out = rows(torch.ones(64, 2, 3, 3)).flatten(1)
    # Whole rows are dropped or doubled.
    assert {tuple(row.unique().tolist()) for row in out} == {(0.0,), (2.0,)}
    assert len(batch(torch.ones(64, 2, 3, 3)).unique()) == 1


# The user's own


def test_a_factory_gets_the_spec_and_the_sizes() -> None:
    seen: list[Spec] = []

    def factory(spec: Spec, *, widths: list[int]) -> nn.Module:
        seen.append(spec)
        return nn.Linear(widths[0], widths[1])

    network = own(factory, widths=(3, 2))
    assert seen == [COLOURED]
    assert isinstance(network, nn.Linear)
    assert network.weight.shape == (2, 3)


@pytest.mark.parametrize("kind", ["parameter", "buffer"])
def test_a_name_that_no_file_can_hold_is_refused(kind: str) -> None:
    def factory(spec: Spec, *, nested: int) -> nn.Module:
        network = nn.Linear(2, 2)
        if kind == "parameter":
            network.register_parameter("__metadata__", nn.Parameter(torch.zeros(2)))
        else:
            network.register_buffer("__metadata__", torch.zeros(2))
        return nn.Sequential(network) if nested else network

    with pytest.raises(LotteryError, match="m:f has a parameter or buffer __metadata__, a name"):
        own(factory, nested=0)
    # Within a module the name is another.
    tensors = dict(own(factory, nested=1).state_dict())
    assert tensors_from_bytes(tensors_to_bytes(tensors), Path("x"))[0].keys() == tensors.keys()


def test_sizes_may_be_called_as_our_own_arguments() -> None:
    def factory(where: Spec, *, name: int, factory: int, size: int) -> nn.Module:
        return nn.Linear(name, factory + size)

    network = own(factory, name=3, factory=4, size=1)
    assert isinstance(network, nn.Linear)
    assert network.weight.shape == (5, 3)
    with pytest.raises(LotteryError, match="m:f failed .TypeError: .* argument 'spec'"):
        own(linear, spec=3)


def test_dropouts_of_everything() -> None:
    def network(kind: Callable[[], nn.Module]) -> Factory:
        return lambda spec: nn.Sequential(nn.Linear(3, 2), nn.Sequential(kind()))

    for kind in (lambda: nn.Dropout2d(1.0), lambda: StochasticDepth(1.0, "row")):
        with pytest.raises(
            LotteryError, match="^The network's module 1.0 drops with a probability"
        ):
            own(network(kind))


def test_an_own_network_repeats_and_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    one, again = own(linear), own(linear)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(map(torch.equal, one.parameters(), again.parameters()))


def test_code_that_was_not_named_is_not_imported() -> None:
    with pytest.raises(LotteryError, match="only when the command line names it; add --network m:"):
        own(None)


def fails(spec: Spec) -> nn.Module:
    raise KeyError("depth")


def exits(spec: Spec) -> nn.Module:
    raise SystemExit(0)


def lazy(spec: Spec) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(3))


@pytest.mark.parametrize(
    ("factory", "size", "message"),
    [
        (
            fails,
            {},
            rf"^m:f failed \(KeyError: 'depth'\){LINE}; it is called with the task's ImageSpec and",
        ),
        (exits, {}, rf"^m:f failed \(SystemExit: 0\){LINE}; it is called with"),
        (linear, {"depth": 3}, "unexpected keyword argument 'depth'"),
        (lambda spec: None, {}, "m:f gave NoneType, but it must return a torch.nn.Module"),
        (lazy, {}, "m:f leaves 1.weight without a shape"),
    ],
)
def test_what_a_factory_must_not_do(factory: Factory, size: dict[str, int], message: str) -> None:
    with pytest.raises(LotteryError, match=message):
        own(factory, **size)


def test_a_factory_may_say_what_is_wrong_itself() -> None:
    def factory(spec: Spec) -> nn.Module:
        raise LotteryError("Only images of 28 x 28.")

    with pytest.raises(LotteryError, match="^Only images of 28 x 28.$"):
        own_network("m:f", factory, COLOURED)


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that Python looks into."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_factory_is_imported_by_name(code: Path) -> None:
    (code / "own_package_a").mkdir()
    (code / "own_package_a" / "inner.py").write_text(
        "class Made:\n    @staticmethod\n    def network(spec): return 'made'\nnumber = 3\n"
    )
    name = "own_package_a.inner"
    factory = import_factory(f"{name}:Made.network")
    assert str(factory(COLOURED)) == "made"
    with pytest.raises(LotteryError, match="is int, but it must be a function"):
        import_factory(f"{name}:number")
    with pytest.raises(
        LotteryError, match="no function in own_package_a.inner 'Mad'; did you mean"
    ):
        import_factory(f"{name}:Mad")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import surely_not_there", "ModuleNotFoundError: No module named 'surely_not_there'"),
        ("\n1 / 0", "ZeroDivisionError: division by zero"),
        ("x = 1\ndef f(:", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_modules_that_cannot_be_imported(code: Path, text: str, told: str) -> None:
    module = f"own_broken_{told[:6].lower()}"
    (code / f"{module}.py").write_text(text)
    with pytest.raises(LotteryError, match="can't be imported") as caught:
        import_factory(f"{module}:f")
    line = text.count("\n") + 1
    assert told in str(caught.value)
    assert str(caught.value).endswith(f"; mend {code / module}.py, line {line}.")


@pytest.mark.parametrize("module", ["own_not_there", "own_not_there.inner", "json.own_not_there"])
def test_modules_that_are_not_there(module: str) -> None:
    with pytest.raises(LotteryError, match="must be in the current folder or installed"):
        import_factory(f"{module}:f")


@pytest.mark.parametrize(
    "name", [":f", "m:", ":", "..m:f", "no such module:f", "m/n:f", "m:f:g", "m:2"]
)
def test_odd_names(name: str) -> None:
    told = f"^{re.escape(repr(name))} names no code; write package.module:factory, such as"
    for use in (import_factory, entry):
        with pytest.raises(LotteryError, match=told):
            use(name)


def test_a_file_may_be_called_what_no_python_name_can_be(code: Path) -> None:
    (code / "2-nets-of-a-test.py").write_text("def make(spec): return 'made'")
    assert str(import_factory("2-nets-of-a-test:make")(COLOURED)) == "made"
