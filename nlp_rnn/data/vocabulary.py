"""Vocabularies: train, save and load tokenizers of words, subwords or characters."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from nlp_rnn.errors import UsageError
from nlp_rnn.settings import Range, Settings

PAD, UNK, BOS, EOS = range(4)
SPECIALS = ("<pad>", "<unk>", "<bos>", "<eos>")

Level = Literal["word", "bpe", "char"]

# A number, a word with the apostrophes and hyphens inside it, or one other sign.
_WORD = r"\d+(?:[.,]\d+)*|\w+(?:['’\-]\w+)*|[^\w\s]"
_CHARACTER = r"[\s\S]"
_SPACE = "▁"  # as subwords write it
_GAP = r"[ \t\r\n\f]{0,16}"  # `\s` is not the same to Python and to the tokenizer; bounded, for streams
_BREAK = rf"<br{_GAP}/?>"  # HTML's line break, common in reviews
_BREAK_BEGUN = re.compile(rf"<(b(r({_GAP}/?)?)?)?\Z")
_LONGEST_OPEN = 64  # characters: more than 30 accents on a letter no writing system has (UAX 15)


@dataclass(frozen=True)
class VocabularySettings(Settings):
    """How a vocabulary is made from the train split.

    Args:
        level: word, bpe (subwords) or char.
        lowercase: fold upper case into lower case.
        min_frequency: leave out what the train split has fewer times than this.
        max_size: keep the most frequent, special tokens included.
    """

    level: Level = "word"
    lowercase: bool = True
    min_frequency: Annotated[int, Range(0, 10**9)] = 2
    max_size: Annotated[int, Range(5, 10**8)] = 32_000


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
        pattern = (stored["pre_tokenizer"] or {}).get("pattern")
        self._separator = "" if pattern == {"Regex": _CHARACTER} else " "
        self.tokenizer = Tokenizer.from_str(json.dumps(stored))
        tokens = self.tokenizer.get_vocab()
        if [tokens.get(special) for special in SPECIALS] != [PAD, UNK, BOS, EOS]:
            raise UsageError(f"not a tokenizer of nlp_rnn: ids 0 to 3 must be {', '.join(SPECIALS)}")
        self._ids = {token: id for token, id in tokens.items() if id > EOS}

    @classmethod
    def train(cls, texts: Iterable[str], settings: VocabularySettings) -> Vocabulary:
        """Make a vocabulary from the train split's texts.

        Raises:
            UsageError: there is no such level.
        """
        breaks = normalizers.Replace(Regex(_BREAK), " ")
        normalizer = normalizers.Sequence([breaks, *_normalizers(settings.lowercase)])
        trainer: trainers.Trainer
        if settings.level == "bpe":
            texts = list(texts)
            tokenizer = Tokenizer(models.BPE(unk_token=SPECIALS[UNK]))
            tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
                [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()]
            )
            tokenizer.decoder = decoders.Metaspace()
            # Scripts with thousands of signs must leave room for merges.
            alphabet = _alphabet(map(normalizer.normalize_str, texts), max(1, settings.max_size // 3))
            trainer = trainers.BpeTrainer(
                initial_alphabet=alphabet, limit_alphabet=len(alphabet), **_trainer_arguments(settings)
            )
        else:
            tokenizer = Tokenizer(models.WordLevel({}, unk_token=SPECIALS[UNK]))
            pattern = _WORD if settings.level == "word" else _CHARACTER
            tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
            trainer = trainers.WordLevelTrainer(**_trainer_arguments(settings))
        tokenizer.normalizer = normalizer
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer)

    @classmethod
    def train_on_words(cls, sentences: Iterable[Sequence[str]], settings: VocabularySettings) -> Vocabulary:
        """Make a vocabulary of words that are given as such: none is cut, whatever is in it."""
        tokenizer = Tokenizer(models.WordLevel({}, unk_token=SPECIALS[UNK]))
        tokenizer.normalizer = normalizers.Sequence(_normalizers(settings.lowercase))
        normalize = tokenizer.normalizer.normalize_str
        words = (normalize(word) for sentence in sentences for word in sentence)
        trainer = trainers.WordLevelTrainer(**_trainer_arguments(settings))
        tokenizer.train_from_iterator((word for word in words if word not in SPECIALS), trainer)
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

    def unknown(self, text: str) -> list[str]:
        """What of a text the vocabulary lacks, as written and in order.

        Raises:
            UsageError: the text has a lone surrogate.
        """
        _check_text(text)
        found = self.tokenizer.encode(text)
        return [text[slice(*at)] for id, at in zip(found.ids, found.offsets, strict=True) if id == UNK]

    def end(self, text: str, count: int) -> int:
        """How many of a text's characters its first `count` tokens reach over."""
        return self.tokenizer.encode(text).offsets[count - 1][1]

    def split_stable_prefix(self, pending: str | None, piece: str) -> tuple[str, str | None]:
        """Part a text that goes on into what nothing that follows can change the ids of, and the rest.

        Args:
            still_open: the rest of before; None at the beginning of the text.
            piece: what follows it after a space, its own ends stripped; or, where the vocabulary is of
                characters, at once and as it is.

        Raises:
            UsageError: as for `encode`.
        """
        _check_text(piece)
        piece = piece.strip() if self._separator else piece
        if not piece:
            return "", pending
        text = piece if pending is None else pending + self._separator + piece
        begun = _BREAK_BEGUN.search(text)
        end = begun.start() if begun else len(text)
        if not self._separator:
            # A line break becomes a space, which takes no accent.
            free = max((found.end() for found in re.finditer(_BREAK, text)), default=0)
            end = next((at for at in range(end, free, -1) if _begins(text[at : at + 1])), free)
            end = max(end, len(text) - _LONGEST_OPEN)
        elif begun and isinstance(self.tokenizer.model, models.BPE):  # its words go from space to space
            end = max((found.start() for found in re.finditer(f"{_BREAK}| ", text[:end])), default=0)
        return text[:end], text[end:]

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
        text = self._separator.join(tokens)
        if not self._separator:
            return text
        text = re.sub(r" ([.,!?;:)\]])", r"\1", text)
        return re.sub(r"([(\[]) ", r"\1", text)

    def piece(self, before: int, id: int) -> str:
        """What a token adds to the text that the one before it ends: texts can be written as they come."""
        return self.decode([before, id])[len(self.decode([before])) :]

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
        """A hash of all tokens in the order of their ids."""
        return hashlib.sha256("\0".join(self.tokens()).encode()).hexdigest()[:16]


def _trainer_arguments(settings: VocabularySettings) -> dict[str, Any]:
    return {
        "vocab_size": settings.max_size,
        "min_frequency": settings.min_frequency,
        "special_tokens": list(SPECIALS),
        "show_progress": False,
    }


def _alphabet(texts: Iterable[str], size: int) -> list[str]:
    """The most frequent signs; the library's own choice among equally frequent ones differs by run."""
    counts = Counter(_SPACE)
    for text in texts:
        counts.update(text.replace(" ", _SPACE))
    return sorted(counts, key=lambda sign: (-counts[sign], sign))[:size]


def _normalizers(lowercase: bool) -> list[normalizers.Normalizer]:
    # NFC, so that letters typed as one sign or as base and accent are the same.
    return [normalizers.NFC(), *([normalizers.Lowercase()] if lowercase else [])]


def _begins(sign: str) -> bool:
    """Whether NFC never makes one of a sign and what stands before it: no accent, no letter inside Hangul."""
    return sign != "" and unicodedata.category(sign)[0] != "M" and not "\u1160" <= sign <= "\u11ff"


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"the text has a lone surrogate ({text[error.start]!a}) at character {error.start}: "
            "decode it as UTF-8 first"
        ) from None
