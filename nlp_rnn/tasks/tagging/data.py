"""Tagging data: sentences of words with one tag per word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from torch import Tensor
from typing_extensions import override

from nlp_rnn.data.batching import IGNORED, Batch, Batching, pad
from nlp_rnn.data.corpus.columns import Words
from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.data.corpus.validation import UNTAGGED
from nlp_rnn.data.labels import UNSEEN, LabelEncoder
from nlp_rnn.data.module import CorpusData
from nlp_rnn.data.processor import Processor, truncate, warn_unseen
from nlp_rnn.data.types import Dataset
from nlp_rnn.data.vocabulary import Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.settings import Column, MaxLength, Range


@dataclass
class TaggingBatch(Batch):
    """A batch of sentences; `labels` are [T, B]."""

    words: Tensor
    """[T, B] int64, padded with 0."""
    characters: Tensor | None = None
    """[C, U] int64: the characters of the U different words in the batch, padded with 0."""
    character_lengths: Tensor | None = None
    """[U] int64."""
    spelling: Tensor | None = None
    """[T, B] int64: for each position, which of the U words is there."""


@dataclass
class TaggingProcessor(Processor):
    """Words to ids, one per word, and optionally their characters to ids."""

    features = {
        "word_ids": pa.list_(pa.int32()),
        "letter_ids": pa.list_(pa.int32()),
        "letter_counts": pa.list_(pa.int32()),
        "label_ids": pa.list_(pa.int32()),
    }
    length_columns = ("word_ids",)
    unknown_remedy = "set characters to true, so that their letters tell, or lower vocabulary.min_frequency"

    words: Vocabulary
    labels: list[str]
    """The tags in the order of their ids."""
    characters: Vocabulary | None = None
    max_length: MaxLength = 512
    max_word_length: Annotated[int, Range(1, 10_000)] = 32

    @override
    def is_input(self, value: Any) -> bool:
        words = value if isinstance(value, (list, tuple)) else [value]
        return all(isinstance(word, str) for word in words)

    @override
    def rows(self, inputs: Sequence[Any]) -> dict[str, list[Any]]:
        """Turn sentences into rows; each is a list of words, or a text with white space between words."""
        # Of the words beyond the maximum length, one is enough: it shows that there are more.
        return {
            "tokens": [
                words.split(maxsplit=self.max_length) if isinstance(words, str) else list(words)
                for words in inputs
            ]
        }

    @override
    def encode(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        sentences = truncate(rows["tokens"], self.max_length, "sentences")
        ids: dict[str, list[Any]] = {"word_ids": [self.words.encode_words(words) for words in sentences]}
        if self.characters is not None:
            # The characters of all words of a sentence, and the number of characters of each word.
            spellings = self._spell({word for words in sentences for word in words})
            ids["letter_ids"] = [
                list(chain.from_iterable(spellings[word] for word in words)) for words in sentences
            ]
            ids["letter_counts"] = [[len(spellings[word]) for word in words] for words in sentences]
        if "upos" in rows:
            encoder = LabelEncoder(self.labels, ignored=UNTAGGED, takes_unseen=True)
            label_ids = encoder.encode_lists(rows["upos"])
            if any(UNSEEN in ids for ids in label_ids):
                known = {*self.labels, UNTAGGED}
                warn_unseen(tag for tags in rows["upos"] for tag in tags if tag not in known)
            ids["label_ids"] = [tags[: self.max_length] for tags in label_ids]
        return ids

    @override
    def collate(self, rows: dict[str, list[Any]]) -> TaggingBatch:
        words, lengths = pad(rows["word_ids"])
        batch = TaggingBatch(rows["row"], lengths, words)
        if self.characters is not None:
            # Each word's spelling is in the batch once, however often the word occurs.
            numbers: dict[tuple[int, ...], int] = {}
            spelling = []
            for letter_ids, counts in zip(rows["letter_ids"], rows["letter_counts"], strict=True):
                letters = iter(np.asarray(letter_ids).tolist())
                words_in_row = [tuple(islice(letters, count)) for count in counts]
                spelling.append([numbers.setdefault(word, len(numbers)) for word in words_in_row])
            batch.characters, batch.character_lengths = pad(list(numbers))
            batch.spelling, _ = pad(spelling)
        if "label_ids" in rows:
            batch.labels, _ = pad(rows["label_ids"], IGNORED)
        return batch

    def _spell(self, words: set[str]) -> dict[str, list[int]]:
        """The ids of each word's characters."""
        assert self.characters is not None
        spellings = self.characters.encode(list(words), self.max_word_length)
        return {word: ids[: self.max_word_length] for word, ids in zip(words, spellings, strict=True)}


class TaggingData(CorpusData[TaggingProcessor]):
    """Tagged sentences from any corpus.

    Args:
        corpus: where sentences come from.
        tokens: name of the column of words.
        tags: name of the column of tags.
        vocabulary: how the vocabulary of words is made; its level must be word.
        characters: also read the characters of each word.
        batching: how sentences are batched.
        max_length: maximum number of words per sentence; the rest is cut off.
        max_word_length: maximum number of characters per word; the rest is not read.
    """

    processor_class = TaggingProcessor
    labels = "upos"

    def __init__(
        self,
        corpus: Corpus = Corpus(),
        tokens: Column = "tokens",
        tags: Column = "upos",
        vocabulary: VocabularySettings = VocabularySettings(),
        characters: bool = True,
        batching: Batching = Batching(size=32),
        max_length: MaxLength = 512,
        max_word_length: Annotated[int, Range(1, 10_000)] = 32,
    ) -> None:
        super().__init__(corpus, batching)
        self.names = {"tokens": tokens, "upos": tags}
        self.vocabulary = vocabulary
        self.characters = characters
        self.max_length = max_length
        self.max_word_length = max_word_length
        if vocabulary.level != "word":
            raise UsageError(f"vocabulary.level must be word for tagging, not {vocabulary.level}")

    @override
    def columns(self) -> Mapping[str, str | Sequence[str]]:
        return {name: Words((column,)) for name, column in self.names.items()}

    @override
    def make_processor(self, train: Dataset) -> TaggingProcessor:
        sentences = train["tokens"][:]
        labels = sorted({tag for tags in train["upos"] for tag in tags} - {UNTAGGED})
        characters = None
        if self.characters:
            settings = VocabularySettings(level="char", lowercase=False)
            characters = Vocabulary.train((word for words in sentences for word in words), settings)
        words = Vocabulary.train_on_words(sentences, self.vocabulary)
        return TaggingProcessor(words, labels, characters, self.max_length, self.max_word_length)
