"""Settings: which values they may take, stated once in their annotations and checked wherever they are set.

    beam: Annotated[int, Range(1, 1_000)] = 1

says in one place what `--help` shows, what the command line refuses and what Python refuses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from functools import wraps
from inspect import signature
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin, get_type_hints

from nlp_rnn.errors import UsageError


@dataclass(frozen=True)
class Range:
    """The least and the largest value that a number, or each number of a list, may have."""

    low: float
    high: float

    def check(self, value: Any, name: str) -> None:
        """Refuse a number outside the range.

        Raises:
            UsageError: names the setting, its value and the range.
        """
        for number in value if isinstance(value, (list, tuple)) else [value]:
            # Python compares whole numbers of any size with floats; NaN lies in no range.
            if _is_number(number) and not self.low <= number <= self.high:
                raise UsageError(
                    f"{name} must be between {self.low:g} and {self.high:g}, not {_readable(number)}"
                )

    def __repr__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True, repr=False, eq=False)  # hashable, though what it holds may not be
class Choices:
    """The names that a setting may have: the keys of a registry, which may grow."""

    names: Collection[str]

    def check(self, value: Any, name: str) -> None:
        """Refuse a name that is not among the choices.

        Raises:
            UsageError: names the setting, its value and the choices.
        """
        if value is not None and value not in self.names:
            raise UsageError(f"{name} must be one of {', '.join(self.names)}, not {value!r}")

    def __repr__(self) -> str:
        return ", ".join(self.names)


class ColumnName:
    """Marks a setting that names a column of the corpus, or several of them."""

    def __repr__(self) -> str:
        return "column"


LayerSize = Annotated[int, Range(1, 65_536)]
NumLayers = Annotated[int, Range(1, 64)]
DropProbability = Annotated[float, Range(0, 0.99)]
Smoothing = Annotated[float, Range(0, 0.99)]
MaxLength = Annotated[int, Range(1, 10_000_000)]
MaxOutput = Annotated[int, Range(1, 100_000)]
Seed = Annotated[int, Range(0, 2**32 - 1)]
Column = Annotated[str, ColumnName()]
Columns = Annotated[str | Sequence[str], ColumnName()]


@dataclass(frozen=True)
class Settings:
    """Base of dataclasses of settings: an instance with a value out of range cannot be made.

    Raises:
        UsageError: names the field, its value and what it may be.
    """

    def __post_init__(self) -> None:
        check_settings(type(self), vars(self))


class Configured:
    """Base of classes whose constructor's arguments are their settings.

    The arguments are checked against their annotations and recorded in `settings` before the constructor
    runs, so that no constructor repeats its list of arguments.
    """

    settings: dict[str, Any]
    """The constructor's arguments as plain values, defaults included."""
    not_settings: ClassVar[frozenset[str]] = frozenset()
    """The arguments that are not recorded."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "__init__" in vars(cls):
            cls.__init__ = _recording(vars(cls)["__init__"])  # type: ignore[method-assign]


def _recording(init: Callable[..., None]) -> Callable[..., None]:
    parameters = signature(init)

    @wraps(init)
    def recorded(self: Configured, *args: Any, **kwargs: Any) -> None:
        if type(self).__init__ is recorded:  # not for a base class's constructor
            bound = parameters.bind(self, *args, **kwargs)
            bound.apply_defaults()
            _, *names = bound.arguments
            values = {name: bound.arguments[name] for name in names if name not in self.not_settings}
            check_settings(type(self), values)
            vars(self)["settings"] = {name: plain(value) for name, value in values.items()}
        init(self, *args, **kwargs)

    return recorded


def plain(value: Any) -> Any:
    """A setting as numbers, text, lists and dictionaries alone."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return list(value) if isinstance(value, tuple) else value


def setting_types(owner: type) -> dict[str, Any]:
    """The settings of a class by name, with their annotations: dataclass fields, or constructor arguments."""
    source = owner if is_dataclass(owner) else vars(owner).get("__init__", owner.__init__)  # type: ignore[misc]
    hints = get_type_hints(source, include_extras=True)
    hints.pop("return", None)
    return {name: hint for name, hint in hints.items() if get_origin(hint) is not ClassVar}


def column_settings(owner: type) -> list[str]:
    """The names of the settings of a class that name columns."""
    return [
        name
        for name, hint in setting_types(owner).items()
        if any(isinstance(rule, ColumnName) for rule in getattr(hint, "__metadata__", ()))
    ]


def nested_settings(hint: Any) -> type | None:
    """The dataclass that an annotation is of, perhaps optional; None if it is of none."""
    kinds = (kind for kind in (hint, *get_args(hint)) if isinstance(kind, type))
    return next(filter(is_dataclass, kinds), None)


def check_settings(owner: type, values: Mapping[str, Any], where: str = "") -> None:
    """Refuse values that the annotations of a class do not allow, nested dataclasses included.

    Args:
        owner: a dataclass, or a class whose constructor takes the settings.
        values: settings by name; nested ones as dataclasses or mappings.
        where: what stands before each name in messages.

    Raises:
        UsageError: names the setting, its value and what it may be.
    """
    for name, hint in setting_types(owner).items():
        if name in values:
            check_value(hint, values[name], f"{where}{name}")


def check_value(hint: Any, value: Any, name: str) -> None:
    """Refuse a value that an annotation does not allow.

    Raises:
        UsageError: names the setting, its value and what it may be.
    """
    for rule in getattr(hint, "__metadata__", ()):
        if isinstance(rule, (Range, Choices)):
            rule.check(value, name)
    for part in (hint, *get_args(hint)):  # `Annotated[int, ...] | None`, `Literal[...] | None`
        if part is not hint and get_origin(part) is Annotated and value is not None:
            check_value(part, value, name)
        if get_origin(part) is Literal and value is not None and value not in get_args(part):
            raise UsageError(f"{name} must be one of {', '.join(map(str, get_args(part)))}, not {value!r}")
    if (inner := nested_settings(hint)) is not None:
        if is_dataclass(value) and not isinstance(value, type):
            value = vars(value)
        if isinstance(value, Mapping):
            check_settings(inner, value, f"{name}.")
    check_finite(value, name)


def check_finite(value: Any, name: str) -> None:
    """Refuse NaN and infinity.

    Raises:
        UsageError: names the setting and its value.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{name} must be a finite number, not {value}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _readable(number: float) -> str:
    text = str(number)
    return text if len(text) <= 40 else f"{text[:20]}..."
