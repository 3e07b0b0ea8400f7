"""What a run logs: metrics.csv, which a resumed run continues, and TensorBoard's events."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning_fabric.loggers.logger import rank_zero_experiment
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger
from pytorch_lightning.loggers.csv_logs import ExperimentWriter
from pytorch_lightning.utilities import rank_zero_only
from typing_extensions import override

from nlp_rnn.errors import UsageError
from nlp_rnn.files import atomic_write, write_errors

METRICS = "metrics.csv"


class MetricsLog(CSVLogger):
    """Lightning's CSVLogger, which continues a file that is there instead of deleting it.

    What is logged at one step is one row, so the end of an epoch, with training and validation, is one too.

    Args:
        folder: where metrics.csv is written.
    """

    def __init__(self, folder: str) -> None:
        super().__init__(folder, name="", version="")

    @property
    @override
    @rank_zero_experiment
    def experiment(self) -> Any:
        if self._experiment is None:
            self._experiment = _Writer(self.log_dir)
        return self._experiment

    @property
    def rows(self) -> int:
        """The number of rows logged so far; 0 on all processes but the first."""
        writer = self.experiment  # on other processes a stand-in, which has methods of all names
        return writer.rows if isinstance(writer, _Writer) else 0

    @rank_zero_only
    def cut(self, rows: int) -> None:
        """Delete what was logged after the first rows, whose number is given."""
        self.experiment.cut(rows)


class _Writer(ExperimentWriter):
    """Writes metrics.csv; a change of its header never leaves it incomplete."""

    def __init__(self, log_dir: str) -> None:
        super().__init__(log_dir)
        self.rows = 0
        self._last: dict[str, Any] = {}
        """The last row, written or not; empty if there is none."""
        self._outdated: dict[str, Any] | None = None
        """The row to write over the last one of the file."""
        if Path(self.metrics_file_path).is_file():
            self.metrics_keys, rows = self._read()
            self._set_rows(rows)

    @override
    def _check_log_dir_exists(self) -> None:
        pass  # Lightning deletes the file here

    @override
    def log_metrics(self, metrics_dict: dict[str, float], step: int | None = None) -> None:
        super().log_metrics(metrics_dict, step)
        row = self.metrics.pop()
        if not _is_same_step(self._last, row):
            self.metrics.append(row)
            self._last = row
            self.rows += 1
            return
        self._last.update(row)
        if not self.metrics:  # it is in the file
            self._outdated = self._last

    @override
    def save(self) -> None:
        path = Path(self.metrics_file_path)
        if self._outdated is not None:
            rows = self._read()[1]
            self.metrics_keys = sorted({*self.metrics_keys, *self._outdated})
            self._write(self.metrics_keys, [*rows[:-1], self._outdated])
            self._outdated = None
        with write_errors(path, path.absolute()):
            super().save()

    def cut(self, rows: int) -> None:
        if self.rows <= rows:
            return
        self.save()
        kept = self._read()[1][:rows]
        self._write(self.metrics_keys, kept)
        self._set_rows(kept)

    def _set_rows(self, rows: list[dict[str, Any]]) -> None:
        """Go on behind the rows of the file."""
        self.rows = len(rows)
        self._last = {name: value for name, value in rows[-1].items() if value != ""} if rows else {}

    @override
    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        self._write(fieldnames, self._read()[1])

    def _read(self) -> tuple[list[str], list[dict[str, Any]]]:
        try:
            with open(self.metrics_file_path, encoding="utf-8", newline="") as file:
                reader = csv.DictReader(file, strict=True)
                names, rows = list(reader.fieldnames or ()), list(reader)
            if any(None in row for row in rows):
                raise csv.Error("a row has more cells than the header")
        except (UnicodeDecodeError, csv.Error) as error:
            raise UsageError(
                f"{self.metrics_file_path}: damaged ({error}); rename it, and the run starts a new one"
            ) from error
        return names, rows

    def _write(self, names: list[str], rows: list[dict[str, Any]]) -> None:
        with (
            atomic_write(Path(self.metrics_file_path)) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as file,
        ):
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)


def _is_same_step(row: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two rows are of one step; those of the learning rate have no epoch."""
    epochs = {str(part["epoch"]) for part in (row, other) if "epoch" in part}
    return "step" in row and str(row["step"]) == str(other["step"]) and len(epochs) <= 1


class EventsLog(TensorBoardLogger):
    """Lightning's TensorBoardLogger, whose errors name the folder.

    Args:
        folder: where the events are written.
        purge_step: the step at which a resumed run goes on; TensorBoard forgets later events.
    """

    def __init__(self, folder: str, purge_step: int | None = None) -> None:
        super().__init__(folder, name="", version="", purge_step=purge_step)

    @override
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        with self._write_errors():
            super().log_metrics(metrics, step)

    @override
    def save(self) -> None:
        with self._write_errors():
            super().save()

    @override
    def finalize(self, status: str) -> None:
        with self._write_errors():
            super().finalize(status)

    @contextmanager
    def _write_errors(self) -> Iterator[None]:
        folder = Path(self.log_dir)
        with write_errors(folder, folder.absolute()):
            try:
                yield
            except ValueError as error:
                # Lightning's "you tried to log 0.5 which is currently not supported", whatever the cause.
                raise error.__cause__ or error from None


def run_loggers(
    chosen: Logger | Sequence[Logger] | bool | None, run_dir: Path | None, resumed: Mapping[str, Any]
) -> list[Logger]:
    """The loggers of a run: metrics.csv, and TensorBoard's files or the user's own loggers.

    Args:
        chosen: the user's own; False for none at all.
        run_dir: the run directory; None for a verb that has none, and logs nothing by itself.
        resumed: the state with which a run goes on (`nlp_rnn.training.resume_state`); empty for a new run.
    """
    own = [chosen] if isinstance(chosen, Logger) else chosen
    if run_dir is None or own is False:
        return list(own) if isinstance(own, Sequence) else []
    if not isinstance(own, Sequence):
        own = [EventsLog(str(run_dir), resumed.get("next_step"))]
    return [MetricsLog(str(run_dir)), *own]
