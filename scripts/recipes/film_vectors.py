"""Word vectors of film reviews, spelled as SST-2 spells.

    python scripts/recipes/film_vectors.py OUTPUT CORPUS ...

Each CORPUS is a file, folder or hub id with reviews and labels, such as IMDb and SST-2; of each, the texts of
the train split are read. OUTPUT is what `nlp-rnn fit --model.vectors` reads. Needs gensim, which comes with
`pip install 'nlp-rnn[fasttext]'`. Results: docs/benchmarks.md.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator

from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.lite.text.tokenizer_format import LINE_BREAK, WORD

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


def sentences(texts: Iterable[str]) -> Iterator[list[str]]:
    """The words of each sentence, split as a vocabulary of words splits them."""
    word = re.compile(WORD)
    for text in texts:
        for sentence in _END_OF_SENTENCE.split(as_treebank(text)):
            yield word.findall(sentence)


def main() -> None:
    """Train the vectors and write them."""
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    from gensim.models import Word2Vec

    output, *paths = sys.argv[1:]
    read: list[list[str]] = []
    for path in paths:
        corpus = Corpus(path=path, validation_fraction=0.01)  # of a corpus without a validation split
        texts = corpus.load({"text": ["text", "sentence"], "label": "label"})["train"]["text"]
        read += sentences(texts)
    settings = {"vector_size": 300, "window": 5, "min_count": 3, "negative": 5, "sample": 1e-4, "epochs": 8}
    model = Word2Vec(read, sg=1, **settings, workers=1, seed=1)  # skip-grams; the same in each run
    model.wv.save_word2vec_format(output)


if __name__ == "__main__":
    main()
