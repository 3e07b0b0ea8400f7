"""Features of words from a language model of characters; see `nlp_rnn.models.string_encoder`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..text.strings import Strings
from .builder import Builder


class StringEncoder:
    """The states of a language model at the ends of words.

    Args:
        build: makes the layers.
        vocab_size: the number of character ids.
        sizes: of the language model, as the folder has them.
    """

    def __init__(self, build: Builder, vocab_size: int, sizes: Mapping[str, Any]) -> None:
        dim, hidden, layers = sizes["embedding_dim"], sizes["hidden_dim"], sizes["num_layers"]
        self._embedding = build.embedding("string_encoder.embedding", vocab_size, dim)
        names = ["rnn", *(["backward_rnn"] if sizes["bidirectional"] else [])]
        self._layers = [
            build.recurrent(f"string_encoder.{name}.", sizes["cell"], dim, hidden, layers) for name in names
        ]
        self.output_dim = hidden * len(names)

    def __call__(self, strings: Strings) -> np.ndarray:
        """The features of each word, [T, B, output_dim]."""
        forward, *backward = self._layers
        rows = np.arange(len(strings.lengths))
        outputs, _ = forward.run(self._embedding(strings.ids), lengths=strings.lengths)
        features = [outputs[strings.lasts, rows]]
        for layers in backward:
            places = strings.lengths - np.arange(len(strings.ids))[:, None]  # [C, B]
            places[0] = 0  # BOS
            reversed_ids = np.take_along_axis(strings.ids, places.clip(0), 0)
            outputs, _ = layers.run(self._embedding(reversed_ids), lengths=strings.lengths)
            firsts = (strings.lengths - strings.firsts).clip(0, len(outputs) - 1)
            features.append(outputs[firsts, rows])
        return np.concatenate(features, -1)
