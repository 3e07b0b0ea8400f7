"""Tagging data: sentences of words with one tag per word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

import pyarrow as pa
import torch
from torch import Tensor
from typing_extensions import override

from nlp_rnn.data.batching import IGNORED, Batch, Batching, pad
from nlp_rnn.data.column_values import ColumnValues
from nlp_rnn.data.corpus.columns import Words
from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.data.corpus.drawing import Drawn
from nlp_rnn.data.corpus.extra import ExtraCorpus
from nlp_rnn.data.corpus.validation import normalize_labels, warn_untagged
from nlp_rnn.data.corpus_data import CorpusData
from nlp_rnn.data.processor import Processor
from nlp_rnn.data.series import parse_names
from nlp_rnn.data.types import Dataset, DatasetDict
from nlp_rnn.data.vocabulary import SPECIALS, UNK, Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.lite.text.affixes import MAX_AFFIX, MAX_BUCKETS
from nlp_rnn.lite.text.strings import Strings
from nlp_rnn.lite.text.word_reader import RAW, WordReader, number_spellings, pad_affixes
from nlp_rnn.settings import Columns, MaxLength, Range
from nlp_rnn.tasks.tagging.columns import (
    Scheme,
    SpanColumn,
    accepted_names,
    check_names,
    column_class,
    learn_column,
    restore_column,
)
from nlp_rnn.tasks.tagging.split_learning import learn_splitter
from nlp_rnn.tasks.tagging.splitting import WordSplitter
from nlp_rnn.tasks.tagging.strings import LanguageModelSizes, read_language_model

_FOLDER = "language_model_folder"
AFFIX_BUCKETS = 4096
"""The default number of ids of an affix."""
UPOS = "upos"
"""The column of tags where no other is named."""


@dataclass
class TaggingBatch(Batch):
    """A batch of sentences; `labels` are [T, B], or [K, T, B] of K columns of tags."""

    words: Tensor
    """[T, B] int64, padded with 0."""
    characters: Tensor | None = None
    """[C, U] int64: the characters of the U different words in the batch, padded with 0."""
    character_lengths: Tensor | None = None
    """[U] int64."""
    spelling: Tensor | None = None
    """[T, B] int64: for each position, which of the U words is there."""
    affixes: Tensor | None = None
    """[T, A, B] int64: the ids of the A affixes of each word, padded with 0."""
    string_ids: Tensor | None = None
    """[C, B] int64: the characters of the sentences, as the next three see `Strings`."""
    string_lengths: Tensor | None = None
    firsts: Tensor | None = None
    lasts: Tensor | None = None
    texts: dict[str, list[Any]] = field(default_factory=dict)
    """Of each sentence, as far as they are known, the words, `tokens`, the `RawText`, and the values of the
    columns of text."""

    @property
    def strings(self) -> Strings | None:
        """The characters of the sentences, if a language model reads them."""
        if self.string_ids is None:
            return None
        return Strings(self.string_ids, self.string_lengths, self.firsts, self.lasts)


@dataclass
class TaggingProcessor(WordReader, Processor):
    """Words to ids, one per word, and optionally their characters and affixes to ids."""

    input_columns = ("tokens",)
    features = {
        "word_ids": pa.list_(pa.int32()),
        "letter_ids": pa.list_(pa.int32()),
        "letter_counts": pa.list_(pa.int32()),
        "label_ids": pa.list_(pa.int32()),
    }
    unknown_remedy = "set characters to true, so that their letters tell, or lower vocabulary.min_frequency"

    words: Vocabulary
    labels: list[str]
    """The tags in the order of their ids."""
    characters: Vocabulary | None = None
    max_length: MaxLength = 512
    max_word_length: Annotated[int, Range(1, 10_000)] = 32
    columns: list[str] | None = None
    """The columns that the tags are from; None for UPOS alone."""
    other_labels: list[list[str]] | None = None
    """The tags of all columns but the first, which has `labels`."""
    schemes: list[Literal["", "iob1", "iob2", "iobes", "bilou"]] | None = None
    """How the tags of each column write spans; empty for one without spans, None if no column has them."""
    splitter: WordSplitter | None = None
    """Splits texts into words; None to split them at white space alone, as models of version 0.1 do."""
    affixes: list[int] | None = None
    """The numbers of letters of the affixes that are read; below 0 of suffixes. None if there are none."""
    affix_buckets: int | None = None
    """The number of ids of each of them."""
    context_characters: Vocabulary | None = None
    """The characters of the language model that the tagger reads with."""
    language_model: LanguageModelSizes | None = None
    """Its sizes; None if there is no language model."""
    language_model_folder: str | None = None
    """Where its weights are when a model is first made; not stored."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.splitter, Mapping):
            self.splitter = WordSplitter(**self.splitter)
        if isinstance(self.language_model, Mapping):
            self.language_model = LanguageModelSizes.of(self.language_model, "language_model")
        if (self.language_model is None) != (self.context_characters is None):
            raise UsageError("a language model needs both its sizes and its characters")
        names = self.column_names
        labels, schemes = [self.labels, *(self.other_labels or [])], self.schemes or [""] * len(names)
        self.tag_columns = [restore_column(*column) for column in zip(names, labels, schemes, strict=True)]
        self.label_features = ["label_ids", *(f"label_ids_{number}" for number in range(2, len(names) + 1))]
        own = ["affix_ids", *self.label_features] if self.affixes else self.label_features
        own = ["string_ids", "string_counts", *own] if self.strings_read else own
        more = dict.fromkeys(own, pa.list_(pa.int32()))
        self.features = {**type(self).features, **more}  # type: ignore[misc]
        texts = [column.name for column in self.tag_columns if column.is_text]
        self.texts = ("tokens", *texts) if texts else ()  # type: ignore[misc]

    @property
    def column_names(self) -> list[str]:
        """The names of the columns of tags."""
        return self.columns or [UPOS]

    @property
    def strings_read(self) -> bool:
        """Whether a language model reads the characters of the sentences."""
        return self.context_characters is not None

    @override
    def settings(self) -> dict[str, Any]:
        return {name: value for name, value in super().settings().items() if name != _FOLDER}

    @override
    def keeping(self, base: Processor) -> Self:
        theirs = base.vocabularies().get("context_characters")
        ours = self.context_characters
        if ours is not None and theirs is not None and theirs.fingerprint != ours.fingerprint:
            raise UsageError("language_model: the trained model reads another one, with other characters")
        return super().keeping(base)

    @override
    def data_settings(self) -> dict[str, Any]:
        scheme = next(filter(None, self.schemes or ()), "none")
        characters = self.characters is not None
        affixes = {"affixes": self.affixes or [], "affix_buckets": self.affix_buckets or AFFIX_BUCKETS}
        return {"tags": ",".join(self.column_names), "scheme": scheme, "characters": characters, **affixes}

    @override
    def unknown_tokens(self, rows: dict[str, list[Any]]) -> list[str]:
        return [word for word, id in zip(rows["tokens"][0], rows["word_ids"][0], strict=False) if id == UNK]

    @override
    def token_strings(self, value: Any) -> list[list[str]]:
        is_text = isinstance(value, str)
        words = [word for token in self.split(value) for word in token.words] if is_text else value
        # Words that are spelled as special tokens are unknown to the vocabulary, too.
        return [[word for word in self.words.normalize_words(words) if word not in SPECIALS]]

    @override
    def encode(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        ids = self.encode_inputs(rows)
        sentences = rows["tokens"]
        for feature, column in zip(self.label_features, self.tag_columns, strict=True):
            if column.name in rows:
                values = [tags[: self.max_length] for tags in rows[column.name]]
                ids[feature] = column.encode([words[: self.max_length] for words in sentences], values)
        return ids

    @override
    def collate(self, rows: dict[str, list[Any]]) -> TaggingBatch:
        words, lengths = pad(rows["word_ids"])
        texts = {name: rows[name] for name in ("tokens", RAW, *self.texts) if name in rows}
        batch = TaggingBatch(rows["row"], lengths, words, texts=texts)
        if self.characters is not None:
            spellings, spelling = number_spellings(rows)
            batch.characters, batch.character_lengths = pad(spellings)
            batch.spelling, _ = pad(spelling)
        strings = self.strings(rows)
        if strings is not None:
            tensors = map(torch.from_numpy, strings)
            batch.string_ids, batch.string_lengths, batch.firsts, batch.lasts = tensors
        if self.affixes:
            batch.affixes = torch.from_numpy(pad_affixes(rows, len(words), len(self.affixes)))
        if "label_ids" in rows:
            labels = [pad(rows[feature], IGNORED)[0] for feature in self.label_features]
            batch.labels = labels[0] if len(labels) == 1 else torch.stack(labels)
        return batch


class TaggingData(CorpusData[TaggingProcessor]):
    """Tagged sentences from any corpus.

    Args:
        corpus: where sentences come from.
        tokens: name of the column of words; of several names, the first that exists.
        tags: name of the column of tags, such as upos, xpos, feats or ner; predictions are of this column.
            Several names, as a list or with commas between them, make one model of several columns, of which
            the first is the main one.
        vocabulary: how the vocabulary of words is made; its level must be word.
        characters: also read the characters of each word.
        batching: how sentences are batched.
        max_length: maximum number of words per sentence; the rest is cut off.
        max_word_length: maximum number of characters per word; the rest is not read.
        scheme: how the model's tags write spans, such as named entities: iob1, iob2, iobes or bilou. Those of
            the corpus are converted. auto takes the scheme of the corpus, if its tags are recognized as
            spans; none takes tags for what they are.
        extra: further corpora to train on. Tags and vocabulary are counted over their sentences too.
        affixes: also read the first and last letters of each word: the numbers of letters, below 0 from the
            word's end. [-2, -3, 3] are the last two, the last three and the first three.
        affix_buckets: the number of vectors of each affix, which share them by a hash.
        language_model: model folder of a language model of characters, which reads each word within its
            sentence; its weights become part of the tagger and are not trained.
    """

    processor_class = TaggingProcessor

    def __init__(
        self,
        corpus: Corpus = Corpus(),
        tokens: Columns = "tokens",
        tags: Columns = UPOS,
        vocabulary: VocabularySettings = VocabularySettings(),
        characters: bool = True,
        batching: Batching = Batching(size=32),
        max_length: MaxLength = 512,
        max_word_length: Annotated[int, Range(1, 10_000)] = 32,
        scheme: Scheme = "auto",
        extra: Sequence[ExtraCorpus] = (),
        affixes: Annotated[Sequence[int], Range(-MAX_AFFIX, MAX_AFFIX)] = (),
        affix_buckets: Annotated[int, Range(1, MAX_BUCKETS)] = AFFIX_BUCKETS,
        language_model: str | None = None,
    ) -> None:
        super().__init__(corpus, batching, extra)
        self.scheme: Scheme = scheme
        self.tag_names = parse_names(tags)
        check_names(self.tag_names)
        self._accepted: dict[str, tuple[str, ...]] = {
            "tokens": (tokens,) if isinstance(tokens, str) else tuple(tokens)
        }
        self._name_columns(self.tag_names)
        self.vocabulary = vocabulary
        self.characters = characters
        self.max_length = max_length
        self.max_word_length = max_word_length
        self.affixes = list(affixes)
        self.affix_buckets = affix_buckets
        self.language_model = language_model
        if 0 in self.affixes or len(set(self.affixes)) < len(self.affixes):
            raise UsageError(f"affixes must be different numbers other than 0, not {self.affixes}")
        if affix_buckets != AFFIX_BUCKETS and not self.affixes:
            raise UsageError("affix_buckets has no effect without affixes: set affixes, or leave it out")
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
    def load_measured(self, split: str, drawn: Drawn | None = None) -> tuple[Dataset, str]:
        rows, note = super().load_measured(split, drawn)
        return self._normalized(split, rows), note

    def _normalized(self, split: str, rows: Dataset) -> Dataset:
        """Give those columns of tags one spelling that the corpus has not given it yet."""
        table = rows.with_format("arrow")[:]
        for name in self._accepted:
            if name not in ("tokens", self.labels) and not column_class(name).is_text:
                table = normalize_labels(table, name)
                if column_class(name).untagged is not None:
                    warn_untagged(f"{self.description}, {split} split", table, name)
        return type(rows)(table)

    @property
    @override
    def processor(self) -> TaggingProcessor:
        processor = super().processor
        if self._attached is None:
            processor.language_model_folder = self.language_model
        return processor

    @override
    def cache_key(self) -> str:
        if self.language_model is None or self._attached is not None:
            return super().cache_key()
        characters, sizes = read_language_model(self.language_model)  # there may be another by now
        return f"{super().cache_key()} {characters.fingerprint} {sizes}"

    @override
    def summary(self) -> str:
        spans = [column for column in self.processor.tag_columns if isinstance(column, SpanColumn)]
        notes = [
            f"{column.name}: {len(column.types)} type(s) of spans in {column.scheme}" for column in spans
        ]
        return "; ".join([super().summary(), *notes])

    @override
    def make_processor(self, train: Dataset) -> TaggingProcessor:
        sentences = ColumnValues(train, "tokens")
        try:
            columns = [learn_column(name, sentences, train[name][:], self.scheme) for name in self.tag_names]
        except UsageError as error:
            raise UsageError(f"{self.description}: {error}") from None
        if self.scheme not in ("auto", "none") and not any(column.scheme for column in columns):
            raise UsageError(
                f"scheme {self.scheme}: {', '.join(self.tag_names)} has no tags of spans, such as B-PER; "
                "leave data.scheme at auto"
            )
        characters = None
        if self.characters:
            settings = VocabularySettings(level="char", lowercase=False)
            characters = Vocabulary.train((word for words in sentences for word in words), settings)
        sampled = ColumnValues(train, "tokens", sample=self.vocabulary.sample)
        words = Vocabulary.train_on_words(sampled, self.vocabulary)
        characters_read, sizes = None, None
        if self.language_model is not None:
            characters_read, sizes = read_language_model(self.language_model)
        main, *others = columns
        schemes = [column.scheme for column in columns]
        return TaggingProcessor(
            words,
            main.labels,
            characters,
            self.max_length,
            self.max_word_length,
            columns=None if self.tag_names == [UPOS] else self.tag_names,
            other_labels=[column.labels for column in others] or None,
            schemes=schemes if any(schemes) else None,
            splitter=learn_splitter(self._texts(list(sentences)), list(sentences)),
            affixes=self.affixes or None,
            affix_buckets=self.affix_buckets if self.affixes else None,
            context_characters=characters_read,
            language_model=sizes,
        )

    def _texts(self, sentences: Sequence[Sequence[str]]) -> list[str | None]:
        """The texts of sentences of train, where the corpus has them in a column `text`; None elsewhere."""
        columns = {"tokens": self.columns()["tokens"], "text": "text"}
        try:
            train, _, _ = self.corpus.measured_rows(columns, "train", guess=False)
        except UsageError:  # there is no such column, or it holds something else
            return [None] * len(sentences)
        assert train is not None
        _, table = train
        words, texts = (table[name].to_pylist() for name in columns)
        text_of = {tuple(row or ()): text for row, text in zip(words, texts, strict=True)}
        return [text_of.get(tuple(words)) for words in sentences]
