"""Readers: a user's inputs to rows, and rows to ids or vectors, in the way that a model was trained with.

The processors of the tasks are readers too, so that there is one way to read an input, with torch or without.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from ..errors import UsageError, join_names
from .notices import truncate, warn_unknown
from .tokenizer_format import BOS, EOS, PAD, TAG, UNK
from .vocabulary import Vocabulary


class Reader:
    """Base class; a subclass implements `rows` and `encode_inputs`."""

    input_description: ClassVar[str] = "text"
    """What messages call one input."""
    length_columns: ClassVar[tuple[str, ...]]
    """The columns whose lengths group rows into batches, most important first."""

    def is_input(self, value: Any) -> bool:
        """Return whether a value has the type of one input."""
        return isinstance(value, str)

    def is_single(self, value: Any) -> bool:
        """Return whether a value is one input rather than a list of inputs. Text is handled elsewhere."""
        return False

    def parse(self, line: str) -> Any:
        """Parse one input from a line of text, without its line end.

        Raises:
            UsageError: the line is not an input.
        """
        return line

    def split_stable_prefix(self, pending: Any, piece: Any) -> tuple[Any, Any]:
        """Split the input of a stream into the part that is final and the part that may still change.

        Args:
            pending: what the call before this one returned as pending; None at the start.
            piece: the next piece of the stream.

        Returns:
            The part whose ids no later piece can change, and the pending rest, of bounded size; None if
            there is no rest.
        """
        return piece, None

    @property
    def reads_unknown(self) -> bool:
        """Whether tokens that the vocabulary lacks tell a model something, as words by their letters."""
        return False

    @property
    def counts_unknown(self) -> bool:
        """Whether rows are tokens, of which the vocabulary may lack some."""
        return True

    def count_unknown(self, rows: dict[str, list[Any]]) -> list[int]:
        """Count the tokens of each encoded row that the vocabulary lacks, if `counts_unknown`."""
        return [ids.count(UNK) for ids in rows[self.length_columns[0]]]

    def rows(self, inputs: Sequence[Any]) -> dict[str, list[Any]]:
        """Turn a user's inputs into rows: canonical columns without targets.

        Raises:
            UsageError: an input cannot be read.
        """
        raise NotImplementedError  # pragma: no cover

    def encode_inputs(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Turn the columns that a model reads into columns of ids or vectors.

        Raises:
            UsageError: a row cannot be encoded.
        """
        raise NotImplementedError  # pragma: no cover


class TextReader(Reader):
    """Texts to ids of tokens."""

    length_columns = ("token_ids",)

    tokens: Vocabulary
    max_length: int

    def rows(self, inputs: Sequence[Any]) -> dict[str, list[Any]]:
        """Turn texts into rows."""
        return {"text": blank_to_empty(inputs)}

    def split_stable_prefix(self, pending: str | None, piece: str) -> tuple[str, str | None]:
        """See `Vocabulary.split_stable_prefix`."""
        return self.tokens.split_stable_prefix(pending, piece)

    def encode_inputs(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Encode texts: `token_ids`."""
        token_ids = self.tokens.encode(rows["text"], self.max_length)
        return {"token_ids": truncate(token_ids, self.max_length, "texts")}


class PairReader(Reader):
    """Pairs of texts to ids of tokens."""

    input_description = "pair of texts"
    length_columns = ("first_ids", "second_ids")

    tokens: Vocabulary
    max_length: int

    def is_input(self, value: Any) -> bool:
        """Return whether a value is a list of two texts."""
        return isinstance(value, (list, tuple)) and [type(text) for text in value] == [str, str]

    def is_single(self, value: Any) -> bool:
        """Return whether a value is a list of two texts."""
        return self.is_input(value)

    def parse(self, line: str) -> Any:
        """Parse two texts with a tab between them; a blank line is two empty ones."""
        texts = line.split("\t") if line.strip() else ["", ""]
        if len(texts) != 2:
            raise UsageError(f"{len(texts)} text(s), not two with a tab between them")
        return texts

    def rows(self, inputs: Sequence[Any]) -> dict[str, list[Any]]:
        """Turn pairs into rows."""
        firsts, seconds = ([pair[side] for pair in inputs] for side in (0, 1))
        return {"first": blank_to_empty(firsts), "second": blank_to_empty(seconds)}

    def count_unknown(self, rows: dict[str, list[Any]]) -> list[int]:
        """Count those of both texts."""
        pairs = zip(rows["first_ids"], rows["second_ids"], strict=True)
        return [first.count(UNK) + second.count(UNK) for first, second in pairs]

    def encode_inputs(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Encode both texts: `first_ids` and `second_ids`."""
        return {
            f"{name}_ids": truncate(self.tokens.encode(rows[name], self.max_length), self.max_length, "texts")
            for name in ("first", "second")
        }


class SentenceReader(Reader):
    """Source sentences to ids.

    An input is a sentence, or a mapping with the sentence as `text`, and with what its translation must have:
    `prefix`, the text that it begins with, and `constraints`, a list of words or phrases that it contains.
    """

    length_columns = ("source_ids", "target_ids")

    source: Vocabulary
    target: Vocabulary
    reverse_source: bool
    reverse_target: bool
    max_length: int

    def is_input(self, value: Any) -> bool:
        """Return whether a value is a sentence, or a mapping with one."""
        return isinstance(value, str) or self.is_single(value)

    def is_single(self, value: Any) -> bool:
        """Return whether a value is a mapping with a sentence."""
        return isinstance(value, Mapping) and isinstance(value.get("text"), str)

    def rows(self, inputs: Sequence[Any]) -> dict[str, list[Any]]:
        """Turn sentences into rows, with what their translations must have, if that is anything."""
        rows: dict[str, list[Any]] = {"source": [], "prefix": [], "constraints": []}
        for value in inputs:
            text, prefix, constraints = _demands(value)
            rows["source"] += blank_to_empty([text])
            rows["prefix"].append(prefix)
            rows["constraints"].append(constraints)
        return rows if any(rows["prefix"]) or any(rows["constraints"]) else {"source": rows["source"]}

    def encode_inputs(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Encode sentences: `source_ids`; and `prefix_ids` and `constraint_ids`, where there are any."""
        sources = self.source.encode(rows["source"], self.max_length)
        ids = {"source_ids": truncate(sources, self.max_length, "source sentences")}
        if "prefix" in rows:
            if self.reverse_target and any(rows["prefix"]):
                raise UsageError("this model writes from the end of a text to its start: leave out prefixes")
            ids["prefix_ids"] = [self._known_ids(text, "prefix") if text else [] for text in rows["prefix"]]
            ids["constraint_ids"] = [
                [*self.target_order([self._known_ids(phrase, "constraint") for phrase in phrases])]
                for phrases in rows["constraints"]
            ]
        return ids

    def source_order(self, source_ids: Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
        """The ids of sentences in the order in which the model reads them."""
        # Reversed, the first source words are close to the first target words (Sutskever et al. 2014).
        return [ids[::-1] for ids in source_ids] if self.reverse_source else source_ids

    def target_order(self, target_ids: Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
        """The ids of translations in the order in which the model writes them; of such, in reading order."""
        return [ids[::-1] for ids in target_ids] if self.reverse_target else target_ids

    def never_written(self, writes_unknown: bool = False) -> list[int]:
        """The target ids that no translation has.

        Args:
            writes_unknown: whether it may have the unknown token.
        """
        never = [PAD, BOS] if writes_unknown else [PAD, UNK, BOS]
        if self.source.fingerprint != self.target.fingerprint:
            return never
        # With one vocabulary, the tags of synthetic sources are target tokens too, which training never has.
        return never + [
            id for id, token in enumerate(self.target.tokens()) if id > EOS and re.fullmatch(TAG, token)
        ]

    def _known_ids(self, text: str, name: str) -> list[int]:
        """The target ids of a text that a translation must have.

        Raises:
            UsageError: it has no tokens, or one that the vocabulary lacks.
        """
        (ids,) = self.target.encode([text])
        if unknown := list(self.target.unknown(text)):
            raise UsageError(
                f"{name} {text!a:.60}: the model knows no {join_names(map(repr, unknown))}; use words of its "
                "vocabulary"
            )
        if not ids:
            raise UsageError(f"{name} {text!a:.60} has no words: leave it out")
        return ids


def _demands(value: Any) -> tuple[str, str, list[str]]:
    """The sentence, the prefix and the constraints of one input, see `SentenceReader`.

    Raises:
        UsageError: it has other keys, or values of another type.
    """
    if isinstance(value, str):
        return value, "", []
    if others := sorted(map(str, value.keys() - {"text", "prefix", "constraints"})):
        raise UsageError(f"an input has text, prefix and constraints, not {join_names(others)}")
    prefix, constraints = value.get("prefix") or "", value.get("constraints") or []
    if not isinstance(prefix, str):
        raise UsageError(f"prefix must be a text, not {prefix!a:.60}")
    if not isinstance(constraints, (list, tuple)) or not all(isinstance(text, str) for text in constraints):
        raise UsageError(f"constraints must be a list of texts, not {constraints!a:.60}")
    return value["text"], prefix, list(constraints)


class PromptReader(Reader):
    """Texts to be continued, to ids."""

    length_columns = ("token_ids",)

    tokens: Vocabulary
    max_length: int

    def rows(self, inputs: Sequence[Any]) -> dict[str, list[Any]]:
        """Turn texts into rows, with a warning of unknown tokens."""
        for text in inputs:
            warn_unknown(self.tokens.unknown(text))
        return {"prompt": list(inputs)}

    def split_stable_prefix(self, pending: str | None, piece: str) -> tuple[str, str | None]:
        """See `Vocabulary.split_stable_prefix`."""
        return self.tokens.split_stable_prefix(pending, piece)

    def encode_inputs(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Encode texts: `token_ids`, the last ones of a long text, which matter most."""
        whole = self.tokens.encode(rows["prompt"], self.max_length, from_end=True)
        sizes = [len(ids) for ids in truncate(whole, self.max_length, "prompts")]
        return {"token_ids": [ids[len(ids) - size :] for ids, size in zip(whole, sizes, strict=True)]}


def blank_to_empty(texts: Iterable[str]) -> list[str]:
    """Return texts of which those of white space alone are empty, as they are not to every vocabulary."""
    return [text if text.strip() else "" for text in texts]
