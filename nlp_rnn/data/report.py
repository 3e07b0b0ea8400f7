"""The summary of data before training: sizes, classes, unknown tokens, and warnings."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
from typing_extensions import override

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.data.labels import UNSEEN
from nlp_rnn.data.processor import Processor
from nlp_rnn.data.rows import Rows
from nlp_rnn.data.vocabulary import UNK
from nlp_rnn.errors import UsageError, join_names, printable

log = logging.getLogger(__name__)

_MAX_UNKNOWN = 0.2
_SHOWN_CLASSES = 6


def summarize(
    splits: Mapping[str, Rows],
    processor: Processor,
    drawn: Collection[str] = (),
    truncated: Mapping[str, Mapping[str, int]] = MappingProxyType({}),
) -> str:
    """Rows per split; how often each class occurs in train; what is unknown, and what is cut.

    Args:
        splits: the encoded rows.
        processor: what they were encoded with.
        drawn: the splits that were drawn from train, and train.
        truncated: split -> what its sequences are called -> the number that were cut to the maximum length.
    """
    marks = {name: " (drawn)" for name in drawn if name != "train"}
    sizes = [f"{name} {len(rows):,}{marks.get(name, '')}" for name, rows in splits.items()]
    parts = [f"rows: {', '.join(sizes)}"]
    labels = processor.settings().get("labels", [])
    column = next((name for name in processor.features if name.startswith("label_id")), None)
    if column is not None and labels:
        counts = np.zeros(len(labels), np.int64)
        train = splits["train"]
        for ids in train.values(column) if column.endswith("s") else [train.column(column)]:
            counts += np.bincount(ids[ids >= 0], minlength=len(labels))
        order = np.argsort(-counts, kind="stable")[:_SHOWN_CLASSES]
        shown = [f"{printable(labels[i]):.40}: {counts[i]:,}" for i in order]
        more = ", ..." if len(labels) > _SHOWN_CLASSES else ""
        parts.append(f"classes in train: {', '.join(shown)}{more}")
    unknown = {
        name: max(unknown_fractions(rows, processor).values(), default=0.0) for name, rows in splits.items()
    }
    if any(unknown.values()):
        shown = [f"{name} {fraction:.1%}" for name, fraction in unknown.items()]
        parts.append(f"unknown tokens: {', '.join(shown)}")
    for what in dict.fromkeys(what for counts in truncated.values() for what in counts):
        cut = [f"{name} {counts[what]:,}" for name, counts in truncated.items() if what in counts]
        parts.append(f"{what} cut to the maximum length: {', '.join(cut)}")
    return "; ".join(parts)


def unknown_fractions(rows: Rows, processor: Processor) -> dict[str, float]:
    """The fraction of the tokens in each column of ids that the vocabulary lacks."""
    columns = [name for name in processor.length_columns if processor.features[name] == pa.list_(pa.int32())]
    fractions = {}
    for name in columns:
        counts = [(np.count_nonzero(ids == UNK), len(ids)) for ids in rows.values(name)]
        unknown, total = map(sum, zip(*counts, strict=True)) if counts else (0, 0)
        fractions[name] = unknown / total if total else 0.0
    return fractions


def warn_of_unknown(split: str, rows: Rows, processor: Processor) -> None:
    """Warn if a split has so many unknown tokens that a model can hardly work."""
    for name, fraction in unknown_fractions(rows, processor).items():
        if fraction > _MAX_UNKNOWN:
            log.warning(
                "%.0f %% of the tokens of %s (%s) are unknown; %s",
                100 * fraction, split, name.removesuffix("_ids"), processor.unknown_remedy,
            )  # fmt: skip


def check_seen(rows: Rows, processor: Processor, allowed: float) -> None:
    """Refuse rows of which too many labels are unknown to the model.

    Args:
        rows: encoded rows.
        processor: what they were encoded with.
        allowed: the fraction that may be unknown.

    Raises:
        UsageError: more are.
    """
    counts = [((ids == UNSEEN).sum(), (ids != IGNORED).sum()) for ids in rows.values("label_ids")]
    unseen, scored = (int(sum(count)) for count in zip(*counts, strict=True)) if counts else (0, 0)
    if unseen > allowed * scored:
        known = join_names(processor.settings()["labels"])
        raise UsageError(
            f"{unseen:,} of {scored:,} labels are not among those of the model ({known}): name the right "
            "column, or train a new model"
        )


class _Recorder(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextmanager
def recorded_warnings(file: Path) -> Iterator[None]:
    """Store the warnings of this package, so that they can be repeated where its work is not."""
    recorder, logger = _Recorder(), logging.getLogger("nlp_rnn")
    logger.addHandler(recorder)
    try:
        yield
    finally:
        logger.removeHandler(recorder)
    file.write_text(json.dumps(recorder.messages), encoding="utf-8")


def repeat_warnings(file: Path) -> None:
    """Log the warnings that were stored in a file."""
    for message in json.loads(file.read_text(encoding="utf-8")):
        log.warning("%s", message)
