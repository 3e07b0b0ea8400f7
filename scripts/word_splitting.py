"""How well raw text is split into words: `python scripts/word_splitting.py TRAIN.conllu TEST.conllu`.

Learns from one file of CoNLL-U how words stand in the text, splits the texts of the other one, and prints the
F1 of its words. A word is right if it is the same, and begins and ends at the same characters; the words of a
contraction have the place of the contraction.
"""

from __future__ import annotations

import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable

from nlp_rnn.data.corpus.conllu import read_conllu
from nlp_rnn.lite.text.splitting import CHUNK, Token
from nlp_rnn.tasks.tagging.split_learning import align, learn_splitter
from nlp_rnn.tasks.tagging.splitting import WordSplitter

Sentences = list[tuple[str, list[str]]]


def read(path: str) -> Sentences:
    """The text of each sentence, and its words."""
    table = read_conllu(path)
    composed = (unicodedata.normalize("NFC", text) for text in table["text"].to_pylist())
    return list(zip(composed, table["tokens"].to_pylist(), strict=True))


def f1(split: Callable[[str], Iterable[Token]], sentences: Sentences) -> float:
    """The F1 of words, from 0 to 1; sentences whose words are not in their text are left out."""
    right = total = 0
    for text, words in sentences:
        if gold := _counted(align(text, words)):
            found = _counted(split(text))
            right += (gold & found).total()
            total += gold.total() + found.total()
    return 2 * right / total


def _counted(tokens: Iterable[Token]) -> Counter[tuple[int, int, str]]:
    return Counter((token.start, token.end, word) for token in tokens for word in token.words)


def at_white_space(text: str) -> list[Token]:
    """The chunks of a text."""
    return [Token(*match.span(), (match.group(),)) for match in CHUNK.finditer(text)]


def main(train: str, test: str) -> None:
    """Print the F1 of three ways to split."""
    texts, words = zip(*read(train), strict=True)
    sentences = read(test)
    ways = {
        "white space": at_white_space,
        "general rules": WordSplitter().split,
        "learned": learn_splitter(texts, words).split,
    }
    for name, split in ways.items():
        print(f"{name}: {100 * f1(split, sentences):.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
