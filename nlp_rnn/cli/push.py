"""`nlp-rnn push FOLDER REPO_ID`: upload a model folder to the Hugging Face hub."""

from __future__ import annotations

import argparse
import sys

from nlp_rnn.cli.console import add_trust_argument, importing, path_argument
from nlp_rnn.errors import join_names
from nlp_rnn.files import printed, printing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("folder", type=path_argument, help="model folder")
    parser.add_argument("repo_id", type=path_argument, help="where to: OWNER/NAME; made if it does not exist")
    parser.add_argument("--private", action="store_true", help="only its owner may see the repository")
    parser.add_argument("--revision", help="branch, made if it does not exist; default: main")
    parser.add_argument(
        "--create-pr", action="store_true", help="propose the commit as a pull request instead"
    )
    parser.add_argument(
        "--license", help="license to state in the card first, such as apache-2.0; default: none"
    )
    parser.add_argument(
        "--language", nargs="+", metavar="CODE", help="languages to state in the card first, such as de en"
    )
    parser.add_argument("--message", default="Upload a model of nlp_rnn", help="message of the commit")
    parser.add_argument(
        "--timeout", type=float, default=60.0, help="seconds to wait for each answer of the hub; default: 60"
    )
    add_trust_argument(parser)


def run(options: argparse.Namespace) -> None:
    """Upload, say what was left out, and print the address."""
    with importing():
        from nlp_rnn.tasks.publishing import push_to_hub

    metadata = {"license": options.license, "language": options.language}
    done = push_to_hub(
        options.folder,
        options.repo_id,
        options.private,
        options.revision,
        options.create_pr,
        message=options.message,
        timeout=options.timeout,
        metadata={name: value for name, value in metadata.items() if value is not None},
    )
    print(f"uploaded: {join_names(done.files.own)}", file=sys.stderr)
    if done.files.others:
        print(printed(f"left out: {join_names(done.files.others)}"), file=sys.stderr)
    with printing():
        print(printed(done.url))
