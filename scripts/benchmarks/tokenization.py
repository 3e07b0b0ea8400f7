"""Text to ids: our processor, the `tokenizers` library alone, and plain Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.answering import texts_of
from benchmarks.given import Given
from benchmarks.ours import data_of
from benchmarks.worker import Caller
from nlp_rnn.data.vocabulary import UNK


def encode(given: Given, caller: Caller, how: str) -> None:
    """Turns of so many passes over the train split's texts.

    Args:
        how: ours (the processor), library (its tokenizer alone) or split (white space and a dictionary).
    """
    processor: Any = data_of(given).processor
    texts = texts_of(given, "train")
    words = given.task == "tagging"  # given as such
    tokenizer = next(iter(processor.vocabularies().values())).tokenizer
    known = tokenizer.get_vocab()

    def ours() -> int:
        return sum(map(len, processor.encode(processor.rows(texts))[processor.length_columns[0]]))

    def library() -> int:
        return sum(len(one.ids) for one in tokenizer.encode_batch_fast(texts, is_pretokenized=words))

    def split() -> int:
        parted = ([word.lower() for word in text] if words else text.lower().split() for text in texts)
        return sum(len([known.get(word, UNK) for word in sentence]) for sentence in parted)

    chosen: Callable[[], int] = {"ours": ours, "library": library, "split": split}[how]
    for passes in caller.rounds():
        with caller.measured("rows") as found:
            tokens = sum(chosen() for _ in range(passes))
            found.update(units=passes * len(texts), tokens=tokens)
