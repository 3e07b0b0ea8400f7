"""One short line for each error that the parser finds.

jsonargparse has no exceptions of its own for the different errors, only text. All that this package relies on
in that text stands in this file, and `tests/training/test_messages.py` checks each form against the installed
version.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence

from nlp_rnn.errors import join_names
from nlp_rnn.settings import nested_settings, setting_types
from nlp_rnn.tasks.registry import ROWS

# Names that other libraries, or earlier versions of Lightning, have for a setting.
_OTHER_NAMES = {
    "gpus": "trainer.devices",
    "num_gpus": "trainer.devices",
    "num_processes": "trainer.devices",
    "distributed_backend": "trainer.strategy",
    "resume_from_checkpoint": "ckpt_path",
    "epochs": "trainer.max_epochs",
    "num_epochs": "trainer.max_epochs",
    "batch_size": "data.batching.size",
    "learning_rate": "model.optimization.lr",
}
# At least so similar, from 0 to 1, must two names be: a letter or two may differ, no more.
_MIN_SIMILARITY = 0.75

# What the parser says of a key that is not a setting; the key is in one of the groups, its parent in `group`.
_UNKNOWN = re.compile(
    r"[Kk]ey '(?P<a>[\w.+-]+)' is not expected"
    r"|[Uu]nrecognized arguments: --(?P<b>[^\s=]+)"
    r"|Option '(?P<c>[\w.]+)' is not accepted"
    r"|Subcommand '\w+' does not accept option '(?P<d>[\w.]+)'"
    r"|Group '(?P<group>[\w.]+)' does not accept option '(?P<e>[\w.]+)'"
)
NOT_VALID = "Does not validate against any of the Union"
"""What the parser's exceptions contain when a class cannot be made."""
_NOT_INSTALLED = re.compile(r"class_path '(?:\w+\.)*(\w+)': Requirement '([^']+)' not met")
_KEY = re.compile(r"Parser key [\"']([\w.]+)[\"']")
_REFUSED_IMPORT = re.compile(r"Importing '([\w.]+)' is not allowed")
_NOT_A_GROUP = re.compile(r"(?:Unable to load config|Importing) '([^']*)'")
_NO_CLASS = re.compile(r"class_path '([^']+)': (?:m|No m)odule|dot import path string: (\S+)")
_WRONG_CLASS = re.compile(r"Import path does not correspond to a subclass of (\w+)")
_NOT_PLAIN = re.compile(r"cannot represent an object.*class_path='(?:\w+\.)*(\w+)'")
_MISSING = re.compile(r"required: ([\w.]+(?:, [\w.]+)*)")
_NO_VALUE = re.compile(r"argument (--[\w.]+)\S*: expected one argument")
_NOT_NESTED = re.compile(r"NestedArg\(key='([\w.-]+)'")
_FILES = "; a file or folder is given by data.corpus.path"
_VALUE = re.compile(r"(?:Got value|Given value): (.+?)(?: - Expected a |$)")
_EXPECTED = re.compile(r"Expected an? (?:<class '(?:\w+\.)*(\w+)'>|typing\.Literal\[([^\]]*)\])")
_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "NoneType": "null",
}


def setting_names(classes: Iterable[type], prefix: str) -> Iterator[str]:
    """The names of all settings of some classes, as flags name them, nested dataclasses included.

    Args:
        classes: LightningModules, DataModules or dataclasses of settings.
        prefix: what stands before each name: "model" gives "model.hidden_dim".
    """
    for owner in classes:
        for name, hint in setting_types(owner).items():
            yield f"{prefix}.{name}"
            inner = nested_settings(hint)
            if inner is not None and name != "processor":  # which is linked, not set
                yield from setting_names([inner], f"{prefix}.{name}")


def suggestion(key: str, known: Iterable[str]) -> str:
    """` Did you mean "..."?` for an unknown setting; empty where no known setting is similar.

    Settings with the same parent come first, then all others by the last part of their name.

    Args:
        key: the unknown setting.
        known: the names of all settings.
    """
    known = [name for name in known if name != key]  # `key` may be a setting of another class
    parent, _, leaf = key.rpartition(".")
    if (meant := _OTHER_NAMES.get(leaf)) in known:
        return f" Did you mean {meant!r}?"
    for names in ([name for name in known if name.rpartition(".")[0] == parent], known):
        by_leaf = {name.rpartition(".")[2]: name for name in reversed(names)}
        if similar := difflib.get_close_matches(leaf, by_leaf, 1, _MIN_SIMILARITY):
            return f" Did you mean {by_leaf[similar[0]]!r}?"
    return ""


def readable(message: str, known: Iterable[str], arguments: Sequence[str] = ()) -> str:
    """The parser's message, which lists every type it tried, as one short line.

    Args:
        message: the parser's message.
        known: the names of all settings.
        arguments: what was parsed; the parser names a nested flag only by its first part.
    """
    text, known = " ".join(message.split()), list(known)
    keys: list[str] = _KEY.findall(text)
    where = _path(keys)

    if match := _NOT_INSTALLED.search(text):
        return f"{match[1]}: a package is missing; install it with: pip install '{match[2]}'"
    if match := _UNKNOWN.search(text):
        key = next(match[name] for name in "abcde" if match[name])
        path = ".".join(part for part in (where, match["group"], key) if part).replace("init_args.", "")
        return f"unknown setting {path!r}.{suggestion(path, known)}"
    if match := _NO_VALUE.search(text):
        return f"{_flag_without_value(match[1], arguments)}: expected a value"
    if (match := _NOT_NESTED.search(text)) and where in ("model", "data"):
        if "-" in match[1]:  # as no setting has
            path = f"{where}.{match[1]}"
            return f"unknown setting {path!r}.{suggestion(path, known)}"
        return (
            f"--{where}.{match[1]}: no {where} is chosen yet; "
            f"give --config conf/NAME.yaml, or --{where} CLASS before this flag"
        )
    inner = dict.fromkeys(name.removeprefix(f"{where}.") for name in known if name.startswith(f"{where}."))
    # What takes classes has no setting but its help.
    if (match := _NOT_A_GROUP.search(text)) and "." in where and inner.keys() - {"help"}:
        names = join_names(inner)
        return f"{where}: {match[1]!r} is no value for a group of settings; set {where}.NAME, of {names}"
    if match := _REFUSED_IMPORT.search(text):
        allowed = "use a class of nlp_rnn, of pytorch_lightning or of a package that --trust names"
        return f"{where}: {match[1]!r} is refused; {allowed}{_FILES if where == 'data' else ''}"
    if match := _NO_CLASS.search(text):
        return _no_class(where, match[1] or match[2])
    if match := _WRONG_CLASS.search(text):
        return f"{where}: not the name of a {match[1]}"
    if match := _MISSING.search(text):
        names = ", ".join(name.partition(".")[2] or name for name in match[1].split(", "))
        return f"missing: {names}; give --config conf/NAME.yaml"
    if match := _NOT_PLAIN.search(text):
        return f"{match[1]}: has settings that a configuration cannot hold; use it in Python"
    value = _VALUE.search(text)
    if value and where in ("model", "data"):
        return _no_class(where, value[1])
    if where and value and (expected := _expected(text, nested=len(keys) > 1)):
        return f"{where}: expected {expected}, not {value[1]!r}"
    return text if len(text) < 300 else f"{text[:300]} ..."


def _no_class(where: str, name: str) -> str:
    models = [row.model for row in ROWS.values()]
    modules = [name for row in ROWS.values() for name in row.data]
    classes = {"model": models, "data": modules, "": models + modules}.get(where, [])
    hint = f"; use one of {', '.join(classes)}" if classes else ""
    files = _FILES if where == "data" else ""
    return f"{where}{': ' if where else ''}there is no class {name!r}{hint}{files}"


def _path(keys: Iterable[str]) -> str:
    """The full name of a setting from the keys that a message names, the outermost first.

    Each key is the next part of the path, or the same path over again.
    """
    path = ""
    for key in keys:
        if not f".{path}".endswith(f".{key}"):
            path = key if key.startswith(f"{path}.") else f"{path}.{key}".strip(".")
    return path.replace("init_args.", "")


def _flag_without_value(flag: str, arguments: Sequence[str]) -> str:
    """The flag, or one nested in it, that is followed by another flag or by nothing."""
    for argument, following in zip(arguments, [*arguments[1:], "--"], strict=False):
        if (argument == flag or argument.startswith(f"{flag}.")) and following.startswith("--"):
            return argument
    return flag


def _expected(text: str, nested: bool) -> str:
    types = _EXPECTED.findall(text)
    if nested:  # null is an alternative to the outer setting, not to this one
        types = [(name, choices) for name, choices in types if name != "NoneType"]
    if ("float", "") in types:
        types = [(name, choices) for name, choices in types if name != "int"]
    alternatives = [
        f"one of {choices}".replace("'", "") if choices else _TYPES.get(name, name) for name, choices in types
    ]
    return " or ".join(dict.fromkeys(alternatives))
