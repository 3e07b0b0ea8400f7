"""How large a model folder is, and how fast its model answers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from nlp_rnn.inference.pipelines import Pipeline
from nlp_rnn.lite.text import notices
from nlp_rnn.tasks.pretrained import from_pretrained

_WARM_UP = 3
_ANSWERS = 50


@dataclass(frozen=True)
class Speed:
    """What a model costs.

    Args:
        size: the bytes of its folder.
        latency: the milliseconds of one answer.
    """

    size: int
    latency: float


def measure_speed(folder: Path) -> Speed:
    """Measure a model folder: its bytes, and the time of an answer on one thread of the CPU.

    The latency is that of the task's example, asked alone: the fastest of 50 answers, because all others are
    slowed by whatever else the machine does, such as training other trials.

    Args:
        folder: the model folder.

    Raises:
        UsageError: it cannot be loaded.
    """
    pipeline = Pipeline(from_pretrained(folder))
    example = pipeline.task.example
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _quiet():
            times = [_milliseconds(pipeline, example) for _ in range(_WARM_UP + _ANSWERS)]
    finally:
        torch.set_num_threads(threads)
    return Speed(_bytes(folder), min(times[_WARM_UP:]))


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _milliseconds(pipeline: Pipeline, example: object) -> float:
    start = time.perf_counter()
    pipeline([example])
    return 1000 * (time.perf_counter() - start)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings of tokens of the example that a model does not know."""
    before = notices.logger.disabled
    notices.logger.disabled = True
    try:
        yield
    finally:
        notices.logger.disabled = before
