"""Ensembles: several trained models of one task that answer together (Hansen & Salamon 1990)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nlp_rnn.errors import UsageError
from nlp_rnn.tasks.pretrained import from_pretrained

if TYPE_CHECKING:
    from nlp_rnn.tasks.base import Task


def load_models(
    source: str | Path | Task | Sequence[str | Path | Task],
    *,
    revision: str | None = None,
    token: str | None = None,
    local_files_only: bool = False,
    timeout: float | None = None,
) -> Task:
    """Load a model, or several as an ensemble.

    Args:
        source: a model folder, a checkpoint (.ckpt) or a hub id; a loaded task; or a list of these.
        revision: of a single model on the hub, see `from_pretrained`.
        token: for private models on the hub, see `from_pretrained`.
        local_files_only: of models on the hub, read the local cache alone.
        timeout: seconds to wait for each answer of the hub.

    Returns:
        The task, in evaluation mode; that of several is made by `ensemble`.

    Raises:
        UsageError: there is no model, one cannot be loaded, or they do not fit together.
    """
    sources = [source] if not isinstance(source, Sequence) or isinstance(source, str) else list(source)
    if len(sources) > 1 and revision is not None:
        raise UsageError("a revision is of one model: leave it out, or give one model")
    names, tasks = [], []
    for number, one in enumerate(sources, 1):
        is_path = isinstance(one, (str, Path))
        names.append(str(one) if is_path else f"model {number}")
        tasks.append(
            from_pretrained(
                one, revision=revision, token=token, local_files_only=local_files_only, timeout=timeout
            )
            if isinstance(one, (str, Path))
            else one
        )
    return ensemble(tasks, names)


def ensemble(tasks: Sequence[Task], names: Sequence[str] | None = None) -> Task:
    """Make a task that answers from the mean of the probabilities of several.

    The models may differ in cell, sizes, layers and pooling, but read and answer with one processor:
    vocabularies, labels and scales are the same. All settings that are not of the models, such as how answers
    are decoded, are those of the first one.

    Args:
        tasks: trained models; a single one is returned as it is.
        names: what messages call them; their numbers if left out.

    Returns:
        The task, in evaluation mode. It answers and is measured as any other; it cannot be saved or trained.

    Raises:
        UsageError: there is none, or they do not fit together; the message names the first that does not.

    Examples:
        >>> task = ensemble([from_pretrained("model_a"), from_pretrained("model_b")])
    """
    if not tasks:
        raise UsageError("no model: give at least one")
    first, *others = tasks
    if not others:
        return first
    names = names or [f"model {number}" for number in range(1, len(tasks) + 1)]
    for task, name in zip(others, names[1:], strict=True):
        try:
            task.check_fits(first)
        except UsageError as error:
            raise UsageError(f"{name} does not fit {names[0]}: {error}") from None
    first.check_single("a part of another one")
    together = first.ensembled(tasks)
    together.members = tuple(tasks)
    return together.eval()
