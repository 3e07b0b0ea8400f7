"""Measure again what a model's card states, and compare."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nlp_rnn.data.builtin.corpora import EXAMPLES
from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.evaluation.measuring import evaluate
from nlp_rnn.lite.folders.folder import CONFIG, check_is_model
from nlp_rnn.storage.card_edit import read_results, unbacked_rows
from nlp_rnn.storage.results import Measured
from nlp_rnn.tasks.base import Task
from nlp_rnn.tasks.pretrained import from_pretrained

TOLERANCE = 1e-4
"""The largest relative difference that counts as reproduced.

Other processors, numbers of threads and versions of torch add floats in another order, which changes a loss
by about 1e-6 of its value. One answer more or less changes an accuracy on fewer than 10,000 rows by more than
1e-4.
"""

_SMALLEST = (
    0.01  # relative to this, if a metric is smaller: a loss near zero is a difference of larger numbers
)


@dataclass(frozen=True)
class Figure:
    """A metric, as stated and as measured again.

    Args:
        metric: its name.
        stated: in the card.
        measured: now; None if it could not be measured.
        reproduced: whether both are equal within the tolerance, and were measured on the same data.
    """

    metric: str
    stated: float
    measured: float | None
    reproduced: bool


@dataclass(frozen=True)
class Verified:
    """A result of a card that was measured again.

    Args:
        stated: the result in the card.
        source: what was read, see `describe_source`.
        figures: its metrics.
        measured: the result now; None if it could not be measured.
        problem: why it could not be measured, in one line.
    """

    stated: Measured
    source: str
    figures: Sequence[Figure]
    measured: Measured | None = None
    problem: str = ""

    @property
    def same_data(self) -> bool:
        """Whether the rows are those that the card's figures are of."""
        found = self.measured
        return found is not None and (found.rows, found.data_hash) == (
            self.stated.rows,
            self.stated.data_hash,
        )


@dataclass(frozen=True)
class Verification:
    """What came of verifying a card.

    Args:
        results: in the order of the card.
        contradictions: what the table or the hub's part of the card states otherwise, see `unbacked_rows`.
        unchecked: what they state without data to measure it on.
    """

    results: Sequence[Verified]
    contradictions: Sequence[str]
    unchecked: Sequence[str]

    @property
    def figures(self) -> list[Figure]:
        """All metrics of all results."""
        return [figure for result in self.results for figure in result.figures]

    @property
    def is_reproduced(self) -> bool:
        """Whether all metrics were reproduced, and the card does not contradict itself."""
        return all(figure.reproduced for figure in self.figures) and not self.contradictions


def verify(
    folder: str | Path,
    data: Sequence[str] = (),
    tolerance: float = TOLERANCE,
    device: str = "cpu",
    announce: Callable[[str], object] = lambda _: None,
) -> Verification:
    """Measure each figure that a model's card states again, on the data that the card states.

    Whatever the card says, only the settings of a corpus and the options of a measurement are taken from it,
    and all of them are checked before anything is read.

    Args:
        folder: the model folder, which may be a stranger's.
        data: where the same data lies, if it is not where the card says: one path for all results of a card
            that names one path, or "STATED=PATH" for each. Whether it is the same is known by its hash.
        tolerance: the largest relative difference that counts as reproduced, see `TOLERANCE`.
        device: where to compute.
        announce: told what is read, before it is read.

    Raises:
        UsageError: the folder or its card cannot be read, the card states nothing that can be measured, or
            holds settings that no measurement has.

    Examples:
        >>> verify("runs/sentiment_builtin/latest/model").is_reproduced
    """
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise UsageError(f"{folder}: not a folder; verify reads the card of a model folder")
    check_is_model(folder, path)
    if not (path / CONFIG).exists():
        raise UsageError(f"{folder}: not a model folder, for it has no {CONFIG}")
    if not 0 <= tolerance < 1:
        raise UsageError(f"tolerance must be at least 0 and less than 1, not {tolerance:g}")
    stated = read_results(path)
    if not stated:
        raise UsageError(
            f"{folder}: the card states no results that can be measured again; to state some: "
            "nlp-rnn evaluate FOLDER --data CORPUS --card"
        )
    places = _places([result.path for result in stated], data)
    try:
        located = [replace(result, data={**result.data, "path": places[result.path]}) for result in stated]
        for result in located:
            _check_readable(result)
    except UsageError as error:
        raise UsageError(f"{path / 'README.md'}: {error}") from None
    contradictions, unchecked = unbacked_rows(path)
    task = from_pretrained(path)
    results = []
    for result, there in zip(stated, located, strict=True):
        source = describe_source(there)
        announce(f"{result.split_name} of {source}")
        results.append(_measure_again(task, result, there, source, tolerance, device))
    return Verification(results, contradictions, unchecked)


def describe_source(result: Measured) -> str:
    """What a result is measured on: a bundled corpus, a file, a folder or a dataset of the hub."""
    if result.path in EXAMPLES:
        return f"the bundled corpus {result.path}"
    local = Path(os.path.expanduser(result.path))  # as it is where there is no such user
    if local.exists():
        return f"the {'folder' if local.is_dir() else 'file'} {local.resolve()}"
    config = "" if result.data.get("config") is None else f", configuration {result.data['config']}"
    revision = "" if result.data.get("revision") is None else f", revision {result.data['revision']}"
    return f"the dataset {result.path} of the hub{config}{revision}"


def _places(stated: Sequence[str], data: Sequence[str]) -> dict[str, str]:
    """Where the data of each stated path is to be read."""
    places = {path: path for path in stated}
    for value in data:
        old = next((path for path in places if value.startswith(f"{path}=")), None)
        if old is not None:
            places[old] = value[len(old) + 1 :]
        elif len(places) == 1 and len(data) == 1:
            places = dict.fromkeys(places, value)
        else:
            raise UsageError(
                f"--data {value}: the card names {join_names(places)}; say which is there, as STATED=PATH"
            )
    return places


def _check_readable(result: Measured) -> None:
    """Refuse settings that no measurement has, and what is neither a file nor a folder; nothing is read."""
    path = result.path
    if not path.isprintable():
        raise UsageError(f"the path of its data, {path!r:.80}, has characters that are no text")
    result.corpus  # noqa: B018  its settings are checked
    local = Path(os.path.expanduser(path))
    if path not in EXAMPLES and local.exists() and not (local.is_file() or local.is_dir()):
        raise UsageError(f"its data, {path}, is neither a file nor a folder")


def _measure_again(
    task: Task, stated: Measured, located: Measured, source: str, tolerance: float, device: str
) -> Verified:
    def figures(found: Measured | None) -> list[Figure]:
        same = found is not None and _same_data(stated, found)
        measured: dict[str, float] = {} if found is None else dict(found.metrics)
        return [
            Figure(name, value, measured.get(name), same and _close(value, measured.get(name), tolerance))
            for name, value in stated.metrics.items()
        ]

    options: dict[str, Any] = dict(located.options)
    try:
        found = evaluate(task, located.corpus, located.split, device=device, **options).measured
    except UsageError as error:
        return Verified(stated, source, figures(None), problem=str(error))
    assert found is not None
    return Verified(stated, source, figures(found), found)


def _same_data(one: Measured, other: Measured) -> bool:
    return (one.rows, one.data_hash) == (other.rows, other.data_hash)


def _close(stated: float, measured: float | None, tolerance: float) -> bool:
    if measured is None:
        return False
    return math.isclose(stated, measured, rel_tol=tolerance, abs_tol=tolerance * _SMALLEST)
