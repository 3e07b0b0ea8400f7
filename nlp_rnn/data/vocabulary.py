"""Vocabularies: train, save and load tokenizers of words, subwords or characters."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from nlp_rnn.errors import UsageError

PAD, UNK, BOS, EOS = range(4)
SPECIALS = ("<pad>", "<unk>", "<bos>", "<eos>")

Level = Literal["word", "bpe", "char"]

# A number, a word with the apostrophes and hyphens inside it, or one other sign.
_WORD = r"\d+(?:[.,]\d+)*|\w+(?:['’\-]\w+)*|[^\w\s]"


@dataclass(frozen=True)
class VocabularySettings:
    """How a vocabulary is made from the train split.

    Args:
        level: word, bpe (subwords) or char.
        lowercase: fold upper case into lower case.
        min_frequency: leave out what the train split has fewer times than this.
        max_size: keep the most frequent, special tokens included.
    """

    level: Level = "word"
    lowercase: bool = True
    min_frequency: int = 2
    max_size: int = 32_000


class Vocabulary:
    """Text to ids and back, over a `tokenizers.Tokenizer`.

    Ids 0 to 3 are padding, unknown, beginning and end of sentence; no text, whatever it looks like, is ever
    given the ids of padding, beginning or end.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        # The special tokens stand in the model's vocabulary alone: as "added tokens" they would be cut out
        # of user text that happens to contain them.
        stored = json.loads(tokenizer.to_str())
        stored["added_tokens"] = []
        self.tokenizer = Tokenizer.from_str(json.dumps(stored))
        tokens = self.tokenizer.get_vocab()
        if [tokens.get(special) for special in SPECIALS] != [PAD, UNK, BOS, EOS]:
            raise UsageError(f"not a tokenizer of nlp_rnn: ids 0 to 3 must be {', '.join(SPECIALS)}")
        self._ids = {token: id for token, id in tokens.items() if id > EOS}

    @classmethod
    def train(cls, texts: Iterable[str], settings: VocabularySettings) -> Vocabulary:
        """Make a vocabulary from the train split's texts."""
        common: dict[str, Any] = {
            "vocab_size": settings.max_size,
            "min_frequency": settings.min_frequency,
            "special_tokens": list(SPECIALS),
            "show_progress": False,
        }
        if settings.level == "bpe":
            tokenizer = Tokenizer(models.BPE(unk_token=SPECIALS[UNK]))
            tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
                [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()]
            )
            tokenizer.decoder = decoders.Metaspace()
            # Scripts with thousands of signs must leave room for merges.
            trainer = trainers.BpeTrainer(limit_alphabet=max(1, settings.max_size // 3), **common)
        else:
            tokenizer = Tokenizer(models.WordLevel({}, unk_token=SPECIALS[UNK]))
            pattern = _WORD if settings.level == "word" else r"[\s\S]"
            tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
            trainer = trainers.WordLevelTrainer(**common)
        tokenizer.normalizer = _normalizer(settings.lowercase)
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer)

    @classmethod
    def train_on_words(cls, sentences: Iterable[Sequence[str]], settings: VocabularySettings) -> Vocabulary:
        """Make a vocabulary of words that are given as such: none is cut, whatever is in it."""
        tokenizer = Tokenizer(models.WordLevel({}, unk_token=SPECIALS[UNK]))
        trainer = trainers.WordLevelTrainer(
            vocab_size=settings.max_size,
            min_frequency=settings.min_frequency,
            special_tokens=list(SPECIALS),
            show_progress=False,
        )
        tokenizer.normalizer = _normalizer(settings.lowercase)
        tokenizer.train_from_iterator(
            (word for sentence in sentences for word in sentence if word not in SPECIALS), trainer
        )
        return cls(tokenizer)

    def __len__(self) -> int:
        return self.tokenizer.get_vocab_size()

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Each text's ids, without beginning and end.

        Raises:
            UsageError: a text has a lone surrogate, which no UTF-8 file can hold.
        """
        for text in texts:
            _check_text(text)
        return [encoding.ids for encoding in self.tokenizer.encode_batch_fast(list(texts))]

    def encode_words(self, words: Sequence[str]) -> list[int]:
        """One id a word."""
        normalize = self.tokenizer.normalizer.normalize_str
        for word in words:
            _check_text(word)
        return [self._ids.get(normalize(word), UNK) for word in words]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, special ones left out; punctuation is set close to its word again."""
        kept = [id for id in ids if id == UNK or id > EOS]
        if isinstance(self.tokenizer.model, models.BPE):
            return self.tokenizer.decode(kept)
        tokens = [self.tokenizer.id_to_token(id) or SPECIALS[UNK] for id in kept]
        if self._is_character_level:
            return "".join(tokens)
        text = re.sub(r" ([.,!?;:)\]])", r"\1", " ".join(tokens))
        return re.sub(r"([(\[]) ", r"\1", text)

    @property
    def _is_character_level(self) -> bool:
        return all(len(token) == 1 for token in self._ids)

    def tokens(self) -> list[str]:
        """All tokens, in the order of their ids."""
        vocab = self.tokenizer.get_vocab()
        return sorted(vocab, key=vocab.__getitem__)

    def to_json(self) -> str:
        """The text of a `tokenizer.json`."""
        return self.tokenizer.to_str()

    @classmethod
    def from_json(cls, text: str) -> Vocabulary:
        """Read what `to_json` wrote.

        Raises:
            UsageError: the text is no tokenizer, or none with this package's special tokens.
        """
        try:
            tokenizer = Tokenizer.from_str(text)
        except Exception as error:  # the library raises bare Exception
            raise UsageError(f"not a readable tokenizer.json: {error}") from error
        return cls(tokenizer)

    @property
    def fingerprint(self) -> str:
        """A hash of all tokens in their order: equal for two vocabularies that give the same ids."""
        return hashlib.sha256("\0".join(self.tokens()).encode()).hexdigest()[:16]


def _normalizer(lowercase: bool) -> normalizers.Normalizer:
    # NFC, so that letters typed as one sign or as base and accent are the same; HTML line breaks, common in
    # reviews, are white space.
    steps = [normalizers.NFC(), normalizers.Replace(Regex(r"<br\s*/?>"), " ")]
    return normalizers.Sequence([*steps, normalizers.Lowercase()] if lowercase else steps)


def _check_text(text: str) -> None:
    if not text.isascii() and any("\ud800" <= sign <= "\udfff" for sign in text):
        at = next(i for i, sign in enumerate(text) if "\ud800" <= sign <= "\udfff")
        raise UsageError(
            f"the text has a lone surrogate ({text[at]!a}) at character {at}: decode it as UTF-8 first"
        )
