"""The models that read: NumPy forward passes of classifiers, taggers and regressors.

Each takes its sizes from the settings of a model folder, and its weights from a `Builder`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import UsageError
from ..text.strings import Strings
from .builder import Builder
from .cells import State
from .chain import ChainScores
from .linear import softmax
from .string_encoder import StringEncoder

_LOWEST = np.float32(-np.inf)
_POOLINGS = ("last", "mean", "max", "concat", "attention")


class Encoder:
    """Embedding, recurrent layers, pooling over time; see `nlp_rnn.models.classifier.Classifier`.

    Args:
        build: makes the layers.
        vocab_size: the number of token ids.
        settings: of the task.
    """

    def __init__(self, build: Builder, vocab_size: int, settings: Mapping[str, Any]) -> None:
        size, hidden = settings["embedding_dim"], settings["hidden_dim"]
        both, layers = settings["bidirectional"], settings["num_layers"]
        self.pooling = settings["pooling"]
        if self.pooling not in _POOLINGS:
            raise UsageError(f"unknown pooling {self.pooling!r}: upgrade nlp_rnn_lite")
        self.embedding = build.embedding("embedding", vocab_size, size)
        self.rnn = build.recurrent("rnn.", settings["cell"], size, hidden, layers, both)
        width = hidden * self.rnn.directions
        self.size = 3 * width if self.pooling == "concat" else width
        self._query = build.tensors.take("query", width) if self.pooling == "attention" else None

    def summarize(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """[T, B] ids, [B] lengths -> [B, size]; zeros where the length is 0."""
        outputs, state = self.rnn.run(self.embedding(ids), lengths=lengths)
        if not len(outputs):
            return np.zeros((len(lengths), self.size), np.float32)
        last = np.concatenate(list(state[0][-self.rnn.directions :]), -1)
        if self.pooling == "last":
            return last
        padding = np.arange(len(outputs))[:, None] >= lengths  # [T, B]
        if self.pooling == "attention":
            scores = np.where(padding, np.finfo(np.float32).min, outputs @ self._query)
            weighted: np.ndarray = (softmax(scores.T).T[..., None] * outputs).sum(0)
            return weighted
        mean: np.ndarray = outputs.sum(0) / np.maximum(lengths, 1).astype(np.float32)[:, None]
        if self.pooling == "mean":
            return mean
        highest = np.where(padding[..., None], _LOWEST, outputs).max(0)
        highest = np.where(lengths[:, None] > 0, highest, np.float32(0))
        return highest if self.pooling == "max" else np.concatenate([last, highest, mean], -1)

    def initial_state(self, batch: int) -> State:
        """The state before the first `step`: the layers', then the pooling's."""
        size = self.rnn.hidden_size
        sums = np.zeros((batch, size), np.float64), np.zeros((batch, 1), np.float64)
        lowest = np.full((batch, size), _LOWEST)
        states: dict[str, State] = {
            "last": (),
            "mean": sums,  # of the outputs, and their number
            "max": (lowest,),
            "concat": (*sums, lowest),
            "attention": (*sums, sums[1] - np.inf),  # of weights relative to that of the largest score
        }
        return *self.rnn.initial_state(batch), *states[self.pooling]

    def step(self, ids: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """[B] ids -> [B, size], the summary of all read so far, and the new state."""
        arrays = self.rnn.state_arrays
        output, layers = self.rnn.step(self.embedding(ids), state[:arrays])
        if self.pooling == "last":
            return output, layers
        if self.pooling == "max":
            highest = np.maximum(state[arrays], output)
            return highest, (*layers, highest)
        sums, count, *rest = state[arrays:]
        if self.pooling == "attention":
            score = (output @ self._query)[:, None].astype(np.float64)
            largest = np.maximum(rest[0], score)
            kept, weight = np.exp(rest[0] - largest), np.exp(score - largest)
            sums, count, rest = sums * kept + output * weight, count * kept + weight, [largest]
        else:
            sums, count = sums + output, count + 1
        summary = (sums / count).astype(np.float32)
        if self.pooling == "concat":
            rest = [np.maximum(rest[0], output)]
            summary = np.concatenate([output, rest[0], summary], -1)
        return summary, (*layers, sums, count, *rest)


class Classifier:
    """One score per class of each text.

    Args:
        build: makes the layers.
        vocab_size: the number of token ids.
        num_classes: the number of classes.
        settings: of the task.
    """

    def __init__(
        self, build: Builder, vocab_size: int, num_classes: int, settings: Mapping[str, Any]
    ) -> None:
        self._encoder = Encoder(build, vocab_size, settings)
        self._output = build.linear("fc_out", num_classes, self._encoder.size)

    @property
    def is_bidirectional(self) -> bool:
        """Whether texts are read from both ends."""
        return self._encoder.rnn.directions > 1

    def logits(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """[T, B] ids, [B] lengths -> [B, C]."""
        return self._output(self._encoder.summarize(ids, lengths))

    def initial_state(self, batch: int) -> State:
        """The state before the first `step`."""
        return self._encoder.initial_state(batch)

    def step(self, ids: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """[B] ids -> [B, C], the scores of all read so far, and the new state."""
        summary, state = self._encoder.step(ids, state)
        return self._output(summary), state


class PairClassifier:
    """One score per class of each pair of texts.

    Args:
        build: makes the layers.
        vocab_size: the number of token ids.
        num_classes: the number of classes.
        settings: of the task.
    """

    def __init__(
        self, build: Builder, vocab_size: int, num_classes: int, settings: Mapping[str, Any]
    ) -> None:
        self._encoder = Encoder(build, vocab_size, settings)
        self._output = build.linear("fc_out", num_classes, 4 * self._encoder.size)

    def logits(
        self, first: np.ndarray, second: np.ndarray, first_lengths: np.ndarray, second_lengths: np.ndarray
    ) -> np.ndarray:
        """[T, B] and [S, B] ids, [B] lengths of both -> [B, C]."""
        u, v = self._encoder.summarize(first, first_lengths), self._encoder.summarize(second, second_lengths)
        return self._output(np.concatenate([u, v, np.abs(u - v), u * v], -1))


class Tagger:
    """Scores of the tags of each word; see `nlp_rnn.models.tagger.Tagger`.

    Args:
        build: makes the layers.
        vocab_size: the number of word ids.
        num_characters: the number of character ids; 0 if characters are not read.
        num_affixes: the number of ids of affixes; 0 if they are not read.
        num_tags: the number of tags of each column.
        settings: of the task.
        string_encoder: a language model that reads the sentence; none if left out.
    """

    def __init__(
        self,
        build: Builder,
        vocab_size: int,
        num_characters: int,
        num_affixes: int,
        num_tags: Sequence[int],
        settings: Mapping[str, Any],
        string_encoder: StringEncoder | None = None,
    ) -> None:
        cell, size, hidden = settings["cell"], settings["embedding_dim"], settings["hidden_dim"]
        self._embedding = build.embedding("embedding", vocab_size, size)
        self._affixes = build.embedding("affix_embedding", num_affixes, size) if num_affixes else None
        self._reads_characters = num_characters > 0
        if num_characters:
            dim, letter_hidden = settings["character_embedding_dim"], settings["character_hidden_dim"]
            self._letters = build.embedding("word_encoder.embedding", num_characters, dim)
            self._speller = build.recurrent("word_encoder.rnn.", cell, dim, letter_hidden, 1, True)
            size += 2 * letter_hidden
        self._string_encoder = string_encoder
        if string_encoder is not None:
            size += string_encoder.output_dim
        both, layers = settings["bidirectional"], settings["num_layers"]
        self._rnn = build.recurrent("rnn.", cell, size, hidden, layers, both)
        width = hidden * self._rnn.directions
        first, *others = num_tags
        self._outputs = [build.linear("fc_out", first, width)]
        self._outputs += [build.linear(f"fc_more.{n}", tags, width) for n, tags in enumerate(others)]
        self.crf: ChainScores | None = None
        if settings["crf"]:
            take = build.tensors.take
            transitions = take("crf.transitions", first * first).reshape(first, first)
            self.crf = ChainScores(take("crf.start", first), transitions, take("crf.end", first))

    @property
    def is_bidirectional(self) -> bool:
        """Whether sentences are read from both ends."""
        return self._rnn.directions > 1

    def logits(
        self,
        words: np.ndarray,
        lengths: np.ndarray,
        characters: np.ndarray | None = None,
        character_lengths: np.ndarray | None = None,
        spelling: np.ndarray | None = None,
        affixes: np.ndarray | None = None,
        strings: Strings | None = None,
    ) -> np.ndarray:
        """See `nlp_rnn.lite.models.engines.TaggerEngine`."""
        features = self._features(words, characters, character_lengths, spelling, affixes)
        if self._string_encoder is not None and strings is not None:
            features = np.concatenate([features, self._string_encoder(strings)], -1)
        return self._scores(self._rnn.run(features, lengths=lengths)[0])

    def initial_state(self, batch: int) -> State:
        """The state before the first `step`."""
        return self._rnn.initial_state(batch)

    def step(
        self,
        words: np.ndarray,
        state: State,
        characters: np.ndarray | None = None,
        character_lengths: np.ndarray | None = None,
        spelling: np.ndarray | None = None,
        affixes: np.ndarray | None = None,
    ) -> tuple[np.ndarray, State]:
        """See `nlp_rnn.lite.models.engines.TaggerEngine`."""
        features = self._features(words, characters, character_lengths, spelling, affixes)
        output, state = self._rnn.step(features, state)
        return self._scores(output), state

    def _features(
        self,
        words: np.ndarray,
        characters: np.ndarray | None,
        character_lengths: np.ndarray | None,
        spelling: np.ndarray | None,
        affixes: np.ndarray | None,
    ) -> np.ndarray:
        embedded = self._embedding(words)
        if self._affixes is not None:
            assert affixes is not None
            for place in range(affixes.shape[-2]):
                embedded = embedded + self._affixes(affixes[..., place, :])
        if not self._reads_characters:
            return embedded
        assert characters is not None
        assert spelling is not None
        _, state = self._speller.run(self._letters(characters), lengths=character_lengths)
        vectors = np.concatenate(list(state[0]), -1)  # [U, 2 * character_hidden_dim]
        return np.concatenate([embedded, vectors[spelling]], -1)

    def _scores(self, features: np.ndarray) -> np.ndarray:
        return np.concatenate([layer(features) for layer in self._outputs], -1)


class SeriesTagger:
    """Scores of the tags of each step of a series.

    Args:
        build: makes the layers.
        input_dim: the size of the vectors.
        num_tags: the number of tags.
        settings: of the task.
    """

    def __init__(self, build: Builder, input_dim: int, num_tags: int, settings: Mapping[str, Any]) -> None:
        hidden, both = settings["hidden_dim"], settings["bidirectional"]
        cell, layers = settings["cell"], settings["num_layers"]
        self._rnn = build.recurrent("rnn.", cell, input_dim, hidden, layers, both)
        self._output = build.linear("fc_out", num_tags, hidden * self._rnn.directions)

    def outputs(self, vectors: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """[T, B, F], [B] lengths -> [T, B, C]."""
        return self._output(self._rnn.run(vectors, lengths=lengths)[0])


class Regressor:
    """The numbers that follow a series.

    Args:
        build: makes the layers.
        input_dim: the size of the vectors.
        output_dim: how many numbers are predicted.
        settings: of the task.
    """

    def __init__(self, build: Builder, input_dim: int, output_dim: int, settings: Mapping[str, Any]) -> None:
        hidden = settings["hidden_dim"]
        cell, layers = settings["cell"], settings["num_layers"]
        self._rnn = build.recurrent("rnn.", cell, input_dim, hidden, layers)
        self._output = build.linear("fc_out", output_dim, hidden)

    def outputs(self, vectors: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """[T, B, F], [B] lengths -> [B, N]."""
        return self._output(self._rnn.run(vectors, lengths=lengths)[1][0][-1])
