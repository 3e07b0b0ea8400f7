"""The space of a sweep: which settings differ between trials, and what they may be."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from nlp_rnn.errors import UsageError

if TYPE_CHECKING:
    from optuna.trial import Trial

_FORMS = (
    "{float: [LOW, HIGH]}, {int: [LOW, HIGH]}, each with log: true or step: STEP if wanted, "
    "or {choices: [ONE, OTHER]}"
)


@dataclass(frozen=True)
class Setting:
    """A setting that differs between trials.

    Args:
        path: as a flag names it, such as `model.optimization.lr`.
        form: `float`, `int` or `choices`.
        values: the lowest and the highest number, or the choices.
        log: whether numbers are drawn evenly on a logarithmic scale.
        step: between numbers; None for any number.
    """

    path: str
    form: str
    values: tuple[Any, ...]
    log: bool = False
    step: float | None = None

    def suggest(self, trial: Trial) -> Any:
        """The value of a trial, which is drawn when it is first asked for."""
        if self.form == "choices":
            return trial.suggest_categorical(self.path, self.values)
        low, high = self.values
        if self.form == "int":
            return trial.suggest_int(self.path, low, high, log=self.log, step=int(self.step or 1))
        return trial.suggest_float(self.path, low, high, log=self.log, step=self.step)


def read_space(path: Path) -> list[Setting]:
    """Read a space: a YAML mapping, such as `model.optimization.lr: {float: [1e-4, 1e-1], log: true}`.

    Raises:
        UsageError: the file cannot be read, or a setting has none of the forms.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"--space {path}: cannot be read ({error})") from error
    if not isinstance(content, Mapping) or not content:
        raise UsageError(f"--space {path}: give a mapping of settings, each one of {_FORMS}")
    return [_setting(f"--space {path}: {name}", str(name), form) for name, form in content.items()]


def _setting(where: str, name: str, form: Any) -> Setting:
    kinds = [kind for kind in ("float", "int", "choices") if isinstance(form, Mapping) and kind in form]
    if len(kinds) != 1 or not isinstance(form[kinds[0]], list) or set(form) - {*kinds, "log", "step"}:
        raise UsageError(f"{where}: give one of {_FORMS}")
    (kind,) = kinds
    values, log, step = form[kind], form.get("log", False), form.get("step")
    if kind == "choices":
        plain = all(value is None or isinstance(value, (bool, int, float, str)) for value in values)
        if not values or not plain or len({*form}) > 1:
            raise UsageError(f"{where}: choices are a list of plain values, without log or step")
        return Setting(name, kind, tuple(values))
    numbers = _numbers(where, values, kind)
    if len(numbers) != 2 or not numbers[0] <= numbers[1]:
        raise UsageError(f"{where}: give [LOW, HIGH], with LOW at most HIGH, not {values}")
    if not isinstance(log, bool) or (log and (step is not None or numbers[0] <= 0)):
        raise UsageError(f"{where}: log is true or false, and with it LOW is positive, and there is no step")
    steps = [] if step is None else _numbers(where, [step], kind)
    if any(number <= 0 for number in steps):
        raise UsageError(f"{where}: step must be positive, not {step}")
    return Setting(name, kind, tuple(numbers), log, steps[0] if steps else None)


def _numbers(where: str, values: Sequence[Any], kind: str) -> list[Any]:
    """The values as numbers; YAML takes `1e-4` for text."""
    try:
        if any(isinstance(value, bool) for value in values):
            raise ValueError
        numbers = [float(value) for value in values]
        if not all(map(math.isfinite, numbers)) or (kind == "int" and any(n % 1 for n in numbers)):
            raise ValueError
    except (TypeError, ValueError):
        raise UsageError(f"{where}: {values} are not {'whole ' if kind == 'int' else ''}numbers") from None
    return [int(number) for number in numbers] if kind == "int" else numbers
