"""Settings: their allowed values, stated once in annotations and checked wherever settings are given.

    beam: Annotated[int, Range(1, 1_000)] = 1

is the one place for the range that `--help` shows and that the command line and Python check.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from functools import wraps
from inspect import getattr_static, signature
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin, get_type_hints

from nlp_rnn.errors import UsageError


@dataclass(frozen=True)
class Range:
    """The smallest and the largest value of a number, or of each number of a list; both are allowed."""

    low: float
    high: float

    def check(self, value: Any, name: str) -> None:
        """Refuse a number outside the range.

        Raises:
            UsageError: names the setting, its value and the range.
        """
        for number in value if isinstance(value, (list, tuple)) else [value]:
            # Python compares integers of any size with floats exactly; NaN is in no range.
            if _is_number(number) and not self.low <= number <= self.high:
                raise UsageError(
                    f"{name} must be between {self.low:g} and {self.high:g}, not {_readable(number)}"
                )

    def __repr__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True, repr=False, eq=False)  # hashable by identity, for `names` may not be hashable
class Choices:
    """The names that a setting may have, such as the keys of a registry; later entries count too."""

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
    """Marks a setting whose value is the name of a column of the corpus, or several names."""

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
    """Base of dataclasses of settings; the constructor refuses values out of range.

    Raises:
        UsageError: names the field, its value and the allowed values.
    """

    def __post_init__(self) -> None:
        check_settings(type(self), vars(self))


class Configured:
    """Base of classes whose constructor arguments are their settings.

    The arguments are checked against their annotations and recorded in `settings` before the constructor
    runs, so that no constructor repeats its list of arguments. If a constructor calls that of a base class,
    only the arguments of the outer one are recorded.
    """

    settings: dict[str, Any]
    """The constructor arguments as plain values, defaults included."""
    not_settings: ClassVar[frozenset[str]] = frozenset()
    """The arguments that are not recorded."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "__init__" in vars(cls):
            cls.__init__ = _recording(vars(cls)["__init__"])  # type: ignore[method-assign]


def _recording(init: Callable[..., None]) -> Callable[..., None]:
    """Wrap a constructor so that its arguments are checked and recorded first."""
    parameters = signature(init)

    @wraps(init)
    def recorded(self: Configured, *args: Any, **kwargs: Any) -> None:
        if type(self).__init__ is recorded:  # not when a subclass's constructor calls this one
            bound = parameters.bind(self, *args, **kwargs)
            bound.apply_defaults()
            _, *names = bound.arguments
            values = {name: bound.arguments[name] for name in names if name not in self.not_settings}
            check_settings(type(self), values)
            vars(self)["settings"] = {name: plain(value) for name, value in values.items()}
        init(self, *args, **kwargs)

    return recorded


def plain(value: Any) -> Any:
    """A setting as a value of JSON: dataclasses become dictionaries, tuples lists."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return list(value) if isinstance(value, tuple) else value


def restore_settings(owner: type, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The constructor arguments that were recorded as `values`: the inverse of `plain`.

    Args:
        owner: the class whose settings they are.
        values: plain settings by name.
        where: the name of the owner in messages.

    Raises:
        UsageError: the owner has no such setting, or a nested value is out of range.
    """
    hints = setting_types(owner)
    if unknown := sorted(set(values) - set(hints)):
        raise UsageError(f"{where} has no setting {unknown[0]!r}: upgrade nlp_rnn")
    return {
        name: hints[name](**value) if is_dataclass(hints[name]) else value for name, value in values.items()
    }


def setting_types(owner: type) -> dict[str, Any]:
    """The annotations of the settings of a class, by name: its dataclass fields or constructor arguments."""
    source = owner if is_dataclass(owner) else getattr_static(owner, "__init__")
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
    """The dataclass in an annotation such as `Optimization` or `Optimization | None`; None without one."""
    types = (part for part in (hint, *get_args(hint)) if isinstance(part, type))
    return next(filter(is_dataclass, types), None)


def check_settings(owner: type, values: Mapping[str, Any], where: str = "") -> None:
    """Refuse values that the annotations of a class do not allow, in nested dataclasses too.

    Args:
        owner: a dataclass, or a class whose constructor takes the settings.
        values: settings by name; nested ones as dataclasses or mappings.
        where: the prefix of each name in messages.

    Raises:
        UsageError: names the setting, its value and the allowed values.
    """
    for name, hint in setting_types(owner).items():
        if name in values:
            check_value(hint, values[name], f"{where}{name}")


def check_value(hint: Any, value: Any, name: str) -> None:
    """Refuse a value that an annotation does not allow.

    Args:
        hint: the annotation.
        value: the value; a dataclass or a mapping where the annotation has a dataclass.
        name: the name of the setting in messages.

    Raises:
        UsageError: names the setting, its value and the allowed values.
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
