"""Configuration files and settings: found, held to what they may name, and their faults in one line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_type_hints

import yaml

from nlp_rnn.cli import conf_folder
from nlp_rnn.errors import UsageError


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
    ready_made = conf_folder() / name.removeprefix("conf/")
    if ready_made.is_file() and ".." not in path.parts:
        return ready_made
    if path.exists():
        raise UsageError(f"--config {name}: not a file")
    known = sorted(f"conf/{path.relative_to(conf_folder())}" for path in conf_folder().rglob("*.yaml"))
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]}?" if near else "nlp-rnn --help lists the ready-made ones"
    raise UsageError(f"--config {name}: no such file; {hint}")


def _check_file(path: Path) -> None:
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


def trust_only_own_classes() -> None:
    """Let configurations and flags name this package's and Lightning's classes alone.

    To name a class is to import, and so to run, the module that it claims to be in.
    """
    import jsonargparse

    jsonargparse.set_parsing_settings(
        import_path_denylist=["*"],
        import_path_allowlist=["nlp_rnn", "pytorch_lightning"],
        instantiate_subclass_spec_in_any=False,
    )


def setting_names(classes: Iterable[type], prefix: str) -> Iterator[str]:
    """The names of all settings of some classes, those of nested dataclasses too, as flags call them."""
    for owner in classes:
        if is_dataclass(owner):
            hints = get_type_hints(owner)
            hints = {field.name: hints[field.name] for field in fields(owner)}
        else:
            hints = {name: hint for name, hint in get_type_hints(owner.__init__).items() if name != "return"}  # type: ignore[misc]
        for name, hint in hints.items():
            yield f"{prefix}.{name}"
            if is_dataclass(hint) and name != "processor":  # which is linked, not set
                yield from setting_names([hint], f"{prefix}.{name}")  # type: ignore[list-item]


def nearest(key: str, known: Iterable[str]) -> str:
    """` Did you mean "..."?`, or nothing: the nearest name beside `key`, else anywhere."""
    known = [name for name in known if name != key]  # which may be another class's
    parent, _, leaf = key.rpartition(".")
    for names in ([name for name in known if name.rpartition(".")[0] == parent], known):
        by_leaf = {name.rpartition(".")[2]: name for name in reversed(names)}
        if near := difflib.get_close_matches(leaf, by_leaf, 1):
            return f" Did you mean {by_leaf[near[0]]!r}?"
    return ""


# What the parser says of a key that is no setting; of the groups one is the key, one may be what it is in.
_UNKNOWN = re.compile(
    r"[Kk]ey '(?P<a>[\w.+-]+)' is not expected"
    r"|[Uu]nrecognized arguments: --(?P<b>[^\s=]+)"
    r"|Option '(?P<c>[\w.]+)' is not accepted"
    r"|Subcommand '\w+' does not accept option '(?P<d>[\w.]+)'"
    r"|Group '(?P<group>[\w.]+)' does not accept option '(?P<e>[\w.]+)'"
)
_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "NoneType": "null",
}


def readable(message: str, known: Iterable[str]) -> str:
    """The parser's account of a fault, which lists every type it tried, as one short line.

    Args:
        message: what the parser says.
        known: the names of all settings.
    """
    text = " ".join(message.split())
    # From the outermost to the innermost; the parts of a path, or the same path over and over.
    keys: list[str] = re.findall(r"Parser key [\"']([\w.]+)[\"']", text)
    where = ""
    for key in keys:
        if not f".{where}".endswith(f".{key}"):
            where = key if key.startswith(f"{where}.") else f"{where}.{key}".strip(".")
    where = where.replace("init_args.", "")

    if found := _UNKNOWN.search(text):
        key = next(found[name] for name in "abcde" if found[name])
        path = ".".join(part for part in (where, found["group"], key) if part).replace("init_args.", "")
        return f"unknown setting {path!r}.{nearest(path, known)}"
    if found := re.search(r"Importing '([\w.]+)' is not allowed", text):
        return f"{where}: class {found[1]!r} is refused; use one of nlp_rnn or pytorch_lightning"
    if found := re.search(r"class_path '([^']+)': (?:m|No m)odule|dot import path string: (\S+)", text):
        from nlp_rnn import data, tasks  # late: to find a configuration nothing of them is needed

        named = {"model": tasks.TASKS.values(), "data": data.DATA.values()}.get(where, ())
        classes = ", ".join(kind.__name__ for kind in named)
        hint = f"; use one of {classes}" if classes else ""
        return f"{where}: there is no class {found[1] or found[2]!r}{hint}"
    if found := re.search(r"Import path does not correspond to a subclass of (\w+)", text):
        return f"{where}: not the name of a {found[1]}"
    if found := re.search(r"required: (.+)", text):
        names = ", ".join(name.partition(".")[2] or name for name in found[1].split(", "))
        return f"missing: {names}; give --config conf/NAME.yaml"
    value = re.search(r"(?:Got value|Given value): (.+?)(?: - Expected a |$)", text)
    if where and value and (expected := _expected(text, nested=len(keys) > 1)):
        return f"{where}: expected {expected}, not {value[1]!r}"
    return text if len(text) < 300 else f"{text[:300]} ..."


def _expected(text: str, nested: bool) -> str:
    types = re.findall(r"Expected an? (?:<class '(?:\w+\.)*(\w+)'>|typing\.Literal\[([^\]]*)\])", text)
    if nested:  # the outer type's own alternative to it, which is nothing
        types = [(name, choices) for name, choices in types if name != "NoneType"]
    if ("float", "") in types:
        types = [(name, choices) for name, choices in types if name != "int"]
    said = [
        f"one of {choices}".replace("'", "") if choices else _TYPES.get(name, name) for name, choices in types
    ]
    return " or ".join(dict.fromkeys(said))
