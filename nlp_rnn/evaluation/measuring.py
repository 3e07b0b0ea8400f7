"""Evaluate a trained model on a corpus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch

from nlp_rnn.cpu import fast_matmul
from nlp_rnn.data import Batching, Corpus
from nlp_rnn.data.batching import BatchSize
from nlp_rnn.data.builtin.corpora import EXAMPLES
from nlp_rnn.data.corpus.columns import MissingColumnError
from nlp_rnn.data.corpus.reading import ALL
from nlp_rnn.data.corpus.splits import SPLITS
from nlp_rnn.data.encoding import encode
from nlp_rnn.data.labels import UnknownLabelError
from nlp_rnn.data.rows import Rows
from nlp_rnn.data.types import Dataset
from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.evaluation.answers import AnswerRecord, record_answers
from nlp_rnn.evaluation.report import Report
from nlp_rnn.files import standard_json
from nlp_rnn.plots.figure import save
from nlp_rnn.settings import check_value, column_settings
from nlp_rnn.storage.results import Measured, corpus_settings, current_versions, overall, signatures
from nlp_rnn.tasks.base import Task
from nlp_rnn.tasks.ensemble import load_models
from nlp_rnn.tasks.interface import EncodedSplit
from nlp_rnn.tasks.placement import in_precision, on_device

_MAX_TRAIN = 50_000  # rows that baselines learn from
_MAX_TOKENS = 1 << 16  # of a batch of whole rows of running text, which may be long


@torch.no_grad()
@fast_matmul()
def evaluate(
    model: str | Path | Task | Sequence[str | Path | Task],
    corpus: Corpus,
    split: str = "test",
    columns: Mapping[str, str] | None = None,
    batch_size: int = 256,
    beam: int | None = None,
    device: str = "cpu",
    plots: Path | None = None,
    precision: str = "fp32",
    copy_unknown: bool | None = None,
    answers: bool = False,
    baselines: bool = False,
) -> Report:
    """Evaluate a model on one split of a corpus.

    Args:
        model: a model folder, a checkpoint or a hub id, as for `from_pretrained`; a loaded task; or a list of
            these, which answer together, see `nlp_rnn.tasks.ensemble`.
        corpus: where the rows come from; they are encoded with the model's vocabulary.
        split: train, validation or test, or the corpus's own name of a split. Of data from which training
            drew its splits, the rows of that split alone are measured; all stands for all rows of one table.
        columns: names of the columns, where they differ from those that the model was trained with: arguments
            of the task's DataModule, such as {"source": "de", "target": "en"}. Columns and encoding that were
            stated for its files are the model's too, unless the corpus states its own.
        batch_size: maximum number of rows per batch; the results do not depend on it.
        beam: width of the beam, for tasks that generate text; the width set in training if left out.
        device: where to compute.
        plots: the folder for plots, such as the confusion matrix; no plots if left out.
        precision: fp32 or bf16, of the weights and of the computation.
        copy_unknown: for translation, whether to copy unknown words from the source; as trained if left out.
        answers: whether the report has a record of each answer too, made in the same pass over the data; of
            running text, in a second one that reads each row by itself.
        baselines: whether the report has the metrics of the task's baselines too, which learn from the train
            split of the corpus, if it has one.

    Returns:
        The metrics and tables of the task.

    Raises:
        UsageError: the model or the corpus cannot be read, or they are for different tasks, or a setting is
            out of range.

    Examples:
        >>> report = evaluate("runs/sentiment_builtin/latest/model", Corpus("builtin"))
        >>> report.results["accuracy"]
    """
    check_value(BatchSize, batch_size, "batch size")
    chosen = {
        "columns": dict(columns or {}),
        "beam": beam,
        "copy_unknown": copy_unknown,
        "precision": None if precision == "fp32" else precision,
    }
    batching = Batching(size=batch_size)
    task = load_models(model)
    if (beam, copy_unknown) != (None, None):
        task = task.with_decoding(beam, copy_unknown=copy_unknown)
    corpus, split = name_split(corpus, split)
    dataset, rows, note = read_split(task, corpus, split, columns or {})
    task = in_precision(on_device(task, device), precision).eval()
    metrics = task.metrics("test")
    for metric in metrics.values():
        metric.reset()
    records: list[AnswerRecord] = []
    single = task.by_row()  # another task than this one if it reads rows as running text
    for batch in task.processor.loader(rows, batching):
        moved = batch.to(device)
        made = task.update_metrics(moved, metrics)
        if answers and single is task:
            records += record_answers(task, moved, made, dataset, rows)
    report: dict[str, Any] = {
        "task": task.name,
        **({"models": len(task.members)} if task.members else {}),
        "data": corpus.path,
        "split": corpus.test_split or split,
        "rows": len(rows),
        **({"measured": note} if note else {}),
    }
    # The F1 of each class is in a table of the report.
    results = {
        name: value for name, value in task.compute_metrics(metrics).items() if not name.startswith("f1_")
    }
    report |= results | task.report_tables(metrics)
    if baselines:
        train = read_train(task, corpus, columns or {})
        reached = task.baselines(EncodedSplit(dataset, rows), train)
        shared = [name for name in results if any(name in baseline.results for baseline in reached)]
        report["baselines"] = [
            {"baseline": name, **{metric: figures.get(metric) for metric in shared}}
            for name, figures in reached
        ]
    if plots is not None:
        for name, figure in task.plots(report).items():
            save(figure, plots / f"{name}.png")
    if answers and single is not task:
        records = _answer_singly(single, dataset, batching)
    stated = overall(results)
    measured = Measured(
        corpus_settings(corpus),
        split,
        len(rows),
        rows.content_hash(),
        stated,
        signatures(metrics, stated),
        {name: value for name, value in chosen.items() if value not in (None, {})},
        versions=current_versions(),
    )
    return Report(standard_json(report), measured, sorted(records, key=attrgetter("row")), [*results])


def _answer_singly(task: Task, dataset: Dataset, batching: Batching) -> list[AnswerRecord]:
    """The records of rows that are read each by itself, where the metrics are of running text."""
    rows = Rows(encode(dataset, task.processor))
    batching = replace(batching, max_tokens=_MAX_TOKENS)
    metrics = task.metrics("test")
    return [
        record
        for batch in task.processor.loader(rows, batching)
        for moved in [batch.to(task.device)]
        for record in record_answers(task, moved, task.update_metrics(moved, metrics), dataset, rows)
    ]


def name_split(corpus: Corpus, split: str) -> tuple[Corpus, str]:
    """The corpus and its split as `read_split` takes them, from a split that may have a name of its own."""
    if split not in (*SPLITS, ALL) and corpus.path not in EXAMPLES:
        return replace(corpus, test_split=split), "test"
    return corpus, split


def read_split(
    task: Task, corpus: Corpus, split: str, columns: Mapping[str, str]
) -> tuple[Dataset, Rows, str]:
    """Read the rows of a split as a model reads them.

    Their columns are called as in training, unless they are named.

    Args:
        task: the model.
        corpus: where the rows come from.
        split: train, validation, test or all, see `name_split`.
        columns: names of columns, see `evaluate`.

    Returns:
        The canonical columns; the rows, encoded; and which rows these are if they are a part of the
        training's data.

    Raises:
        UsageError: they cannot be read, or are not for this model.
    """
    data_class: Any = task.data_classes()[0]
    column_names = column_settings(data_class)
    for name in columns:
        if name not in column_names:
            raise UsageError(
                f"a {task.name} corpus has no column {name!r}; its columns are {', '.join(column_names)}"
            )
    remembered = {name: value for name, value in task.data_columns.items() if name not in columns}
    stated = remembered.pop("corpus", {})
    stated = {name: value for name, value in stated.items() if getattr(corpus, name) is None}

    def read(names: Mapping[str, Any]) -> tuple[Dataset, str]:
        arguments = {**task.processor.data_settings(), **names, **columns}
        data = data_class(replace(corpus, **stated), **arguments)
        data.check(task.processor)
        measured: tuple[Dataset, str] = data.load_measured(split, task.drawn)
        return measured

    try:
        try:
            rows, note = read(remembered)
        except MissingColumnError as error:
            if corpus.path in EXAMPLES:  # whose columns are known
                rows, note = read({})
            else:
                raise UsageError(f"{error}; {_trained_with(remembered)}") from None
        return rows, Rows(encode(rows, task.processor)), note
    except UnknownLabelError as error:
        raise UsageError(f"{corpus.path}, {error}") from None


def read_train(task: Task, corpus: Corpus, columns: Mapping[str, str]) -> EncodedSplit | None:
    """Read the rows of train that baselines may learn from, at most 50,000 of them.

    Args:
        task: a model, by which the rows are encoded.
        corpus: of which a split is measured.
        columns: names of the columns.

    Returns:
        The rows; None if the corpus has no train split, or is one table of which nobody knows which rows are
        train, so that baselines would learn what they are measured on.
    """
    try:
        drawn = replace(corpus, max_examples=_MAX_TRAIN)
        dataset, rows, note = read_split(task, drawn, "train", columns)
    except UsageError:
        return None
    return EncodedSplit(dataset, rows) if note or not corpus.is_one_table else None


def _trained_with(columns: Mapping[str, Any]) -> str:
    """What to do where a column is missing."""
    named = {name: value if isinstance(value, str) else ",".join(value) for name, value in columns.items()}
    names = join_names(f"{name}={value}" for name, value in named.items() if value)
    remedy = "name the columns with --columns NAME=COLUMN"
    return f"the model was trained with {names}; if they have other names here, {remedy}" if names else remedy
