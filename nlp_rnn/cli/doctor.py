"""`nlp-rnn doctor FOLDER`: check a model folder, all of it even if something is wrong."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from nlp_rnn.cli.console import add_trust_argument, importing, path_argument
from nlp_rnn.errors import RunError
from nlp_rnn.files import printed, printing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("folder", type=path_argument, help="model folder")
    parser.add_argument("--json", action="store_true", help="print the outcomes as JSON")
    add_trust_argument(parser)


def run(options: argparse.Namespace) -> None:
    """Print one line per check.

    Raises:
        RunError: something is wrong, so that the exit code is 1.
    """
    with importing():
        from nlp_rnn.inference.checkup import check_folder

    checks = check_folder(options.folder)
    wrong = sum(check.state == "wrong" for check in checks)
    with printing():
        if options.json:
            report = {
                "folder": options.folder,
                "ok": not wrong,
                "checks": [asdict(check) for check in checks],
            }
            print(printed(json.dumps(report, ensure_ascii=False, indent=2)))
        else:
            print(*(printed(str(check)) for check in checks), sep="\n")
    if wrong:
        raise RunError(f"{options.folder}: {wrong} of {len(checks)} checks found something wrong")
