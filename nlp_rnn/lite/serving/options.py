"""The options of the verb `serve`, of both command lines."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_type_hints

from ..errors import UsageError
from ..files import read_bytes
from .settings import RANGES, ServeSettings

if TYPE_CHECKING:  # for it imports what a server needs, and options are read before
    from .served import Pipeline

TOKEN_VARIABLE = "NLP_RNN_TOKEN"
"""The environment variable that holds the bearer token."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_HELP = {
    "port": "port; 0 for one that the system chooses",
    "workers": "processes that answer, each with its own copy of the models",
    "window_ms": "milliseconds in which inputs are gathered into a batch",
    "max_batch": "inputs at which a batch does not wait",
    "max_body": "bytes of a request",
    "max_inputs": "inputs of a request",
    "max_length": "characters, or numbers, of an input",
    "max_output": "tokens of a continuation",
    "max_queue": "inputs that wait, per model and worker",
    "max_streams": "streams that are open, per worker",
    "timeout": "seconds for a body, for an answer, and for each event of a stream",
    "grace": "seconds for open requests when the server is stopped",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    add = parser.add_argument
    add(
        "models",
        nargs="+",
        metavar="[NAME=]FOLDER",
        help="model folder, and the name it is served under; default: that of the folder",
    )
    add("--host", default="127.0.0.1", help="address; default: 127.0.0.1, for this machine only")
    kinds = get_type_hints(ServeSettings)
    for name in RANGES:
        default = getattr(ServeSettings, name)
        flag = f"--{name.replace('_', '-')}"
        add(flag, type=kinds[name], default=default, metavar="N", help=f"{_HELP[name]}; default: {default:g}")
    add("--threads", type=int, metavar="N", help="threads that each worker computes with")
    add(
        "--token-file",
        metavar="FILE",
        help=f"file with the bearer token that requests must have; default: that of {TOKEN_VARIABLE}, if set",
    )


def serve_with(
    options: argparse.Namespace, load: Callable[[str], Pipeline], threads: Callable[[int], int]
) -> None:
    """Serve what the options name, until a signal comes.

    Args:
        options: those of `add_arguments`.
        load: makes the pipeline of a folder; it can be pickled.
        threads: how many threads a worker computes with by default, of a number of processor cores.

    Raises:
        UsageError: an option is wrong, or see `serve`.
    """
    from .process import Plan, serve

    numbers = {name: getattr(options, name) for name in RANGES}
    settings = ServeSettings(options.host, token=_token(options.token_file), **numbers)
    _limit_threads(options.threads, threads(max(1, _cores() // settings.workers)))
    serve(Plan(_named(options.models), load, settings))


def _token(file: str | None) -> str:
    """The bearer token: never an argument, which others on the machine could see.

    Raises:
        UsageError: the file cannot be read, or what it holds is no token.
    """
    if file is None:
        where, token = TOKEN_VARIABLE, os.environ.get(TOKEN_VARIABLE, "")
        if not token:
            return ""
    else:
        where, token = file, read_bytes(file).decode("ascii", "replace")
    token = token.strip()
    if not re.fullmatch(r"[!-~]+", token):
        raise UsageError(f"{where}: holds no token: one word of ASCII letters, digits and signs is expected")
    return token


def _named(models: Sequence[str]) -> dict[str, str]:
    """The folders by their names.

    Raises:
        UsageError: a name is no name, or two models have the same.
    """
    found: dict[str, str] = {}
    for text in models:
        name, equals, folder = text.partition("=")
        if not equals or Path(text).exists():
            folder, name = text, Path(os.path.abspath(text)).name
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{text}: {name!r} cannot be part of an address; give NAME=FOLDER, with a name of letters, "
                "digits, '.', '_' and '-'"
            )
        if not folder:
            raise UsageError(f"{text}: names no folder; give NAME=FOLDER")
        if name in found:
            raise UsageError(f"two models are called {name!r}: give NAME=FOLDER")
        found[name] = folder
    return found


def _limit_threads(given: int | None, default: int) -> None:
    """Set how many threads each worker computes with, before what computes is imported.

    Raises:
        UsageError: the number is out of range.
    """
    if given is not None and not 1 <= given <= 1_024:
        raise UsageError(f"--threads must be between 1 and 1024, not {given}")
    for name in _THREADS:
        if given is not None:
            os.environ[name] = str(given)
        else:
            os.environ.setdefault(name, str(default))
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # a request is too short for threads


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
