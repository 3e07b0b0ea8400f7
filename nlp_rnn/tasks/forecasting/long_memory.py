"""Long-memory data: sequences with two marked numbers, whose sum or product is predicted at the end."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
from typing_extensions import override

from nlp_rnn.data.batching import Batching
from nlp_rnn.data.module import DataModule
from nlp_rnn.data.types import Dataset, DatasetDict
from nlp_rnn.errors import UsageError
from nlp_rnn.settings import Range, Seed
from nlp_rnn.tasks.forecasting.data import ForecastingProcessor, windows_to_arrow

_VERSION = 1  # part of the cache key: increase it when the same settings give other numbers than before

NumSequences = Annotated[int, Range(1, 10**8)]

_INPUTS = ["number", "mark"]

MEAN_PREDICTORS_ERROR = {"multiplication": 7 / 144, "adding": 1 / 6}
"""The mean squared error of a model that always predicts the mean: the variance of the target."""


class LongMemoryData(DataModule[ForecastingProcessor]):
    """Random sequences: each step is a number, uniform in [0, 1], and a mark, 1 at two steps and 0 elsewhere.

    In the adding problem of Hochreiter & Schmidhuber (1997), section 5.4, one mark is in each half, and the
    target is the sum of the two marked numbers. In multiplication (section 5.5), the marks are anywhere, and
    the target is the product.

    Args:
        problem: multiplication or adding.
        length: number of steps per sequence.
        train: number of sequences in the train split.
        validation: number of sequences in the validation split.
        test: number of sequences in the test split.
        seed: seed of all random numbers; each split has its own.
        batching: how sequences are batched.
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
        self.sampling = {"problem": problem, "length": length, "seed": seed}
        self.sizes = {"train": train, "validation": validation, "test": test}
        super().__init__(batching)
        self.problem = problem
        self.length = length
        self.seed = seed

    @property
    @override
    def description(self) -> str:
        return f"{self.problem}, {self.length} steps"

    @override
    def cache_key(self) -> str:
        return hashlib.sha256(json.dumps([_VERSION, self.sampling, self.sizes]).encode()).hexdigest()

    @override
    def check(self, processor: ForecastingProcessor) -> None:
        settings: dict[str, object] = {"inputs": _INPUTS, "targets": [self.problem], "horizon": 1}
        for name, in_data in settings.items():
            if (in_model := getattr(processor, name)) != in_data:
                raise UsageError(f"the model was trained with {name} {in_model}, the data has {in_data}")

    @override
    def load(self) -> DatasetDict:
        from datasets import Dataset, DatasetDict

        splits = {}
        for number, (name, count) in enumerate(self.sizes.items()):
            random = np.random.default_rng((self.seed, number))
            steps, targets = draw_sequences(self.problem, self.length, count, random)
            columns = {
                "steps": windows_to_arrow([steps]),
                "following": windows_to_arrow([targets[:, None, None]]),
            }
            splits[name] = Dataset(pa.table(columns))
        return DatasetDict(splits)

    @override
    def make_processor(self, train: Dataset) -> ForecastingProcessor:
        return ForecastingProcessor(
            inputs=_INPUTS, means=[0.0, 0.0], deviations=[1.0, 1.0], length=self.length,
            horizon=1, targets=[self.problem], target_means=[0.0], target_deviations=[1.0],
        )  # fmt: skip


def draw_sequences(
    problem: str, length: int, count: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Sample sequences and their targets.

    Args:
        problem: multiplication or adding.
        length: T, the number of steps per sequence.
        count: N, the number of sequences.
        random: source of random numbers.

    Returns:
        [N, T, 2] float32 numbers and marks; [N] float32 targets.
    """
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
    a, b = steps[rows, first, 0], steps[rows, second, 0]
    return steps, a + b if problem == "adding" else a * b
