"""`nlp-rnn predict MODEL [INPUT]`: answer each row of a table, or each line of a file, in order."""

from __future__ import annotations

import argparse

from nlp_rnn.cli.console import (
    add_column_arguments,
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    add_model_arguments(parser)
    parser.add_argument(
        "input",
        type=path_argument,
        nargs="?",
        default="-",
        help="table (.csv, .tsv, .json, .jsonl, .parquet; also compressed), or other file, or - for standard "
        "input (the default): one text per line; for models that read series, the rows of a table are steps, "
        "and a line is a series, as a JSON list",
    )
    parser.add_argument(
        "--output",
        type=path_argument,
        default="-",
        help="file, or - for standard output (the default); one that ends as a table is one; or, for a large "
        "table, a folder/ of Parquet files, with which the same command goes on after an interruption",
    )
    parser.add_argument(
        "--shard-rows", type=int, default=100_000, help="rows per file of a folder; default: 100,000"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per line, with scores")
    parser.add_argument("--scores", action="store_true", help="in a table, a column per class")
    add_column_arguments(parser, "text=review")
    parser.add_argument(
        "--conllu",
        action="store_true",
        help="write CoNLL-U, for taggers, from CoNLL-U or from text, one sentence per line; always so for an "
        "INPUT or OUTPUT that ends in .conllu",
    )
    parser.add_argument(
        "--words",
        action="store_true",
        help="for taggers: the text is words with spaces between them; do not split these, as raw text is",
    )
    parser.add_argument(
        "--unsure-below",
        type=float,
        metavar="P",
        help='the answer is "unsure" where no label is as probable as this; default: as trained',
    )
    parser.add_argument("--beam", type=int, help="beam width, where answers are text; default: as trained")
    parser.add_argument("--n-best", type=int, help="answers per input, with --json; default: as trained")
    parser.add_argument(
        "--copy-unknown",
        action=argparse.BooleanOptionalAction,
        help="for translation: copy words that the model does not know from the source; default: as trained",
    )
    parser.add_argument("--batch-size", type=int, default=64, help="inputs per batch; default: 64")
    add_ensemble_argument(parser)
    add_rerank_arguments(parser)
    add_device_arguments(parser)


def run(options: argparse.Namespace) -> None:
    """Write the answers."""
    with importing():
        from nlp_rnn.cpu import retain_freed_memory
        from nlp_rnn.inference.prediction import predict

    retain_freed_memory()
    predict(
        load_model(options),
        options.input,
        options.output,
        as_json=options.json,
        conllu=options.conllu or any(path.endswith(".conllu") for path in (options.input, options.output)),
        scores=options.scores,
        columns=column_arguments(options),
        file_columns=file_column_arguments(options),
        encoding=options.encoding,
        beam=options.beam,
        n_best=options.n_best,
        batch_size=options.batch_size,
        device=options.device,
        precision=options.precision,
        shard_rows=options.shard_rows,
        unsure_below=options.unsure_below,
        words=options.words,
        copy_unknown=options.copy_unknown,
    )
