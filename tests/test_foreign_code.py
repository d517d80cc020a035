"""Whatever a user's code raises, exits with or hides: one sentence, nothing lost, and Ctrl-C works."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lottery.checks import check
from lottery.cycle import find_tickets
from lottery.planning import plan
from nas.catalog.outside_networks import code_of, own_network, their_code
from nas.catalog.own_code import import_factory
from tests.own_runs import OWN, carried_out, own_session, refusal, results
from tests.tiny_runs import StopAfter, files, open_run
from training.checkpoints import tensors_from_bytes
from training.errors import ExitCode, LotteryError
from training.specs import ImageSpec, Spec

IMAGES = ImageSpec(channels=1, height=8, width=8, classes=10)


class Fault(BaseException):
    """No Exception."""


class Failing(nn.Module):
    """Raises, or exits, at the start of a forward pass, once it is as far as `late`.

    Args:
        error: what is raised; None for nothing.
        late: after how many steps of training.
    """

    steps: Tensor

    def __init__(self, error: BaseException | None, late: int = 0) -> None:
        super().__init__()
        self.last = nn.Linear(64, 10)
        self.error = error
        self.late = late
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """From images to logits."""
        if int(self.steps) >= self.late and self.error is not None:
            raise self.error
        if self.training:
            self.steps += 1
        logits: Tensor = self.last(x.flatten(1))
        return logits


ERRORS = [
    (SystemExit(0), "SystemExit: 0"),
    (SystemExit(3), "SystemExit: 3"),
    (Fault("no"), "Fault: no"),
    (GeneratorExit(), "GeneratorExit"),
    (OSError(28, "No space left on device"), r"OSError: \[Errno 28\]"),
    (ValueError("not\nnow"), "ValueError: not now"),
]


@pytest.mark.parametrize(("error", "told"), ERRORS)
def test_whatever_forward_raises_is_one_sentence(error: BaseException, told: str) -> None:
    with pytest.raises(LotteryError, match=rf"^m:f can't take images .* \({told}"):
        check(own_session(lambda spec: Failing(error)))


@pytest.mark.parametrize(("error", "told"), ERRORS)
def test_whatever_a_constructor_raises_is_one_sentence(error: BaseException, told: str) -> None:
    def factory(spec: Spec) -> nn.Module:
        raise error

    with pytest.raises(LotteryError, match=rf"^m:f failed \({told}"):
        own_network("m:f", factory, IMAGES)


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(),
        LotteryError("Stopped.", ExitCode.RESUMABLE),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        torch.OutOfMemoryError("CUDA out of memory"),
    ],
)
def test_what_passes_through(error: BaseException) -> None:
    def raised() -> None:
        with their_code("It failed", "mend it"):
            raise error

    with pytest.raises(type(error)) as caught:
        raised()
    assert caught.value is error


def test_what_the_catalogs_networks_raise_is_ours() -> None:
    with pytest.raises(ValueError, match="^ours$"), code_of("resnet", "failed", "mend it"):
        Failing(ValueError("ours"))(torch.zeros(1, 64))
    with pytest.raises(ValueError, match="^around$"), code_of("m:f", "failed", "mend it"):
        raise ValueError("around")
    with (
        pytest.raises(
            LotteryError,
            match=r"^torchvision/resnet18 failed \(ValueError: theirs\) in .*test_foreign_code.py, line \d+; mend it.$",
        ),
        code_of("torchvision/resnet18", "failed", "mend it"),
    ):
        Failing(ValueError("theirs"))(torch.zeros(1, 64))


class BackwardFails(torch.autograd.Function):
    """The same forward, and backward raises."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """As it is."""
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        """Never."""
        raise ValueError("no gradient")


class ChangesInPlace(nn.Module):
    """Changes what its backward pass needs, after some steps, or has one that raises."""

    steps: Tensor

    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.last = nn.Linear(64, 10)
        self.change = change
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """From images to logits."""
        if self.training:
            self.steps += 1
        out: Tensor = self.last(x.flatten(1)).exp()
        return self.change(out) if int(self.steps) > 4 else out


@pytest.mark.parametrize(
    ("change", "told"),
    [(lambda x: x.add_(1), "modified by an inplace"), (BackwardFails.apply, "no gradient")],
)
def test_a_backward_pass_that_fails_later(
    change: Callable[[Tensor], Tensor], told: str, tmp_path: Path
) -> None:
    with pytest.raises(LotteryError, match=f"^m:f failed while level 0 was trained .*{told}"):
        carried_out(lambda spec: ChangesInPlace(change), tmp_path / "own")


@pytest.mark.parametrize(
    "where",
    [
        "training.loop.freeze",
        "training.loop.schedule_factor",
        "training.differentiation.own_memory",
        "training.replicates.stacked_results",
        "training.tasks.image_classification.ImageClassification.loss",
        "lottery.stacks.checkpoint_to_bytes",
    ],
)
def test_a_fault_of_ours_is_not_laid_on_the_network(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "own"
    made = own_session(lambda spec: Failing(None), root=root, watcher=StopAfter(5))
    open_run(root, OWN, made.task.data.description())

    def faulty(*_: object, **__: object) -> object:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(where, faulty)
    with pytest.raises(ZeroDivisionError, match="ours"):
        find_tickets(made)


@pytest.mark.parametrize("error", [SystemExit(0), Fault("no"), ZeroDivisionError("1 / 0")])
def test_a_forward_that_fails_later_loses_nothing(error: BaseException, tmp_path: Path) -> None:
    """It fails at step 13, after a stop at step 5; mended, it ends as if nothing had been."""
    experiment = dataclasses.replace(OWN, levels=0)

    def go(error: BaseException | None, root: Path, steps: int = 1000) -> dict[str, bytes]:
        watcher = StopAfter(steps)
        made = own_session(lambda spec: Failing(error, 13), experiment, root, watcher=watcher)
        open_run(root, experiment, made.task.data.description())
        find_tickets(made)
        return files(root)

    whole = go(None, tmp_path / "a" / "own")
    broken = tmp_path / "b" / "own"
    with pytest.raises(LotteryError) as stopped:
        go(error, broken, 5)
    assert stopped.value.exit_code is ExitCode.RESUMABLE
    kept = files(broken)
    with pytest.raises(LotteryError) as failed:
        go(error, broken)
    assert str(failed.value).startswith("m:f failed while level 0 was trained (")
    assert str(failed.value).endswith("the same command goes on from there.")
    assert failed.value.exit_code is ExitCode.ERROR
    assert [name for name in kept if "checkpoint" in name]
    assert {name: kept[name] for name in kept if "checkpoint" in name}.items() <= files(
        broken
    ).items()
    assert results(go(None, broken)) == results(whole)


def test_a_forward_that_fails_while_it_is_timed() -> None:
    made = own_session(lambda spec: Failing(SystemExit(0), 4))
    with pytest.raises(LotteryError, match=r"^m:f failed while it was timed \(SystemExit: 0\)"):
        plan(made)


# Tensors that can't be trained


class Complex(nn.Module):
    """A complex matrix."""

    def __init__(self, kind: torch.dtype, registered: bool) -> None:
        super().__init__()
        self.last = nn.Linear(64, 10)
        turned = torch.ones(64, dtype=kind)
        if registered:
            self.turned = nn.Parameter(turned)
        else:
            self.register_buffer("turned", turned, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """From images to logits."""
        logits: Tensor = self.last((x.flatten(1) * self.turned).real)
        return logits


def test_complex_parameters_are_refused_and_buffers_are_not(tmp_path: Path) -> None:
    told = refusal(lambda spec: Complex(torch.complex64, True))
    assert told.startswith("m:f has the complex parameter turned, and parameters are pruned by how")
    assert "turned in complex128" in refusal(lambda spec: Complex(torch.complex128, False))
    run = carried_out(lambda spec: Complex(torch.complex64, False), tmp_path / "own")
    finals = tensors_from_bytes(run["level-01/weights.safetensors"], tmp_path)[0]
    assert finals["turned"].dtype == torch.complex64


def test_tensors_without_values() -> None:
    def on_meta(spec: Spec) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 10, device="meta"))

    def buffer_on_meta(spec: Spec) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64, affine=False, device="meta"))

    assert refusal(on_meta).startswith("m:f leaves 1.weight on the device meta, without values;")
    assert "leaves 1.running_mean on the device meta" in refusal(buffer_on_meta)


# Names that are taken


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with code, whose modules are forgotten afterwards, and a search path that is restored."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = {*sys.modules}
    yield tmp_path
    for name in {*sys.modules} - before:
        if (sys.modules[name].__file__ or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize("package", ["training", "nas", "lottery", "analysis"])
def test_a_package_of_the_users_that_is_called_as_one_of_ours(
    code: Path, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code / package).mkdir()
    (code / package / "__init__.py").write_text("")
    (code / package / "of_a_test.py").write_text("def make(spec): return None\n")
    (code / "uses_of_a_test.py").write_text(f"from {package}.of_a_test import make\n")
    # As in a process that has imported nothing of it yet.
    monkeypatch.delitem(sys.modules, package)
    taken = (
        f"{package} is the name of a package of this suite, so give a package of your own another"
    )
    for name in (f"{package}.of_a_test:make", "uses_of_a_test:make", f"{package}:make"):
        with pytest.raises(LotteryError, match=rf"{taken}\.$"):
            import_factory(name, code)


def test_the_users_files_come_first_while_they_are_imported_and_last_then(
    code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is called as a library hides it from no later import of ours."""
    (code / "wave.py").write_text("def make(spec): return 'theirs'\n")
    (code / "nets_of_a_test.py").write_text(
        "def make(spec):\n    import later_of_a_test\n    return later_of_a_test.found\n"
    )
    (code / "later_of_a_test.py").write_text("found = 'theirs'\n")
    (code / "imports_of_a_test.py").write_text("from wave import make\n")
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    assert str(import_factory("nets_of_a_test:make", code)(IMAGES)) == "theirs"
    assert sys.path[-1] == str(code)
    assert sys.path.count(str(code)) == 1
    assert importlib.import_module("wave").__name__ == "wave"
    assert not (importlib.import_module("wave").__file__ or "").startswith(str(code))
    del sys.modules["wave"]
    assert str(import_factory("imports_of_a_test:make", code)(IMAGES)) == "theirs"


class FailsOnTest(nn.Module):
    """Raises on the test split, the only one of 500 images."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """From images to logits."""
        if len(x) == 500:
            raise ValueError("not these")
        logits: Tensor = self.last(x.flatten(1))
        return logits


def test_a_forward_that_fails_while_it_is_scored_at_the_end(tmp_path: Path) -> None:
    experiment = dataclasses.replace(OWN, levels=0)
    made = own_session(lambda spec: FailsOnTest(), experiment, tmp_path / "own")
    open_run(tmp_path / "own", experiment, made.task.data.description())
    with pytest.raises(
        LotteryError, match=r"^m:f failed while level 0 was trained \(ValueError: not these\)"
    ):
        find_tickets(made)
