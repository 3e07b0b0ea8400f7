"""Trained models: saved as a model folder, loaded from a folder, a Lightning checkpoint or the hub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from nlp_rnn.errors import UsageError
from nlp_rnn.models.layers.quantization import INT8, quantize
from nlp_rnn.storage.reading import read_model
from nlp_rnn.storage.stored import StoredModel, check_weights
from nlp_rnn.storage.writing import write_model
from nlp_rnn.tasks.registry import TASKS

if TYPE_CHECKING:
    from nlp_rnn.tasks.base import Task


def save_pretrained(task: Task, folder: str | Path, card: str | None = None) -> Path:
    """Write a model folder, all of it or nothing; one that stands there is replaced.

    Args:
        task: a trained model with its processor.
        folder: where to write.
        card: the text of its README.md; a card without metrics if left out.

    Returns:
        The folder.

    Raises:
        UsageError: `folder` exists and is no model folder, or holds other files too, or cannot be written.
    """
    text = task.card() if card is None else card
    return write_model(folder, task.stored(), task.processor.vocabularies(), task.model.state_dict(), text)


def from_pretrained(source: str | Path) -> Task:
    """Load a trained model, on the CPU and ready to answer.

    Args:
        source: a model folder, a Lightning checkpoint (.ckpt) of this package, or the id of a model folder on
            the hub.

    Returns:
        The task, in evaluation mode.

    Raises:
        UsageError: there is no such model, or it is damaged, unsafe or of a newer format; the message names
            file and remedy.
    """
    return _build(read_model(source))


def _build(stored: StoredModel) -> Task:
    name, where = stored.config.get("task"), stored.config_file
    if name not in list(TASKS):
        raise UsageError(f"{where}: unknown task {name!r}; this version has {', '.join(TASKS)}")
    task_class = TASKS[name]
    try:
        with torch.device("meta"):  # takes no memory, whatever sizes are asked for
            expected = _untrained(task_class, stored.config).model.state_dict()
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        raise UsageError(f"{where}: its settings fit no model ({error!r})") from error
    check_weights(stored.weights, expected, stored.weights_file)
    task = _untrained(task_class, stored.config)
    task.model.load_state_dict(stored.weights)
    return task.eval()


def _untrained(task_class: type[Task], config: Mapping[str, Any]) -> Task:
    """The task that `config` describes, its weights yet to be loaded."""
    weights = config.get("weights")
    if weights not in (None, INT8):
        raise UsageError(f"weights of kind {weights!r} are unknown to this version: upgrade nlp_rnn")
    task = task_class.from_stored(config)
    if weights == INT8:
        quantize(task.model)
    return task
