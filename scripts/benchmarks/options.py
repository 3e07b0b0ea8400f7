"""The options of one benchmark, as every contestant receives them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Options:
    """What to measure, on which corpus, and for how long.

    Args:
        command: train, decode, tag, ...
        task: translation, sentiment or tagging.
        data: the corpus, as the `path` of `nlp_rnn.data.Corpus`.
        device: cpu or cuda.
        precisions: the precisions in which nlp_rnn is measured: fp32, bf16.
        repeat: number of rounds; the medians over the rounds are reported.
        quick: use tiny models and a single process, to check that the programs run; the numbers mean nothing.
        seconds: target length of a contestant's turn.
        time_limit: seconds after which no round begins; after half of them no contestant is added; None
            for no limit.
        batch_size: rows per training batch.
        max_examples: largest number of rows per split; None for all.
        model: folder of a trained model.
        model_int8: folder of the same model, quantized.
        peers: NAME=PYTHON for each peer toolkit: the interpreter of the environment it is installed in.
    """

    command: str
    task: str = "translation"
    data: str = "builtin"
    device: str = "cpu"
    precisions: tuple[str, ...] = ("fp32",)
    repeat: int = 5
    quick: bool = False
    seconds: float = 3.0
    time_limit: float | None = None
    batch_size: int = 128
    max_examples: int | None = None
    model: str | None = None
    model_int8: str | None = None
    peers: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Write the options as one line of JSON."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Options:
        """Read what `to_json` wrote."""
        values = json.loads(text)
        tuples = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return Options(**values | tuples)
