"""Vocabularies: train tokenizers of words, subwords or characters; `nlp_rnn.lite.text` applies them."""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from nlp_rnn.data.library_tokenizer import LibraryTokenizer
from nlp_rnn.data.vector_files import vector_words, vectors_stamp
from nlp_rnn.errors import UsageError
from nlp_rnn.lite.folders.folder import check_is_model, current_folder, read_config, read_unchanged
from nlp_rnn.lite.text import vocabulary
from nlp_rnn.lite.text.pieces import pieces
from nlp_rnn.lite.text.tokenizer import SUBWORD_SPACE
from nlp_rnn.lite.text.tokenizer_format import BOS, CHARACTER, EOS, LINE_BREAK, PAD, SPECIALS, TAG, UNK, WORD
from nlp_rnn.lite.text.vocabulary import MAX_WORD, Level, check_text
from nlp_rnn.settings import Range, Settings

log = logging.getLogger(__name__)

READ = ("tokens", "words", "source")
"""The names of the vocabularies of what models read."""
_WRITTEN = ("target",)  # of what those write that have another one for it

__all__ = ["BOS", "EOS", "PAD", "SPECIALS", "UNK", "Vocabulary", "VocabularySettings"]


@dataclass(frozen=True)
class VocabularySettings(Settings):
    """How a vocabulary is made from the train split.

    Args:
        level: the unit of tokens: word, bpe (subwords) or char.
        lowercase: convert upper case to lower case.
        min_frequency: leave out tokens that occur fewer times in the train split.
        max_size: maximum number of tokens, special tokens included; the most frequent are kept.
        sample: make it from so many rows of the train split, chosen at random; from all if left out.
        model: a model folder whose vocabulary is taken over as it is, such as that of a language model from
            which a classifier starts, or both of a translation model for another one; tags of extra corpora
            are added behind its tokens, and the other settings then have no effect. Made anew if left out.
        vectors: a file of word vectors, whose words are added in the order of the file, up to `max_size`
            tokens. So a model with these vectors also knows words that the train split lacks. For
            vocabularies of words. The file must stay as it is until training has ended.

    Raises:
        UsageError: a value is out of range, or a setting excludes another one.
    """

    level: Level = "word"
    lowercase: bool = True
    min_frequency: Annotated[int, Range(0, 10**9)] = 2
    max_size: Annotated[int, Range(5, 10**8)] = 32_000
    sample: Annotated[int, Range(1, 10**12)] | None = None
    model: str | None = None
    vectors: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.vectors is None:
            return
        if not self.vectors:
            raise UsageError("vocabulary.vectors: the value is empty; give a file, or leave it out")
        if self.level != "word":
            raise UsageError(
                f"vocabulary.vectors: for vocabularies of words, not of level {self.level}; leave it out"
            )
        if self.model is not None:
            raise UsageError(
                "vocabulary.vectors: nothing is added to a vocabulary that is taken over; leave it out"
            )

    def sources(self) -> list[Any]:
        """What changes with the content of the files that these settings name, for the key of a cache.

        Raises:
            UsageError: there is no such file or folder, or it is damaged.
        """
        return [self.stored_tokenizers(), None if self.vectors is None else vectors_stamp(self.vectors)]

    def stored_tokenizers(self) -> dict[str, str]:
        """The text of the `tokenizer.json` of each vocabulary of `model` by its field; none without it.

        Raises:
            UsageError: there is no such model folder, or it is damaged.
        """
        if self.model is None:
            return {}
        folder = current_folder(Path(self.model).expanduser())
        if not folder.is_dir():
            raise UsageError(f"vocabulary.model: {self.model}: no such model folder")
        check_is_model(self.model, folder)
        config, _ = read_unchanged(folder, folder, read_config)
        tokenizers: dict[str, str] = config["processor"]["tokenizers"]
        return tokenizers

    def taken_over(self, written: bool = False) -> str | None:
        """The tokenizer of `model` as the text of a `tokenizer.json`; None if there is no `model`.

        Args:
            written: whether it is of what a model writes, as a translation, rather than of what it reads.

        Raises:
            UsageError: there is no such model folder, it is damaged, or its model has no such text.
        """
        if self.model is None:
            return None
        texts = self.stored_tokenizers()
        for name in _WRITTEN if written else READ:
            if name in texts:
                return texts[name]
        verb = "writes" if written else "reads"
        raise UsageError(f"vocabulary.model: {self.model}: its model {verb} no text with a vocabulary")


class Vocabulary(vocabulary.Vocabulary):
    """Text to ids and back, with a `tokenizers.Tokenizer`; see `nlp_rnn.lite.text.vocabulary.Vocabulary`.

    Examples:
        >>> vocabulary = Vocabulary.train(["a good film", "a film"], VocabularySettings())
        >>> vocabulary.encode(["a bad film"])
        [[4, 1, 5]]
        >>> vocabulary.decode([4, 5])
        'a film'

    Args:
        tokenizer: a tokenizer of the components that `tokenizer_format` knows.

    Raises:
        UsageError: the ids of the special tokens are others, or it has other components.
    """

    _encoder: LibraryTokenizer

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._restore(json.loads(tokenizer.to_str()))

    def _make_encoder(self, state: Any) -> LibraryTokenizer:
        return LibraryTokenizer(state)

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the library."""
        return self._encoder.library

    def to_json(self) -> str:
        """Return the vocabulary as the text of a `tokenizer.json`."""
        return str(self.tokenizer.to_str())

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        settings: VocabularySettings,
        tags: Sequence[str] = (),
        written: bool = False,
    ) -> Vocabulary:
        """Make a vocabulary from texts, such as those of the train split.

        Args:
            texts: the texts.
            settings: the unit of tokens, and which are kept.
            tags: tokens that the vocabulary has too, and that no text is encoded to, such as <bt>.
            written: whether a model writes these texts, see `VocabularySettings.taken_over`.

        Raises:
            UsageError: a text has a lone surrogate, or a file that `settings` name cannot be read.
        """
        taken = settings.taken_over(written)
        if taken is not None:
            return cls.from_json(taken).with_tags(tags)
        line_breaks = normalizers.Replace(Regex(LINE_BREAK), " ")
        normalizer = normalizers.Sequence([line_breaks, *_normalizers(settings.lowercase)])
        trainer: trainers.Trainer
        if settings.level == "bpe":
            if iter(texts) is texts:  # it can be read once only
                texts = list(texts)
            tokenizer = Tokenizer(models.BPE(unk_token=SPECIALS[UNK]))
            tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
                [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()]
            )
            tokenizer.decoder = decoders.Metaspace()
            # Scripts with thousands of characters must leave room for merges.
            normalized = map(normalizer.normalize_str, _pieces(texts))
            alphabet = _alphabet(normalized, max(1, settings.max_size // 3))
            trainer = trainers.BpeTrainer(
                initial_alphabet=alphabet, limit_alphabet=len(alphabet), **_trainer_arguments(settings, tags)
            )
        else:
            tokenizer = Tokenizer(models.WordLevel(unk_token=SPECIALS[UNK]))
            pattern = WORD if settings.level == "word" else CHARACTER
            tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
            trainer = trainers.WordLevelTrainer(**_trainer_arguments(settings, tags))
        tokenizer.normalizer = normalizer
        tokenizer.train_from_iterator(_pieces(texts), trainer)
        return cls(tokenizer)._with_words_of_vectors(settings)

    @classmethod
    def train_on_words(cls, sentences: Iterable[Sequence[str]], settings: VocabularySettings) -> Vocabulary:
        """Make a vocabulary from sentences that are lists of words. No word is split.

        Raises:
            UsageError: a word has a lone surrogate, or a file that `settings` name cannot be read or does not
                have words.
        """
        taken = settings.taken_over()
        if taken is not None:
            if cls.from_json(taken).level != "word":
                raise UsageError(f"vocabulary.model: {settings.model}: its tokens are not words")
            return cls.from_json(json.dumps({**json.loads(taken), "pre_tokenizer": None}))
        tokenizer = Tokenizer(models.WordLevel(unk_token=SPECIALS[UNK]))
        tokenizer.normalizer = normalizers.Sequence(_normalizers(settings.lowercase))
        normalize = tokenizer.normalizer.normalize_str
        words = (normalize(check_text(word[:MAX_WORD])) for sentence in sentences for word in sentence)
        trainer = trainers.WordLevelTrainer(**_trainer_arguments(settings))
        tokenizer.train_from_iterator((word for word in words if word and word not in SPECIALS), trainer)
        return cls(tokenizer)._with_words_of_vectors(settings)

    def _with_words_of_vectors(self, settings: VocabularySettings) -> Vocabulary:
        """This vocabulary with the words of `settings.vectors` that a text can be encoded to."""
        if settings.vectors is None:
            return self
        own = json.loads(self.to_json())
        vocab = own["model"]["vocab"]
        before = len(vocab)
        normalize, splitter = self.tokenizer.normalizer.normalize_str, self.tokenizer.pre_tokenizer
        for word in vector_words(settings.vectors) if before < settings.max_size else ():
            token = normalize(word)
            is_whole = splitter is None or [part for part, _ in splitter.pre_tokenize_str(token)] == [token]
            if token and is_whole and len(token) <= MAX_WORD:
                vocab.setdefault(token, len(vocab))
            if len(vocab) >= settings.max_size:
                break
        if len(vocab) == before:
            log.warning(
                "vocabulary.vectors %s: no word is added to the %d of train; vocabulary.max_size is %d",
                settings.vectors, before, settings.max_size,
            )  # fmt: skip
        return Vocabulary.from_json(json.dumps(own))

    def token_strings(self, text: str) -> list[str]:
        """The tokens of a text, also the words and characters that the vocabulary lacks.

        They are spelled as its own tokens are, such as in lower case. Of subwords, an unknown one is `<unk>`.

        Raises:
            UsageError: the text has a lone surrogate.
        """
        if self.level == "bpe":
            (ids,) = self.encode([text])
            return [self.token(id) for id in ids]
        normalize, splitter = self.tokenizer.normalizer.normalize_str, self.tokenizer.pre_tokenizer
        if splitter is None:  # of words that are not split
            return [token for token in [normalize(check_text(text)[:MAX_WORD])] if token]
        tokens: list[str] = []
        for piece in pieces(check_text(text)):
            tokens += [token for token, _ in splitter.pre_tokenize_str(normalize(piece))]
        return tokens

    def with_tags(self, tags: Sequence[str]) -> Vocabulary:
        """This vocabulary with tags behind its own tokens, whose ids stay as they are.

        Args:
            tags: see `train`; those that it has already are not added.
        """
        own = json.loads(self.to_json())
        vocab = own["model"]["vocab"]
        for tag in tags:
            vocab.setdefault(tag, len(vocab))
        return Vocabulary.from_json(json.dumps(own))

    def extended(self, other: Vocabulary) -> Vocabulary:
        """This vocabulary with the tokens of another one that it lacks, behind its own.

        Subwords cannot be added, for they are merged in the order in which they were found: to a vocabulary
        of subwords only tags are added.

        Args:
            other: a vocabulary that splits texts as this one does.

        Returns:
            The extended vocabulary; the other one where they split texts differently.
        """
        own, theirs = (json.loads(vocabulary.to_json()) for vocabulary in (self, other))
        parts = ("normalizer", "pre_tokenizer", "decoder")
        if own["model"]["type"] != theirs["model"]["type"] or any(own[p] != theirs[p] for p in parts):
            return other
        if self.level == "bpe":
            return self.with_tags([token for token in other.tokens()[EOS + 1 :] if re.fullmatch(TAG, token)])
        vocab = own["model"]["vocab"]
        for token in other.tokens():
            vocab.setdefault(token, len(vocab))
        return Vocabulary.from_json(json.dumps(own))


def _pieces(texts: Iterable[str]) -> Iterator[str]:
    return chain.from_iterable(map(pieces, map(check_text, texts)))


def _trainer_arguments(settings: VocabularySettings, tags: Sequence[str] = ()) -> dict[str, Any]:
    return {
        "vocab_size": settings.max_size,
        "min_frequency": settings.min_frequency,
        "special_tokens": [*SPECIALS, *tags],
        "show_progress": False,
    }


def _alphabet(texts: Iterable[str], size: int) -> list[str]:
    """The most frequent characters. The library chooses at random among equally frequent ones."""
    counts = Counter(SUBWORD_SPACE)
    for text in texts:
        counts.update(text.replace(" ", SUBWORD_SPACE))
    return sorted(counts, key=lambda character: (-counts[character], character))[:size]


def _normalizers(lowercase: bool) -> list[normalizers.Normalizer]:
    # NFC, so that a letter with an accent is the same whether typed as one character or as two.
    return [normalizers.NFC(), *([normalizers.Lowercase()] if lowercase else [])]
