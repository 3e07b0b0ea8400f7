"""The tokenizers library in place of `nlp_rnn.lite.text.tokenizer`, which computes the same without it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tokenizers import Tokenizer

from nlp_rnn.errors import UsageError
from nlp_rnn.lite.text import tokenizer


class LibraryTokenizer(tokenizer.Tokenizer):
    """Encodes texts, in several threads.

    Args:
        state: the object in a `tokenizer.json` that `check_tokenizer` knows.

    Raises:
        UsageError: the library cannot read it.
    """

    def __init__(self, state: Any) -> None:
        # The special tokens are only in the model's vocabulary. As "added tokens" they would also be matched
        # in a user's text.
        try:
            self.library = Tokenizer.from_str(json.dumps({**state, "added_tokens": []}))
        except Exception as error:  # the library raises bare Exception
            raise UsageError(f"not a readable tokenizer.json: {error}") from error

    def normalize(self, text: str) -> str:
        """Normalize a text."""
        return str(self.library.normalizer.normalize_str(text))

    def encode(self, texts: Iterable[str]) -> list[list[int]]:
        """The ids of texts."""
        return [encoding.ids for encoding in self.library.encode_batch_fast(list(texts))]

    def tokens(self, text: str) -> list[tokenizer.Token]:
        """The tokens of a text."""
        encoding = self.library.encode(text)
        return [(id, *span) for id, span in zip(encoding.ids, encoding.offsets, strict=True)]
