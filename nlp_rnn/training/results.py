"""metrics.json: what a finished run has achieved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nlp_rnn.errors import UsageError
from nlp_rnn.files import atomic_write, standard_json

RESULTS = "metrics.json"
"""The file of a run directory; it is written last, so a run that has it is finished."""


def results_json(results: dict[str, Any]) -> str:
    """Results as one line of JSON, with null in place of NaN."""
    return json.dumps(standard_json(results), ensure_ascii=False)


def write_results(run_dir: Path, results: dict[str, Any]) -> None:
    """Write the results of a run.

    Args:
        run_dir: the run directory.
        results: `metrics` by name, of the checkpoint that became the model folder; `checkpoint`, which is
            `best` or `last`; its `epoch` and the number of `epochs` trained, both from 1; `early_stopped`,
            whether early stopping ended them; `seed`.

    Raises:
        UsageError: it cannot be written.
        RunError: the disk is full.
    """
    with atomic_write(run_dir / RESULTS) as temporary:
        temporary.write_text(results_json(results) + "\n", encoding="utf-8")


def read_results(run_dir: Path) -> dict[str, Any] | None:
    """The results of a run; None if it is not finished.

    Raises:
        UsageError: the file is damaged.
    """
    path = run_dir / RESULTS
    try:
        results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); delete it and resume the run") from error
    return results
