"""Where a model is right and wrong: records of answers grouped by length, unknown words and confusions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from nlp_rnn.evaluation.answers import AnswerRecord
from nlp_rnn.evaluation.page import Fraction, shorten_text
from nlp_rnn.tasks.calibration import Reliability
from nlp_rnn.tasks.interface import Decision, RowScore

_GROUPS = 6  # of lengths
_SHOWN = 20  # inputs in a list
_CONFUSIONS = 15
_EXAMPLES = 3  # of each confusion
_EXAMPLE_LENGTH = 120  # characters
_UNKNOWN = (("none", 0, 0), ("1", 1, 1), ("2", 2, 2), ("3 to 5", 3, 5), ("6 or more", 6, 1 << 62))


def by_length(records: Sequence[AnswerRecord], score: RowScore | None) -> list[dict[str, Any]]:
    """Quality by the length of the input, in groups of about as many rows each."""
    lengths = np.array([record.length for record in records])
    if len(np.unique(lengths)) < 2:
        return []
    inner = np.quantile(lengths, np.arange(1, _GROUPS) / _GROUPS, method="nearest")
    ends = np.unique([*inner.astype(int), lengths.max()])
    starts = [int(lengths.min()), *(ends[:-1] + 1).tolist()]
    return [
        {"length": str(end) if start == end else f"{start} to {end}"} | quality(group, score)
        for start, end in zip(starts, ends.tolist(), strict=True)
        if (group := [record for record in records if start <= record.length <= end])
    ]


def by_unknown(records: Sequence[AnswerRecord], score: RowScore | None) -> list[dict[str, Any]]:
    """Quality by the number of tokens of the input that the vocabulary lacks."""
    return [
        {"unknown words": name} | quality(group, score)
        for name, least, most in _UNKNOWN
        if (group := [record for record in records if least <= len(record.unknown) <= most])
    ]


def quality(records: Sequence[AnswerRecord], score: RowScore | None) -> dict[str, Any]:
    """The number of rows, and how good their answers are: the columns of a table."""
    row: dict[str, Any] = {"rows": len(records)}
    total = sum(record.total for record in records)
    if any(record.decisions is not None for record in records):
        row["right"] = Fraction(sum(record.right for record in records) / total) if total else None
    if any(record.total > 1 for record in records):
        judged = [record for record in records if record.total]
        exact = sum(bool(record.is_right) for record in judged)
        row["all right"] = Fraction(exact / len(judged)) if judged else None
    scores = [record.score for record in records if record.score is not None]
    if score is not None:
        row[f"mean {score.name}"] = float(np.mean(scores)) if scores else None
    return row


def decisions(records: Sequence[AnswerRecord]) -> Iterator[tuple[AnswerRecord, Decision]]:
    """All decisions, each with its record."""
    return ((record, decision) for record in records for decision in record.decisions or ())


def confusions(records: Sequence[AnswerRecord]) -> list[dict[str, Any]]:
    """The most frequent pairs of a true and another predicted label, with examples."""
    counts: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], list[str]] = {}
    last: dict[tuple[str, str], int] = {}  # the row of the last example: a long one is not all of them
    support: Counter[str] = Counter()
    for record, decision in decisions(records):
        support[decision.reference] += 1
        if decision.reference != decision.answer:
            pair = decision.reference, decision.answer
            counts[pair] += 1
            shown = examples.setdefault(pair, [])
            if len(shown) < _EXAMPLES and last.get(pair) != record.row:
                shown.append(_example(record, decision))
                last[pair] = record.row
    return [
        {
            "true": pair[0],
            "predicted": pair[1],
            "times": count,
            "of the true": Fraction(count / support[pair[0]]),
            "examples": "\n".join(examples[pair]),
        }
        for pair, count in counts.most_common(_CONFUSIONS)
    ]


def worst(records: Sequence[AnswerRecord], score: RowScore) -> list[dict[str, Any]]:
    """The inputs whose answers have the lowest quality, less those that are right; longer ones first."""
    sign = -1 if score.lower_is_better else 1
    judged = [record for record in records if record.score is not None and not record.is_right]
    judged.sort(key=lambda record: (sign * (record.score or 0.0), -record.total, record.row))
    columns: dict[str, Callable[[AnswerRecord], Any]] = {
        "row": lambda record: record.row,
        "input": lambda record: record.input,
        "answer": lambda record: record.text,
        "reference": lambda record: record.reference,
        "unknown words": lambda record: ", ".join(record.unknown),
        score.name: lambda record: record.score,
    }
    shown = judged[:_SHOWN]
    kept = {name: cell for name, cell in columns.items() if any(cell(record) != "" for record in shown)}
    return [{name: cell(record) for name, cell in kept.items()} for record in shown]


def confidently_wrong(records: Sequence[AnswerRecord]) -> list[dict[str, Any]]:
    """The wrong decisions to which the model gives the highest probabilities."""
    wrong = [
        (decision.probability, record, decision)
        for record, decision in decisions(records)
        if decision.probability is not None and decision.reference != decision.answer
    ]
    wrong.sort(key=lambda entry: (-entry[0], entry[1].row))
    has_parts = any(decision.part for _, _, decision in wrong)
    return [
        {
            "row": record.row,
            "input": record.input,
            **({"at": decision.part} if has_parts else {}),
            "predicted": decision.answer,
            "true": decision.reference,
            "probability": Fraction(probability),
        }
        for probability, record, decision in wrong[:_SHOWN]
    ]


def reliability(records: Sequence[AnswerRecord]) -> Reliability | None:
    """How probabilities fit what is right; None where no decision has one."""
    sure = [
        (decision.probability, decision.reference == decision.answer)
        for _, decision in decisions(records)
        if decision.probability is not None
    ]
    if not sure:
        return None
    metric = Reliability()
    probabilities, right = zip(*sure, strict=True)
    metric.update(torch.tensor(probabilities), torch.tensor(right))
    return metric


def _example(record: AnswerRecord, decision: Decision) -> str:
    text = f"{record.row}: {shorten_text(record.input, _EXAMPLE_LENGTH)}"
    return f"{text} [{decision.part}]" if decision.part else text
