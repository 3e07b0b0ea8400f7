"""Vocabularies of other people's code: tokens in the order of their ids, which become ours."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nlp_rnn.data.vocabulary import Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.files import decode_lines, read_bytes
from nlp_rnn.lite.text.tokenizer_format import BOS, EOS, PAD, SPECIALS, UNK

# What stands for each of our special tokens in the vocabularies of torchtext, Keras and others.
_NAMES = {
    PAD: ("<pad>", "[PAD]", "<PAD>", "<blank>", ""),
    UNK: ("<unk>", "[UNK]", "<UNK>", "<OOV>", "<oov>"),
    BOS: ("<sos>", "<bos>", "<s>", "<SOS>", "<BOS>", "<start>", "[START]", "[start]"),
    EOS: ("<eos>", "</s>", "<EOS>", "<end>", "[END]", "[end]"),
}
_PARTS = ("n't", "n’t")  # that other tokenizers split off, and ours leaves at its word
IMPOSSIBLE = -1e4
"""The bias of an output for a token that the other model does not have."""


def read_tokens(path: Path) -> list[str]:
    """Read a vocabulary.

    Args:
        path: JSON: a list of tokens in the order of their ids, an object of token -> id, or what `to_json` of
            a Keras Tokenizer writes. Or text: one token per line.

    Returns:
        The tokens in the order of their ids. An id that has no token, as 0 of a Keras Tokenizer, has "".

    Raises:
        UsageError: it cannot be read, or a token or id occurs twice.
    """
    data = read_bytes(path)
    if path.suffix != ".json":
        tokens: Any = decode_lines(data, str(path))
    else:
        try:
            tokens = json.loads(data.decode("utf-8-sig"))
            if isinstance(tokens, str):  # to_json of Keras gives a text, which may have been written as JSON
                tokens = json.loads(tokens)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{path}: not valid JSON ({error})") from error
    if isinstance(tokens, Mapping):
        tokens = _by_id(tokens, path)
    if not isinstance(tokens, list) or not tokens or not all(isinstance(token, str) for token in tokens):
        raise UsageError(
            f"{path}: give a JSON list of tokens in the order of their ids, or an object token: id"
        )
    for token, count in Counter(token for token in tokens if token).most_common(1):
        if count > 1:
            raise UsageError(f"{path}: the token {token!r} occurs {count} times")
    return tokens


def _by_id(ids: Mapping[str, Any], path: Path) -> list[str]:
    config = ids.get("config")
    if isinstance(config, Mapping) and "word_index" in config:  # a Keras Tokenizer
        index = config["word_index"]
        ids = json.loads(index) if isinstance(index, str) else index
        if limit := config.get("num_words"):
            ids = {token: id for token, id in ids.items() if id < limit}
    if not ids or any(type(id) is not int or id < 0 for id in ids.values()):
        raise UsageError(f"{path}: its values must be the ids of its tokens, numbers from 0 up")
    tokens = [""] * (max(ids.values()) + 1)
    if len(tokens) > 10 * len(ids) + 10:
        raise UsageError(
            f"{path}: {len(ids)} tokens with ids up to {len(tokens) - 1}: most ids have no token"
        )
    for token, id in ids.items():
        if tokens[id]:
            raise UsageError(f"{path}: {tokens[id]!r} and {token!r} have the same id, {id}")
        tokens[id] = token
    return tokens


@dataclass(frozen=True)
class Arrangement:
    """A vocabulary of ours, and where each of its tokens stood in another one.

    Args:
        vocabulary: the special tokens, then all others in their old order.
        origins: per id of ours the other one's id, or None for a special token that it does not have.
        notes: what a user should know of the vocabulary.
    """

    vocabulary: Vocabulary
    origins: list[int | None]
    notes: list[str]

    def rows(self, weight: Tensor, missing: float = 0.0) -> Tensor:
        """The rows of a weight or bias in our order: [V_other, ...] -> [V_ours, ...].

        Args:
            weight: a row per token of the other vocabulary.
            missing: the values of a row that it does not have.
        """
        empty = torch.full_like(weight[0], missing)
        return torch.stack([empty if origin is None else weight[origin] for origin in self.origins])

    def ids(self) -> dict[int, int]:
        """The other vocabulary's id -> ours."""
        return {origin: id for id, origin in enumerate(self.origins) if origin is not None}


def arrange(
    tokens: Sequence[str], size: int, name: str, needed: Sequence[int] = (), split: bool = True
) -> Arrangement:
    """Arrange a vocabulary as ours are: padding, unknown, BOS, EOS, then all other tokens.

    Args:
        tokens: in the order of their ids; "" where there is none.
        size: the number of rows of the embedding.
        name: what messages call the vocabulary.
        needed: the ids of ours of special tokens without which the model cannot be used.
        split: whether texts are split into tokens, rather than given as words.

    Raises:
        UsageError: its size is not that of the embedding, or a needed special token is missing.
    """
    if len(tokens) > size or any(tokens[size:]):
        raise UsageError(f"{name}: {len(tokens)} tokens for an embedding of {size} rows: not its vocabulary")
    padded = [*tokens, *[""] * (size - len(tokens))]
    origins: list[int | None] = []
    for id, names in _NAMES.items():
        found = next((padded.index(token) for token in names if token in padded), None)
        origins.append(None if found in origins else found)
        if found is None and id in needed:
            raise UsageError(f"{name}: there is no token for {SPECIALS[id]}, such as {names[0]!r}")
    others = [id for id, token in enumerate(padded) if token and id not in origins]
    lowercase = all(padded[id] == padded[id].lower() for id in others)
    settings = VocabularySettings(lowercase=lowercase)
    state = json.loads(
        (Vocabulary.train([], settings) if split else Vocabulary.train_on_words([], settings)).to_json()
    )
    names_of_ours = [*SPECIALS, *(padded[id] for id in others)]
    state["model"]["vocab"] = {token: id for id, token in enumerate(names_of_ours)}
    if len(state["model"]["vocab"]) != len(names_of_ours):
        raise UsageError(f"{name}: one of {join_names(SPECIALS)} occurs as a token with another meaning")
    vocabulary = Vocabulary.from_json(json.dumps(state))
    notes = _notes(vocabulary, origins, name, split)
    if len(tokens) < size:
        notes.append(
            f"{name}: {len(tokens):,} tokens for an embedding of {size:,} rows, of which the last "
            f"{size - len(tokens):,} are left out: check that it is the vocabulary of these weights"
        )
    return Arrangement(vocabulary, [*origins, *others], notes)


def _notes(vocabulary: Vocabulary, origins: Sequence[int | None], name: str, split: bool) -> list[str]:
    notes = []
    if origins[UNK] is None:
        notes.append(f"{name}: there is no unknown token; an unknown word is read as a vector of zeros")
    tokens = vocabulary.tokens()[EOS + 1 :]
    encoded = vocabulary.encode(tokens) if split else [[id] for id in vocabulary.encode_words(tokens)]
    lost = [
        token
        for id, (token, ids) in enumerate(zip(tokens, encoded, strict=True), EOS + 1)
        if ids != [id] or (split and token in _PARTS)
    ]
    if lost:
        notes.append(
            f"{name}: {len(lost):,} of {len(tokens):,} tokens never occur, for texts are split into other "
            f"words: {join_names(lost[:5])}"
        )
    if split and not any(re.fullmatch(r"[^\w\s]", token) for token in tokens):
        notes.append(
            f"{name}: no token is punctuation: if the original removed it, remove it from your texts too, "
            "for here each mark is read as an unknown word"
        )
    return notes


def arrange_labels(labels: Sequence[str], size: int, name: str) -> list[int]:
    """Find the labels that are no special tokens, such as padding.

    Args:
        labels: in the order of their ids.
        size: the number of rows of the output layer.
        name: what messages call the labels.

    Returns:
        Their ids.

    Raises:
        UsageError: there are not as many as the output layer has rows.
    """
    if len(labels) != size:
        raise UsageError(f"{name}: {len(labels)} for an output layer of {size} rows: not its labels")
    special = {token for names in _NAMES.values() for token in names}
    return [id for id, label in enumerate(labels) if label not in special]
