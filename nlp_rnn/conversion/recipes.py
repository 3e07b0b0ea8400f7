"""The table of models that can be imported; it imports no library."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """A kind of model whose weights are known.

    Args:
        summary: which model it is, and how its tensors are named.
        vocabularies: what the files of `--vocab` are, in their order.
        module: the module in this folder whose `RECIPES` has the function that converts it.
        optional: how many of the last vocabularies may be left out.
    """

    summary: str
    vocabularies: tuple[str, ...]
    module: str = "tutorials"
    optional: int = 0


RECIPES: dict[str, Recipe] = {
    "seq2seq": Recipe(
        "encoder-decoder: encoder.embedding, encoder.rnn, decoder.embedding, decoder.rnn, decoder.fc_out",
        ("source tokens", "target tokens"),
    ),
    "seq2seq-context": Recipe(
        "the same with a context that the decoder's rnn and fc_out read at each step",
        ("source tokens", "target tokens"),
    ),
    "tagger": Recipe("tagger: embedding, lstm, fc", ("words", "tags")),
    "sentiment-lstm": Recipe(
        "classifier: embedding, lstm, fc; fc reads the backward state first", ("tokens", "labels"), optional=1
    ),
    "sentiment-rnn": Recipe(
        "classifier: embedding, rnn, fc; fc reads the forward state first", ("tokens", "labels"), optional=1
    ),
    "language-model": Recipe("language model: encoder (the embedding), rnn, decoder (linear)", ("tokens",)),
    "keras-classifier": Recipe(
        "Keras: Embedding, recurrent layers, a pooling layer or none, Dense",
        ("tokens", "labels"),
        module="keras",
        optional=1,
    ),
    "keras-tagger": Recipe(
        "Keras: Embedding, recurrent layers with return_sequences, Dense", ("words", "tags"), module="keras"
    ),
}
"""Name -> what it is. To add one, give it a row here and a function in the `RECIPES` of its module."""
