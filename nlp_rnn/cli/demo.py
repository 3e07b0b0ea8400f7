"""`nlp-rnn demo MODEL...`: try models on a page in the browser."""

from __future__ import annotations

import argparse
import logging

from nlp_rnn.cli.console import add_trust_argument, importing, path_argument
from nlp_rnn.errors import UsageError
from nlp_rnn.files import printed, printing

log = logging.getLogger(__name__)

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument(
        "models", nargs="+", type=path_argument, metavar="MODEL", help="model folder, .ckpt file or hub id"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen at; default: 127.0.0.1, this machine alone"
    )
    parser.add_argument("--port", type=int, default=7860, help="0 for any free one; default: 7860")
    add_trust_argument(parser)


def run(options: argparse.Namespace) -> None:
    """Load the models, print the address of the page, and serve it until a signal comes."""
    if not 0 <= options.port < 2**16:
        raise UsageError(f"--port must be between 0 and 65535, not {options.port}")
    with importing():
        try:
            from nlp_rnn.demo.page import page
        except ModuleNotFoundError as error:
            raise UsageError(
                f"the page needs Gradio ({error}); install it with: pip install 'nlp-rnn[demo]'"
            ) from error
        from nlp_rnn.demo import server
        from nlp_rnn.demo.answering import Demo, titles
        from nlp_rnn.tasks.pretrained import from_pretrained

    with server.listen(options.host, options.port) as listening:
        named = zip(options.models, titles(options.models), strict=True)
        demos = [Demo(from_pretrained(model), title) for model, title in named]
        app = server.application(page(demos))
        if options.host not in _LOOPBACK:
            log.warning("--host %s: whoever reaches this machine can use the page", options.host)
        listening.listen()
        with printing():
            print(printed(f"{server.url(listening)} (Ctrl-C ends it)"), flush=True)
        server.serve(app, listening)
