"""The models that write token by token: NumPy forward passes of decoders, with and without attention."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..errors import UsageError
from .builder import Builder
from .cells import State
from .linear import Embedding, softmax
from .recurrent import Recurrent

_ATTENTIONS = ("none", "luong", "bahdanau")
_TIED = ("none", "decoder", "all")


class LanguageModel:
    """See `nlp_rnn.models.language_model.LanguageModel`.

    Args:
        build: makes the layers.
        vocab_size: the number of token ids.
        settings: of the task.
    """

    def __init__(self, build: Builder, vocab_size: int, settings: Mapping[str, Any]) -> None:
        size, hidden = settings["embedding_dim"], settings["hidden_dim"]
        self._embedding = build.embedding("embedding", vocab_size, size)
        self._rnn = build.recurrent("rnn.", settings["cell"], size, hidden, settings["num_layers"])
        if settings["bidirectional"]:  # only training needs the other direction
            build.recurrent("backward_rnn.", settings["cell"], size, hidden, settings["num_layers"])
        tied = self._embedding if settings["tie_weights"] else None
        self._output = build.output("", vocab_size, hidden, tied)

    def initial_state(self, batch: int) -> State:
        """The state before the first `step`, which reads BOS."""
        return self._rnn.initial_state(batch)

    def step(self, ids: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """[B] ids -> [B, V], and the new state."""
        output, state = self._rnn.step(self._embedding(ids), state)
        return self._output(output), state


class Decoder:
    """A decoder that reads the state of an encoder; see `nlp_rnn.models.seq2seq.Decoder`.

    The first arrays of its state are the recurrent layers'; behind them is what it looks at, the encoder's.

    Args:
        build: makes the layers.
        vocab_size: the number of token ids.
        settings: of the task.
        inputs: the size of what the recurrent layers read beside the embedding.
    """

    def __init__(self, build: Builder, vocab_size: int, settings: Mapping[str, Any], inputs: int = 0) -> None:
        size, hidden, layers = settings["embedding_dim"], settings["hidden_dim"], settings["num_layers"]
        self.embedding = build.embedding("decoder.embedding", vocab_size, size)
        self.rnn = build.recurrent("decoder.rnn.", settings["cell"], size + inputs, hidden, layers)
        tied = self.embedding if settings.get("tie_embeddings", "none") != "none" else None
        self._output = build.output("decoder.", vocab_size, self.output_size(size, hidden), tied)

    @staticmethod
    def output_size(size: int, hidden: int) -> int:
        """The size of what the output layer reads.

        Args:
            size: of the embedding.
            hidden: of the state.
        """
        return hidden

    def step(self, ids: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """[B] ids -> [B, V], and the new state."""
        seen = state[self.rnn.state_arrays :]
        features, own, _ = self.read(self.embedding(ids), state[: self.rnn.state_arrays], seen)
        return self._output(features), (*own, *seen)

    def read(self, words: np.ndarray, own: State, seen: State) -> tuple[np.ndarray, State, np.ndarray | None]:
        """One time step.

        Args:
            words: [B, E], the embedded words.
            own: the recurrent layers' state.
            seen: what the decoder looks at.

        Returns:
            What the output layer reads [B, H]; the new state; and the weights of attention [B, S], if any.
        """
        output, own = self.rnn.step(words, own)
        return output, own, None

    def alignment(self, target: np.ndarray, state: State) -> np.ndarray | None:
        """[T, B] ids -> the weights [T, B, S] of the source; None without attention."""
        own, seen = state[: self.rnn.state_arrays], state[self.rnn.state_arrays :]
        rows = []
        for ids in target:
            _, own, weights = self.read(self.embedding(ids), own, seen)
            if weights is None:
                return None
            rows.append(weights)
        return np.stack(rows)


class ContextDecoder(Decoder):
    """Reads the encoder's final state at each step; see `nlp_rnn.models.context.ContextDecoder`."""

    def __init__(self, build: Builder, vocab_size: int, settings: Mapping[str, Any]) -> None:
        size, hidden = settings["embedding_dim"], settings["hidden_dim"]
        super().__init__(build, vocab_size, settings, inputs=hidden)
        self._combine = build.linear("decoder.combine", hidden, 2 * hidden + size, bias=False)

    def read(self, words: np.ndarray, own: State, seen: State) -> tuple[np.ndarray, State, np.ndarray | None]:
        """See `Decoder.read`."""
        context = seen[0][0]
        hidden, own = self.rnn.step(np.concatenate([words, context], -1), own)
        return np.tanh(self._combine(np.concatenate([hidden, context, words], -1))), own, None


class DirectContextDecoder(Decoder):
    """The output layer reads all three; see `nlp_rnn.models.context.DirectContextDecoder`."""

    def __init__(self, build: Builder, vocab_size: int, settings: Mapping[str, Any]) -> None:
        super().__init__(build, vocab_size, settings, inputs=settings["hidden_dim"])

    @staticmethod
    def output_size(size: int, hidden: int) -> int:
        """See `Decoder.output_size`."""
        return size + 2 * hidden

    def read(self, words: np.ndarray, own: State, seen: State) -> tuple[np.ndarray, State, np.ndarray | None]:
        """See `Decoder.read`."""
        context = seen[0][0]
        hidden, own = self.rnn.step(np.concatenate([words, context], -1), own)
        return np.concatenate([words, hidden, context], -1), own, None


class LuongDecoder(Decoder):
    """See `nlp_rnn.models.attention.LuongDecoder`."""

    def __init__(self, build: Builder, vocab_size: int, settings: Mapping[str, Any]) -> None:
        super().__init__(build, vocab_size, settings)
        hidden = settings["hidden_dim"]
        self._combine = build.linear("decoder.combine", hidden, 2 * hidden, bias=False)

    def read(self, words: np.ndarray, own: State, seen: State) -> tuple[np.ndarray, State, np.ndarray | None]:
        """See `Decoder.read`."""
        outputs, keys, inside = seen
        hidden, own = self.rnn.step(words, own)
        weights = _normalize((keys.transpose(1, 0, 2) @ hidden[..., None])[..., 0], inside.T)
        context = _mean(outputs, weights)
        return np.tanh(self._combine(np.concatenate([hidden, context], -1))), own, weights


class BahdanauDecoder(Decoder):
    """See `nlp_rnn.models.attention.BahdanauDecoder`."""

    def __init__(self, build: Builder, vocab_size: int, settings: Mapping[str, Any]) -> None:
        size, hidden = settings["embedding_dim"], settings["hidden_dim"]
        super().__init__(build, vocab_size, settings, inputs=hidden)
        self._combine = build.linear("decoder.combine", hidden, 2 * hidden + size, bias=False)
        self._query = build.linear("decoder.query", hidden, hidden)
        self._energy = build.linear("decoder.energy", 1, hidden, bias=False)

    def read(self, words: np.ndarray, own: State, seen: State) -> tuple[np.ndarray, State, np.ndarray | None]:
        """See `Decoder.read`."""
        outputs, keys, inside = seen
        scores = self._energy(np.tanh(self._query(own[0][-1]) + keys))[..., 0]  # [S, B]
        weights = _normalize(scores.T, inside.T)
        context = _mean(outputs, weights)
        hidden, own = self.rnn.step(np.concatenate([words, context], -1), own)
        return np.tanh(self._combine(np.concatenate([hidden, context, words], -1))), own, weights


def _normalize(scores: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """A softmax [B, S] over what is inside a source, and exactly 0 elsewhere; all 0 for an empty one."""
    if not scores.shape[1]:
        return scores
    weights = softmax(np.where(inside, scores, np.finfo(np.float32).min))
    return np.where(inside, weights, np.float32(0))


def _mean(outputs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The weighted mean [B, H] of outputs [S, B, H] by weights [B, S]."""
    mean: np.ndarray = (weights[:, None] @ outputs.transpose(1, 0, 2))[:, 0]
    return mean


def _join_directions(state: State) -> State:
    """Arrays [layers * 2, B, K], forward and backward in turns -> [layers, B, 2 K]."""
    return tuple(np.concatenate([array[::2], array[1::2]], -1) for array in state)


_READOUTS: dict[str, Callable[..., Decoder]] = {"combined": ContextDecoder, "direct": DirectContextDecoder}


class Translator:
    """An encoder and a decoder; see `nlp_rnn.models.translator.make_seq2seq`.

    Args:
        build: makes the layers.
        source_size: the number of source ids.
        target_size: the number of target ids.
        settings: of the task.
    """

    def __init__(
        self, build: Builder, source_size: int, target_size: int, settings: Mapping[str, Any]
    ) -> None:
        size, hidden = settings["embedding_dim"], settings["hidden_dim"]
        attention, tied = settings["attention"], settings["tie_embeddings"]
        if attention not in _ATTENTIONS or tied not in _TIED:
            raise UsageError(
                f"unknown attention {attention!r} or tie_embeddings {tied!r}: upgrade nlp_rnn_lite"
            )
        readout = settings["readout"]
        if readout not in _READOUTS:
            raise UsageError(f"unknown readout {readout!r}: upgrade nlp_rnn_lite")
        decoders: dict[str, Callable[..., Decoder]] = {
            "none": _READOUTS[readout] if settings["context"] else Decoder,
            "luong": LuongDecoder,
            "bahdanau": BahdanauDecoder,
        }
        self._decoder = decoders[attention](build, target_size, settings)
        self._embedding: Embedding = (
            self._decoder.embedding
            if tied == "all"
            else build.embedding("encoder.embedding", source_size, size)
        )
        self._rnn = self._encoder_layers(build, settings)
        self._key = None if attention == "none" else build.linear("encoder.key", hidden, hidden, bias=False)
        self._gives_context = bool(settings["context"])

    @staticmethod
    def _encoder_layers(build: Builder, settings: Mapping[str, Any]) -> Recurrent:
        """The encoder's layers: of H units, or in both directions of H / 2 units each."""
        hidden, two = settings["hidden_dim"], bool(settings["bidirectional"])
        if two and hidden % 2:
            raise UsageError(f"a bidirectional encoder needs an even hidden_dim, not {hidden}")
        cell, size, layers = settings["cell"], settings["embedding_dim"], settings["num_layers"]
        return build.recurrent("encoder.rnn.", cell, size, hidden // 2 if two else hidden, layers, two)

    def encode(self, ids: np.ndarray, lengths: np.ndarray) -> State:
        """[S, B] ids, [B] lengths -> the decoder's state."""
        outputs, state = self._rnn.run(self._embedding(ids), lengths=lengths)
        if self._rnn.directions == 2:
            state = _join_directions(state)
        if self._key is not None:
            inside = np.arange(len(ids))[:, None] < lengths
            return *state, outputs, self._key(outputs), inside
        return (*state, state[0][-1:]) if self._gives_context else state

    def step(self, ids: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """[B] ids -> [B, V], and the new state."""
        return self._decoder.step(ids, state)

    def alignment(self, target: np.ndarray, state: State) -> np.ndarray | None:
        """[T, B] ids -> the weights [T, B, S] of the source; None without attention."""
        return self._decoder.alignment(target, state)


class Captioner:
    """A decoder whose initial state is made of a vector; see `nlp_rnn.models.captioner.Captioner`.

    Args:
        build: makes the layers.
        num_features: F, the size of the vector.
        vocab_size: the number of token ids.
        settings: of the task.
    """

    def __init__(
        self, build: Builder, num_features: int, vocab_size: int, settings: Mapping[str, Any]
    ) -> None:
        self._decoder = Decoder(build, vocab_size, settings)
        rnn = self._decoder.rnn
        self._shape = rnn.state_arrays, rnn.num_layers, rnn.hidden_size
        size = rnn.state_arrays * rnn.num_layers * rnn.hidden_size
        self._projection = build.linear("projection", size, num_features)

    def encode(self, vectors: np.ndarray) -> State:
        """[B, F] -> the decoder's state."""
        state = np.tanh(self._projection(vectors)).reshape(len(vectors), *self._shape)
        return tuple(np.ascontiguousarray(state[:, n].transpose(1, 0, 2)) for n in range(self._shape[0]))

    def step(self, ids: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """[B] ids -> [B, V], and the new state."""
        return self._decoder.step(ids, state)
