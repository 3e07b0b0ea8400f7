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
from nlp_rnn.data.corpus.validation import normalize_labels, warn_untagged
from nlp_rnn.data.module import CorpusData
from nlp_rnn.data.processor import Processor, truncate
from nlp_rnn.data.series import parse_names
from nlp_rnn.data.types import Dataset, DatasetDict
from nlp_rnn.data.vocabulary import Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.settings import Column, Columns, MaxLength, Range
from nlp_rnn.tasks.tagging.columns import accepted_names, check_names, column_class

UPOS = "upos"
"""The column of tags where no other is named."""


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
    columns: list[str] | None = None
    """The column that the tags are from; None for UPOS."""

    def __post_init__(self) -> None:
        super().__post_init__()
        (name,) = self.column_names
        self.tag_column = column_class(name)(name, self.labels)

    @property
    def column_names(self) -> list[str]:
        """The names of the columns of tags."""
        return self.columns or [UPOS]

    @override
    def data_settings(self) -> dict[str, Any]:
        (name,) = self.column_names
        return {"tags": name, "characters": self.characters is not None}

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
        if self.tag_column.name in rows:
            values = [tags[: self.max_length] for tags in rows[self.tag_column.name]]
            ids["label_ids"] = self.tag_column.encode(sentences, values)
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
        tags: name of the column of tags, such as upos, xpos, feats or ner; predictions are of this column.
        vocabulary: how the vocabulary of words is made; its level must be word.
        characters: also read the characters of each word.
        batching: how sentences are batched.
        max_length: maximum number of words per sentence; the rest is cut off.
        max_word_length: maximum number of characters per word; the rest is not read.
    """

    processor_class = TaggingProcessor

    def __init__(
        self,
        corpus: Corpus = Corpus(),
        tokens: Column = "tokens",
        tags: Columns = UPOS,
        vocabulary: VocabularySettings = VocabularySettings(),
        characters: bool = True,
        batching: Batching = Batching(size=32),
        max_length: MaxLength = 512,
        max_word_length: Annotated[int, Range(1, 10_000)] = 32,
    ) -> None:
        super().__init__(corpus, batching)
        self.tag_names = parse_names(tags)
        check_names(self.tag_names)
        self._accepted: dict[str, tuple[str, ...]] = {"tokens": (tokens,)}
        self._name_columns(self.tag_names)
        self.vocabulary = vocabulary
        self.characters = characters
        self.max_length = max_length
        self.max_word_length = max_word_length
        if vocabulary.level != "word":
            raise UsageError(f"vocabulary.level must be word for tagging, not {vocabulary.level}")

    def _name_columns(self, names: Sequence[str]) -> None:
        """Let the columns of tags have these canonical names."""
        accepted = map(accepted_names, self.tag_names)
        self._accepted = {"tokens": self._accepted["tokens"], **dict(zip(names, accepted, strict=True))}
        # Others are many, such as features: no split is drawn so that train has all of them.
        self.labels = names[0] if column_class(names[0]).is_closed else None

    @override
    def columns(self) -> Mapping[str, str | Sequence[str]]:
        return {name: Words(accepted) for name, accepted in self._accepted.items()}

    @override
    def check(self, processor: TaggingProcessor) -> None:
        names = processor.column_names
        if len(names) != len(self.tag_names):
            raise UsageError(
                f"the model predicts {', '.join(names)}: name as many columns of tags, not "
                f"{', '.join(self.tag_names)}"
            )
        self._name_columns(names)

    @override
    def attach_processor(self, processor: TaggingProcessor) -> None:
        """Use a trained model's processor instead of one made from the train split.

        Raises:
            UsageError: the model predicts other columns.
        """
        if processor.columns not in (None, self.tag_names):
            raise UsageError(
                f"the model predicts {', '.join(processor.columns)}: set data.tags to it, not "
                f"{', '.join(self.tag_names)}"
            )
        super().attach_processor(processor)

    @override
    def load(self) -> DatasetDict:
        splits = super().load()
        return type(splits)({name: self._normalized(name, split) for name, split in splits.items()})

    @override
    def load_split(self, split: str) -> Dataset:
        return self._normalized(split, super().load_split(split))

    def _normalized(self, split: str, rows: Dataset) -> Dataset:
        """Give those columns of tags one spelling that the corpus has not given it yet."""
        table = rows.with_format("arrow")[:]
        for name in self._accepted:
            if name not in ("tokens", self.labels):
                table = normalize_labels(table, name)
                if column_class(name).untagged is not None:
                    warn_untagged(f"{self.description}, {split} split", table, name)
        return type(rows)(table)

    @override
    def make_processor(self, train: Dataset) -> TaggingProcessor:
        sentences = train["tokens"][:]
        (name,) = self.tag_names
        column = column_class(name).learn(name, sentences, train[name][:])
        characters = None
        if self.characters:
            settings = VocabularySettings(level="char", lowercase=False)
            characters = Vocabulary.train((word for words in sentences for word in words), settings)
        words = Vocabulary.train_on_words(sentences, self.vocabulary)
        names = None if self.tag_names == [UPOS] else self.tag_names
        lengths = self.max_length, self.max_word_length
        return TaggingProcessor(words, column.labels, characters, *lengths, columns=names)
