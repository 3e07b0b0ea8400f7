"""`nlp-rnn VERB ...`: find the verb, and run it."""

from __future__ import annotations

import os
import shlex
import sys
import textwrap
from collections.abc import Sequence
from importlib import import_module

from nlp_rnn.cli import seeds
from nlp_rnn.cli.configs import check_arguments, ready_made
from nlp_rnn.cli.console import ArgumentParser, importing, prepare_streams, quiet, reporting, verb_parser
from nlp_rnn.cli.verbs import VERBS
from nlp_rnn.errors import UsageError, naming_memory
from nlp_rnn.files import printing
from nlp_rnn.training.signals import handling, stop_at_once

# The flags, or their first parts, that only the form of `predict` with a configuration has.
_CONFIGURED_FLAGS = frozenset(
    (
        *("config", "ckpt_path", "model", "data", "trainer", "checkpoint", "early_stopping", "training"),
        *("seed_everything", "runs", "name", "print_config"),
    )
)

_MEMORY = "data.batching.size, data.batching.max_tokens, data.max_length, model.hidden_dim, or, where the \
data does not fit, data.corpus.max_examples"


def main(arguments: list[str] | None = None) -> None:
    """The command line; see `nlp-rnn --help`.

    Exits with 2 for what the user can fix, with 1 for an error while running, with 130 for SIGINT (Ctrl-C),
    and with 143 for SIGTERM, each in one line.

    Args:
        arguments: the verb and its arguments; those of the process if left out.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    prepare_streams()
    with reporting("nlp-rnn"), handling(stop_at_once):
        # These two are answered before anything is imported that takes seconds.
        if arguments in (["--help"], ["-h"]):
            with printing():
                print(_help())
            return
        if arguments == ["--version"]:
            from nlp_rnn import __version__

            with printing():
                print(f"nlp-rnn {__version__}")
            return
        quiet()
        _check_verb(arguments)
        _check_working_directory()
        if seeds.concerns(arguments):
            seeds.run(arguments, shlex.join(["nlp-rnn", *arguments]))
        elif _takes_configuration(arguments):
            _run_configuration(arguments)
        else:
            _run_verb(*arguments)


def _run_configuration(arguments: list[str]) -> None:
    checked = check_arguments(arguments)
    with importing():
        from nlp_rnn.training.cli import run

    with naming_memory(_MEMORY):
        run(checked, command=shlex.join(["nlp-rnn", *arguments]))


def _run_verb(name: str, *arguments: str) -> None:
    verb = VERBS[name]
    assert verb.module is not None
    module = import_module(verb.module)
    parser = verb_parser(name, verb)
    module.add_arguments(parser)
    own, settings = _split(arguments, parser) if verb.takes_settings else (arguments, [])
    options = parser.parse_intermixed_args(list(map(_hyphenated, own)))  # options may come first
    if verb.takes_settings:
        options.settings = settings
    options.command = shlex.join(["nlp-rnn", name, *arguments])  # for the record
    with naming_memory(verb.memory):
        if trusted := getattr(options, "trust", []):
            with importing():
                from nlp_rnn.training.checks import import_trusted

                import_trusted(trusted)
        module.run(options)


def _split(arguments: Sequence[str], parser: ArgumentParser) -> tuple[list[str], list[str]]:
    """The arguments of a verb, and the settings of fit among them: all options that it does not have."""
    own: list[str] = []
    settings: list[str] = []
    remaining = list(arguments)
    while remaining:
        argument = remaining.pop(0)
        flag = _hyphenated(argument).partition("=")[0]
        if not flag.startswith("--") or flag in parser._option_string_actions:
            own.append(argument)
            continue
        settings.append(argument)
        if "=" not in argument and remaining and not remaining[0].startswith("--"):
            settings.append(remaining.pop(0))
    return own, settings


def _hyphenated(argument: str) -> str:
    """An option with hyphens in its name, also where it was written with underscores, as those of fit are."""
    name, equals, value = argument.partition("=")
    return f"{name.replace('_', '-')}{equals}{value}" if name.startswith("--") else argument


def _takes_configuration(arguments: list[str]) -> bool:
    """Whether the arguments are for the parser of configurations, rather than for a verb's own module."""
    name, *others = arguments
    if name.startswith("-"):  # which that parser refuses, or finds a verb behind
        return True
    if name == "predict":
        return any(_is_configured_flag(argument) for argument in others)
    return VERBS[name].module is None


def _is_configured_flag(argument: str) -> bool:
    if not argument.startswith("--"):
        return argument.startswith("-c")
    return argument[2:].partition("=")[0].partition(".")[0] in _CONFIGURED_FLAGS


def _help() -> str:
    from nlp_rnn.tasks.registry import ROWS

    verbs = "\n".join(
        f"  {name:<13}{verb.summary}\n{'':15}nlp-rnn {name} {verb.example}" for name, verb in VERBS.items()
    )
    configurations = "\n".join(f"  conf/{name}" for name in ready_made())
    models = ", ".join(row.model for row in ROWS.values())
    data = ", ".join(name for row in ROWS.values() for name in row.data)
    return f"""usage: nlp-rnn VERB ...

Recurrent networks for text and for series of numbers.

verbs, each with an example; nlp-rnn VERB --help lists the options of one:
{verbs}

settings of fit, each a flag and a key in a configuration file:
  nlp-rnn fit --help                        those that people change, then all of the run and its trainer
  nlp-rnn fit --model.help Translation      all of a model, which is a class_path in a configuration
  nlp-rnn fit --data.help TranslationData   all of its data, likewise
  nlp-rnn fit --config FILE --print_config  all of them with their values, as a configuration

models:
{_filled(models)}

data:
{_filled(data)}

ready-made configurations; of several, later ones win, and flags win over all of them:
{configurations}

options:
  -h, --help  show this text
  --version   show the version

shell completion, for bash: nlp-rnn completion bash --help"""


def _filled(text: str) -> str:
    return textwrap.fill(text, 88, initial_indent="  ", subsequent_indent="  ")


def _check_verb(arguments: list[str]) -> None:
    """Raise UsageError unless the first argument is a verb; flags are left to the parser."""
    known = f"{{{','.join(VERBS)}}}"
    if not arguments:
        raise UsageError(f"no verb: give one of {known}, or --help")
    if not arguments[0].startswith("-") and arguments[0] not in VERBS:
        raise UsageError(f"no verb {arguments[0]!r}: choose from {known}")


def _check_working_directory() -> None:
    """Raise UsageError if the working directory was deleted: torch's libraries abort there."""
    try:
        os.getcwd()
    except FileNotFoundError as error:
        raise UsageError("the working directory has been deleted; change to another one") from error


if __name__ == "__main__":
    main()
