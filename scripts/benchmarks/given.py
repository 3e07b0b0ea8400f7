"""What the user asked for, as every contestant is told."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Given:
    """The settings of one benchmark.

    Args:
        command: train, decode, tag, ...
        task: translation, sentiment or tagging.
        data: corpus, as `nlp_rnn.data.Corpus` takes its path.
        device: cpu or cuda.
        precisions: of ours, fp32 and bf16.
        repeat: rounds, of which the median counts.
        quick: everything small and in one process, to try the programs out; its figures mean nothing.
        seconds: how long a contestant's turn should take.
        batch_size: in training.
        max_examples: at most so many rows a split.
        model: folder of a trained model.
        model_int8: folder of the same model, quantised.
        peers: NAME=PYTHON, the interpreters of peers' environments.
    """

    command: str
    task: str = "translation"
    data: str = "builtin"
    device: str = "cpu"
    precisions: tuple[str, ...] = ("fp32",)
    repeat: int = 5
    quick: bool = False
    seconds: float = 3.0
    batch_size: int = 128
    max_examples: int | None = None
    model: str | None = None
    model_int8: str | None = None
    peers: tuple[str, ...] = ()

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Given:
        values = json.loads(text)
        tuples = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return Given(**values | tuples)
