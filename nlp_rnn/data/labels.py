"""Labels to ids."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.files import shorten

IGNORED = -100
"""The label id that losses and metrics skip."""


UNSEEN = -101
"""The label id of a label that the model does not know: whatever it predicts is an error."""

_BOOLEANS = {"0": "false", "1": "true", "false": "0", "true": "1"}


def sort_labels(labels: Iterable[str]) -> list[str]:
    """Sort labels: numbers by their value, then all others as text; each once."""

    def key(label: str) -> tuple[bool, float, str]:
        try:
            number = float(label)
        except ValueError:
            number = math.nan
        return math.isnan(number), 0.0 if math.isnan(number) else number, label

    return sorted(set(labels), key=key)


class UnknownLabelError(UsageError):
    """A label is not among those that the model was trained with.

    Args:
        label: the unknown label.
        known: the labels of the model.
        row: the row of the label, counted from 0, among the rows to encode; rows left out
            before do not count.
    """

    def __init__(self, label: str, known: Sequence[str], row: int) -> None:
        super().__init__(
            f"row {row + 1} of the rows kept: unknown label {shorten(label)}; known: {join_names(known)}; "
            "rename it in the data, or train on data that has it"
        )
        self.label = label
        self.known = known
        self.row = row

    def after(self, num_rows: int) -> UnknownLabelError:
        """Return the same error for rows of which `num_rows` others come first."""
        return UnknownLabelError(self.label, self.known, num_rows + self.row)


class LabelEncoder:
    """Labels to ids: the id of a label is its position.

    Examples:
        >>> encoder = LabelEncoder(["0", "1"], aliases=["negative", "positive"])
        >>> encoder.encode(["1", "negative"])
        [1, 0]

    Args:
        labels: the labels in the order of their ids.
        aliases: second names of the labels, in the same order. A name that is also a label means that label.
            0 and false, and 1 and true, mean each other where only one of the two is a label.
        ignored: a label that is not scored: its id is `IGNORED`.
        takes_unseen: whether unknown labels get the id `UNSEEN`, rather than be refused.
    """

    def __init__(
        self,
        labels: Sequence[str],
        aliases: Sequence[str] = (),
        ignored: str | None = None,
        takes_unseen: bool = False,
    ) -> None:
        self.labels = labels
        self.takes_unseen = takes_unseen
        self._ids = {name: id for names in (aliases, labels) for id, name in enumerate(names)}
        for name, other in _BOOLEANS.items():
            if other in labels:
                self._ids.setdefault(name, self._ids[other])
        if ignored is not None:
            self._ids[ignored] = IGNORED

    def encode(self, labels: Sequence[str]) -> list[int]:
        """Encode labels, one per row.

        Raises:
            UnknownLabelError: a label has no id.
        """
        return [ids[0] for ids in self.encode_lists([[label] for label in labels])]

    def encode_lists(self, rows: Sequence[Sequence[str]]) -> list[list[int]]:
        """Encode rows of labels, such as one label per step.

        Raises:
            UnknownLabelError: a label has no id.
        """
        encoded = []
        for row, labels in enumerate(rows):
            if self.takes_unseen:
                encoded.append([self._ids.get(label, UNSEEN) for label in labels])
                continue
            try:
                encoded.append([self._ids[label] for label in labels])
            except KeyError as error:
                raise UnknownLabelError(error.args[0], self.labels, row) from None
        return encoded
