"""Settings: their allowed values, stated once in annotations and checked wherever settings are given.

    beam: Annotated[int, Range(1, 1_000)] = 1

is the one place for the range that `--help` shows and that the command line and Python check.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, is_dataclass
from difflib import get_close_matches
from functools import cache, wraps
from inspect import getattr_static, signature
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Self, Union, get_args, get_origin, get_type_hints

from nlp_rnn.errors import UsageError, join_names


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
        for number in map(_as_python, value if isinstance(value, (list, tuple)) else [value]):
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
        if not isinstance(value, str) or value not in self.names:
            raise UsageError(f"{name} must be one of {', '.join(self.names)}, not {_readable(value)}")

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
FiniteNumber = Annotated[float, Range(-1e300, 1e300)]
PositiveNumber = Annotated[float, Range(1e-300, 1e300)]
Seed = Annotated[int, Range(0, 2**32 - 1)]
Column = Annotated[str, ColumnName()]
Columns = Annotated[str | Sequence[str], ColumnName()]


@dataclass(frozen=True)
class Settings:
    """Base of dataclasses of settings; the constructor refuses values of a wrong type or out of range.

    Numbers of NumPy become Python's own, which every checkpoint and configuration can hold.

    Raises:
        UsageError: names the field, its value and the allowed values.
    """

    def __post_init__(self) -> None:
        for name, value in list(vars(self).items()):
            object.__setattr__(self, name, _as_python(value))  # the dataclass is frozen
        check_settings(type(self), vars(self))

    @classmethod
    def of(cls, value: Any, name: str) -> Self:
        """The settings that a value stands for, such as a mapping.

        Args:
            value: what was given in place of the settings.
            name: the name of the setting in messages.

        Raises:
            UsageError: it stands for none.
        """
        check_value(cls, value, name)
        return cls(**value)


class Configured:
    """Base of classes whose constructor arguments are their settings.

    The arguments of each constructor are checked against their annotations and recorded before it runs, so
    that no constructor repeats its list of arguments. Numbers of NumPy become Python's own.
    """

    not_settings: ClassVar[frozenset[str]] = frozenset()
    """The arguments that are not recorded."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "__init__" in vars(cls):
            cls.__init__ = _recording(cls, vars(cls)["__init__"])  # type: ignore[method-assign]

    @classmethod
    def check_arguments(cls, arguments: Mapping[str, Any]) -> None:
        """Check what is no setting among the arguments of a constructor, before it runs.

        Raises:
            UsageError: an argument is of another type than the class needs.
        """

    @classmethod
    def settings_owner(cls) -> type:
        """The class whose constructor arguments are the settings; a subclass may fix some of them."""
        return next(owner for owner in cls.__mro__ if "__init__" in vars(owner))

    @property
    def settings(self) -> dict[str, Any]:
        """The settings as plain values, defaults included.

        A setting that was assigned to since, as in `task.optimization = Optimization(lr=0.1)`, has its new
        value.
        """
        return self._current(self.settings_owner())

    @property
    def all_arguments(self) -> dict[str, Any]:
        """The arguments of all constructors as plain values; of one name, that of the innermost."""
        owners: dict[type, dict[str, Any]] = vars(self)["_arguments"]
        return {name: value for owner in owners for name, value in self._current(owner).items()}

    @property
    def column_arguments(self) -> dict[str, Any]:
        """Those of all arguments that name columns."""
        owners: dict[type, dict[str, Any]] = vars(self)["_arguments"]
        names = [name for owner in owners for name in column_settings(owner)]
        return {name: self.all_arguments[name] for name in names}

    def _current(self, owner: type) -> dict[str, Any]:
        arguments: dict[type, dict[str, Any]] = vars(self)["_arguments"]
        recorded = arguments[next(base for base in owner.__mro__ if base in arguments)]  # it may inherit it
        return {name: plain(vars(self).get(name, value)) for name, value in recorded.items()}


def _recording(owner: type[Configured], init: Callable[..., None]) -> Callable[..., None]:
    """Wrap the constructor of `owner` so that its arguments are checked and recorded first."""
    parameters = signature(init)

    @wraps(init)
    def recorded(self: Configured, *args: Any, **kwargs: Any) -> None:
        try:
            bound = parameters.bind(self, *args, **kwargs)
        except TypeError as error:
            unknown = next((name for name in kwargs if name not in parameters.parameters), "")
            similar = get_close_matches(unknown, parameters.parameters, 1)
            hint = f"; did you mean {similar[0]}?" if similar else ""
            raise TypeError(f"{owner.__name__}: {error}{hint}") from None
        bound.apply_defaults()
        self.check_arguments(bound.arguments)
        bound.arguments.update({name: _as_python(value) for name, value in bound.arguments.items()})
        _, *names = bound.arguments
        values = {name: bound.arguments[name] for name in names if name not in self.not_settings}
        for name, hint in setting_types(owner).items():  # a mapping, or the like, stands for the dataclass
            inner, value = nested_settings(hint), values.get(name)
            if inner is None or value is None or is_dataclass(value):
                continue
            if issubclass(inner, Settings):
                if get_origin(hint) is not Sequence:
                    values[name] = bound.arguments[name] = inner.of(value, name)
                elif isinstance(value, (list, tuple)):
                    made = [item if is_dataclass(item) else inner.of(item, name) for item in value]
                    values[name] = bound.arguments[name] = made
        check_settings(owner, values)
        arguments = vars(self).setdefault("_arguments", {})
        arguments[owner] = {name: plain(value) for name, value in values.items()}
        init(*bound.args, **bound.kwargs)

    return recorded


def plain(value: Any) -> Any:
    """A setting as a value of JSON: dataclasses become dictionaries, tuples lists, NumPy's numbers plain."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return _as_python(value)


def _as_python(value: Any) -> Any:
    """A number of NumPy, or what an array or a tensor without dimensions holds, as a number of Python."""
    return value.item() if getattr(value, "ndim", None) == 0 else value


def restore_settings(owner: type, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The constructor arguments that were recorded as `values`: the inverse of `plain`.

    Args:
        owner: the class whose settings they are.
        values: plain settings by name.
        where: the name of the owner in messages.

    Raises:
        UsageError: the owner has no such setting, or a nested value is out of range.
    """
    # What is no setting is never stored either: a path in a downloaded folder must not be opened.
    hidden: frozenset[str] = getattr(owner, "not_settings", frozenset())
    hints = {name: hint for name, hint in setting_types(owner).items() if name not in hidden}
    if unknown := sorted(set(values) - set(hints)):
        raise UsageError(f"{where} has no setting {unknown[0]!r}: upgrade nlp_rnn")
    check_settings(owner, values)
    return {
        name: hints[name](**value) if is_dataclass(hints[name]) else value for name, value in values.items()
    }


def setting_types(owner: type) -> dict[str, Any]:
    """The annotations of the settings of a class, by name: its dataclass fields or constructor arguments.

    One that names a type that cannot be found, such as a function's own, is left out.
    """
    try:
        hints = dict(_type_hints(owner))
    except NameError:
        source, hints = _annotated(owner), {}
        for name, annotation in source.__annotations__.items():
            with suppress(NameError):
                text = isinstance(annotation, str)
                hints[name] = eval(annotation, vars(sys.modules[owner.__module__])) if text else annotation
    hints.pop("return", None)
    return {name: hint for name, hint in hints.items() if get_origin(hint) is not ClassVar}


def _annotated(owner: type) -> Any:
    """What has the annotations of the settings of a class."""
    return owner if is_dataclass(owner) else getattr_static(owner, "__init__")


@cache  # each object that is made asks, and evaluating the annotations takes a third of making it
def _type_hints(owner: type) -> dict[str, Any]:
    return get_type_hints(_annotated(owner), include_extras=True)


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
    value = _as_python(value)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        for rule in hint.__metadata__:
            if isinstance(rule, (Range, Choices)):
                rule.check(value, name)
        check_value(arguments[0], value, name)
    elif origin in (Union, UnionType):
        _check_union(arguments, value, name)
    elif origin is Literal:
        if value not in arguments:
            choices = ", ".join(map(str, arguments))
            raise UsageError(f"{name} must be one of {choices}, not {_readable(value)}")
    elif isinstance(hint, type) and is_dataclass(hint):
        fields = vars(value) if is_dataclass(value) and not isinstance(value, type) else value
        if not isinstance(fields, Mapping):
            raise UsageError(f"{name} must be settings ({hint.__name__}), not {_readable(value)}")
        known = setting_types(hint)
        if unknown := [key for key in fields if key not in known]:
            raise UsageError(f"{name} has no setting {_readable(unknown[0])}; it has {join_names(known)}")
        check_settings(hint, fields, f"{name}.")
    elif origin in (list, Sequence) and arguments:
        if not isinstance(value, (list, tuple)):
            raise UsageError(f"{name} must be a list, not {_readable(value)}")
        for item in value:
            check_value(arguments[0], item, name)
    elif arguments and isinstance(value, Mapping):
        for item in value.values():
            check_value(arguments[-1], item, name)
    else:
        _check_type(hint, value, name)
        check_finite(value, name)


# What each plain type is called, and the types of Python whose values it may have.
_TYPES: dict[Any, tuple[str, tuple[type, ...]]] = {
    int: ("a whole number", (int,)),
    float: ("a number", (int, float)),
    bool: ("true or false", (bool,)),
    str: ("text", (str,)),
}


def _check_type(hint: Any, value: Any, name: str) -> None:
    """Refuse a value of another type than int, float, bool or str, where the annotation is one of these."""
    if hint not in _TYPES:
        return
    words, types = _TYPES[hint]
    if not isinstance(value, types) or (isinstance(value, bool) and hint is not bool):
        raise UsageError(f"{name} must be {words}, not {_readable(value)}")


def _check_union(branches: Sequence[Any], value: Any, name: str) -> None:
    """Refuse a value that no branch of a union allows."""
    if value is None and NoneType in branches:
        return
    refusals = []
    for branch in branches:
        if branch is not NoneType:
            try:
                return check_value(branch, value, name)
            except UsageError as error:
                refusals.append(error)
    raise refusals[-1]


def check_finite(value: Any, name: str) -> None:
    """Refuse NaN and infinity.

    Raises:
        UsageError: names the setting and its value.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{name} must be a finite number, not {value}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _readable(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:20]}..."
