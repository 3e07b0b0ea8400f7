"""The report of an evaluation as a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nlp_rnn.errors import join_names
from nlp_rnn.evaluation import breakdown
from nlp_rnn.evaluation.answers import AnswerRecord
from nlp_rnn.evaluation.page import Fraction, Picture, Section, Table, write_page
from nlp_rnn.evaluation.report import Report
from nlp_rnn.plots.figure import png
from nlp_rnn.plots.reliability import reliability_figure
from nlp_rnn.storage.results import hub_dataset
from nlp_rnn.tasks.base import Task
from nlp_rnn.tasks.interface import TextPair

_ELSEWHERE = {"baselines", "reliability", "coverage"}  # tables that have a section of their own
_PLOTS_ELSEWHERE = {"reliability"}


def write_report(task: Task, report: Report, out: Path) -> None:
    """Write a report with records of answers as a page, completely or not at all.

    Args:
        task: the model that was measured.
        report: of `evaluate` with `answers` and `baselines`.
        out: the HTML file.
    """
    results = report.results
    models = f"{results['models']} models together" if "models" in results else "a model"
    rows = results.get("measured", f"{results['rows']:,} row{'s' * (results['rows'] != 1)}")
    # Not the folders that a local corpus is in, for the page is handed on.
    data = hub_dataset(results["data"]) or Path(results["data"]).name
    summary = f"What {models} for {task.name} answered to {rows} of {data}, {results['split']}."
    if task.by_row() is not task:
        summary += " The results are for running text; below them are single rows, each read by itself."
    sections = [
        _overview(task, report),
        *_tables(task, report),
        *_groups(task, report),
        *_lists(task, report),
        *_calibration(report),
        *_findings(task, report),
    ]
    write_page(out, f"Evaluation: {task.name} on {data}", summary, sections)


def _overview(task: Task, report: Report) -> Section:
    """Each metric of the model, beside those of the baselines."""
    results = report.results
    baselines = {row["baseline"]: row for row in results.get("baselines", ())}
    metrics = {name: value for name, value in results.items() if isinstance(value, float) or (value is None)}
    rows = [
        {
            "metric": name.replace("_", " "),
            "model": value,
            **{baseline: row.get(name) for baseline, row in baselines.items()},
            "better": _better(task, name) if name in report.metrics else "",
        }
        for name, value in metrics.items()
        if name != "calibration_error"
    ]
    better = [
        f"{baseline} in {name.replace('_', ' ')}"
        for baseline, row in baselines.items()
        for name, value in metrics.items()
        if _is_better(row.get(name), value, _better(task, name) == "lower")
    ]
    if not baselines:
        text = "No baseline: the data has no train split to learn one from. Name the data of the training."
    elif better:
        text = f"Better than the model, or as good: {join_names(better)}."
    else:
        text = "The model is better than each baseline in every metric that they share."
    return Section("Results", text, [Table(rows)])


def _better(task: Task, name: str) -> str:
    return "lower" if name in task.lower_is_better else "higher"


def _is_better(one: float | None, other: float | None, lower: bool) -> bool:
    if one is None or other is None:
        return False
    return one <= other if lower else one >= other


def _tables(task: Task, report: Report) -> list[Section]:
    """The tables and plots of the task."""
    tables = [
        Table(
            [{key.replace("_", " "): _percent(key, cell) for key, cell in row.items()} for row in value],
            name.replace("_", " "),
        )
        for name, value in report.results.items()
        if name not in _ELSEWHERE and isinstance(value, list) and value and isinstance(value[0], dict)
    ]
    pictures = [
        Picture(png(figure, name), name.replace("_", " "))
        for name, figure in task.plots(report.results).items()
        if name not in _PLOTS_ELSEWHERE
    ]
    return [Section("In detail", "", [*tables, *pictures])] if tables or pictures else []


def _percent(name: str, value: Any) -> Any:
    return Fraction(value) if name in ("precision", "recall", "f1", "accuracy", "coverage") else value


def _groups(task: Task, report: Report) -> list[Section]:
    sections = []
    lengths = breakdown.by_length(report.answers, task.row_score)
    if lengths:
        sections.append(Section("By length", "Groups of about as many rows each.", [Table(lengths)]))
    if task.processor.counts_unknown:
        text = "How many tokens of an input the vocabulary lacks."
        table = Table(breakdown.by_unknown(report.answers, task.row_score))
        sections.append(Section("By unknown words", text, [table]))
    return sections


def _lists(task: Task, report: Report) -> list[Section]:
    """Confusions, and the inputs that are worth reading."""
    records, sections = report.answers, []
    if _are_judged(records):
        table = Table(breakdown.confusions(records))
        text = "The pairs of a true and another predicted label that occur most often, with rows as examples."
        sections.append(Section("Most frequent confusions", text, [table]))
    if task.row_score is not None and any(record.score is not None for record in records):
        order = "highest" if task.row_score.lower_is_better else "lowest"
        which = "inputs that are not answered rightly" if _are_judged(records) else "inputs"
        text = f"The {which} with the {order} {task.row_score.name}. Rows are numbered from 0."
        table = Table(breakdown.worst(records, task.row_score))
        sections.append(Section("Worst inputs", text, [table]))
    if breakdown.reliability(records) is not None:
        text = "The wrong labels to which the model gives the highest probabilities."
        table = Table(breakdown.confidently_wrong(records))
        sections.append(Section("Most confidently wrong", text, [table]))
    return sections


def _are_judged(records: Sequence[AnswerRecord]) -> bool:
    """Whether answers are right or wrong."""
    return any(record.decisions for record in records)


def _calibration(report: Report) -> list[Section]:
    metric = breakdown.reliability(report.answers)
    if metric is None:
        return []
    error = float(metric.compute())
    text = (
        f"Expected calibration error: {error:.4f}, the mean distance of probability and accuracy. On the "
        "diagonal, labels of probability p are right in a fraction p of cases; below it, less often."
    )
    coverage = [
        {key: Fraction(value) if key != "threshold" else value for key, value in row.items()}
        for row in metric.coverage()
    ]
    picture = Picture(png(reliability_figure(metric.bins()), "reliability"), "reliability diagram")
    table = Table(coverage, "What remains where less probable labels count as unsure")
    return [Section("Calibration", text, [picture, table])]


def _findings(task: Task, report: Report) -> list[Section]:
    pairs = [TextPair(record.row, record.input, record.text, record.reference) for record in report.answers]
    return [Section(title, text, [Table(rows)]) for title, text, rows in task.findings(pairs)]
