"""`nlp-rnn fit | validate | test | predict`: Lightning's CLI over this package's tasks."""

from __future__ import annotations

import re
import shlex
import sys
import textwrap
from pathlib import Path

from nlp_rnn.errors import UsageError

VERBS = {
    "fit": "train a model; leaves a run directory with checkpoints, curves and a model folder",
    "validate": "measure a trained model on the validation split, and print the figures as JSON",
    "test": "measure a trained model on the test split, likewise",
    "predict": "answer the rows of the test split, into a file of JSON lines",
}


def main(arguments: list[str] | None = None) -> None:
    """The command line; see `nlp-rnn --help`.

    Exits with 2 for what the user can mend, with 1 for a fault while running, each in one line.
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
    from nlp_rnn.console import importing, quiet, reporting

    with reporting("nlp-rnn"):
        quiet()
        _check_verb(arguments)
        from nlp_rnn.configuration import check_arguments

        checked = check_arguments(arguments)
        with importing():
            from nlp_rnn.training import run

        run(checked, command=shlex.join(["nlp-rnn", *arguments]))


def _help() -> str:
    verbs = "\n".join(f"  {verb:<10}{text}" for verb, text in VERBS.items())
    ready_made = sorted(str(path.relative_to(conf_folder())) for path in conf_folder().rglob("*.yaml"))
    configurations = "\n".join(f"  conf/{name}" for name in ready_made)
    content = "".join(path.read_text(encoding="utf-8") for path in conf_folder().glob("*.yaml"))
    models, data = (
        ", ".join(sorted(set(re.findall(rf"nlp_rnn\.{part}\.(\w+)", content)))) for part in ("tasks", "data")
    )
    return f"""usage: nlp-rnn {{{",".join(VERBS)}}} --config FILE [--config FILE ...] [--SETTING VALUE ...]

Recurrent networks for text and for series of numbers.

verbs:
{verbs}

examples:
  nlp-rnn fit --config conf/translation_builtin.yaml --trainer.max_epochs 3
  nlp-rnn test --config conf/translation_builtin.yaml --ckpt_path runs/translation_builtin/latest/model

all settings, each a flag and a key in a configuration file:
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


def conf_folder() -> Path:
    """Where the ready-made configurations lie: in the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    return next(path for path in (package / "conf", package.parent / "conf") if path.is_dir())


if __name__ == "__main__":
    main()
