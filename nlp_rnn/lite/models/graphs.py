"""Engines that compute with ONNX Runtime: the graphs that `nlp-rnn export` writes.

The inputs and outputs of the graphs are described in `nlp_rnn.export.onnx`. They read whole inputs, so there
are streams of language models alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UsageError
from ..files import read_bytes
from ..folders.folder import require_inside
from ..text.strings import Strings
from .cells import State
from .chain import ChainScores

MODEL, ENCODER, DECODER_STEP = "model.onnx", "encoder.onnx", "decoder_step.onnx"

_SEEN = ("context", "memory", "keys", "inside")
_SPELLING = ("characters", "character_lengths", "spelling")


def _num_threads() -> int:
    """What OMP_NUM_THREADS says, which this library does not read itself; else one."""
    stated = os.environ.get("OMP_NUM_THREADS", "")
    return min(int(stated), os.cpu_count() or 1) if re.fullmatch("[1-9][0-9]{0,5}", stated) else 1


class _Graph:
    """One ONNX file.

    Args:
        path: the file.
        root: the folder that it may not lead out of.

    Raises:
        UsageError: it cannot be read, or onnxruntime is not installed.
    """

    def __init__(self, path: Path, root: Path) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise UsageError("engine onnx needs onnxruntime: pip install onnxruntime") from None
        self._path = path
        data = read_bytes(require_inside(path, root))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # errors are raised, so a line of the library would say them twice
        # Steps are too small for threads: with its default of one per core, the library works twice as long
        # for the same answers, most of it waiting in a loop for the next step.
        options.intra_op_num_threads = options.inter_op_num_threads = _num_threads()
        try:  # from bytes, so that a graph cannot name other files
            self._session: Any = onnxruntime.InferenceSession(data, options, ["CPUExecutionProvider"])
        except Exception as error:  # the library's own types
            raise UsageError(f"{path}: not a graph that onnxruntime can run ({error})") from error
        self.inputs = {value.name: value.shape for value in self._session.get_inputs()}
        self.outputs = [value.name for value in self._session.get_outputs()]

    def check(self, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """Refuse a graph without these inputs and outputs.

        Raises:
            UsageError: it has others.
        """
        if not {*inputs} <= {*self.inputs} or not {*outputs} <= {*self.outputs}:
            raise UsageError(f"{self._path}: not a graph of this model; export the model again")

    def run(self, inputs: dict[str, np.ndarray], *outputs: str) -> list[np.ndarray]:
        """The named outputs.

        Raises:
            UsageError: the graph takes other inputs.
        """
        try:
            found: list[np.ndarray] = self._session.run(outputs, inputs)
        except Exception as error:
            raise UsageError(f"{self._path}: cannot be run ({error})") from error
        return found

    def state_names(self) -> list[str]:
        """The names of the tensors of a recurrent state."""
        return [name for name in self.inputs if name.startswith("state_")]


class _WholeInputs:
    """What answers whole inputs only."""

    is_bidirectional = False

    def initial_state(self, batch: int) -> State:
        """Refuse a stream.

        Raises:
            UsageError: always.
        """
        raise UsageError("the ONNX graph of this model reads whole inputs only: stream with another engine")


class TextGraph(_WholeInputs):
    """See `nlp_rnn.lite.models.engines.TextEngine`."""

    def __init__(self, folder: Path) -> None:
        self._graph = _Graph(folder / MODEL, folder)
        self._graph.check(["ids", "lengths"], ["logits"])

    def logits(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """[T, B] ids, [B] lengths -> [B, C]."""
        return self._graph.run({"ids": _some(ids), "lengths": lengths}, "logits")[0]


class PairGraph:
    """See `nlp_rnn.lite.models.engines.PairEngine`."""

    def __init__(self, folder: Path) -> None:
        self._graph = _Graph(folder / MODEL, folder)
        self._graph.check(["first_ids", "second_ids", "first_lengths", "second_lengths"], ["logits"])

    def logits(
        self, first: np.ndarray, second: np.ndarray, first_lengths: np.ndarray, second_lengths: np.ndarray
    ) -> np.ndarray:
        """[T, B] and [S, B] ids, [B] lengths of both -> [B, C]."""
        texts = {"first_ids": _some(first), "second_ids": _some(second)}
        lengths = {"first_lengths": first_lengths, "second_lengths": second_lengths}
        return self._graph.run(texts | lengths, "logits")[0]


class TaggerGraph(_WholeInputs):
    """See `nlp_rnn.lite.models.engines.TaggerEngine`."""

    def __init__(self, folder: Path) -> None:
        self._graph = _Graph(folder / MODEL, folder)
        self._graph.check(["ids", "lengths"], ["logits"])
        self.crf: ChainScores | None = None
        if "crf_start" in self._graph.outputs:
            ids, lengths = np.zeros((0, 1), np.int64), np.zeros(1, np.int64)
            spelled = [ids, lengths, ids] if "spelling" in self._graph.inputs else []
            count = self._graph.inputs["affixes"][1] if "affixes" in self._graph.inputs else 0
            affixes = np.zeros((0, count, 1), np.int64) if count else None
            inputs = self._inputs(ids, lengths, affixes, *spelled)
            names = ("crf_start", "crf_transitions", "crf_end")
            self.crf = ChainScores(*self._graph.run(inputs, *names))

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
        """See `nlp_rnn.lite.models.engines.TaggerEngine`; there is no graph with a language model."""
        spelled = [part for part in (characters, character_lengths, spelling) if part is not None]
        logits = self._graph.run(self._inputs(words, lengths, affixes, *spelled), "logits")[0]
        return logits[: len(words)]

    def _inputs(
        self, words: np.ndarray, lengths: np.ndarray, affixes: np.ndarray | None, *spelled: np.ndarray
    ) -> dict[str, np.ndarray]:
        inputs = {"ids": _some(words), "lengths": lengths}
        if affixes is not None:
            inputs["affixes"] = _some(affixes)
        if spelled:
            characters, character_lengths, spelling = spelled
            if not characters.shape[1]:  # no word at all
                characters, character_lengths = np.zeros((1, 1), np.int64), np.zeros(1, np.int64)
            parts = (_some(characters), character_lengths, _some(spelling))
            inputs |= dict(zip(_SPELLING, parts, strict=True))
        return inputs


class SeriesGraph:
    """See `nlp_rnn.lite.models.engines.SeriesEngine`."""

    def __init__(self, folder: Path) -> None:
        self._graph = _Graph(folder / MODEL, folder)
        self._output = "values" if "values" in self._graph.outputs else "logits"
        self._graph.check(["vectors", "lengths"], [self._output])

    def outputs(self, vectors: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """[T, B, F], [B] lengths -> [T, B, C] of each step, or [B, N] of the whole."""
        return self._graph.run({"vectors": vectors, "lengths": lengths}, self._output)[0]


class LanguageGraph:
    """See `nlp_rnn.lite.models.engines.LanguageEngine`."""

    def __init__(self, folder: Path) -> None:
        self._graph = _Graph(folder / MODEL, folder)
        self._names = self._graph.state_names()
        self._outputs = ["logits", *(f"next_{name}" for name in self._names)]
        self._graph.check(["ids", "lengths", "state_0"], self._outputs)

    def initial_state(self, batch: int) -> State:
        """The state before the first `step`, which reads BOS."""
        layers, _, hidden = self._graph.inputs["state_0"]
        return (np.zeros((layers, batch, hidden), np.float32),) * len(self._names)

    def step(self, ids: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """[B] ids -> [B, V], and the new state."""
        inputs = {"ids": ids[None], "lengths": np.ones_like(ids)} | dict(zip(self._names, state, strict=True))
        logits, *new = self._graph.run(inputs, *self._outputs)
        return logits[0], tuple(new)


class WriterGraph:
    """Translators and captioners: an encoder, and one step of a decoder.

    See `nlp_rnn.lite.models.engines.TranslationEngine` and `nlp_rnn.lite.models.engines.CaptionEngine`.
    """

    def __init__(self, folder: Path) -> None:
        self._encoder, self._decoder = (_Graph(folder / name, folder) for name in (ENCODER, DECODER_STEP))
        own = self._decoder.state_names()
        self._names = [*own, *(name for name in _SEEN if name in self._decoder.inputs)]
        self._outputs = ["logits", *(f"next_{name}" for name in own)]
        self._count = len(own)
        self._encoder.check([], self._names)
        self._decoder.check(["token", "state_0"], self._outputs)

    def encode(self, values: np.ndarray, lengths: np.ndarray | None = None) -> State:
        """[S, B] ids with lengths [B], or vectors [B, F] -> the state before the first `step`."""
        if lengths is None:
            return tuple(self._encoder.run({"vectors": values}, *self._names))
        return tuple(self._encoder.run({"ids": _some(values), "lengths": lengths}, *self._names))

    def step(self, ids: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """[B] ids -> [B, V], and the new state."""
        logits, *own = self._run(ids, state, self._outputs)
        return logits, (*own, *state[self._count :])

    def alignment(self, target: np.ndarray, state: State) -> np.ndarray | None:
        """[T, B] ids -> the weights [T, B, S] of the source; None without attention."""
        if "alignment" not in self._decoder.outputs:
            return None
        rows = []
        for ids in target:
            _, *own, weights = self._run(ids, state, [*self._outputs, "alignment"])
            state = (*own, *state[self._count :])
            rows.append(weights)
        return np.stack(rows)

    def _run(self, ids: np.ndarray, state: State, outputs: Sequence[str]) -> list[np.ndarray]:
        return self._decoder.run({"token": ids} | dict(zip(self._names, state, strict=True)), *outputs)


ENGINES: dict[str, type[Any]] = {
    "sentiment": TextGraph,
    "multi_label": TextGraph,
    "text_pairs": PairGraph,
    "tagging": TaggerGraph,
    "series_tagging": SeriesGraph,
    "forecasting": SeriesGraph,
    "language_modeling": LanguageGraph,
    "translation": WriterGraph,
    "captioning": WriterGraph,
}
"""The engine of each task."""


def _some(ids: np.ndarray) -> np.ndarray:
    """Ids [T, ..., B] of at least one step, which the graphs need."""
    return ids if len(ids) else np.zeros((1, *ids.shape[1:]), np.int64)
