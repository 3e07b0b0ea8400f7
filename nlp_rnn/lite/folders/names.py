"""The names of the tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..errors import UsageError

ALIASES: dict[str, tuple[str, ...]] = {
    "sentiment": ("sentiment-analysis", "text-classification"),
    "tagging": ("token-classification", "pos-tagging"),
    "translation": ("text2text-generation",),
    "language_modeling": ("text-generation",),
    "captioning": ("image-to-text",),
    "forecasting": ("time-series-forecasting",),
    "series_tagging": (),
    "text_pairs": ("natural-language-inference",),
    "multi_label": ("multi-label-classification",),
}
"""The Hugging Face hub's names for each task of the package."""


def find_name(name: str, aliases: Mapping[str, Iterable[str]]) -> str | None:
    """The name of a task by its name or alias; None if there is none.

    Hyphens and underscores are equivalent.

    Args:
        name: what the user calls it.
        aliases: the aliases of each task.

    Raises:
        UsageError: it is an alias of several tasks.
    """
    normalized = name.replace("-", "_")
    if normalized in aliases:
        return normalized
    tasks = [task for task, others in aliases.items() if normalized in (o.replace("-", "_") for o in others)]
    if len(tasks) > 1:
        raise UsageError(f"{name!r} is an alias of several tasks: use one of {', '.join(tasks)}")
    return tasks[0] if tasks else None
