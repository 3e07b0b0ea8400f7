"""Measure a trained model on a corpus."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from inspect import signature
from pathlib import Path
from typing import Any

import torch

from nlp_rnn.data import DATA, Batching, Corpus
from nlp_rnn.data.batching import Rows
from nlp_rnn.data.examples import EXAMPLES
from nlp_rnn.data.module import encode
from nlp_rnn.data.splits import SPLITS
from nlp_rnn.errors import UsageError
from nlp_rnn.machine import fast_products
from nlp_rnn.pictures import bleu_by_length, confusion_matrix
from nlp_rnn.pipelines import in_precision, on_device
from nlp_rnn.pretrained import from_pretrained
from nlp_rnn.settings import check_settings
from nlp_rnn.tasks import DecodingTask, Task


@dataclass(frozen=True)
class Report:
    """What was measured: plain values alone, ready for JSON; None where there was nothing to measure."""

    figures: dict[str, Any]

    def table(self) -> str:
        """The figures for people: one line each, then the tables among them."""
        lines = []
        for name, value in self.figures.items():
            if isinstance(value, (int, float, str)):
                lines.append(f"{name:<20} {_cell(value)}")
        for value in self.figures.values():
            if isinstance(value, list) and value and isinstance(value[0], dict):
                cells = [list(value[0]), *([_cell(item) for item in row.values()] for row in value)]
                widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
                lines.append("")
                lines += [
                    "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
                    for row in cells
                ]
        return "\n".join(lines)


def _cell(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e6 else f"{value:.4g}"


@torch.no_grad()
@fast_products()
def evaluate(
    model: str | Path | Task,
    corpus: Corpus,
    split: str = "test",
    columns: Mapping[str, str] | None = None,
    batch_size: int = 256,
    beam: int | None = None,
    device: str = "cpu",
    pictures: Path | None = None,
    precision: str = "fp32",
) -> Report:
    """Measure a model on one split.

    Args:
        model: what `from_pretrained` takes, or what it gives.
        corpus: where the rows come from; the model's own vocabulary reads them.
        split: train, validation or test, or the name that the corpus has for a split.
        columns: where the corpus's columns have other names than usual: the arguments of the task's
            DataModule that name columns, such as {"source": "de", "target": "en"}.
        batch_size: most rows computed together; no figure depends on it.
        beam: width of the beam, where answers are text; as trained if left out.
        device: where to compute.
        pictures: folder for the confusion matrix, or BLEU by length.
        precision: fp32 or bf16, of the weights and of all that is computed with them.

    Raises:
        UsageError: the model or the corpus cannot be read, or they are for different tasks, or a setting is
            out of range.
    """
    batching = Batching(size=batch_size)
    check_settings({"size": batch_size}, "batch ")
    task = model if isinstance(model, Task) else from_pretrained(model)
    if beam is not None:
        if not isinstance(task, DecodingTask):
            raise UsageError(f"beam is a setting of tasks that write text, which {task.name} is not")
        check_settings({"beam": beam})
        task = task.decoding_with(beam)
    data_class = DATA[task.name]
    # Its arguments that name columns are those whose default is a name, or several.
    parameters = signature(data_class).parameters.values()
    known = [parameter.name for parameter in parameters if isinstance(parameter.default, (str, tuple))]
    for name in columns or ():
        if name not in known:
            raise UsageError(
                f"a {task.name} corpus has no column {name!r}; its columns are {', '.join(known)}"
            )
    if split not in SPLITS and corpus.path not in EXAMPLES:
        corpus, split = replace(corpus, test_split=split), "test"
    data = data_class(corpus, **{**task.processor.reading(), **(columns or {})})  # type: ignore[call-arg]
    data.check(task.processor)
    rows = Rows(encode(data.load_split(split), task.processor))
    task = in_precision(on_device(task, device), precision).eval()
    metrics = task.metrics("test")
    for metric in metrics.values():
        metric.reset()
    for batch in task.processor.loader(rows, batching):
        task.measure(batch.to(device), metrics)
    figures: dict[str, Any] = {
        "task": task.name,
        "data": corpus.path,
        "split": corpus.test_split or split,
        "rows": len(rows),
    }
    results = {name: value for name, value in task.results(metrics).items() if not name.startswith("f1_")}
    figures |= results | task.details(metrics)  # which has each class's scores in its table
    if pictures is not None:
        if "confusion" in figures:
            confusion_matrix(
                torch.tensor(figures["confusion"]), figures["labels"], pictures / "confusion_matrix.png"
            )
        if by_length := figures.get("bleu_by_length"):
            names, scores, counts = (
                [entry[key] for entry in by_length] for key in ("source_tokens", "bleu", "sentences")
            )
            bleu_by_length(names, scores, counts, pictures / "bleu_by_length.png")
    return Report(_standard(figures))


def _standard(value: Any) -> Any:
    """The same with None for NaN and infinity, which JSON has not."""
    if isinstance(value, dict):
        return {name: _standard(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_standard(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
