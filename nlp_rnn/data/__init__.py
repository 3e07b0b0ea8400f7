"""Text and numbers to batches of tensors.

The DataModules of the tasks can also be imported from here: `from nlp_rnn.data import SentimentData`.
"""

from __future__ import annotations

from typing import Any

from nlp_rnn.data.batching import Batching
from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.data.corpus_data import CorpusData
from nlp_rnn.data.module import DataModule
from nlp_rnn.data.vocabulary import Vocabulary, VocabularySettings

__all__ = ["Batching", "Corpus", "CorpusData", "DataModule", "Vocabulary", "VocabularySettings"]


def __getattr__(name: str) -> Any:
    # Looked up by name, because this package must not import the tasks.
    if name.endswith("Data"):
        from importlib import import_module

        return getattr(import_module("nlp_rnn.tasks"), name)
    raise AttributeError(f"module 'nlp_rnn.data' has no attribute {name!r}")
