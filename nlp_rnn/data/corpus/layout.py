"""What users state about their files; all else is detected."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """How files are to be read.

    Args:
        columns: names of the columns of files without a header, in their order; None if files have a header.
        encoding: the encoding of text files.
        may_guess: whether a file without a header, whose columns are not stated, may be taken to have the
            wanted columns in their order.
        labels: canonical name of the column of labels, if there is one.
    """

    columns: tuple[str, ...] | None = None
    encoding: str = "utf-8"
    may_guess: bool = True
    labels: str | None = None


DETECTED = Layout()
"""Nothing is stated."""
