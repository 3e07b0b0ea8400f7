"""Steps of numbers: what processors of series share, and how columns are scaled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nlp_rnn.data.corpus.numbers import numbers
from nlp_rnn.data.processor import Processor
from nlp_rnn.errors import UsageError


@dataclass(kw_only=True)
class SeriesProcessor(Processor):
    """Steps of numbers to vectors, each column with mean 0 and standard deviation 1 in the train split."""

    inputs: list[str]
    """The columns that a step consists of."""
    means: list[float]
    deviations: list[float]
    group: str = ""

    input_description = "list of numbers"
    length_columns = ("vectors",)

    def is_input(self, given: Any) -> bool:
        return isinstance(given, (list, tuple, np.ndarray))

    def is_single(self, given: Any) -> bool:
        """A flat list, or an array [T, 1], is one input if a step is one number; else a list of steps is."""
        column = isinstance(given, np.ndarray) and given.shape[1:] == (1,)
        return 0 < _depth(given) <= (1 if len(self.inputs) == 1 and not column else 2)

    def parse(self, line: str) -> Any:
        """Numbers with spaces or commas between them, a step's columns in turn, or JSON lists."""
        given, width = numbers(line), len(self.inputs)
        if width > 1 and not any(isinstance(step, list) for step in given) and len(given) % width == 0:
            given = [given[at : at + width] for at in range(0, len(given), width)]
        self._steps(given)
        return given

    def rows(self, inputs: Sequence[Any]) -> dict[str, list[Any]]:
        """Series, each [T, C] numbers, or [T] where a step is one number."""
        steps = []
        for number, given in enumerate(inputs, 1):
            try:
                steps.append(self._steps(given))
            except UsageError as error:
                raise UsageError(f"input {number}: {error}") from None
        return {"steps": steps}

    def example(self, length: int) -> list[Any]:
        """A series of so many steps that one may ask a model about: all means."""
        step = [float(f"{mean:.3g}") for mean in self.means]
        return (step if len(step) == 1 else [step]) * length

    def vectors(self, steps: Sequence[Sequence[float]]) -> list[np.ndarray]:
        """Scaled: [T * C] float32 each."""
        return [standardize(flat, self.means, self.deviations) for flat in steps]

    def _steps(self, given: Any) -> list[float]:
        """What a user gives as [T * C] numbers.

        Raises:
            UsageError: it is empty, not of numbers, of other columns, or not finite, as given or when scaled.
        """
        width = len(self.inputs)
        wanted = f"give {width} number(s) a step: {', '.join(self.inputs)}"
        try:
            array = np.asarray(given)
        except ValueError:
            raise UsageError(f"the steps are of unequal sizes; {wanted}") from None
        if array.size == 0:
            raise UsageError(f"there is no step; {wanted}")
        if array.dtype.kind not in "iuf":
            raise UsageError(f"not all of it are numbers; {wanted}")
        columns = array[:, None] if array.ndim == width == 1 else array
        if columns.ndim != 2 or columns.shape[1] != width:
            raise UsageError(f"the shape is {' x '.join(map(str, array.shape))}; {wanted}")
        finite = np.isfinite(columns).all(1)
        if not finite.all():
            raise UsageError(f"step {finite.argmin() + 1} is not finite; {wanted}")
        flat: list[float] = columns.astype(np.float64).ravel().tolist()
        standardize(flat, self.means, self.deviations)
        return flat


def check_count(what: str, theirs: Sequence[str], ours: Sequence[str]) -> None:
    """See that data has as many columns of a kind as a trained model.

    Raises:
        UsageError: it has not.
    """
    if len(theirs) != len(ours):
        raise UsageError(
            f"the model has {len(theirs)} {what} ({', '.join(theirs)}), the data {len(ours)} "
            f"({', '.join(ours)}): name as many"
        )


def mean_std(columns: np.ndarray, names: Sequence[str], where: str) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each column of [N, C] numbers.

    Raises:
        UsageError: a column is constant, or its numbers are beyond squaring.
    """
    for name, low, high in zip(names, columns.min(0), columns.max(0), strict=True):
        if low == high:
            raise UsageError(
                f"{where}: column {name!r} is constant in train ({low:g}): nothing can be learnt from it or "
                "foretold of it; leave it out"
            )
    with np.errstate(all="ignore"):
        means, deviations = columns.mean(0), columns.std(0)
    for name, deviation in zip(names, deviations, strict=True):
        if not 0 < deviation < np.inf:
            raise UsageError(f"{where}: column {name!r} is too large or too small to scale; change its unit")
    return means.tolist(), deviations.tolist()


def standardize(
    flat: Sequence[float], means: Sequence[float], deviations: Sequence[float], steps: int = -1
) -> np.ndarray:
    """[T * C] numbers, a step's columns in turn -> [T * C] float32 of mean 0 and standard deviation 1.

    Raises:
        ValueError: they are not of so many `steps` or, if left out, of no whole number of them.
        UsageError: a number is so far from those of the train split that float32 cannot hold it.
    """
    columns = np.asarray(flat, np.float64).reshape(steps, len(means))
    with np.errstate(over="ignore"):
        found = ((columns - means) / deviations).astype(np.float32)
    if not np.isfinite(found).all():
        step, column = np.argwhere(~np.isfinite(found))[0]
        raise UsageError(
            f"step {step + 1}: {columns[step, column]:g} is beyond float32 when scaled as in the train split "
            f"(mean {means[column]:g}, standard deviation {deviations[column]:g})"
        )
    return found.ravel()


def pad_vectors(flat: Sequence[np.ndarray], width: int) -> tuple[Tensor, Tensor]:
    """Put series side by side: [T * C] each -> [T, B, C] float32 filled up with 0, and their lengths [B]."""
    lengths = [len(steps) // width for steps in flat]
    padded = np.zeros((max(lengths, default=0), len(flat), width), np.float32)
    for row, steps in enumerate(flat):
        padded[: lengths[row], row] = np.reshape(steps, (-1, width))
    return torch.from_numpy(padded), torch.tensor(lengths, dtype=torch.int64)


def _depth(given: Any) -> int:
    """How deep lists are nested: 0 for a number, and for a list of nothing, which is no series."""
    depth = 0
    while isinstance(given, (list, tuple, np.ndarray)) and getattr(given, "shape", True) and len(given):
        given, depth = given[0], depth + 1
    return depth
