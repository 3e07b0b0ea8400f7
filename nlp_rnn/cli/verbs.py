"""The table of verbs: what each does, an example, and the module that does it. Importing it costs nothing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verb:
    """One verb of the command line.

    Args:
        summary: what it does, in one line.
        example: its arguments in an example.
        module: the module with `add_arguments(parser)` and `run(options)`; None for Lightning's own verbs.
    """

    summary: str
    example: str
    module: str | None = None


VERBS: dict[str, Verb] = {
    "fit": Verb(
        "train a model; leaves a run directory with checkpoints, curves and a model folder",
        "--config conf/translation_builtin.yaml --trainer.max_epochs 3",
    ),
    "validate": Verb(
        "measure a trained model on its validation split; prints the metrics as JSON",
        "--config conf/sentiment_builtin.yaml --ckpt_path runs/sentiment_builtin/latest/model",
    ),
    "test": Verb(
        "measure a trained model on its test split; prints the metrics as JSON",
        "--config conf/sentiment_builtin.yaml --ckpt_path runs/sentiment_builtin/latest/model",
    ),
    "predict": Verb(
        "answer a file or standard input, one answer per line; or, with --config, a test split",
        "runs/sentiment_builtin/latest/model reviews.txt",
        "nlp_rnn.cli.predict",
    ),
    "evaluate": Verb(
        "measure a trained model on any corpus; prints a report as JSON, writes plots",
        "runs/sentiment_builtin/latest/model --data builtin --output report",
        "nlp_rnn.cli.evaluate",
    ),
    "generate": Verb(
        "continue a text with a language model, printed token by token",
        'runs/hello/latest/model "h" --steps',
        "nlp_rnn.cli.generate",
    ),
    "inspect": Verb(
        "plot what a model computes while it reads: states, gates, gradients, running answers",
        'runs/hello/latest/model "hello" --output inside',
        "nlp_rnn.cli.inspect",
    ),
    "quantize": Verb(
        "write a copy of a model with int8 weights, a quarter of the size",
        "runs/sentiment_builtin/latest/model small_model",
        "nlp_rnn.cli.quantize",
    ),
    "long-memory": Verb(
        "train several cells on a problem that needs long memory, and compare them",
        "--length 100 --cells rnn gru lstm --output memory",
        "nlp_rnn.cli.long_memory",
    ),
}

LIGHTNING_VERBS = ("fit", "validate", "test", "predict")
"""The verbs that Lightning's command line has; `predict` has another form too."""
