"""Vocabularies as the page reads them: tokens, how texts are split, and the tables of characters for that."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from nlp_rnn.export.html import unicode_tables
from nlp_rnn.lite.text.tokenizer_format import LINE_BREAK
from nlp_rnn.lite.text.vocabulary import Vocabulary


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
    """The tables of characters that some vocabularies need, see `unicode_tables`."""
    tables: dict[str, Any] = {"composing": unicode_tables.composing()}
    for vocabulary in vocabularies:
        if vocabulary.lowercase:
            tables["lower"] = unicode_tables.lower_case()
        if vocabulary.level == "bpe":
            tables["punctuation"] = unicode_tables.punctuation()
        if vocabulary.level == "word":
            names = {"word": r"\w", "digit": r"\d", "space": r"\s"}
            tables |= {name: unicode_tables.regex_class(regex) for name, regex in names.items()}
    return tables
