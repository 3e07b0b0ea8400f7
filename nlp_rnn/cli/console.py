"""How the commands talk to people: one line per error, and no noise."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from nlp_rnn.cli.verbs import Verb
from nlp_rnn.errors import Interrupted, RunError, UsageError, one_line, own_cause
from nlp_rnn.files import discard_output, printing, system_error
from nlp_rnn.training.library_messages import quiet_libraries
from nlp_rnn.training.signals import handling

if TYPE_CHECKING:
    from nlp_rnn.tasks.base import Task


class ArgumentParser(argparse.ArgumentParser):
    """The parser of a verb: its errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Print the message as one line, and exit with code 2."""
        program = Path(self.prog.split(" ")[0]).stem
        _leave(program, f"{message}; {self.prog} --help lists the options", 2)


def verb_parser(name: str, verb: Verb) -> ArgumentParser:
    """The parser of a verb, with its summary and an example, yet without its options."""
    return ArgumentParser(
        prog=f"nlp-rnn {name}",
        description=f"{verb.summary[0].upper()}{verb.summary[1:]}.",
        epilog=f"example:\n  nlp-rnn {name} {verb.example}{verb.notes and chr(10) * 2}{verb.notes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_device_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--device` and `--precision`."""
    parser.add_argument("--device", default="cpu", help="such as cpu, cuda or cuda:1; default: cpu")
    parser.add_argument(
        "--precision",
        choices=["fp32", "bf16"],
        default="fp32",
        help="number format; default: fp32",
    )


def add_model_arguments(parser: argparse.ArgumentParser, description: str = "") -> None:
    """Add the model, its revision, and `--trust` for one whose task or cell is a package's own."""
    parser.add_argument("model", type=path_argument, help=f"model folder, .ckpt file or hub id{description}")
    parser.add_argument(
        "--model-revision",
        metavar="REVISION",
        help="branch, tag or commit of a model on the hub; default: main",
    )
    add_trust_argument(parser)


def add_ensemble_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--ensemble`, further models that answer together with the first one."""
    parser.add_argument(
        "--ensemble",
        nargs="+",
        type=path_argument,
        default=[],
        metavar="MODEL",
        help="further models of the same task, data and data settings: answer from the mean of the "
        "probabilities of all",
    )


def add_rerank_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--rerank` and `--rerank-weight`."""
    parser.add_argument(
        "--rerank",
        type=path_argument,
        metavar="MODEL",
        help="for translation: choose among the translations of the beam by the scores of this model too, "
        "such as one that was trained with data.reverse_target",
    )
    parser.add_argument(
        "--rerank-weight",
        type=float,
        metavar="W",
        help="weight of these scores, from 0 to 1; those of the first model have the rest; default: 0.5",
    )


def add_trust_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--trust`."""
    parser.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="PACKAGE",
        help="import an installed package, which registers the task or cell of the model; may be repeated",
    )


def load_model(options: argparse.Namespace) -> Task[Any, Any]:
    """The trained model that the options of `add_model_arguments` and the functions below it name.

    Raises:
        UsageError: it cannot be loaded, or models do not fit together.
    """
    from nlp_rnn.tasks.ensemble import load_models

    models = [options.model, *getattr(options, "ensemble", [])]
    task = load_models(models, revision=options.model_revision)
    weight = getattr(options, "rerank_weight", None)
    if getattr(options, "rerank", None) is not None:
        return task.reranked(load_models(options.rerank), 0.5 if weight is None else weight)
    if weight is not None:
        raise UsageError("--rerank-weight is of the model that --rerank names: give that too")
    return task


def add_columns_argument(parser: argparse.ArgumentParser, example: str, where: str = "") -> None:
    """Add what the columns of a table are called.

    Args:
        parser: the parser of a verb.
        example: columns that help shows.
        where: which tables these are, for help.
    """
    parser.add_argument(
        "--columns",
        nargs="+",
        default=[],
        metavar="NAME=COLUMN",
        help=f"names of columns{where}, such as {example}; default: as trained",
    )


def add_column_arguments(parser: argparse.ArgumentParser, example: str) -> None:
    """Add what the columns of a table are called, and how its text is encoded.

    Args:
        parser: the parser of a verb.
        example: columns that help shows.
    """
    add_columns_argument(parser, example)
    parser.add_argument(
        "--file-columns",
        nargs="+",
        metavar="COLUMN",
        help="the columns of a file that has no header, in their order; default: as trained",
    )
    parser.add_argument("--encoding", help="encoding of text files; default: as trained, else UTF-8")


def add_corpus_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say on which rows models are measured."""
    parser.add_argument(
        "--data",
        type=path_argument,
        default="builtin",
        help="corpus: a bundled one, a file, a folder or a hub id; default: builtin",
    )
    parser.add_argument("--config-name", help="configuration of a hub corpus")
    parser.add_argument("--revision", help="revision of a hub corpus")
    parser.add_argument(
        "--split",
        default="test",
        help="train, validation, test, or the name of a split in the corpus; all: all rows of a file; "
        "default: test",
    )
    add_column_arguments(parser, "text=review label=stars")


def column_arguments(options: argparse.Namespace) -> dict[str, str]:
    """The value of `--columns`.

    Raises:
        UsageError: see `named_columns`.
    """
    from nlp_rnn.lite.cli import named_columns

    return named_columns(options.columns)


def file_column_arguments(options: argparse.Namespace) -> list[str] | None:
    """The value of `--file-columns`, whose names have spaces or commas between them."""
    parts: list[str] | None = options.file_columns
    return parts and [name for part in parts for name in part.split(",")]


def path_argument(text: str) -> str:
    """The value of an argument that names a file, a folder or a model: an empty one is a mistake."""
    if not text:
        raise argparse.ArgumentTypeError("is empty; give a path")
    return text


@contextmanager
def reporting(program: str) -> Iterator[None]:
    """Turn exceptions into one line on standard error and an exit code.

    The code is 2 for what the user can fix, 1 for an error while running, 130 for SIGINT (Ctrl-C), and 143
    for SIGTERM. `NLP_RNN_DEBUG=1` shows the traceback too.

    Args:
        program: the name that the line begins with.
    """
    try:
        yield
        if sys.stdout is not None:
            with printing():  # what is printed at exit cannot be reported
                pass
    except UsageError as error:
        _leave(program, error, 2)
    except RunError as error:
        _leave(program, error, 1)
    except Interrupted as stop:
        name = signal.Signals(stop.number).name
        print(one_line(f"{program}: stopped by {name}{stop.message and '; '}{stop.message}"), file=sys.stderr)
        sys.exit(128 + stop.number)
    except KeyboardInterrupt:
        _leave(program, "interrupted", 130)
    except SystemExit as stop:
        if not isinstance(stop.__context__, KeyboardInterrupt):  # for which Lightning exits with 1
            raise
        _leave(program, "interrupted", 130)
    except BrokenPipeError:  # the reader of the output has closed it
        discard_output()
        sys.exit(1)
    except Exception as error:
        known = own_cause(error)
        if known is None and isinstance(error, OSError) and error.filename is not None:
            known = system_error(f"{error.filename}: {error.strerror}", error)
        if known is not None:
            _leave(program, known, 1 if isinstance(known, RunError) else 2)
        # Recognized by name, so that Lightning is not imported to say that a file is missing.
        fixable = type(error).__name__ in ("MisconfigurationException", "ModuleNotFoundError")
        _leave(program, f"{'' if fixable else type(error).__name__ + ': '}{error}", 2 if fixable else 1)


def prepare_streams() -> None:
    """Replace the standard streams that are closed, and write output as UTF-8, whatever the locale.

    The next files to open would get the numbers of closed streams. Their input is empty then, messages are
    dropped, and output fails when it is written.
    """
    for name, mode, flags in (
        ("stdin", "r", os.O_RDONLY),
        ("stdout", "w", os.O_RDONLY),
        ("stderr", "w", os.O_WRONLY),
    ):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, flags), mode, encoding="utf-8"))
    if isinstance(sys.stdout, TextIOWrapper):  # else replaced, for example by a notebook
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")  # names of files may be any bytes


def _leave(program: str, message: object, code: int) -> NoReturn:
    if os.environ.get("NLP_RNN_DEBUG"):
        traceback.print_exc()
    print(f"{program}: error: {one_line(message)}", file=sys.stderr)
    sys.exit(code)


class _OneLine(logging.Formatter):
    """Log messages on one line, without control characters."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return one_line(super().formatMessage(record))


@contextmanager
def importing() -> Iterator[None]:
    """Import without garbage collection, and exempt what was imported from all later collections.

    Libraries leave a million objects that live as long as the program. To traverse them again and again, the
    last time at exit, takes a third of the time of a short command.

    SIGTERM and SIGINT end the process at once, for nothing has been opened yet: modules drop an
    exception that comes amid their import, or abort.
    """
    if "torch" in sys.modules:  # little is left to import
        yield
        return
    gc.disable()
    try:
        with handling(_exit_at_once):
            yield
    finally:
        gc.freeze()
        gc.enable()


def _exit_at_once(number: int, frame: FrameType | None = None) -> NoReturn:
    os.write(2, f"nlp-rnn: stopped by {signal.Signals(number).name}\n".encode())
    os._exit(128 + number)


def _report_thread(error: threading.ExceptHookArgs) -> None:
    if issubclass(error.exc_type, SystemExit):  # ended on purpose
        return
    if os.environ.get("NLP_RNN_DEBUG"):
        threading.__excepthook__(error)
    name = error.thread.name if error.thread is not None else "a thread"
    logging.getLogger(__name__).warning("%s ended: %s: %s", name, error.exc_type.__name__, error.exc_value)


def _ignore_ended_workers(error: sys.UnraisableHookArgs) -> None:
    """Report an error that Python cannot raise, unless it is that of an ended data worker.

    The loader finds and reports that one too.
    """
    if "DataLoader worker" not in str(error.exc_value):
        sys.__unraisablehook__(error)


def quiet() -> None:
    """Show the warnings of this package, and of libraries only those that a user can act on.

    An error that ends a thread of a library is one line too.
    """
    threading.excepthook = _report_thread
    sys.unraisablehook = _ignore_ended_workers
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine("%(levelname)s: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    quiet_libraries()
