"""Trained models without torch: NumPy alone, of the same model folders, with the same answers.

    >>> from nlp_rnn_lite import pipeline
    >>> classify = pipeline("sentiment", "runs/sentiment_builtin/latest/model")
    >>> classify("not a bad film")["label"]
    'positive'

Nothing here imports another room of the package, nor torch, so that the wheel `nlp-rnn-lite` is this folder
alone, under the name `nlp_rnn_lite`. What reading an input and writing an answer take stands here too, for
the rest of the package to share. All names are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import UsageError
    from .loading import load
    from .pipelines import pipeline

# Name -> module. Imported on first use, for the rest of the package imports parts of this one early.
_PUBLIC = {"UsageError": "errors", "load": "loading", "pipeline": "pipelines"}

__all__ = ["UsageError", "load", "pipeline"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        from importlib import import_module

        return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
