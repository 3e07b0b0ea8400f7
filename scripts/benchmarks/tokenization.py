"""Text to ids: the package's processor, the `tokenizers` library alone, and plain Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from benchmarks.inference import load_texts
from benchmarks.options import Options
from benchmarks.recipes import make_data
from benchmarks.worker import Channel
from nlp_rnn.data.vocabulary import UNK


def encode(options: Options, channel: Channel, method: Literal["processor", "library", "split"]) -> None:
    """Encode the texts of the train split; a turn is a number of passes.

    Args:
        options: the benchmark's options.
        channel: connection to the benchmark.
        method: processor (the package's), library (its tokenizer alone) or split (at white space, with a
            dictionary).
    """
    processor: Any = make_data(options).processor
    texts = load_texts(options, "train")
    in_words = options.task == "tagging"  # texts are lists of words already
    tokenizer = next(iter(processor.vocabularies().values())).tokenizer
    token_ids = tokenizer.get_vocab()

    def use_processor() -> int:
        return sum(map(len, processor.encode(processor.rows(texts))[processor.length_columns[0]]))

    def use_library() -> int:
        encodings = tokenizer.encode_batch_fast(texts, is_pretokenized=in_words)
        return sum(len(encoding.ids) for encoding in encodings)

    def use_split() -> int:
        sentences = ([word.lower() for word in text] if in_words else text.lower().split() for text in texts)
        return sum(len([token_ids.get(word, UNK) for word in sentence]) for sentence in sentences)

    methods: dict[str, Callable[[], int]] = {
        "processor": use_processor,
        "library": use_library,
        "split": use_split,
    }
    for passes in channel.rounds():
        with channel.timed("rows") as measurement:
            tokens = sum(methods[method]() for _ in range(passes))
            measurement.update(units=passes * len(texts), tokens=tokens)
