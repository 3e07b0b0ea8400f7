"""Comparing an exported graph with torch: on random inputs of many shapes, and on real ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from nlp_rnn.errors import RunError
from nlp_rnn.export.onnx.part import Case, Part
from nlp_rnn.lite.text.notices import without_warnings
from nlp_rnn.tasks.base import Task

TOLERANCE = 1e-5
"""The largest difference that is taken for rounding, relative to the largest value of an output."""

_STEPS = (1, 2, 7, 20)
_BATCHES = range(1, 6)
_MOST_REAL_CASES = 50
_ERRORS_ONLY = 3  # of the levels of onnxruntime's messages


_Call = tuple[Sequence[Any], dict[str, Any]]  # arguments by place, and by name


class Difference(NamedTuple):
    """How far a graph is from torch."""

    cases: int
    """Number of calls that were compared."""
    absolute: float
    """The largest absolute difference."""
    relative: float
    """The largest difference relative to the largest absolute value of its output."""
    equal: float | None
    """The fraction of rows or steps whose highest logit is the same; None without logits."""


def check(part: Part, cases: Sequence[Case]) -> Difference:
    """Compare a graph with torch.

    Args:
        part: the graph.
        cases: what to compare.

    Raises:
        RunError: the difference is larger than `TOLERANCE`, or something is not a number.
    """
    difference = measure(part.graph, cases)
    if not difference.relative <= TOLERANCE:  # nor is NaN
        raise RunError(
            f"{part.file} would differ from torch by {difference.relative:.1e} of its largest value, "
            f"more than by rounding ({TOLERANCE:.0e}): nothing was written; please report this"
        )
    return difference


@torch.no_grad()
def make_cases(part: Part, task: Task | None = None) -> list[Case]:
    """Calls of many shapes with random inputs, and those that a task makes of its example.

    Args:
        part: the part of a model.
        task: the model's task; there are random calls only if left out.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        shapes = product(_STEPS, _BATCHES)
        calls: list[_Call] = [(part.sample(steps, batch), {}) for steps, batch in shapes]
    if task is not None:
        calls += _real_calls(part, task)
    return [part.case(*arguments, **named) for arguments, named in calls]


def measure(graph: onnx.ModelProto, cases: Sequence[Case]) -> Difference:
    """The difference between a graph in ONNX Runtime and torch."""
    session = start_session(graph)
    differences: dict[str, float] = defaultdict(float)
    scales: dict[str, float] = defaultdict(float)
    same: list[np.ndarray[Any, Any]] = []
    for case in cases:
        results = session.run(list(case.outputs), {name: t.numpy() for name, t in case.inputs.items()})
        for (name, expected), found in zip(case.outputs.items(), results, strict=True):
            values = expected.numpy().astype(np.float64)
            differences[name] = _largest((differences[name], np.abs(values - found).max(initial=0)))
            scales[name] = _largest((scales[name], np.abs(values).max(initial=0)))
            if name == "logits":
                same.append((values.argmax(-1) == found.argmax(-1))[_inside(case, expected)])
    relative = [differences[name] / (scales[name] or 1.0) for name in differences]
    equal = float(np.concatenate(same).mean()) if same else None
    return Difference(len(cases), _largest(differences.values()), _largest(relative), equal)


def start_session(graph: onnx.ModelProto) -> Any:
    """A session of ONNX Runtime on the CPU, with one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    providers = ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=providers)


def _largest(values: Iterable[float]) -> float:
    """The largest of some values; NaN if one is NaN, which `max` does not see."""
    return float(np.max([*values]))


def _inside(case: Case, logits: Tensor) -> np.ndarray[Any, Any]:
    """Which of the logits [B, C] or [T, B, C] belong to a sequence: bool [B] or [T, B]."""
    if logits.dim() == 2:
        return np.ones(len(logits), dtype=bool)
    inside: np.ndarray[Any, Any] = np.arange(len(logits))[:, None] < case.inputs["lengths"].numpy()
    return inside


def _real_calls(part: Part, task: Task) -> list[_Call]:
    """The calls of a part's method that a task makes when it answers its example, whole and in pieces."""
    processor = task.processor
    calls: list[_Call] = []
    for inputs in _examples(task):
        with without_warnings():  # of words of the example that the vocabulary lacks
            rows = processor.rows(inputs)
            batch = processor.collate({"row": list(range(len(inputs))), **rows, **processor.encode(rows)})
        with _recorded(part.owner, part.method, calls):
            task.answer(batch)
    return calls[:_MOST_REAL_CASES]


def _examples(task: Task) -> list[list[Any]]:
    """Batches of inputs: the task's example and, of a text, pieces of it."""
    example = task.example
    if not isinstance(example, str):
        return [[example], [example] * 3]
    words = example.split()
    pieces = [" ".join(words[:count]) for count in range(1, len(words) + 1)]
    return [[example], [f"{example} {example}", *pieces]]


@contextmanager
def _recorded(owner: nn.Module, method: str, calls: list[_Call]) -> Iterator[None]:
    """Add the arguments of a module's method to `calls` whenever it is called."""
    original = getattr(owner, method)

    def record(*arguments: Any, **named: Any) -> Any:
        calls.append((arguments, named))
        return original(*arguments, **named)

    setattr(owner, method, record)
    try:
        yield
    finally:
        delattr(owner, method)
