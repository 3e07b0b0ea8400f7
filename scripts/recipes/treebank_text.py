"""The texts of corpora, one sentence per line, spelled as SST-2 spells.

    python scripts/recipes/treebank_text.py OUTPUT CORPUS ...

Each CORPUS is a file, folder or hub id with reviews and labels, such as IMDb and SST-2; of each, the texts of
the train split are read. OUTPUT is for `nlp-rnn word2vec --data`. Results: docs/benchmarks.md.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.errors import UsageError
from nlp_rnn.files import atomic_write, check_not_read, check_output
from nlp_rnn.lite.text.tokenizer_format import LINE_BREAK

_END_OF_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_SPELLINGS = [
    (re.compile(LINE_BREAK), " "),
    (re.compile(r"(?<=\w)n['’]t\b"), " n't"),
    (re.compile(r"(?<=\w)['’](s|re|ve|ll|d|m)\b"), r" '\1"),
    (re.compile(r"\("), " -lrb- "),
    (re.compile(r"\)"), " -rrb- "),
    (re.compile(r'(^|\s)"'), r"\1`` "),
    (re.compile(r'"'), " '' "),
]


def as_treebank(text: str) -> str:
    """Text in lower case, with contractions, brackets and quotation marks as the Penn Treebank has them."""
    text = text.lower()
    for pattern, spelling in _SPELLINGS:
        text = pattern.sub(spelling, text)
    return text


def sentences(texts: Iterable[str]) -> Iterator[str]:
    """The sentences of texts, spelled so."""
    for text in texts:
        for sentence in _END_OF_SENTENCE.split(as_treebank(text)):
            yield " ".join(sentence.split())


def main(arguments: list[str]) -> None:
    """Write the sentences.

    Raises:
        UsageError: a corpus cannot be read, or the output cannot be written.
    """
    if len(arguments) < 2 or "--help" in arguments:
        sys.exit(__doc__)
    output, *paths = arguments
    check_output(Path(output), "OUTPUT")
    for path in paths:
        check_not_read(output, path, "OUTPUT")
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(Path(output)) as temporary, temporary.open("w", encoding="utf-8") as file:
        for path in paths:
            corpus = Corpus(path=path, validation_fraction=0.01)  # of a corpus without a validation split
            texts = corpus.load({"text": ["text", "sentence"], "label": "label"})["train"]["text"]
            file.writelines(f"{sentence}\n" for sentence in sentences(texts) if sentence)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UsageError as error:
        sys.exit(f"treebank_text: error: {error}")
