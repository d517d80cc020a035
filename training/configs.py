"""Configuration: frozen, checked dataclasses, to and from plain values, TOML and JSON; torch-free.

A field that may be off is typed `X | None` and is None by default, so that leaving it out of a TOML file means off.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import re
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from training.errors import LotteryError

T = TypeVar("T")

_STEPS = re.compile(r"(?:(\d{1,9})ep)?(?:(\d{1,12})it)?")


@dataclass(frozen=True, kw_only=True)
class Steps:
    """A number of training steps, in epochs, iterations or both: `2ep`, `500it`, `1ep50it`."""

    epochs: int = 0
    iterations: int = 0

    @staticmethod
    def parse(text: str) -> Steps:
        """Read `2ep`, `500it`, `1ep50it`, or a bare number of iterations.

        Raises:
            LotteryError: `text` is none of these.
        """
        match = _STEPS.fullmatch(text if not text.isascii() or not text.isdigit() else f"{text}it")
        if not text or match is None:
            raise LotteryError(
                f"{text!r} is not a number of steps; write epochs, iterations or both: "
                "2ep, 500it, 1ep50it."
            )
        return Steps(epochs=int(match[1] or 0), iterations=int(match[2] or 0))

    def __str__(self) -> str:
        epochs = f"{self.epochs}ep" if self.epochs else ""
        iterations = f"{self.iterations}it" if self.iterations or not self.epochs else ""
        return epochs + iterations

    def count(self, steps_per_epoch: int) -> int:
        """The number of iterations."""
        return self.epochs * steps_per_epoch + self.iterations

    def resolved(self, steps_per_epoch: int) -> Steps:
        """The same number in iterations alone, so that equal meanings compare equal."""
        return Steps(iterations=self.count(steps_per_epoch))


def require(holds: bool, name: str, given: object, possible: str) -> None:
    """Refuse a value of a field.

    Raises:
        LotteryError: `holds` is false.
    """
    if not holds:
        raise LotteryError(f"{name} = {given} is out of range; it must be {possible}.")


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """An optimizer of torch and its settings.

    Attributes:
        name: sgd, adam or adamw.
        learning_rate: before the schedule.
        momentum: of sgd.
        nesterov: whether sgd's momentum looks ahead.
        weight_decay: added to the gradient (sgd, adam) or decoupled (adamw).
        beta1: decay of adam's mean.
        beta2: decay of adam's variance.
        epsilon: of adam.
        clip_norm: largest norm of a replicate's gradient; None for no clipping.
    """

    name: Literal["sgd", "adam", "adamw"]
    learning_rate: float
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "above 0")
        require(0 <= self.momentum < 1, "momentum", self.momentum, "from 0 to below 1")
        require(not self.nesterov or self.momentum > 0, "nesterov", True, "false without momentum")
        require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "0 or more")
        require(0 <= self.beta1 < 1, "beta1", self.beta1, "from 0 to below 1")
        require(0 <= self.beta2 < 1, "beta2", self.beta2, "from 0 to below 1")
        require(self.epsilon > 0, "epsilon", self.epsilon, "above 0")
        require(
            self.clip_norm is None or self.clip_norm > 0, "clip_norm", self.clip_norm, "above 0"
        )


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """How the learning rate goes over the steps.

    Attributes:
        name: constant, step (times `factor` at each milestone) or cosine (to 0 at the last step).
        warmup: steps of linear rise from 0, before the schedule's own value applies.
        milestones: of the step schedule.
        factor: of the step schedule.
    """

    name: Literal["constant", "step", "cosine"] = "constant"
    warmup: Steps = Steps()
    milestones: tuple[Steps, ...] = ()
    factor: float = 0.1

    def __post_init__(self) -> None:
        require(0 < self.factor <= 1, "factor", self.factor, "above 0 and at most 1")
        require(
            bool(self.milestones) == (self.name == "step"),
            "milestones",
            [str(milestone) for milestone in self.milestones],
            "given with the step schedule, and only with it",
        )


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a network is trained.

    Attributes:
        steps: from the first step to the last.
        batch_size: examples, or columns of text, per step.
        eval_every: steps between two looks at the validation split.
        optimizer: and its learning rate.
        schedule: of the learning rate.
        precision: fp32, or bf16 for the matrix products (weights stay fp32).
    """

    steps: Steps
    batch_size: int
    eval_every: Steps
    optimizer: OptimizerConfig
    schedule: ScheduleConfig = ScheduleConfig()
    precision: Literal["fp32", "bf16"] = "fp32"

    def __post_init__(self) -> None:
        require(self.steps != Steps(), "steps", self.steps, "at least 1it")
        require(self.batch_size >= 1, "batch_size", self.batch_size, "1 or more")
        require(self.eval_every != Steps(), "eval_every", self.eval_every, "at least 1it")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which data, and how they are cut.

    Attributes:
        name: of the data set, see `lottery data`.
        options: settings of that data set, such as `validation` (examples) or `sequence` (tokens per window).
    """

    name: str
    options: dict[str, int] = field(default_factory=dict)


def to_plain(value: Any) -> Any:
    """A configuration as plain values, as JSON can hold them: dataclasses as objects, steps as text."""
    if isinstance(value, Steps):
        return str(value)
    if dataclasses.is_dataclass(value):
        names = [f.name for f in dataclasses.fields(value)]
        return {name: to_plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    return value


def from_plain(kind: type[T], value: Any, where: str = "") -> T:
    """A configuration from plain values.

    Args:
        kind: the dataclass.
        value: as `to_plain` gives it; fields with a default may be missing.
        where: the dotted name of the field that holds it, for messages.

    Raises:
        LotteryError: an unknown, missing, ill-typed, non-finite or out-of-range field, named with its dotted path.
    """
    result: T = _convert(kind, value, where)
    return result


def _convert(kind: Any, value: Any, where: str) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise LotteryError(f"{where} = {value} is not finite; give a finite number.")
    if kind is Steps:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        return _steps(_expect(value, str, where, "steps such as 2ep or 500it"), where)
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, value, where)
    if typing.get_origin(kind) is not None:
        return _generic(typing.get_origin(kind), typing.get_args(kind), value, where)
    return _scalar(kind, value, where)


def _steps(text: str, where: str) -> Steps:
    try:
        return Steps.parse(text)
    except LotteryError as error:
        raise LotteryError(f"{where}: {error}", error.exit_code) from None


def _generic(origin: Any, arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if origin is Literal:
        return _choice(arguments, value, where)
    if origin is tuple:
        items = _expect(value, (list, tuple), where, "a list")
        return tuple(_convert(arguments[0], v, f"{where}[{i}]") for i, v in enumerate(items))
    if origin is dict:
        table = _expect(value, dict, where, "a table")
        return {key: _convert(arguments[1], v, f"{where}.{key}") for key, v in table.items()}
    return _union(arguments, value, where)


def _choice(possible: tuple[Any, ...], value: Any, where: str) -> Any:
    if value not in possible:
        near = difflib.get_close_matches(str(value), possible, n=1)
        hint = f"; did you mean {near[0]}?" if near else ";"
        words = ", ".join(map(str, possible))
        raise LotteryError(f"{where} = {value!r} is not possible{hint} possible: {words}.")
    return value


def _union(arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    """The first kind that the value converts to; a list's own fault is told, as it may be an item's."""
    if value is None and type(None) in arguments:
        return None
    kinds = [kind for kind in arguments if kind is not type(None)]
    for kind in kinds:
        try:
            return _convert(kind, value, where)
        except LotteryError:
            if len(kinds) == 1 or (isinstance(value, list) and typing.get_origin(kind) is tuple):
                raise
    words = " or ".join(_WORDS[typing.get_origin(kind) or kind] for kind in kinds)
    raise LotteryError(f"{where} = {value!r} is not {words}.")


def _dataclass(kind: Any, value: Any, where: str) -> Any:
    table = _expect(value, dict, where, "a table of fields")
    fields = {f.name: f for f in dataclasses.fields(kind)}
    hints = typing.get_type_hints(kind)
    for key in table:
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"; did you mean {_join(where, near[0])}?" if near else "."
            raise LotteryError(
                f"There is no field {_join(where, key)!r}{hint} "
                f"Known{f' in {where}' if where else ''}: {', '.join(fields)}."
            )
    for name, f in fields.items():
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if required and name not in table:
            raise LotteryError(f"The field {_join(where, name)!r} is missing; give it a value.")
    arguments = {key: _convert(hints[key], item, _join(where, key)) for key, item in table.items()}
    try:
        return kind(**arguments)
    except LotteryError as error:  # of `require`: it begins with the field's own name
        raise LotteryError(_join(where, str(error)), error.exit_code) from None


_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    tuple: "a list",
}


def _scalar(kind: Any, value: Any, where: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) and kind is not bool:
        raise LotteryError(f"{where} = {value!r} is not {_WORDS[kind]}.")
    return _expect(value, kind, where, _WORDS[kind])


def _expect(value: Any, kind: Any, where: str, words: str) -> Any:
    if not isinstance(value, kind):
        raise LotteryError(f"{where or 'the configuration'} = {value!r} is not {words}.")
    return value


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def override(config: T, assignment: str) -> T:
    """A configuration with one field changed.

    Args:
        config: the dataclass.
        assignment: such as `training.steps=2000` or `network.size.channels=8`; the value is TOML, or bare text.

    Raises:
        LotteryError: no `=`, an unknown field, or a value that does not fit.
    """
    path, sign, text = assignment.partition("=")
    if not sign or not path.strip():
        raise LotteryError(
            f"{assignment!r} sets nothing; write FIELD=VALUE, such as training.steps=2000."
        )
    plain = to_plain(config)
    *parents, last = path.strip().split(".")
    table = plain
    for depth, name in enumerate(parents):
        inner = table.get(name) if isinstance(table, dict) else None
        if not isinstance(inner, dict):
            parent = ".".join(parents[:depth])
            known = [key for key, item in table.items() if isinstance(item, dict)]
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {_join(parent, near[0])}?" if near else "."
            raise LotteryError(
                f"There is no field {'.'.join([*parents[:depth], name])!r} with fields of its own"
                f"{hint} Known: {', '.join(known) or 'none'}."
            )
        table = inner
    table[last] = _value(text.strip())
    return from_plain(type(config), plain)


def _value(text: str) -> Any:
    if text.lower() in ("none", "null"):
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def to_toml(value: Any) -> str:
    """A configuration as TOML text that `from_toml` reads back; fields that are off are left out."""
    lines: list[str] = []
    _tables(to_plain(value), "", lines)
    return "\n".join(lines).lstrip("\n") + "\n"


def _tables(table: Mapping[str, Any], where: str, lines: list[str]) -> None:
    if where:
        lines.extend(["", f"[{where}]"])
    for key, item in table.items():
        if item is not None and not isinstance(item, Mapping):
            lines.append(f"{_key(key)} = {_toml_value(item)}")
    for key, item in table.items():
        if isinstance(item, Mapping) and item:
            _tables(item, f"{where}.{_key(key)}" if where else _key(key), lines)


def _toml_value(item: Any) -> str:
    # JSON writes these values as TOML does, but for the delete character, which TOML wants escaped.
    return json.dumps(item, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _toml_value(key)


def from_toml(kind: type[T], text: str, source: str) -> T:
    """A configuration from TOML text.

    Raises:
        LotteryError: not TOML, or `from_plain` refuses it; `source` is named.
    """
    try:
        plain = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise LotteryError(f"{source} is not valid TOML: {error}.") from None
    try:
        return from_plain(kind, plain)
    except LotteryError as error:
        raise LotteryError(f"{source}: {error}", error.exit_code) from None
