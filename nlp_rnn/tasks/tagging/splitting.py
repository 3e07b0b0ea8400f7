"""Raw text to words, in the way of the corpus that a model was trained on; see `nlp_rnn.lite.text`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from typing_extensions import override

from nlp_rnn.errors import UsageError
from nlp_rnn.lite.text import splitting
from nlp_rnn.settings import Settings


@dataclass(frozen=True)
class WordSplitter(splitting.WordSplitter, Settings):
    """Splits raw text into words; made by `nlp_rnn.tasks.tagging.split_learning.learn_splitter`.

    Args:
        weights: how much each feature of a place in a chunk speaks for the end of a word there; general rules
            decide if there are none.
        chunks: chunks that would be split otherwise, with spaces between their words.
        contractions: in lower case, each with the words that it stands for behind it: "du de le".
        dense: whether many chunks of letters alone have several words, as in Chinese.

    Raises:
        UsageError: a value is of another type.
    """

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.weights, Mapping):
            raise UsageError("splitter.weights must be a mapping of features to numbers")
