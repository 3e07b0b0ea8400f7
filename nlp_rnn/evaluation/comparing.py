"""Compare trained models on the rows of a corpus: which is better, by how much, how surely, and where."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np

from nlp_rnn.data import Corpus
from nlp_rnn.data.batching import Batch
from nlp_rnn.data.rows import Rows
from nlp_rnn.data.types import Dataset
from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.evaluation.answers import AnswerRecord, record_answers
from nlp_rnn.evaluation.comparison import Comparison
from nlp_rnn.evaluation.measuring import name_split, read_split
from nlp_rnn.evaluation.paired_tests import PairedTests, Resampling, correct, mcnemar
from nlp_rnn.evaluation.row_states import RowStates, measure_rows
from nlp_rnn.files import standard_json
from nlp_rnn.settings import Range, check_value
from nlp_rnn.tasks.base import Task
from nlp_rnn.tasks.ensemble import load_models
from nlp_rnn.tasks.interface import Answers
from nlp_rnn.tasks.placement import in_precision, on_device

Examples = Annotated[int, Range(0, 1_000_000)]


class _Answered(NamedTuple):
    """What one model makes of the rows."""

    name: str
    states: RowStates
    records: list[AnswerRecord]
    """[N], in the order of the rows."""
    scores: np.ndarray
    """[N] float64: how good each answer is; NaN where that is undefined."""


def compare(
    models: Sequence[str | Path | Task | Sequence[str | Path | Task]],
    corpus: Corpus,
    split: str = "test",
    columns: Mapping[str, str] | None = None,
    beam: int | None = None,
    device: str = "cpu",
    precision: str = "fp32",
    resampling: Resampling = Resampling(),
    examples: int = 20,
    names: Sequence[str] | None = None,
    progress: Callable[[str, int, int], object] = lambda name, done, total: None,
) -> Comparison:
    """Compare models of one task on the same rows, all with the first one.

    The models read one row at a time: what each row adds to the metrics is kept, and all tests follow from
    it. They are tests over rows: they do not tell how much the same training varies from seed to seed.

    Args:
        models: at least two, as for `evaluate`: folders, checkpoints, hub ids, tasks, or lists of these that
            answer together.
        corpus: where the rows come from.
        split: as for `evaluate`.
        columns: as for `evaluate`.
        beam: width of the beam, for tasks that generate text; that of each model if left out.
        device: where to compute.
        precision: fp32 or bf16, of the weights and of the computation.
        resampling: how random numbers are drawn, and how many.
        examples: how many of the rows are listed on which a model loses most, and wins most.
        names: what the models are called; what they were loaded from if left out.
        progress: called after each row with the name of the model and the number of rows that are done, and
            of all.

    Returns:
        Metrics with intervals, differences with p-values, and rows.

    Raises:
        UsageError: a model or the corpus cannot be read, or the models are of several tasks or read different
            rows.

    Examples:
        >>> comparison = compare(["runs/a/latest/model", "runs/b/latest/model"], Corpus("builtin"))
        >>> print(comparison.table())
    """
    check_value(Examples, examples, "examples")
    if len(models) < 2:
        raise UsageError(f"{len(models)} model: a comparison needs at least two")
    names = list(names or map(_name, models, range(1, len(models) + 1)))
    tasks = [load_models(model) for model in models]
    for task, name in zip(tasks, names, strict=True):
        if task.name != tasks[0].name:
            raise UsageError(
                f"{name} is a model for {task.name}, and {names[0]} one for {tasks[0].name}: compare models "
                "of one task"
            )
    if beam is not None:
        tasks = [task.with_decoding(beam) for task in tasks]
    tasks = [in_precision(on_device(task.by_row(), device), precision).eval() for task in tasks]
    corpus, split = name_split(corpus, split)
    read = [read_split(task, corpus, split, columns or {}) for task in tasks]
    data, rows, note = read[0]
    for (others, _, _), name in zip(read[1:], names[1:], strict=True):
        _check_same(data, others, names[0], name)
    answered = [
        _answer(task, data, rows, name, progress)
        for task, (_, rows, _), name in zip(tasks, read, names, strict=True)
    ]
    block = tasks[0].dependent_rows if resampling.block is None else resampling.block
    resampling = replace(resampling, block=min(block, len(rows)))
    states = [model.states for model in answered]
    tests = PairedTests(states, resampling, () if _have_same_processor(tasks) else tasks[0].processor_metrics)
    pairs = [_pair(tasks, answered, tests, place, examples) for place in range(1, len(tasks))]
    _correct(pairs)
    return Comparison(
        standard_json(
            {
                "task": tasks[0].name,
                "data": corpus.path,
                "split": corpus.test_split or split,
                "rows": len(rows),
                **({"measured": note} if note else {}),
                "row_score": _row_score(tasks[0])[0],
                "resamples": resampling.resamples,
                "trials": resampling.trials,
                "level": resampling.level,
                "seed": resampling.seed,
                "block": resampling.block,
                "notes": _notes(tasks, names, resampling),
                "models": [
                    {"name": name, "metrics": tests.intervals(place)} for place, name in enumerate(names)
                ],
                "comparisons": pairs,
            }
        )
    )


def _name(model: Any, number: int) -> str:
    together = model if isinstance(model, (list, tuple)) else [model]
    if all(isinstance(member, (str, Path)) for member in together):
        return " + ".join(map(str, together))
    return f"model {number}"


def _check_same(rows: Dataset, others: Dataset, first: str, name: str) -> None:
    """Check that two models are asked the same.

    Raises:
        UsageError: they are not.
    """
    if sorted(rows.column_names) != sorted(others.column_names):
        columns = join_names(others.column_names), join_names(rows.column_names)
        raise UsageError(
            f"{name} reads the columns {columns[0]}, and {first} {columns[1]}: they need the same"
        )
    ours, theirs = (
        part.with_format("arrow").select_columns(sorted(rows.column_names))[:].combine_chunks()
        for part in (rows, others)
    )
    if ours.equals(theirs):
        return
    if len(ours) != len(theirs):
        what = f"{len(theirs):,} rows, and {first} {len(ours):,}"
    else:
        differing = next(n for n in range(len(ours)) if not ours.slice(n, 1).equals(theirs.slice(n, 1)))
        what = f"another row {differing + 1} than {first}"
    raise UsageError(
        f"{name} reads {what}: models are compared on the same rows, so they need the same columns, lengths "
        "of windows and drawn splits; give data with a test split of its own"
    )


def _answer(
    task: Task, data: Dataset, rows: Rows, name: str, progress: Callable[[str, int, int], object]
) -> _Answered:
    """Let a model answer all rows."""
    records: list[AnswerRecord] = []

    def observe(batch: Batch, answers: Answers | None) -> None:
        records.extend(record_answers(task, batch, answers, data, rows))
        progress(name, len(records), len(rows))

    states = measure_rows(task, rows, observe)
    records.sort(key=attrgetter("row"))
    if task.row_metric is not None:
        scores = states.of_each_row()[task.row_metric]
    else:
        scores = np.array([record.score for record in records], np.float64)  # None becomes NaN
    return _Answered(name, states, records, scores)


def _row_score(task: Task) -> tuple[str, bool]:
    """What the scores of rows are, and whether lower ones are better."""
    if task.row_metric is not None:
        return task.row_metric.replace("_", " "), task.row_metric in task.lower_is_better
    return (task.row_score.name, task.row_score.lower_is_better) if task.row_score else ("", False)


def _notes(tasks: Sequence[Task], names: Sequence[str], resampling: Resampling) -> list[str]:
    """What readers of the comparison should know."""
    notes = []
    first, *others = tasks
    if not _have_same_processor(tasks) and first.processor_metrics:
        names_of = join_names(sorted(first.processor_metrics))
        notes.append(
            f"{names_of} left out, for these models differ in vocabulary, scales or other data settings"
        )
    for task, name in zip(others, names[1:], strict=True):
        if task.metric_labels != first.metric_labels:
            notes.append(
                f"no approximate randomization with {name}, whose labels are not those of {names[0]}"
            )
    if (resampling.block or 1) > 1:
        notes.append(f"rows are drawn in blocks of {resampling.block}, for neighbors depend on each other")
    return notes


def _have_same_processor(tasks: Sequence[Task]) -> bool:
    return len({task.processor.fingerprint for task in tasks}) == 1


def _pair(
    tasks: Sequence[Task], answered: Sequence[_Answered], tests: PairedTests, place: int, examples: int
) -> dict[str, Any]:
    """The comparison of a model with the first one."""
    first, other = answered[0], answered[place]
    metrics = tests.differences(place, tasks[0].metric_labels == tasks[place].metric_labels)
    for name, entry in metrics.items():
        entry["lower_is_better"] = name in tasks[0].lower_is_better
    table = mcnemar(*([record.is_right for record in model.records] for model in (first, other)))
    return {
        "first": first.name,
        "other": other.name,
        "metrics": metrics,
        **({} if table is None else {"mcnemar": table}),
        **_rows_that_differ(tasks[0], first, other, examples),
    }


def _correct(pairs: Sequence[dict[str, Any]]) -> None:
    """Correct all p-values for the number of models that are compared with the first one."""
    for name in pairs[0]["metrics"]:
        entries = [pair["metrics"][name] for pair in pairs if name in pair["metrics"]]
        correct(entries, ("bootstrap_p", "randomization_p"))
    correct([pair["mcnemar"] for pair in pairs if "mcnemar" in pair], ("p",))


def _rows_that_differ(task: Task, first: _Answered, other: _Answered, examples: int) -> dict[str, Any]:
    """The rows on which a model is worse than the first one, and better, those that matter most first."""
    sign = -1 if _row_score(task)[1] else 1
    gain = np.nan_to_num(sign * (other.scores - first.scores))  # a score that is undefined is not compared
    pairs = list(zip(first.records, other.records, strict=True))
    flips = np.array([bool(two.is_right) - bool(one.is_right) for one, two in pairs])
    # Rows that only one answers rightly come first, then the others, each by score.
    worse = [row for row in np.lexsort((gain, flips)) if (flips[row], gain[row]) < (0, 0)]
    better = [row for row in np.lexsort((-gain, -flips)) if (flips[row], gain[row]) > (0, 0)]

    def listed(rows: Sequence[int]) -> list[dict[str, Any]]:
        return [
            {
                "row": one.row,
                "input": one.input,
                "reference": one.reference,
                "first_answer": one.text,
                "other_answer": two.text,
                "first_score": float(first.scores[one.row]),
                "other_score": float(other.scores[one.row]),
            }
            for one, two in (pairs[row] for row in rows[:examples])
        ]

    return {
        "worse": len(worse),
        "better": len(better),
        "regressions": listed(worse),
        "improvements": listed(better),
    }
