"""`nlp-rnn fit | validate | test | predict`: Lightning's CLI over this package's tasks."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path


def main(arguments: list[str] | None = None) -> None:
    """The command line; see `nlp-rnn --help`.

    Exits with 2 for what the user can mend, with 1 for a fault while running, each in one line.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments == ["--version"]:
        from nlp_rnn import __version__

        print(f"nlp-rnn {__version__}")
        return
    from nlp_rnn.console import quiet, reporting

    with reporting("nlp-rnn"):
        quiet()
        from nlp_rnn.configuration import check_arguments

        checked = check_arguments(arguments)
        from nlp_rnn.training import run

        run(checked, command=shlex.join(["nlp-rnn", *arguments]))


def conf_folder() -> Path:
    """Where the ready-made configurations lie: in the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    return next(path for path in (package / "conf", package.parent / "conf") if path.is_dir())


if __name__ == "__main__":
    main()
