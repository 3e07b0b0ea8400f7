"""The parser's faults as one short line each."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator

from nlp_rnn.settings import nested_settings, setting_types
from nlp_rnn.tasks.registry import ROWS


def setting_names(classes: Iterable[type], prefix: str) -> Iterator[str]:
    """The names of all settings of some classes, those of nested dataclasses too, as flags call them."""
    for owner in classes:
        for name, hint in setting_types(owner).items():
            yield f"{prefix}.{name}"
            inner = nested_settings(hint)
            if inner is not None and name != "processor":  # which is linked, not set
                yield from setting_names([inner], f"{prefix}.{name}")


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
        models = [row.model for row in ROWS.values()]
        modules = [name for row in ROWS.values() for name in row.data]
        classes = {"model": models, "data": modules}.get(where, [])
        hint = f"; use one of {', '.join(classes)}" if classes else ""
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
