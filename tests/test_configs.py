"""Configurations: checked, named with their dotted fields when wrong, and back again from their text."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lottery.experiments import Experiment
from lottery.recipes.catalog import RECIPES
from training.configs import OptimizerConfig, ScheduleConfig, TrainingConfig
from training.errors import LotteryError
from training.plain import from_plain, to_plain
from training.steps import Steps
from training.storage import to_json
from training.toml_text import from_toml, override, to_toml

STEPS = st.builds(
    Steps, epochs=st.integers(0, 999_999_999), iterations=st.integers(0, 999_999_999_999)
)
WORDS = st.text(st.characters(blacklist_categories=["Cs"]), max_size=8)


@dataclass(frozen=True, kw_only=True)
class Inner:
    """A table with a name of its own."""

    rate: float = 0.5
    choice: Literal["red", "blue"] = "red"
    often: bool = False


@dataclass(frozen=True, kw_only=True)
class Outer:
    """One field of each kind."""

    count: int
    text: str = ""
    inner: Inner = Inner()
    lengths: tuple[int, ...] = ()
    limit: float | None = None
    size: dict[str, int | float | tuple[int, ...]] = field(default_factory=dict)


def plain_experiment() -> dict[str, Any]:
    plain: dict[str, Any] = to_plain(RECIPES["lth-lenet"].config)
    return plain


@pytest.mark.parametrize(
    ("text", "epochs", "iterations", "printed"),
    [
        ("2ep", 2, 0, "2ep"),
        ("500it", 0, 500, "500it"),
        ("1ep50it", 1, 50, "1ep50it"),
        ("500", 0, 500, "500it"),
        ("0it", 0, 0, "0it"),
        ("0ep", 0, 0, "0it"),
        ("0ep7it", 0, 7, "7it"),
    ],
)
def test_steps_are_read_and_printed(text: str, epochs: int, iterations: int, printed: str) -> None:
    steps = Steps.parse(text)
    assert steps == Steps(epochs=epochs, iterations=iterations)
    assert str(steps) == printed


@pytest.mark.parametrize(
    "text", ["", "it", "ep", "-1it", "1.5ep", "50it1ep", "2 ep", "2EP", "1e3", "9" * 20, "²"]
)
def test_what_is_not_steps_is_refused(text: str) -> None:
    with pytest.raises(LotteryError, match=r"is not a number of steps; write .* 2ep, 500it"):
        Steps.parse(text)


@given(STEPS)
def test_steps_go_to_text_and_back(steps: Steps) -> None:
    assert Steps.parse(str(steps)) == steps


@given(STEPS, st.integers(1, 10_000))
def test_equal_numbers_of_steps_are_equal_when_resolved(steps: Steps, per_epoch: int) -> None:
    count = steps.epochs * per_epoch + steps.iterations
    assert steps.count(per_epoch) == count
    assert steps.resolved(per_epoch) == Steps(iterations=count)


def test_one_epoch_and_fifty_at_938_steps_per_epoch() -> None:
    assert Steps.parse("1ep50it").count(938) == 988


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_recipes_go_through_toml_and_json_unchanged(name: str) -> None:
    experiment = RECIPES[name].config
    assert from_toml(Experiment, to_toml(experiment), "recipe") == experiment
    assert from_plain(Experiment, json.loads(to_json(to_plain(experiment)))) == experiment


@given(
    st.builds(
        Outer,
        count=st.integers(-(2**53), 2**53),
        text=WORDS,
        inner=st.builds(
            Inner,
            rate=st.floats(allow_nan=False, allow_infinity=False),
            choice=st.sampled_from(["red", "blue"]),
            often=st.booleans(),
        ),
        lengths=st.lists(st.integers(0, 9), max_size=3).map(tuple),
        limit=st.none() | st.floats(allow_nan=False, allow_infinity=False),
        size=st.dictionaries(
            WORDS,
            st.integers(0, 9)
            | st.floats(0.25, 0.75)
            | st.lists(st.integers(0, 9), max_size=3).map(tuple),
            max_size=3,
        ),
    )
)
def test_any_configuration_goes_through_toml_and_json_unchanged(config: Outer) -> None:
    assert from_toml(Outer, to_toml(config), "test") == config
    assert from_plain(Outer, json.loads(to_json(to_plain(config)))) == config


def test_toml_has_a_comment_for_what_is_off() -> None:
    assert to_toml(Outer(count=1, lengths=(2, 3), size={"a b": 0.5})) == (
        'count = 1\ntext = ""\nlengths = [2, 3]\n# limit: not set\n\n'
        '[inner]\nrate = 0.5\nchoice = "red"\noften = false\n\n'
        '[size]\n"a b" = 0.5\n'
    )


def test_toml_has_the_keys_that_a_table_may_have_as_comments() -> None:
    text = to_toml(Outer(count=1, size={"a": 3}), {"size": {"a": 1, "b": [2, 3]}})
    assert text.endswith("[size]\na = 3\n# b = [2, 3]\n")
    assert to_toml(Outer(count=1)).endswith("[size]\n")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "The field 'count' is missing; give it a value."),
        ({"count": "1"}, "count = '1' is not a whole number."),
        ({"count": 1.5}, "count = 1.5 is not a whole number."),
        ({"count": True}, "count = True is not a whole number."),
        ({"count": 1, "cuont": 2}, "There is no field 'cuont'; did you mean count? Known: count,"),
        ({"count": 1, "text": 5}, "text = 5 is not text."),
        ({"count": 1, "inner": 5}, "inner = 5 is not a table of fields."),
        ({"count": 1, "inner": {"rate": "x"}}, "inner.rate = 'x' is not a number."),
        ({"count": 1, "inner": {"rate": True}}, "inner.rate = True is not a number."),
        ({"count": 1, "inner": {"rate": float("nan")}}, "inner.rate = nan is not finite;"),
        ({"count": 1, "inner": {"rate": float("-inf")}}, "inner.rate = -inf is not finite;"),
        ({"count": 1, "inner": {"often": 1}}, "inner.often = 1 is not true or false."),
        (
            {"count": 1, "inner": {"often": True, "rat": 1}},
            "There is no field 'inner.rat'; did you mean inner.rate? Known in inner: rate,",
        ),
        (
            {"count": 1, "inner": {"choice": "bleu"}},
            "inner.choice = 'bleu' is not possible; did you mean blue? possible: red, blue.",
        ),
        (
            {"count": 1, "inner": {"choice": 7}},
            "inner.choice = 7 is not possible; possible: red, blue.",
        ),
        ({"count": 1, "lengths": 3}, "lengths = 3 is not a list such as [0, 1]."),
        ({"count": 1, "lengths": [1, "x"]}, "lengths[1] = 'x' is not a whole number."),
        ({"count": 1, "limit": "x"}, "limit = 'x' is not a number."),
        ({"count": 1, "limit": float("inf")}, "limit = inf is not finite;"),
        ({"count": 1, "size": []}, "size = [] is not a table."),
        (
            {"count": 1, "size": {"a": "x"}},
            "size.a = 'x' is not a whole number or a number or a list.",
        ),
        ({"count": 1, "size": {"a": [1, "x"]}}, "size.a[1] = 'x' is not a whole number."),
        ({"count": 1, "size": {"a": float("nan")}}, "size.a = nan is not finite;"),
        (7, "the configuration = 7 is not a table of fields."),
    ],
)
def test_a_wrong_value_is_named_with_its_dotted_field(value: Any, message: str) -> None:
    with pytest.raises(LotteryError) as caught:
        from_plain(Outer, value)
    assert str(caught.value).startswith(message)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("training.optimizer.learning_rate", 0, "learning_rate = 0.0 is out of range"),
        ("training.optimizer.momentum", 1.0, "momentum = 1.0 is out of range"),
        ("training.optimizer.nesterov", True, "nesterov = True is out of range"),
        ("training.optimizer.weight_decay", -1, "weight_decay = -1.0 is out of range"),
        ("training.optimizer.beta1", 1, "beta1 = 1.0 is out of range"),
        ("training.optimizer.beta2", -0.1, "beta2 = -0.1 is out of range"),
        ("training.optimizer.epsilon", 0, "epsilon = 0.0 is out of range"),
        ("training.optimizer.clip_norm", 0, "clip_norm = 0.0 is out of range"),
        ("training.schedule.factor", 0, "factor = 0.0 is out of range"),
        ("training.schedule.factor", 1.1, "factor = 1.1 is out of range"),
        ("training.schedule.milestones", ["1ep"], "milestones = ['1ep'] is out of range"),
        ("training.schedule.name", "step", "milestones = [] is out of range"),
        ("training.schedule.restart", "9it", "restart = 9it is out of range"),
        ("training.schedule.restart_factor", 0, "restart_factor = 0 is out of range"),
        ("training.schedule.least", 0.1, "least = 0.1 is out of range"),
        ("training.schedule.least", 1.1, "least = 1.1 is out of range"),
        ("training.accumulation", 0, "accumulation = 0 is out of range"),
        ("training.accumulation", 7, "accumulation = 7 is out of range"),
        ("training.auxiliary_weight", -1, "auxiliary_weight = -1.0 is out of range"),
        ("training.steps", "0it", "steps = 0it is out of range"),
        ("training.eval_every", 0, "eval_every = 0it is out of range"),
        ("training.batch_size", 0, "batch_size = 0 is out of range"),
    ],
)
def test_a_value_out_of_range_is_named_with_its_dotted_field(
    path: str, value: Any, message: str
) -> None:
    plain = plain_experiment()
    table = plain
    *parents, last = path.split(".")
    for name in parents:
        table = table[name]
    table[last] = value
    with pytest.raises(LotteryError) as caught:
        from_plain(Experiment, plain)
    assert str(caught.value).startswith(f"{'.'.join(parents)}.{message}; it must be ")


def test_a_batch_is_cut_into_equal_parts_only() -> None:
    assert override(config(), "accumulation=5").accumulation == 5
    with pytest.raises(LotteryError, match=r"accumulation = 4 .* a divisor of batch_size, 10\.$"):
        override(config(), "accumulation=4")


def test_restarts_belong_to_the_cosine() -> None:
    schedule = ScheduleConfig(name="cosine", restart=Steps(epochs=1), least=0.5)
    with pytest.raises(LotteryError, match=r"restart = 1ep .* 0it unless name is cosine\.$"):
        dataclasses.replace(schedule, name="constant")
    with pytest.raises(LotteryError, match=r"least = 0\.5 .* 0 unless name is cosine\.$"):
        dataclasses.replace(schedule, name="constant", restart=Steps())


def test_steps_that_are_none_are_named() -> None:
    plain = plain_experiment()
    plain["training"]["steps"] = "soon"
    with pytest.raises(LotteryError, match=r"^training\.steps: 'soon' is not a number of steps;"):
        from_plain(Experiment, plain)
    plain["training"]["steps"] = 2.5
    with pytest.raises(LotteryError, match=r"^training\.steps = 2\.5 is not steps such as 2ep"):
        from_plain(Experiment, plain)


def test_the_source_of_a_toml_text_is_named() -> None:
    with pytest.raises(LotteryError, match=r"^mine\.toml is not valid TOML: "):
        from_toml(Outer, "count = ", "mine.toml")
    with pytest.raises(LotteryError, match=r"^mine\.toml: The field 'count' is missing"):
        from_toml(Outer, "", "mine.toml")


def test_a_whole_float_counts_as_an_integer_and_an_integer_as_a_float() -> None:
    read = from_plain(Outer, {"count": 2.0, "inner": {"rate": 1}})
    assert (read.count, type(read.count)) == (2, int)
    assert (read.inner.rate, type(read.inner.rate)) == (1.0, float)


def config() -> TrainingConfig:
    return TrainingConfig(
        steps=Steps(epochs=2),
        batch_size=10,
        eval_every=Steps(iterations=5),
        optimizer=OptimizerConfig(name="sgd", learning_rate=0.1),
        schedule=ScheduleConfig(name="step", milestones=(Steps(epochs=1),)),
    )


def test_override_changes_one_field_and_leaves_the_old_value_alone() -> None:
    before = config()
    assert override(before, "steps=1ep50it").steps == Steps(epochs=1, iterations=50)
    assert override(before, "steps = 70").steps == Steps(iterations=70)
    assert override(before, "optimizer.learning_rate=3e-4").optimizer.learning_rate == 3e-4
    assert override(before, "optimizer.name=adam").optimizer.name == "adam"
    assert override(before, 'optimizer.name="adam"').optimizer.name == "adam"
    assert override(before, 'schedule.milestones=["1ep", "30it"]').schedule.milestones == (
        Steps(epochs=1),
        Steps(iterations=30),
    )
    clipped = override(before, "optimizer.clip_norm=0.5")
    assert clipped.optimizer.clip_norm == 0.5
    assert override(clipped, "optimizer.clip_norm=none") == before
    assert before == config()


@pytest.mark.parametrize("order", [1, -1])
def test_fields_that_need_each_other_are_changed_together(order: int) -> None:
    before = config()
    both = ["schedule.name=constant", "schedule.milestones=[]"][::order]
    assert override(before, *both).schedule == ScheduleConfig(name="constant")
    for one in both:
        with pytest.raises(LotteryError, match="only with it|needs|must be given"):
            override(before, one)


def test_of_two_assignments_to_one_field_the_last_counts() -> None:
    before = config()
    assert override(before, "batch_size=20", "batch_size=30").batch_size == 30
    assert override(before, "batch_size=many", "batch_size=30").batch_size == 30
    assert override(before) == before
    with pytest.raises(LotteryError, match="'steps' sets nothing"):
        override(before, "batch_size=30", "steps")


def test_override_adds_to_a_table_of_options() -> None:
    changed = override(Outer(count=1), "size.widths=[3, 4]")
    assert changed == dataclasses.replace(Outer(count=1), size={"widths": (3, 4)})


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("steps", "'steps' sets nothing; write FIELD=VALUE, such as training.steps=2000."),
        ("=5", "'=5' sets nothing;"),
        ("stesp=5", "There is no field 'stesp'; did you mean steps?"),
        ("optimizer.momentun=0.5", "did you mean optimizer.momentum? Known in optimizer: name,"),
        ("optimiser.momentum=0.5", "'optimiser' with fields of its own; did you mean optimizer?"),
        ("batch_size.x=5", "There is no field 'batch_size' with fields of its own. Known: opti"),
        ("optimizer.learning_rate.x=5", "'optimizer.learning_rate' with fields of its own. Known:"),
        ("batch_size=many", "batch_size = 'many' is not a whole number."),
        ("batch_size=", "batch_size = '' is not a whole number."),
        ("optimizer=5", "optimizer = 5 is not a table of fields."),
        ("optimizer.learning_rate=nan", "optimizer.learning_rate = nan is not finite;"),
        ("optimizer.learning_rate=-1", "optimizer.learning_rate = -1.0 is out of range;"),
        ("optimizer.learning_rate=none", "optimizer.learning_rate = None is not a number."),
    ],
)
def test_override_refuses_what_does_not_fit(assignment: str, message: str) -> None:
    with pytest.raises(LotteryError) as caught:
        override(config(), assignment)
    assert message in str(caught.value)
