"""`nlp-rnn VERB ...`: finds the verb, and runs it."""

from __future__ import annotations

import shlex
import sys
import textwrap
from importlib import import_module

from nlp_rnn.cli.configs import check_arguments, ready_made
from nlp_rnn.cli.verbs import LIGHTNING_VERBS, VERBS
from nlp_rnn.errors import UsageError

# What `predict` is given in Lightning's form, which reads a configuration.
_LIGHTNING_FLAGS = ("--config", "-c", "--ckpt_path", "--model", "--data", "--trainer", "--print_config")


def main(arguments: list[str] | None = None) -> None:
    """The command line; see `nlp-rnn --help`.

    Exits with 2 for what the user can fix, with 1 for a fault while running, each in one line.

    Args:
        arguments: the verb and its arguments; those of the process if left out.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    # Answered here: what is below takes seconds to import.
    if arguments in (["--help"], ["-h"]):
        print(_help())
        return
    if arguments == ["--version"]:
        from nlp_rnn import __version__

        print(f"nlp-rnn {__version__}")
        return
    from nlp_rnn.cli.console import quiet, reporting

    with reporting("nlp-rnn"):
        quiet()
        _check_verb(arguments)
        if _is_lightning(arguments):
            _run_lightning(arguments)
        else:
            _run_verb(*arguments)


def _run_lightning(arguments: list[str]) -> None:
    from nlp_rnn.cli.console import importing

    checked = check_arguments(arguments)
    with importing():
        from nlp_rnn.training.cli import run

    run(checked, command=shlex.join(["nlp-rnn", *arguments]))


def _run_verb(name: str, *arguments: str) -> None:
    from nlp_rnn.cli.console import ArgumentParser

    verb = VERBS[name]
    assert verb.module is not None
    module = import_module(verb.module)
    parser = ArgumentParser(
        prog=f"nlp-rnn {name}", description=f"{verb.summary[0].upper()}{verb.summary[1:]}."
    )
    parser.epilog = f"example: nlp-rnn {name} {verb.example}"
    module.add_arguments(parser)
    module.run(parser.parse_intermixed_args(list(arguments)))  # options may stand before


def _is_lightning(arguments: list[str]) -> bool:
    verb, *others = arguments
    if verb == "predict":
        flags = [argument.partition("=")[0].partition(".")[0] for argument in others]
        return any(flag in _LIGHTNING_FLAGS for flag in flags)
    return verb in LIGHTNING_VERBS or verb.startswith("-")


def _help() -> str:
    from nlp_rnn.tasks.registry import ROWS

    verbs = "\n".join(
        f"  {name:<12}{verb.summary}\n{'':14}nlp-rnn {name} {verb.example}" for name, verb in VERBS.items()
    )
    configurations = "\n".join(f"  conf/{name}" for name in ready_made())
    models = ", ".join(row.model for row in ROWS.values())
    data = ", ".join(name for row in ROWS.values() for name in row.data)
    return f"""usage: nlp-rnn VERB ...

Recurrent networks for text and for series of numbers.

verbs, each with an example; nlp-rnn VERB --help shows its options:
{verbs}

all settings of fit, each a flag and a key in a configuration file:
  nlp-rnn fit --help                        of the run, its trainer, checkpoints and early stopping
  nlp-rnn fit --model.help Translation      of a model, and
  nlp-rnn fit --data.help TranslationData   of its data, both also a class_path in a configuration
  nlp-rnn fit --config FILE --print_config  all of them, as a configuration sets them

models:
{_filled(models)}

data:
{_filled(data)}

ready-made configurations; later ones win over earlier ones, flags over both:
{configurations}

options:
  -h, --help  show this text
  --version   show the version"""


def _filled(text: str) -> str:
    return textwrap.fill(text, 88, initial_indent="  ", subsequent_indent="  ")


def _check_verb(arguments: list[str]) -> None:
    """Raise UsageError unless a verb comes first; flags may, which the parser knows."""
    known = f"{{{','.join(VERBS)}}}"
    if not arguments:
        raise UsageError(f"no verb: give one of {known}, or --help")
    if not arguments[0].startswith("-") and arguments[0] not in VERBS:
        raise UsageError(f"no verb {arguments[0]!r}: choose from {known}")


if __name__ == "__main__":
    main()
