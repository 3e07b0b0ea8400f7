"""Configuration files: finding them, and checking that they hold plain values."""

from __future__ import annotations

import difflib
from pathlib import Path

from nlp_rnn.errors import UsageError


def conf_folder() -> Path:
    """Where the ready-made configurations lie: in the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    return next(path for path in (package / "conf", package.parent / "conf") if path.is_dir())


def ready_made() -> list[str]:
    """The names of the ready-made configurations, below `conf/`."""
    folder = conf_folder()
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.yaml"))


def check_arguments(arguments: list[str]) -> list[str]:
    """The arguments with every `--config` found, here or among the ready-made ones.

    Raises:
        UsageError: a configuration is missing, is no YAML, or holds more than plain values.
    """
    checked = list(arguments)
    for at, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag not in ("--config", "-c"):
            continue
        if not equals:
            if at + 1 == len(arguments):
                raise UsageError(f"{flag}: give the path of a configuration, such as conf/NAME.yaml")
            value = arguments[at + 1]
        path = find_config(value)
        _check_file(path)
        checked[at if equals else at + 1] = f"{flag}={path}" if equals else str(path)
    return checked


def find_config(name: str) -> Path:
    """A configuration file by its path or, as `conf/NAME.yaml`, among the ready-made ones.

    Raises:
        UsageError: there is none; names the nearest ready-made one.
    """
    path = Path(name)
    if path.is_file():
        return path
    shipped = conf_folder() / name.removeprefix("conf/")
    if shipped.is_file() and ".." not in path.parts:
        return shipped
    if path.exists():
        raise UsageError(f"--config {name}: not a file")
    known = [f"conf/{path}" for path in ready_made()]
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]}?" if near else "nlp-rnn --help lists the ready-made ones"
    raise UsageError(f"--config {name}: no such file; {hint}")


def _check_file(path: Path) -> None:
    import yaml  # late: --help does without it

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        tag = isinstance(error, yaml.constructor.ConstructorError)
        what = "refused, configurations hold plain values" if tag else "not valid YAML"
        raise UsageError(f"{path}{line}: {what} ({error.problem})") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{path}: cannot be read ({error})") from error
    if not isinstance(content, dict):
        kind = "empty" if content is None else f"a {type(content).__name__}"
        raise UsageError(f"{path}: a configuration is a mapping of settings, this is {kind}")
