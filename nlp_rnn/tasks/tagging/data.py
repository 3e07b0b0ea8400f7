"""Part-of-speech tagging: sentences of words with one tag each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from torch import Tensor

from nlp_rnn.data.batching import IGNORED, Batch, Batching, pad
from nlp_rnn.data.corpus.columns import Words
from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.data.corpus.validation import UNTAGGED
from nlp_rnn.data.labels import LabelEncoder
from nlp_rnn.data.module import CorpusData
from nlp_rnn.data.processor import Processor, truncate
from nlp_rnn.data.types import Dataset
from nlp_rnn.data.vocabulary import Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.settings import Column, MaxLength, Range


@dataclass
class TaggingBatch(Batch):
    """Sentences of words."""

    words: Tensor
    """[T, B] int64, padded with 0."""
    characters: Tensor | None = None
    """[C, U] int64: the U different words of the batch, spelled."""
    character_lengths: Tensor | None = None
    """[U]."""
    spelling: Tensor | None = None
    """[T, B] int64, which of the U words stands where."""


@dataclass
class TaggingProcessor(Processor):
    """Words to ids, one a word whatever is in it, and their letters to ids."""

    features = {
        "word_ids": pa.list_(pa.int32()),
        "letter_ids": pa.list_(pa.int32()),
        "letter_counts": pa.list_(pa.int32()),
        "label_ids": pa.list_(pa.int32()),
    }
    length_columns = ("word_ids",)

    words: Vocabulary
    labels: list[str]
    characters: Vocabulary | None = None
    max_length: MaxLength = 512
    max_word_length: Annotated[int, Range(1, 10_000)] = 32

    def is_input(self, given: Any) -> bool:
        words = given if isinstance(given, (list, tuple)) else [given]
        return all(isinstance(word, str) for word in words)

    def rows(self, inputs: Sequence[Any]) -> dict[str, list[Any]]:
        """Sentences, each a list of words or a text with white space between its words."""
        return {"tokens": [words.split() if isinstance(words, str) else list(words) for words in inputs]}

    def encode(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        sentences = truncate(rows["tokens"], self.max_length, "sentences")
        ids: dict[str, list[Any]] = {"word_ids": [self.words.encode_words(words) for words in sentences]}
        if self.characters is not None:
            # The letters of a sentence's words on end, and how many are each word's.
            spelled = self._spell({word for words in sentences for word in words})
            ids["letter_ids"] = [
                list(chain.from_iterable(spelled[word] for word in words)) for words in sentences
            ]
            ids["letter_counts"] = [[len(spelled[word]) for word in words] for words in sentences]
        if "upos" in rows:
            label_ids = LabelEncoder(self.labels, ignored=UNTAGGED).encode_lists(rows["upos"])
            ids["label_ids"] = [tags[: self.max_length] for tags in label_ids]
        return ids

    def collate(self, rows: dict[str, list[Any]]) -> TaggingBatch:
        words, lengths = pad(rows["word_ids"])
        batch = TaggingBatch(rows["row"], lengths, words)
        if self.characters is not None:
            # A word's spelling is read once a batch, however often it stands there.
            places: dict[tuple[int, ...], int] = {}
            spelling = []
            for letters, counts in zip(rows["letter_ids"], rows["letter_counts"], strict=True):
                letter = iter(np.asarray(letters).tolist())
                spelled = [tuple(islice(letter, count)) for count in counts]
                spelling.append([places.setdefault(word, len(places)) for word in spelled])
            batch.characters, batch.character_lengths = pad(list(places))
            batch.spelling, _ = pad(spelling)
        if "label_ids" in rows:
            batch.labels, _ = pad(rows["label_ids"], IGNORED)
        return batch

    def _spell(self, words: set[str]) -> dict[str, list[int]]:
        assert self.characters is not None
        spelled = self.characters.encode(list(words))
        return {word: ids[: self.max_word_length] for word, ids in zip(words, spelled, strict=True)}


class TaggingData(CorpusData[TaggingProcessor]):
    """Tagged sentences from any corpus.

    Args:
        corpus: where sentences come from.
        tokens: name of the column of words.
        tags: name of the column of tags.
        vocabulary: how the vocabulary of words is made; always of whole words.
        characters: read the words' letters too.
        batching: how sentences are put together.
        max_length: longest sentence, in words; what is beyond it is cut off.
        max_word_length: how many of a word's letters are read.
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

    def columns(self) -> Mapping[str, str | Sequence[str]]:
        return {name: Words((column,)) for name, column in self.names.items()}

    def make_processor(self, train: Dataset) -> TaggingProcessor:
        sentences = train["tokens"][:]
        labels = sorted({tag for tags in train["upos"] for tag in tags} - {UNTAGGED})
        characters = None
        if self.characters:
            spelling = VocabularySettings(level="char", lowercase=False)
            characters = Vocabulary.train((word for words in sentences for word in words), spelling)
        words = Vocabulary.train_on_words(sentences, self.vocabulary)
        return TaggingProcessor(words, labels, characters, self.max_length, self.max_word_length)
