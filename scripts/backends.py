"""Measure how long a model takes to answer with each backend, one input at a time and in bulk.

    python scripts/backends.py runs/sentiment_builtin/latest/model [--inputs FILE] [--onnx FOLDER]

The backends take turns, so that what else the machine does slows all of them; times are medians. torch
computes with one thread; set OPENBLAS_NUM_THREADS=1 for NumPy to do so too.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch

from nlp_rnn.inference.pipelines import pipeline
from nlp_rnn.lite.pipelines import BasePipeline
from nlp_rnn.tasks.pretrained import from_pretrained

_ROUNDS = 100
_BULK = 1_000


def main() -> None:
    """Print a line per backend."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="model folder")
    parser.add_argument("--inputs", type=Path, help="file with one input per line; default: an example")
    parser.add_argument("--onnx", help="folder that nlp-rnn export wrote of the model")
    options = parser.parse_args()
    torch.set_num_threads(1)
    task = from_pretrained(options.model)
    answerers: dict[str, BasePipeline] = {
        "torch": pipeline(task.name, task),
        "numpy": pipeline(task.name, options.model, backend="numpy"),
    }
    if options.onnx:
        answerers["onnx"] = pipeline(task.name, options.onnx, backend="onnx")
    inputs: list[Any] = [task.example]
    if options.inputs:
        inputs = list(map(task.processor.parse, options.inputs.read_text(encoding="utf-8").splitlines()))
    alone = _medians(answerers, lambda answerer, turn: answerer([inputs[turn % len(inputs)]]), _ROUNDS)
    many = (inputs * (_BULK // len(inputs) + 1))[:_BULK]
    bulk = _medians(answerers, lambda answerer, _: answerer(many), 3)
    for backend in answerers:
        rate = _BULK / bulk[backend]
        single = 1e3 * alone[backend]
        print(f"{backend:6} {single:8.2f} ms one at a time, {rate:10,.0f} inputs per second in bulk")


def _medians(
    answerers: dict[str, BasePipeline], ask: Callable[[BasePipeline, int], Any], rounds: int
) -> dict[str, float]:
    """Seconds of a call, by backend."""
    times: dict[str, list[float]] = {backend: [] for backend in answerers}
    for turn in range(-2, rounds):  # the first two warm up
        for backend, answerer in answerers.items():
            start = perf_counter()
            ask(answerer, turn)
            if turn >= 0:
                times[backend].append(perf_counter() - start)
    return {backend: median(values) for backend, values in times.items()}


if __name__ == "__main__":
    main()
