"""Vocabularies as the page reads them: tokens, how texts are split, and the tables of characters for that."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from nlp_rnn.data.vocabulary import Vocabulary
from nlp_rnn.lite.text.characters import tables
from nlp_rnn.lite.text.tokenizer_format import LINE_BREAK


def describe_vocabulary(vocabulary: Vocabulary) -> dict[str, Any]:
    """What `Vocabulary` in tokenizer.js is made from."""
    state = json.loads(vocabulary.to_json())
    normalizers = state["normalizer"]["normalizers"]
    description: dict[str, Any] = {
        "level": vocabulary.level,
        "lowercase": vocabulary.lowercase,
        "line_breaks": any(part.get("pattern") == {"Regex": LINE_BREAK} for part in normalizers),
        "tokens": vocabulary.tokens(),
    }
    if vocabulary.level == "bpe":
        description["merges"] = [
            merge if isinstance(merge, list) else merge.split(" ") for merge in state["model"]["merges"]
        ]
    return description


def describe_characters(vocabularies: Iterable[Vocabulary]) -> dict[str, Any]:
    """The tables of characters that some vocabularies need, see `nlp_rnn.lite.text.characters`."""
    names = ["composing"]
    for vocabulary in vocabularies:
        if vocabulary.lowercase:
            names.append("lower")
        if vocabulary.level == "bpe":
            names.append("punctuation")
        if vocabulary.level == "word":
            names += ["word", "digit", "space"]
    return {name: tables()[name] for name in names}
