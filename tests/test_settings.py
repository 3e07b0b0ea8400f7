"""Ranges and choices: one home each, the same message wherever a value is given."""

import math
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Literal, get_args

import numpy as np
import pytest
import torch

from nlp_rnn.data import Batching, Corpus, VocabularySettings
from nlp_rnn.data.batching import BatchSize
from nlp_rnn.errors import UsageError
from nlp_rnn.settings import (
    Choices,
    Column,
    Columns,
    Configured,
    Range,
    Settings,
    check_settings,
    check_value,
    column_settings,
    setting_types,
)
from nlp_rnn.tasks import TASKS
from nlp_rnn.tasks.generation import BeamSettings, SamplingSettings
from nlp_rnn.tasks.optimization import Optimization
from nlp_rnn.tasks.registry import data_classes
from nlp_rnn.tasks.regularization import Regularization

DATACLASSES = [
    Batching,
    BeamSettings,
    Corpus,
    Optimization,
    Regularization,
    SamplingSettings,
    VocabularySettings,
]
OWNERS = [*DATACLASSES, *TASKS.values(), *(kind for name in TASKS for kind in data_classes(name))]


def rules(hint):
    """The ranges of an annotation and of what it is made of."""
    found = [rule for rule in getattr(hint, "__metadata__", ()) if isinstance(rule, Range)]
    return found + [rule for part in get_args(hint) for rule in rules(part)]


RANGES = [
    pytest.param(owner, name, rule, id=f"{owner.__name__}.{name}")
    for owner in OWNERS
    for name, hint in setting_types(owner).items()
    for rule in rules(hint)
]


@pytest.mark.parametrize(("owner", "name", "rule"), RANGES)
def test_the_ends_of_each_range_are_allowed_and_nothing_beyond(owner, name, rule):
    low, high = rule.low, rule.high
    assert low <= high
    is_list = name in ("thresholds", "affixes")  # of which each number has the range

    def check(value):
        check_settings(owner, {name: [value] if is_list else value})

    check(low)
    check(high)
    step = 1 if isinstance(low, int) and isinstance(high, int) and high > 1 else 1e-3 * max(abs(low), 1e-9)
    for wrong in (low - step, high + step * max(1, high), math.nan, math.inf, -math.inf, -(10**400), 10**400):
        with pytest.raises(UsageError, match=f"^{name} must be between .* and .*, not "):
            check(wrong)


@pytest.mark.parametrize("owner", OWNERS)
def test_every_number_that_is_a_setting_has_a_range(owner):
    numbers = [
        name
        for name, hint in setting_types(owner).items()
        if {int, float} & {hint, *get_args(hint)} and bool not in (hint, *get_args(hint)) and not rules(hint)
    ]
    assert numbers == []


@pytest.mark.parametrize("kind", DATACLASSES)
def test_defaults_are_allowed_and_wrong_values_are_refused_when_made(kind):
    kind()
    for item in fields(kind):
        for rule in rules(setting_types(kind)[item.name]):
            with pytest.raises(UsageError, match=f"^{item.name} must be between"):
                kind(**{item.name: rule.low - 1})


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (Optimization, {"optimizer": "lion"}, "^optimizer must be one of adam, adamw, sgd, not 'lion'$"),
        (
            Optimization,
            {"schedule": "plateau", "warmup": 0.1},
            "^warmup has no effect with schedule plateau",
        ),
        (VocabularySettings, {"level": "words"}, "^level must be one of word, bpe, char, not 'words'$"),
        (BeamSettings, {"n_best": 2}, "^n_best must be at most the beam's width, 1, not 2$"),
        (SamplingSettings, {"top_k": 3}, "^top_k, top_p and seed are for sampling: set a temperature too$"),
        (Corpus, {"path": ""}, "^path: the value is empty; give a bundled corpus"),
        (Corpus, {"seed": -1}, r"^seed must be between 0 and 4\.29497e\+09, not -1$"),
    ],
)
def test_errors_name_what_is_wrong(kind, settings, message):
    with pytest.raises(UsageError, match=message) as caught:
        kind(**settings)
    assert "\n" not in str(caught.value)


@dataclass(frozen=True)
class Inner(Settings):
    lr: Annotated[float, Range(0, 1)] = 0.5
    free: float = 0.0


CELLS = {"a": 1}


class Example(Configured):
    not_settings = frozenset({"processor"})

    def __init__(
        self,
        processor: object,
        size: Annotated[int, Range(1, 5)] = 2,
        cell: Annotated[str, Choices(CELLS)] = "a",
        mode: Literal["x", "y"] | None = None,
        several: Annotated[list[float], Range(0, 1)] | None = None,
        inner: Inner = Inner(),
        text: Columns = ("text",),
        label: Column = "label",
    ) -> None:
        self.constructed = True
        self.inner = inner


class Derived(Example):
    def __init__(self, processor: object, size: Annotated[int, Range(1, 5)] = 3) -> None:
        super().__init__(processor, size, "a")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 0}, "^size must be between 1 and 5, not 0$"),
        ({"cell": "b"}, "^cell must be one of a, not 'b'$"),
        ({"mode": "z"}, "^mode must be one of x, y, not 'z'$"),
        ({"several": [0.5, 2.0]}, r"^several must be between 0 and 1, not 2\.0$"),
        ({"inner": {"lr": 2.0}}, r"^inner\.lr must be between 0 and 1, not 2\.0$"),
        ({"inner": {"l": 0.5}}, "^inner has no setting 'l'; it has lr, free$"),
        ({"inner": {"free": math.inf}}, r"^inner\.free must be a finite number, not inf$"),
    ],
)
def test_a_constructor_refuses_before_it_runs(settings, message):
    with pytest.raises(UsageError, match=message):
        Example(object(), **settings)


def test_a_constructor_records_its_arguments_as_plain_values():
    made = Example(object(), 4, inner=Inner(lr=0.25))
    assert made.constructed
    assert made.settings == {
        "size": 4,
        "cell": "a",
        "mode": None,
        "several": None,
        "inner": {"lr": 0.25, "free": 0.0},
        "text": ["text"],
        "label": "label",
    }


def test_the_outermost_constructor_is_the_one_that_counts():
    assert Derived(object()).settings == {"size": 3}


def test_a_registry_of_choices_may_grow(monkeypatch):
    monkeypatch.setitem(CELLS, "b", 2)
    assert Example(object(), cell="b").settings["cell"] == "b"


def test_settings_that_name_columns_are_known():
    assert column_settings(Example) == ["text", "label"]
    assert column_settings(data_classes("sentiment")[0]) == ["text", "label"]


@pytest.mark.parametrize(
    ("owner", "settings", "message"),
    [
        (Example, {"size": True}, "^size must be a whole number, not True$"),
        (Example, {"size": "3"}, "^size must be a whole number, not '3'$"),
        (Example, {"size": 2.0}, r"^size must be a whole number, not 2\.0$"),
        (Example, {"size": None}, "^size must be a whole number, not None$"),
        (Example, {"label": 3}, "^label must be text, not 3$"),
        (Example, {"several": 0.5}, r"^several must be a list, not 0\.5$"),
        (Example, {"inner": 3}, r"^inner must be settings \(Inner\), not 3$"),
        (Example, {"inner": {"lr": "x"}}, r"^inner\.lr must be a number, not 'x'$"),
        (Example, {"cell": "x" * 500}, "^cell must be one of a, not 'x{19}\\.\\.\\.$"),
        (Optimization, {"lr": "x"}, "^lr must be a number, not 'x'$"),
        (VocabularySettings, {"lowercase": 1}, "^lowercase must be true or false, not 1$"),
    ],
)
def test_values_of_another_type_are_refused_in_one_line(owner, settings, message):
    with pytest.raises(UsageError, match=message):
        check_settings(owner, settings)


def test_a_mapping_stands_for_a_dataclass_of_settings():
    inner = {"lr": 0.25}
    made = Example(object(), inner=inner)
    assert made.inner == Inner(lr=0.25)
    assert made.settings["inner"] == {"lr": 0.25, "free": 0.0}


def test_numbers_of_numpy_become_numbers_of_python():
    inner = Inner(lr=np.float32(0.5))
    made = Example(object(), np.int64(4), several=[np.float64(0.5)], inner=inner)
    assert type(inner.lr) is float
    made.size = np.int64(3)
    assert made.settings == {**Example(object(), 3).settings, "several": [0.5], "inner": asdict(inner)}
    numbers = made.settings["size"], made.settings["several"][0], Batching(size=torch.tensor(3)).size
    assert [type(number) for number in numbers] == [int, float, int]
    check_value(BatchSize, np.int64(3), "size")
    with pytest.raises(UsageError, match=r"^size must be between 1 and 5, not 9$"):
        Example(object(), np.int64(9))


def test_help_shows_ranges_and_choices():
    assert repr(Range(1, 5)) == "1 to 5"
    assert repr(Choices(CELLS)) == "a"


class Fixed(Example):
    """A subclass that fixes a setting; its own constructor has none."""

    def __init__(self) -> None:
        super().__init__(object(), size=5)


def test_a_subclass_that_fixes_settings_is_checked_and_recorded_too():
    made = Fixed()
    assert made.settings == {}
    assert made.all_arguments["size"] == 5

    class Wrong(Example):
        def __init__(self) -> None:
            super().__init__(object(), size=6)

    with pytest.raises(UsageError, match=r"^size must be between 1 and 5, not 6$"):
        Wrong()


LIMITED = Annotated[float, Range(0, 3)]


@pytest.mark.parametrize(
    ("hint", "allowed", "refused"),
    [
        (Literal["auto"] | LIMITED, ["auto", 2.5], [5.0]),
        (list[Literal["a", "b"]], [["a"], []], [["c"]]),
        (list[LIMITED] | None, [None, [1.0]], [[9.0], [math.nan]]),
        (dict[str, LIMITED], [{"a": 1.0}], [{"a": 9.0}]),
        (list[float], [[1.0]], [[math.inf]]),
        (list[Inner], [[Inner()], [{"lr": 0.1}]], [[{"lr": 2.0}]]),
        (Annotated[str, Choices(CELLS)], ["a"], [None, "z", 1]),
        (Annotated[str, Choices(CELLS)] | None, ["a", None], ["z"]),
        (Literal["x"], ["x"], [None]),
    ],
)
def test_values_are_checked_inside_of_what_holds_them(hint, allowed, refused):
    for value in allowed:
        check_value(hint, value, "x")
    for value in refused:
        with pytest.raises(UsageError, match=r"^x(\.lr)? must be"):
            check_value(hint, value, "x")


def test_unresolvable_annotation_is_skipped():
    class Local:
        pass

    class Holder(Configured):
        def __init__(self, local: "Local | None" = None, size: Annotated[int, Range(1, 5)] = 2) -> None:
            pass

    Holder.__init__.__wrapped__.__annotations__["local"] = "Local | None"
    assert set(setting_types(Holder)) == {"size"}
    assert Holder().settings == {"local": None, "size": 2}


def test_what_is_assigned_later_is_the_setting():
    example = Example(object(), size=3)
    example.size, example.inner, example.unknown = 4, Inner(lr=0.5), 1
    assert example.settings["size"] == 4
    assert example.settings["inner"] == {"lr": 0.5, "free": 0.0}
    assert "unknown" not in example.settings
    assert example.all_arguments["size"] == 4


@pytest.mark.parametrize("data_class", [each for name in TASKS for each in data_classes(name)])
def test_the_attributes_of_data_are_its_settings(data_class):
    """Otherwise what is stored would differ from what was given."""
    given = {"inputs": ["a"]} if "inputs" in setting_types(data_class) else {}
    data = data_class(**given)
    assert data.settings == vars(data)["_arguments"][data.settings_owner()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"hiden_dim": 3},
            "^Sentiment: got an unexpected keyword argument 'hiden_dim'; did you mean hidden_dim?",
        ),
        ({"xyzzy": 3}, "^Sentiment: got an unexpected keyword argument 'xyzzy'$"),
    ],
)
def test_an_unknown_argument_names_the_class_and_a_similar_one(arguments, message):
    with pytest.raises(TypeError, match=message):
        TASKS["sentiment"](None, **arguments)
