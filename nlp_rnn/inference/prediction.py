"""Prediction over files and standard input: tables, lines and CoNLL-U, in bounded memory."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Annotated, BinaryIO, Literal, TypeVar, cast

from nlp_rnn.data.corpus.conllu import (
    block_words,
    check_field,
    conllu_blocks,
    conllu_fields,
    is_conllu,
    replace_tags,
)
from nlp_rnn.data.corpus.text import ARCHIVES, data_suffix, decompressed_name, read_blocks, stream_lines
from nlp_rnn.data.corpus.validation import UNTAGGED
from nlp_rnn.errors import UsageError
from nlp_rnn.files import check_not_read, open_bytes
from nlp_rnn.inference.pipelines import pipeline
from nlp_rnn.inference.series_tables import answer_series
from nlp_rnn.inference.shards import answer_in_shards
from nlp_rnn.inference.table_formats import LinesInput
from nlp_rnn.inference.table_input import TABLE_SUFFIXES
from nlp_rnn.inference.table_output import open_text, output_format
from nlp_rnn.inference.tables import answer_table, read_table
from nlp_rnn.lite.lines import Arriving, answer_lines, decoded_lines, parse_line, stripped_lines
from nlp_rnn.lite.pipelines import BasePipeline
from nlp_rnn.lite.text.notices import collect_warnings
from nlp_rnn.settings import Range, check_value
from nlp_rnn.tasks.base import Task
from nlp_rnn.tasks.ensemble import load_models

log = logging.getLogger(__name__)

_ShardRows = Annotated[int, Range(1, 10**9)]
T = TypeVar("T")


def predict(
    model: str | Path | Task | Sequence[str | Path | Task],
    source: str = "-",
    output: str = "-",
    as_json: bool = False,
    conllu: bool = False,
    scores: bool = False,
    columns: Mapping[str, str] | None = None,
    file_columns: Sequence[str] | None = None,
    encoding: str | None = None,
    beam: int | None = None,
    n_best: int | None = None,
    batch_size: int = 64,
    device: str = "cpu",
    precision: Literal["fp32", "bf16"] = "fp32",
    shard_rows: int = 100_000,
    unsure_below: float | None = None,
    words: bool = False,
    copy_unknown: bool | None = None,
) -> None:
    """Answer each row of a table, or each line of a file, in order and in bounded memory.

    A file that ends in .csv, .tsv, .json, .jsonl or .parquet is a table, compressed or not. All columns of a
    table are kept, and the answers are columns beside them. For models that read series, the rows of a table
    are steps, see `nlp_rnn.inference.series_tables`; a .jsonl file of lists is lines of numbers.

    Args:
        model: a model folder, a checkpoint or a hub id, as for `from_pretrained`; a loaded task; or a list of
            these, which answer together, see `nlp_rnn.tasks.ensemble`.
        source: a file, or - for standard input: a table, one input per line, or CoNLL-U.
        output: a file, which appears when it is complete, or - for standard output. Its ending says whether
            it is a table, and of which format. For a large table, a folder (an existing one, or a name that
            ends in "/"), which gets Parquet files: see `nlp_rnn.inference.shards`.
        as_json: write one JSON object per row of a table; for lines, one per answer, with all scores, rather
            than the bare answer.
        conllu: write CoNLL-U. Of a source that is CoNLL-U only the columns that the model predicts are
            changed; one that is raw text becomes a sentence per line, and blank lines are left out.
        scores: write the probability of each class too, in a table.
        columns: names of the columns of a table that the model reads, such as {"text": "review"}, where they
            are others than in training; for translation, also of `prefix` and `constraints`.
        file_columns: names of the columns of a table without a header, in their order.
        encoding: encoding of a table; UTF-8, or as in training, if left out.
        beam: width of the beam, for tasks that generate text; the width set in training if left out.
        n_best: answers per input, at most `beam`, as set in training if left out; of lines, all but the best
            are written with `as_json` alone.
        batch_size: maximum number of inputs per batch.
        device: where to compute.
        precision: fp32 or bf16, see `nlp_rnn.pipeline`.
        shard_rows: the rows of a file, where the output is a folder.
        unsure_below: the probability below which the answer is "unsure", see `nlp_rnn.pipeline`.
        words: for taggers, take a text as words with white space between them, rather than as raw text.
        copy_unknown: for translation, whether to copy unknown words from the source; as trained if left out.

    Raises:
        UsageError: the model or the source cannot be read; a line is not an input, with its number; or
            settings contradict each other.
    """
    if as_json and conllu:
        raise UsageError("JSON or CoNLL-U: choose one")
    task = load_models(model)
    if words:
        task.take_words()
    if conllu and not task.conllu_columns:
        raise UsageError(f"CoNLL-U is for taggers; the model is for {task.name}")
    if conllu and _is_table(source):
        raise UsageError(f"{source}: is a table; CoNLL-U can be made of text, one sentence per line")
    steps = task.step_rows()
    has_columns = bool(task.processor.input_columns or (steps and not _holds_lists(source)))
    reads_table = not conllu and has_columns and _is_table(source)
    writes_table = reads_table or (not conllu and not as_json and _is_table(output))
    if not reads_table and (columns or file_columns or encoding):
        raise UsageError(
            f"--columns, --file-columns and --encoding are for tables ({', '.join(TABLE_SUFFIXES)}); "
            f"{source} is read line by line"
        )
    if scores and not writes_table:
        raise UsageError("--scores adds columns to a table: give a table, an --output that is one, or --json")
    if (n_best or 1) > 1 and not as_json and not writes_table:
        raise UsageError("several answers per input (--n-best) can be written only as JSON: add --json")
    in_shards = output.endswith("/") or Path(output).is_dir()
    if in_shards and (not reads_table or as_json):
        raise UsageError(
            f"--output {output}: is a directory; give a file, for only tables are written as Parquet"
        )
    if in_shards and steps:
        raise UsageError(f"--output {output}: is a directory; for a model that reads series, give a file")
    models = [model] if isinstance(model, (str, Path, Task)) else model
    for read in (source, *(one for one in models if not isinstance(one, Task))):
        check_not_read(output, read, "--output")
    check_value(_ShardRows, shard_rows, "--shard-rows")
    answerer = pipeline(
        task.name, task, batch_size, device, beam, n_best, precision, unsure_below, copy_unknown
    )
    with collect_warnings():
        if in_shards:
            table = read_table(task, Path(source), columns, file_columns, encoding)
            settings = {"beam": beam, "n_best": n_best, "precision": precision, "unsure_below": unsure_below}
            settings |= {"words": True} if words else {}
            settings |= {} if copy_unknown is None else {"copy_unknown": copy_unknown}
            answer_in_shards(answerer, table, Path(output), shard_rows, scores, settings)
        elif reads_table:
            suffix = output_format(output, data_suffix(Path(source)), as_json)
            table = read_table(task, Path(source), columns, file_columns, encoding)
            if steps is None:
                answer_table(answerer, table, output, suffix, scores)
            else:
                answer_series(answerer, steps, table, output, suffix, scores)
        elif writes_table:
            _write_lines_as_table(answerer, source, output, scores)
        else:
            _write_text(answerer, source, output, as_json, conllu)


def _is_table(path: str) -> bool:
    return path != "-" and data_suffix(Path(path)) in TABLE_SUFFIXES


def _holds_lists(path: str) -> bool:
    """Whether a file is JSON lines of lists, which are series and no rows of a table."""
    if data_suffix(Path(path)) != ".jsonl":
        return False
    return next(filter(None, map(str.strip, stream_lines(Path(path)))), "").startswith("[")


def _write_lines_as_table(answerer: BasePipeline, source: str, output: str, scores: bool) -> None:
    with _open_source(source) as stream:
        name = "standard input" if source == "-" else source
        column = next(iter(answerer.task.processor.input_columns), "input")
        lines = stripped_lines(decoded_lines(Arriving(stream), name))
        table = LinesInput(Path(name), column, lines)
        answer_table(answerer, table, output, output_format(output, ".jsonl"), scores)


def _write_text(answerer: BasePipeline, source: str, output: str, as_json: bool, conllu: bool) -> None:
    with _open_source(source) as stream, open_text(output) as file:
        name = "standard input" if source == "-" else source
        arriving = Arriving(stream)
        lines = decoded_lines(arriving, name)
        if conllu:
            beginning = _beginning(lines)
            lines = chain(beginning, lines)
            is_read = data_suffix(Path(source)) == ".conllu" or is_conllu(beginning)
            fields = conllu_fields(beginning[0] if beginning and is_read else "", name)
            for column in answerer.task.conllu_columns:
                check_field(column, fields, name)
            if is_read:
                blocks = conllu_blocks(lines, name, fields)
            else:
                blocks = filter(None, map(answerer.task.conllu_block, stripped_lines(lines)))
            answers = (_tagged_blocks(answerer, chunk, fields) for chunk in arriving.chunks(blocks, answerer))
        else:
            numbered = enumerate(stripped_lines(lines), 1)
            inputs = (
                parse_line(answerer.task.processor, line, f"{name}, line {number}")
                for number, line in numbered
            )
            answers = (answer_lines(answerer, chunk, as_json) for chunk in arriving.chunks(inputs, answerer))
        for texts in answers:
            for text in texts:
                file.write(text)
            file.flush()


class _Decompressed:
    """A compressed file, which gives its bytes block by block."""

    def __init__(self, path: Path) -> None:
        self._blocks = read_blocks(path)

    def read1(self, size: int) -> bytes:
        return next(self._blocks, b"")

    def fileno(self) -> int:
        raise OSError("a compressed file has no bytes of its own")


def _beginning(lines: Iterator[str]) -> list[str]:
    """The first lines, up to one that is neither blank nor a comment of CoNLL-U."""
    beginning: list[str] = []
    for line in lines:
        beginning.append(line)
        if line.removeprefix("\ufeff").strip() and not line.removeprefix("\ufeff").startswith("#"):
            break
    return beginning


def _tagged_blocks(answerer: BasePipeline, blocks: list[str], fields: Sequence[str]) -> Iterator[str]:
    words = [block_words(block, fields) for block in blocks]
    for block, sentence, answer in zip(blocks, words, answerer(words), strict=True):
        tags = {column: answer[key] for column, key in answerer.task.conllu_columns.items()}
        # Words beyond the model's maximum length stay untagged.
        whole = {column: row + [UNTAGGED] * (len(sentence) - len(row)) for column, row in tags.items()}
        yield replace_tags(block, whole, fields)


@contextmanager
def _open_source(source: str) -> Iterator[BinaryIO]:
    if source == "-":
        yield sys.stdin.buffer
    else:
        path = Path(source)
        if decompressed_name(path) != Path(path.name) or path.suffix.lower() in ARCHIVES:
            yield cast(BinaryIO, _Decompressed(path))
            return
        with open_bytes(path) as file:
            yield file
