"""The reader of sentences: raw text or lists of words, to ids of words and of their characters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple

import numpy as np

from .affixes import affix_ids
from .batches import pad
from .notices import truncate
from .readers import Reader
from .splitting import CHUNK, Token, WordSplitter
from .strings import Strings, lay_out
from .vocabulary import Vocabulary

RAW = "raw text"
"""The column of rows that holds a `RawText`, or None for a list of words."""


class RawText(NamedTuple):
    """A text that was split into words."""

    text: str
    offsets: list[tuple[int, int]]
    """Of each word the first character, and the one behind the last."""


class WordReader(Reader):
    """Sentences to ids of words, and optionally of their characters and affixes, also within the sentence."""

    length_columns = ("word_ids",)

    words: Vocabulary
    characters: Vocabulary | None
    max_length: int
    max_word_length: int
    splitter: WordSplitter | None
    affixes: Sequence[int] | None
    affix_buckets: int | None
    context_characters: Vocabulary | None
    """Those of a language model that reads the whole sentence."""

    def is_input(self, value: Any) -> bool:
        """Return whether a value is a text, or a list of words."""
        words = value if isinstance(value, (list, tuple)) else [value]
        return all(isinstance(word, str) for word in words)

    def rows(self, inputs: Sequence[Any]) -> dict[str, list[Any]]:
        """Turn sentences into rows; each is a list of words, or a text, which is split into words."""
        # Of the words beyond the maximum length, one is enough: it shows that there are more.
        rows: dict[str, list[Any]] = {"tokens": [], RAW: []}
        for sentence in inputs:
            raw = None
            words = sentence
            if isinstance(sentence, str):
                tokens = islice(self.split(sentence), self.max_length + 1)
                placed = [(word, (token.start, token.end)) for token in tokens for word in token.words]
                words = [word for word, _ in placed]
                raw = RawText(sentence, [offsets for _, offsets in placed])
            rows["tokens"].append(list(words))
            rows[RAW].append(raw)
        return rows

    def split(self, text: str) -> Iterator[Token]:
        """The words of a text with their places."""
        if self.splitter is not None:
            return self.splitter.split(text)
        return (Token(*match.span(), (match.group(),)) for match in CHUNK.finditer(text))

    @property
    def reads_unknown(self) -> bool:
        """Whether the characters or affixes of words are read."""
        read = self.characters is not None or self.context_characters is not None
        return read or bool(self.affixes)

    def encode_inputs(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Encode words: `word_ids`, and what else is read of them.

        These are `letter_ids` and `letter_counts` of their characters, `string_ids` and `string_counts` of
        those for a language model, and `affix_ids`.
        """
        sentences = truncate(rows["tokens"], self.max_length, "sentences")
        ids: dict[str, list[Any]] = {"word_ids": [self.words.encode_words(words) for words in sentences]}
        if self.characters is not None:
            ids["letter_ids"], ids["letter_counts"] = self._spelled(self.characters, sentences)
        if self.context_characters is not None:
            spelled = self._spelled(self.context_characters, sentences)
            ids["string_ids"], ids["string_counts"] = spelled
        if self.affixes and self.affix_buckets:
            # Those of all words of a sentence, word by word.
            known = self._affixes({word for words in sentences for word in words})
            ids["affix_ids"] = [
                list(chain.from_iterable(map(known.__getitem__, words))) for words in sentences
            ]
        return ids

    def _affixes(self, words: set[str]) -> dict[str, list[int]]:
        """The ids of each word's affixes."""
        sizes, buckets = self.affixes or (), self.affix_buckets or 1
        normal = self.words.normalize_words(list(words))
        return {word: affix_ids(text, sizes, buckets) for word, text in zip(words, normal, strict=True)}

    def strings(self, rows: Mapping[str, list[Any]]) -> Strings | None:
        """The characters of a batch's sentences; None if no language model reads them."""
        if self.context_characters is None:
            return None
        ((space,),) = self.context_characters.encode([" "])
        return lay_out(rows, space)

    def _spelled(
        self, characters: Vocabulary, sentences: Sequence[Sequence[str]]
    ) -> tuple[list[list[int]], list[list[int]]]:
        """The ids of the characters of all words of each sentence, and the number of each word's."""
        words = list({word for words in sentences for word in words})
        encoded = characters.encode(words, self.max_word_length)
        known = {word: ids[: self.max_word_length] for word, ids in zip(words, encoded, strict=True)}
        ids = [list(chain.from_iterable(known[word] for word in words)) for words in sentences]
        return ids, [[len(known[word]) for word in words] for words in sentences]


def number_spellings(rows: Mapping[str, list[Any]]) -> tuple[list[tuple[int, ...]], list[list[int]]]:
    """The different spellings of the words of a batch.

    Each is there once, however often the word occurs.

    Args:
        rows: encoded rows with `letter_ids` and `letter_counts`.

    Returns:
        The character ids of each of the U different words; and for each word of each row, which one it is.
    """
    numbers: dict[tuple[int, ...], int] = {}
    spelling = []
    for letter_ids, counts in zip(rows["letter_ids"], rows["letter_counts"], strict=True):
        letters = iter(np.asarray(letter_ids).tolist())
        words_in_row = [tuple(islice(letters, count)) for count in counts]
        spelling.append([numbers.setdefault(word, len(numbers)) for word in words_in_row])
    return list(numbers), spelling


def pad_affixes(rows: Mapping[str, list[Any]], steps: int, count: int) -> np.ndarray:
    """The affixes of a batch's words.

    Args:
        rows: encoded rows with `affix_ids`.
        steps: T, the words of the longest row.
        count: K, the affixes per word.

    Returns:
        [T, K, B] int64, padded with 0.
    """
    flat, _ = pad(rows["affix_ids"])  # [T * K, B]
    return flat.reshape(steps, count, flat.shape[1])
