"""The base class of processors that read series of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from nlp_rnn.data.processor import SHOWN_NUMBERS, Processor
from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.lite.text.number_readers import SeriesReader
from nlp_rnn.settings import FiniteNumber, PositiveNumber


@dataclass(kw_only=True)
class SeriesProcessor(SeriesReader, Processor):
    """Base class: steps of numbers to vectors. Columns are scaled by their statistics in the train split."""

    inputs: list[str]
    """The columns whose numbers make up a step."""
    means: list[FiniteNumber]
    """The mean of each column in the train split."""
    deviations: list[PositiveNumber]
    """The standard deviation of each column in the train split."""
    group: str = ""
    """The column that names the series of each row; empty if there is none."""

    scales: ClassVar[Sequence[str]] = ("means", "deviations")
    scaled: ClassVar[Sequence[str]] = ("inputs",)

    @override
    def input_text(self, row: Mapping[str, Any]) -> str:
        """The last steps, which matter most, with ";" between those of several columns."""
        width = len(self.inputs)
        steps = np.reshape(row["steps"], (-1, width)).tolist()
        shown = steps[-max(1, SHOWN_NUMBERS // width) :]
        between = "; " if width > 1 else " "
        return "… " * (len(shown) < len(steps)) + between.join(
            " ".join(f"{number:.4g}" for number in step) for step in shown
        )

    def example(self, length: int) -> list[Any]:
        """Make an example input of `length` steps, in which all numbers are the means."""
        step = [float(f"{mean:.3g}") for mean in self.means]
        return (step if len(step) == 1 else [step]) * length


def check_num_columns(setting: str, model_columns: Sequence[str], data_columns: Sequence[str]) -> None:
    """Check that the data has as many columns as a trained model.

    Args:
        setting: the setting that names the columns: "inputs" or "targets".
        model_columns: what the model calls them.
        data_columns: what the data calls them.

    Raises:
        UsageError: the numbers of columns differ.
    """
    if len(model_columns) != len(data_columns):
        raise UsageError(
            f"the model has {len(model_columns)} {setting} ({join_names(model_columns)}), the data "
            f"{len(data_columns)} ({join_names(data_columns)}); name the same number of columns"
        )
