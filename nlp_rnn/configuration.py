"""Configuration files and flags, looked at before anything they name is imported."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from nlp_rnn.cli import conf_folder
from nlp_rnn.errors import UsageError

# What a configuration may name. Any other class would be imported, that is, run, by naming it.
_TRUSTED = ("nlp_rnn.", "pytorch_lightning.", "lightning.pytorch.")

_CLASS_FLAGS = re.compile(
    r"--(model|data|trainer\.(callbacks|logger|strategy|profiler|plugins)\+?|.*class_path)$"
)


def check_arguments(arguments: list[str]) -> list[str]:
    """The arguments with every `--config` found, here or among the ready-made ones.

    Raises:
        UsageError: a configuration is missing, is no YAML, has a YAML tag, or names a class that is neither
            this package's nor Lightning's.
    """
    checked = list(arguments)
    for at, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if not equals and at + 1 < len(arguments):
            value = arguments[at + 1]
        if flag in ("--config", "-c"):
            path = find_config(value)
            _check_file(path)
            checked[at if equals else at + 1] = f"{flag}={path}" if equals else str(path)
        elif _CLASS_FLAGS.match(flag):
            _check_class(value, flag)
    return checked


def find_config(name: str) -> Path:
    """A configuration file by its path or, as `conf/NAME.yaml`, among the ready-made ones."""
    path = Path(name)
    if path.is_file():
        return path
    ready_made = conf_folder() / name.removeprefix("conf/")
    if ready_made.is_file() and ".." not in Path(name).parts:
        return ready_made
    known = sorted(f"conf/{path.relative_to(conf_folder())}" for path in conf_folder().rglob("*.yaml"))
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"ready-made are {', '.join(known)}"
    raise UsageError(f"--config {name}: no such file; {hint}")


def nearest(key: str, known: Iterable[str]) -> str:
    """` Did you mean "...".`, or nothing."""
    leaf = key.rsplit(".", 1)[-1]
    by_leaf = {name.rsplit(".", 1)[-1]: name for name in known}
    near = difflib.get_close_matches(leaf, by_leaf, 1, cutoff=0.5)
    return f" Did you mean {by_leaf[near[0]]!r}?" if near else ""


def _check_file(path: Path) -> None:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.constructor.ConstructorError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise UsageError(
            f"{path}, line {line}: refused, configurations hold plain values ({error.problem})"
        ) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise UsageError(f"{path}, line {line}: not valid YAML ({error.problem})") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{path}: cannot be read ({error})") from error
    if not isinstance(content, dict):
        raise UsageError(
            f"{path}: a configuration is a mapping of settings, this is {type(content).__name__}"
        )
    for value in _class_paths(content):
        _check_class(value, str(path))


def _class_paths(content: Any) -> Iterator[Any]:
    """All values under a key `class_path`, and those that jsonargparse takes for one."""
    if isinstance(content, dict):
        for key, value in content.items():
            if key == "class_path":
                yield value
            elif key in ("model", "data", "callbacks", "logger", "strategy", "profiler", "plugins"):
                yield from (
                    item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str)
                )
            yield from _class_paths(value)
    elif isinstance(content, list):
        for value in content:
            yield from _class_paths(value)


def _check_class(value: Any, where: str) -> None:
    # A name without a dot is looked up among the classes already known.
    if not isinstance(value, str) or (re.search(r"\w\.\w", value) and not value.startswith(_TRUSTED)):
        raise UsageError(f"{where}: class {value!r} is refused; use one of nlp_rnn or pytorch_lightning")
