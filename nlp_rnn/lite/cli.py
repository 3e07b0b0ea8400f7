"""`nlp-rnn-lite VERB ...`: answer a file or over HTTP, without torch."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn, TextIO

from .errors import Interrupted, RunError, UsageError, one_line
from .files import cannot_write, check_not_read, discard_output, open_bytes, temporary_beside
from .text.notices import collect_warnings

if TYPE_CHECKING:
    from .pipelines import Pipeline

_PROGRAM = "nlp-rnn-lite"
_TABLES = (".csv", ".tsv", ".jsonl")
_OTHER_FILES = (".json", ".parquet", ".conllu", ".gz", ".bz2", ".xz", ".zst", ".zip")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see `nlp-rnn-lite --help`.

    Exits with 2 for what the user can fix, with 1 for an error while running, with 130 for SIGINT (Ctrl-C),
    and with 143 for SIGTERM, each in one line.

    Args:
        arguments: those of the process if left out.
    """
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # whatever the locale
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")
    try:
        options = _parser().parse_args(arguments)
        _VERBS[options.verb](options)
    except UsageError as error:
        _leave(error, 2)
    except Interrupted as stop:
        print(f"{_PROGRAM}: stopped by {signal.Signals(stop.number).name}", file=sys.stderr)
        sys.exit(128 + stop.number)
    except KeyboardInterrupt:
        print(f"{_PROGRAM}: stopped by SIGINT", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader of the output has closed it
        discard_output()
        sys.exit(1)
    except (RunError, OSError, MemoryError) as error:
        _leave(error if str(error) else "out of memory", 1)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        _leave(f"{message}; {self.prog} --help lists the options", 2)


class _Version(argparse.Action):
    """Prints the version of the wheel; it is looked up only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib.metadata import version

        name = "nlp-rnn-lite" if __package__ == "nlp_rnn_lite" else "nlp-rnn"
        print(f"{_PROGRAM} {version(name)}")
        parser.exit()


def _leave(message: object, code: int) -> NoReturn:
    print(f"{_PROGRAM}: error: {one_line(message)}", file=sys.stderr)
    sys.exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog=_PROGRAM, description="Answer with trained models, without torch.")
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    predict = verbs.add_parser("predict", help="answer each line of a file, or each row of a table")
    add = predict.add_argument
    add("model", help="model folder")
    add(
        "input",
        nargs="?",
        default="-",
        help="file, or - for standard input (the default): one text per line; for models that read numbers, "
        "one JSON list per line; or a table (.csv, .tsv, .jsonl)",
    )
    add("--output", default="-", help="file, or - for standard output (the default)")
    add("--json", action="store_true", help="of lines, one JSON object per answer, with scores")
    add(
        "--columns",
        nargs="+",
        default=[],
        metavar="NAME=COLUMN",
        help="names of columns, such as text=review; default: as trained",
    )
    add("--words", action="store_true", help="for taggers: the text is words with spaces between them")
    add("--unsure-below", type=float, metavar="P", help='answer "unsure" where no label is as probable')
    add("--beam", type=int, help="beam width, where answers are text; default: as trained")
    add("--n-best", type=int, help="answers per input, with --json; default: as trained")
    add("--copy-unknown", action=argparse.BooleanOptionalAction, help="for translation: copy unknown words")
    add("--engine", choices=["numpy", "onnx"], help=_ENGINE_HELP)
    add("--batch-size", type=int, default=64, help="inputs per batch; default: 64")
    from .serving.options import add_arguments

    serve = verbs.add_parser("serve", help="answer over HTTP, with JSON in and out")
    add_arguments(serve)
    serve.add_argument("--engine", choices=["numpy", "onnx"], help=_ENGINE_HELP)
    return parser


def _serve(options: argparse.Namespace) -> None:
    from .serving.options import serve_with

    # The steps of recurrent layers are too small for threads.
    serve_with(options, partial(_load_pipeline, options.engine, options.max_batch), lambda cores: 1)


def _load_pipeline(engine: str | None, batch_size: int, folder: str) -> Pipeline:
    from .loading import load
    from .pipelines import Pipeline

    return Pipeline(load(folder, engine), batch_size)


@contextmanager
def _ending_at_sigterm() -> Iterator[None]:
    """SIGTERM becomes an exception, so that no unfinished file is left."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise Interrupted(number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@_ending_at_sigterm()
def _predict(options: argparse.Namespace) -> None:
    suffix, ending = (Path(path).suffix.lower() for path in (options.input, options.output))
    _refuse(options, suffix)
    # The steps of recurrent layers are too small for threads. NumPy would start some, which takes as long as
    # a short answer.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from .loading import load
    from .pipelines import pipeline

    task = load(options.model, options.engine)
    if options.words:
        task.take_words()
    answerer = pipeline(
        task.name,
        task,
        options.batch_size,
        options.beam,
        options.n_best,
        options.unsure_below,
        options.copy_unknown,
    )
    if suffix in _TABLES and task.columns:
        from .tables import answer_table

        named = named_columns(options.columns)
        written = ending if ending in _TABLES else ".jsonl" if options.json else suffix
        with collect_warnings(), _output(options.output) as file:
            answer_table(answerer, Path(options.input), file, written, named)
        return
    if options.columns:
        raise UsageError(f"--columns is for tables ({', '.join(_TABLES)}); {options.input} is read by lines")
    if ending in _TABLES and ending != ".jsonl":
        raise UsageError(f"--output {options.output}: a table is written of a table; the input is lines")
    with collect_warnings(), _output(options.output) as file:
        _answer_lines(answerer, options.input, file, options.json)


def _answer_lines(answerer: Pipeline, source: str, file: TextIO, as_json: bool) -> None:
    from .lines import Arriving, answer_lines, decoded_lines, parse_line, stripped_lines

    name = "standard input" if source == "-" else source
    with ExitStack() as opened:
        stream = sys.stdin.buffer if source == "-" else opened.enter_context(open_bytes(source))
        arriving = Arriving(stream)
        numbered = enumerate(stripped_lines(decoded_lines(arriving, name)), 1)
        reader = answerer.task.processor
        inputs = (parse_line(reader, line, f"{name}, line {number}") for number, line in numbered)
        for chunk in arriving.chunks(inputs, answerer):
            for text in answer_lines(answerer, chunk, as_json):
                file.write(text)
            file.flush()


def _refuse(options: argparse.Namespace, suffix: str) -> None:
    """Refuse what only the whole package does, and what cannot be written.

    Raises:
        UsageError: says what.
    """
    for path in (options.input, options.output):
        if Path(path).suffix.lower() in _OTHER_FILES:
            raise UsageError(f"{path}: such a file needs the whole package: answer with nlp-rnn predict")
    if options.output != "-" and (options.output.endswith("/") or Path(options.output).is_dir()):
        raise UsageError(f"--output {options.output}: is a directory; give a file")
    for read in (options.input, options.model):
        check_not_read(options.output, read, "--output")
    if (options.n_best or 1) > 1 and not options.json and suffix not in _TABLES:
        raise UsageError("several answers per input (--n-best) can be written only as JSON: add --json")


def named_columns(pairs: Sequence[str]) -> dict[str, str]:
    """The value of `--columns`.

    Raises:
        UsageError: a part of it is not NAME=COLUMN, or a name is there twice.
    """
    columns: dict[str, str] = {}
    for pair in pairs:
        name, equals, column = pair.partition("=")
        if not equals:
            raise UsageError(f"--columns {pair}: give NAME=COLUMN, such as text=review")
        if name in columns:
            raise UsageError(f"--columns {pair}: {name} is {columns[name]!r} already; name it once")
        columns[name] = column
    return columns


@contextmanager
def _output(path: str) -> Iterator[TextIO]:
    """Standard output, or a file that appears when it is complete."""
    if path == "-":
        try:
            yield sys.stdout
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            discard_output()
            raise cannot_write("standard output", error) from error
        return
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():  # a pipe or a device
        with target.open("w", encoding="utf-8", newline="") as file:
            yield file
        return
    try:
        with temporary_beside(target) as temporary:
            with temporary.open("w", encoding="utf-8", newline="") as file:
                yield file
            os.replace(temporary, target)
    except OSError as error:
        raise cannot_write(path, error) from error


_ENGINE_HELP = "what computes; default: by what the folder holds"
_VERBS = {"predict": _predict, "serve": _serve}
