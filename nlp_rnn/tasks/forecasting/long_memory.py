"""Long memory: sequences with two marked numbers, whose sum or product is asked for at the end."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa

from nlp_rnn.data.batching import Batching
from nlp_rnn.data.module import DataModule
from nlp_rnn.data.types import Dataset, DatasetDict
from nlp_rnn.errors import UsageError
from nlp_rnn.settings import Range, Seed
from nlp_rnn.tasks.forecasting.data import ForecastingProcessor, windows_to_arrow

_VERSION = 1  # part of the cache key: raise it when the same settings come to give other numbers

NumSequences = Annotated[int, Range(1, 10**8)]

_INPUTS = ["number", "mark"]

MEAN_PREDICTORS_ERROR = {"multiplication": 7 / 144, "adding": 1 / 6}
"""The variance of what is asked for: the mean squared error of one who always says its mean."""


class LongMemoryData(DataModule[ForecastingProcessor]):
    """Drawn sequences: each step a number, uniform in [0, 1], and a mark, 1 at two steps and 0 elsewhere.

    The adding problem of Hochreiter & Schmidhuber (1997), section 5.4, with a mark in each half and the sum
    as target; or multiplication (section 5.5), with both marks anywhere and the product.

    Args:
        problem: multiplication or adding.
        length: steps of a sequence.
        train: how many sequences there are to train on.
        validation: how many to validate on.
        test: how many to test on.
        seed: of all numbers; each split has its own.
        batching: how sequences are put together.
    """

    processor_class = ForecastingProcessor

    def __init__(
        self,
        problem: Literal["multiplication", "adding"] = "multiplication",
        length: Annotated[int, Range(2, 10_000_000)] = 100,
        train: NumSequences = 51_200,
        validation: NumSequences = 1_000,
        test: NumSequences = 10_000,
        seed: Seed = 0,
        batching: Batching = Batching(size=64),
    ) -> None:
        self.drawn = {"problem": problem, "length": length, "seed": seed}
        self.sizes = {"train": train, "validation": validation, "test": test}
        super().__init__(batching)
        self.problem = problem
        self.length = length
        self.seed = seed

    @property
    def description(self) -> str:
        return f"{self.problem}, {self.length} steps"

    def cache_key(self) -> str:
        return hashlib.sha256(json.dumps([_VERSION, self.drawn, self.sizes]).encode()).hexdigest()

    def check(self, processor: ForecastingProcessor) -> None:
        ours: dict[str, object] = {"inputs": _INPUTS, "targets": [self.problem], "horizon": 1}
        for name, asked in ours.items():
            if (theirs := getattr(processor, name)) != asked:
                raise UsageError(f"the model was trained with {name} {theirs}, the data has {asked}")

    def load(self) -> DatasetDict:
        from datasets import Dataset, DatasetDict

        splits = {}
        for place, (name, count) in enumerate(self.sizes.items()):
            steps, asked = draw_sequences(
                self.problem, self.length, count, np.random.default_rng((self.seed, place))
            )
            columns = {
                "steps": windows_to_arrow([steps]),
                "following": windows_to_arrow([asked[:, None, None]]),
            }
            splits[name] = Dataset(pa.table(columns))
        return DatasetDict(splits)

    def make_processor(self, train: Dataset) -> ForecastingProcessor:
        return ForecastingProcessor(
            inputs=_INPUTS, means=[0.0, 0.0], deviations=[1.0, 1.0], length=self.length,
            horizon=1, targets=[self.problem], target_means=[0.0], target_deviations=[1.0],
        )  # fmt: skip


def draw_sequences(
    problem: str, length: int, count: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Sequences [N, T, 2] of numbers and marks, and what is asked for, [N]; float32 both."""
    if problem == "adding":
        first = random.integers(0, length // 2, count)
        second = random.integers(length // 2, length, count)
    else:
        first = random.integers(0, length, count)
        second = random.integers(0, length - 1, count)
        second += second >= first
    steps = np.zeros((count, length, 2), np.float32)
    steps[..., 0] = random.random((count, length), np.float32)
    rows = np.arange(count)
    steps[rows, first, 1] = steps[rows, second, 1] = 1
    one, other = steps[rows, first, 0], steps[rows, second, 0]
    return steps, one + other if problem == "adding" else one * other
