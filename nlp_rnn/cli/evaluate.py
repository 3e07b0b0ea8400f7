"""`nlp-rnn evaluate MODEL... --data CORPUS`: measure a trained model, or several together, on a corpus."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from nlp_rnn.cli.console import (
    add_corpus_arguments,
    add_device_arguments,
    add_ensemble_argument,
    add_model_arguments,
    add_rerank_arguments,
    column_arguments,
    file_column_arguments,
    importing,
    load_model,
    path_argument,
)
from nlp_rnn.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    add_model_arguments(parser)
    parser.add_argument(
        "others",
        nargs="*",
        type=path_argument,
        metavar="MODEL",
        help="further models, as those of --ensemble",
    )
    add_corpus_arguments(parser)
    parser.add_argument("--batch-size", type=int, default=256, help="rows per batch; default: 256")
    parser.add_argument("--beam", type=int, help="beam width, where answers are text; default: as trained")
    parser.add_argument(
        "--copy-unknown",
        action=argparse.BooleanOptionalAction,
        help="for translation: copy words that the model does not know from the source; default: as trained",
    )
    add_ensemble_argument(parser)
    add_rerank_arguments(parser)
    add_device_arguments(parser)
    parser.add_argument("--max-examples", type=int, help="maximum number of rows, drawn at random")
    parser.add_argument(
        "--output",
        type=path_argument,
        help="folder to write report.html, report.json, answers.parquet and plots to",
    )
    parser.add_argument(
        "--card",
        action="store_true",
        help="state the metrics in the card (README.md) of the model folder too",
    )


def run(options: argparse.Namespace) -> None:
    """Print the report: a table on standard error, JSON on standard output."""
    with importing():
        from nlp_rnn.cpu import retain_freed_memory
        from nlp_rnn.data import Corpus
        from nlp_rnn.evaluation.answers import write_answers
        from nlp_rnn.evaluation.html_report import write_report
        from nlp_rnn.evaluation.measuring import evaluate
        from nlp_rnn.files import atomic_write, check_not_read, check_writable, printed, printing
        from nlp_rnn.storage.card_edit import add_result

    retain_freed_memory()
    columns = column_arguments(options)
    output = None if options.output is None else Path(options.output)
    if output is not None:
        check_writable(output, "--output")
        for name in ("report.json", "report.html", "answers.parquet"):
            check_not_read(output / name, options.data, "--output")
    options.ensemble = [*options.others, *options.ensemble]
    if options.card and options.rerank is not None:
        raise UsageError("--card: the card is of one model; leave it out, or --rerank")
    if options.card and options.ensemble:
        raise UsageError("--card: an ensemble has no card; leave it out, or give one model")
    if options.card and not Path(options.model).expanduser().is_dir():
        raise UsageError(f"--card: {options.model} is not a model folder, which alone has a card to write to")
    task = load_model(options)
    report = evaluate(
        task,
        Corpus(
            options.data,
            config=options.config_name,
            revision=options.revision,
            max_examples=options.max_examples,
            columns=file_column_arguments(options),
            encoding=options.encoding,
        ),
        split=options.split,
        columns=columns,
        batch_size=options.batch_size,
        beam=options.beam,
        device=options.device,
        precision=options.precision,
        plots=output,
        copy_unknown=options.copy_unknown,
        answers=output is not None,
        baselines=output is not None,
    )
    if options.card and report.measured is not None:
        add_result(options.model, replace(report.measured, command=options.command))
    text = report.json()
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)  # there may be no plots
        with atomic_write(output / "report.json") as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
        write_answers(task, report.answers, output / "answers.parquet")
        write_report(task, report, output / "report.html")
    print(report.table(), file=sys.stderr)
    with printing():
        print(printed(text))
