"""Vocabularies: texts to ids and back, with tokenizers of words, subwords or characters."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Literal, Self

from ..errors import UsageError
from .pieces import MAX_PENDING, PARTIAL_LINE_BREAK, groups, is_long, pieces, starts_new_character
from .tokenizer import SUBWORD_SPACE, Token, Tokenizer
from .tokenizer_format import CHARACTER, EOS, LINE_BREAK, SPECIALS, UNK, check_tokenizer

Level = Literal["word", "bpe", "char"]

MAX_WORD = 10_000
"""The characters that are read of a word."""


class Vocabulary:
    """Text to ids and back, as the text of a `tokenizer.json` says.

    Ids 0 to 3 are padding, unknown, BOS and EOS. No text ever gets the ids of padding, BOS or EOS, not even
    one that contains "<eos>".

    Examples:
        >>> vocabulary = Vocabulary.from_json(Path("model/tokenizer.json").read_text())
        >>> vocabulary.encode(["a bad film"])
        [[4, 1, 5]]
        >>> vocabulary.decode([4, 5])
        'a film'
    """

    _encoder: Tokenizer

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Restore a vocabulary from the text of a `tokenizer.json`.

        Raises:
            UsageError: the text is not a tokenizer that this package makes.
        """
        try:
            state = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"not a readable tokenizer.json: {error}") from error
        vocabulary = cls.__new__(cls)
        vocabulary._restore(state)
        return vocabulary

    def _restore(self, state: Any) -> None:
        check_tokenizer(state)
        vocab: dict[str, int] = state["model"]["vocab"]
        self._tokens = sorted(vocab, key=vocab.__getitem__)
        self._ids = {token: id for token, id in vocab.items() if id > EOS}
        pattern = (state.get("pre_tokenizer") or {}).get("pattern")
        self._separator = "" if pattern == {"Regex": CHARACTER} else " "
        self._is_bpe = state["model"]["type"] == "BPE"
        self._encoder = self._make_encoder(state)

    def _make_encoder(self, state: Any) -> Tokenizer:
        return Tokenizer(state)

    def __len__(self) -> int:
        return len(self._tokens)

    def __repr__(self) -> str:
        return f"Vocabulary({len(self):,} tokens, level {self.level})"

    def encode(
        self, texts: Sequence[str], max_length: int | None = None, from_end: bool = False
    ) -> list[list[int]]:
        """Encode texts; the ids have no BOS and no EOS.

        Args:
            texts: the texts.
            max_length: how many ids of each text are needed. Of a text that has more, at least one more is
                returned, but not all where there are millions.
            from_end: whether the last ids of each text are needed, rather than the first.

        Raises:
            UsageError: a text has a lone surrogate, which is not valid Unicode text.
        """
        for text in texts:
            check_text(text)
        encoded: list[list[int]] = []
        for group in groups(texts):
            if not is_long(group[0]):
                encoded += self._encoder.encode(group)
                continue
            ids: list[int] = []
            for piece in pieces(group[0]):
                ids += self._encoder.encode([piece])[0]
                if max_length is not None and len(ids) > max_length:
                    if not from_end:
                        break
                    del ids[: -max_length - 1]
            encoded.append(ids)
        return encoded

    def unknown(self, text: str) -> Iterator[str]:
        """Yield the parts of a text that the vocabulary lacks, as written and in order.

        Raises:
            UsageError: the text has a lone surrogate.
        """
        return (part for id, part in self.parts(text) if id == UNK)

    def parts(self, text: str) -> Iterator[tuple[int, str]]:
        """Yield the id of each token of a text, and the part of the text that it stands for, as written.

        Raises:
            UsageError: the text has a lone surrogate.
        """
        check_text(text)
        for id, start, end in self.find_tokens(text):
            yield id, text[start:end]

    def end(self, text: str, count: int) -> int:
        """Return the position in a text, in characters, at which its first `count` tokens end."""
        ends = [0, *(end for _, _, end in islice(self.find_tokens(text), count))]
        return ends[-1]

    def find_tokens(self, text: str) -> Iterator[Token]:
        """Yield the id of each token of a text, and where it begins and ends, in characters."""
        begin = 0
        for piece in pieces(text):
            for id, start, end in self._encoder.tokens(piece):
                yield id, begin + start, begin + end
            begin += len(piece)

    def split_stable_prefix(self, pending: str | None, piece: str) -> tuple[str, str | None]:
        """Split a text that is still growing into a prefix whose ids are final, and the pending rest.

        Args:
            pending: the rest that the call before this one returned; None at the beginning of the text.
            piece: the next piece of the text. Words and subwords: it is stripped and joined to `pending`
                with a space. Characters: it is joined as it is.

        Returns:
            The prefix whose ids no later piece can change, and the rest, of bounded length.

        Raises:
            UsageError: the piece has a lone surrogate.
        """
        check_text(piece)
        piece = piece.strip() if self._separator else piece
        if not piece:
            return "", pending
        text = piece if pending is None else pending + self._separator + piece
        partial_break = PARTIAL_LINE_BREAK.search(text)
        end = partial_break.start() if partial_break else len(text)
        if not self._separator:
            # A line break becomes a space, and an accent after it does not change it.
            after_break = max((match.end() for match in re.finditer(LINE_BREAK, text)), default=0)
            ends = range(end, after_break, -1)
            end = next((i for i in ends if starts_new_character(text[i : i + 1])), after_break)
            end = max(end, len(text) - MAX_PENDING)
        elif partial_break and self._is_bpe:  # splits at spaces first
            end = max((match.start() for match in re.finditer(f"{LINE_BREAK}| ", text[:end])), default=0)
        return text[:end], text[end:]

    @property
    def level(self) -> Level:
        """The unit of tokens."""
        if self._is_bpe:
            return "bpe"
        return "word" if self._separator else "char"

    @property
    def lowercase(self) -> bool:
        """Whether upper case is converted to lower case."""
        return self._encoder.normalize("A") == "a"

    def encode_words(self, words: Sequence[str]) -> list[int]:
        """Encode words, one id per word.

        Raises:
            UsageError: a word has a lone surrogate.
        """
        return [self._ids.get(word, UNK) for word in self.normalize_words(words)]

    def normalize_words(self, words: Sequence[str]) -> list[str]:
        """Write words as the vocabulary does: composed, and in lower case if it is.

        Raises:
            UsageError: a word has a lone surrogate.
        """
        normalize = self._encoder.normalize
        return [normalize(check_text(word)[:MAX_WORD]) for word in words]

    def decode(self, ids: Sequence[int], unknown: Sequence[str] = ()) -> str:
        """Decode ids to text. Special tokens are left out, and spaces beside punctuation are removed.

        Args:
            ids: the ids.
            unknown: what stands for the unknown tokens, in their order; those beyond stay `<unk>`.
        """
        kept = [id for id in ids if id == UNK or id > EOS]
        tokens = [self._tokens[id] if id < len(self) else SPECIALS[UNK] for id in kept]
        places = [place for place, id in enumerate(kept) if id == UNK]
        for place, text in zip(places, unknown, strict=False):
            tokens[place] = text
        if self._is_bpe:
            first, *others = (token.split(SUBWORD_SPACE) for token in tokens or [""])
            return "".join(["".join(first), *map(" ".join, others)])
        text = self._separator.join(tokens)
        if not self._separator:
            return text
        text = re.sub(r" ([.,!?;:)\]])", r"\1", text)
        return re.sub(r"([(\[]) ", r"\1", text)

    def piece(self, before: int, id: int) -> str:
        """Return the text that token `id` adds after token `before`, for output token by token."""
        return self.decode([before, id])[len(self.decode([before])) :]

    def tokens(self) -> list[str]:
        """Return all tokens in the order of their ids."""
        return list(self._tokens)

    def token(self, id: int) -> str:
        """Return the token of an id."""
        return self._tokens[id]

    @property
    def fingerprint(self) -> str:
        """A hash of all tokens in the order of their ids."""
        return hashlib.sha256("\0".join(self.tokens()).encode()).hexdigest()[:16]


def check_text(text: str) -> str:
    """The text.

    Raises:
        UsageError: it has a lone surrogate.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"the text has a lone surrogate ({text[error.start]!a}) at character {error.start}: "
            "decode it as UTF-8 first"
        ) from None
    return text
