"""The table of verbs: what each does, an example, and the module that does it; it imports no library."""

from __future__ import annotations

from dataclasses import dataclass

from nlp_rnn.training import VERBS as TRAINING_VERBS


@dataclass(frozen=True)
class Verb:
    """One verb of the command line.

    Args:
        summary: what it does, in one line.
        example: its arguments in an example.
        module: the module with `add_arguments(parser)` and `run(options)`; None for the verbs that take a
            configuration, which `nlp_rnn.training.cli` runs.
        notes: what its help says at the end.
        memory: what to lower where memory does not suffice.
        takes_settings: whether it accepts the settings of fit in addition to its own options.
    """

    summary: str
    example: str
    module: str | None = None
    notes: str = ""
    memory: str = "the length of the text, or use a smaller model"
    takes_settings: bool = False


VERBS: dict[str, Verb] = {
    "fit": Verb(
        TRAINING_VERBS["fit"],
        "--config conf/translation_builtin.yaml --trainer.max_epochs 3",
    ),
    "validate": Verb(
        TRAINING_VERBS["validate"],
        "--config conf/sentiment_builtin.yaml --ckpt_path runs/sentiment_builtin/latest/model",
    ),
    "test": Verb(
        TRAINING_VERBS["test"],
        "--config conf/sentiment_builtin.yaml --ckpt_path runs/sentiment_builtin/latest/model",
    ),
    "predict": Verb(
        "answer each row of a table or line of a file; or, with --config, each row of a test split",
        "runs/sentiment_builtin/latest/model reviews.csv --output answers.csv",
        "nlp_rnn.cli.predict",
        """\
With --config, the same verb answers the test split of a configuration instead. It then takes
the settings of fit in place of the options above, and writes JSON lines to a file:
  nlp-rnn predict --config conf/sentiment_builtin.yaml \\
      --ckpt_path runs/sentiment_builtin/latest/model --output predictions.jsonl
  nlp-rnn predict --config conf/sentiment_builtin.yaml --help    lists the settings""",
        memory="--batch-size or --beam, or shorten the longest inputs",
    ),
    "sweep": Verb(
        "search for the best settings in many short runs, with Optuna",
        "conf/sentiment_builtin.yaml --space space.yaml --budget 20",
        "nlp_rnn.cli.sweep",
        """\
All settings of fit can be given too: --trainer.max_epochs 5. It needs: pip install 'nlp-rnn[sweep]'""",
        memory="--workers, data.batching.size or model.hidden_dim",
        takes_settings=True,
    ),
    "evaluate": Verb(
        "measure a trained model on any corpus; prints a report as JSON, writes plots",
        "runs/sentiment_builtin/latest/model --data builtin --output report",
        "nlp_rnn.cli.evaluate",
        memory="--batch-size, --beam or --max-examples",
    ),
    "compare": Verb(
        "test whether models differ by more than chance on the same rows, and list where",
        "runs/a/latest/model runs/b/latest/model --data builtin --output comparison",
        "nlp_rnn.cli.compare",
        memory="--max-examples or --rows",
    ),
    "distill": Verb(
        "answer the inputs of a corpus with trained models, into a corpus to train on",
        "runs/translation_builtin/latest/model --data builtin --beam 5 --output distilled",
        "nlp_rnn.cli.distill",
        "The folder is trained on like any corpus: fit --data.corpus.path or --data.extra.",
        memory="--batch-size, --beam or --n-best",
    ),
    "augment": Verb(
        "translate text of the target language back, into a corpus to train on",
        "--with runs/en_de/latest/model --text en.txt --sample --output back_translated",
        "nlp_rnn.cli.augment",
        "Train on it beside a corpus: fit --data.extra '[{path: back_translated, tag: <bt>}]'.",
        memory="--batch-size, --beam or --n-best",
    ),
    "generate": Verb(
        "continue a text with a language model, printed token by token",
        'runs/hello/latest/model "h" --steps',
        "nlp_rnn.cli.generate",
    ),
    "serve": Verb(
        "answer over HTTP, with JSON in and out; several models by their names",
        "sentiment=runs/sentiment_builtin/latest/model --port 8000",
        "nlp_rnn.cli.serve",
        """\
A bearer token that requests must have is read from NLP_RNN_TOKEN or a file; it is never an argument,
which others could see.""",
        memory="--workers, --max-batch, --max-inputs or --max-length",
    ),
    "inspect": Verb(
        "plot what a model computes while it reads: states, gates, gradients, answers so far",
        'runs/hello/latest/model "hello" --output inside',
        "nlp_rnn.cli.inspect",
    ),
    "demo": Verb(
        "try models on a page in the browser, a tab per model",
        "runs/sentiment_builtin/latest/model runs/translation_builtin/latest/model",
        "nlp_rnn.cli.demo",
    ),
    "quantize": Verb(
        "write a copy of a model with int8 weights, a quarter of the size",
        "runs/sentiment_builtin/latest/model small_model",
        "nlp_rnn.cli.quantize",
    ),
    "average": Verb(
        "write a model with the mean of the weights of several checkpoints of a run",
        "runs/kept/latest/checkpoints/best.ckpt runs/kept/latest/checkpoints/best-v1.ckpt --output averaged",
        "nlp_rnn.cli.average",
        memory="the number of models",
    ),
    "import": Verb(
        "turn the weights of a tutorial's or a Keras model into a model folder",
        "tut1-model.pt translator --like seq2seq --vocab de.json en.json",
        "nlp_rnn.cli.import_weights",
    ),
    "export": Verb(
        "write a model in a form that runs without torch, such as ONNX",
        "runs/sentiment_builtin/latest/model --format onnx --output sentiment_onnx",
        "nlp_rnn.cli.export",
        memory="a smaller model",
    ),
    "vectors": Verb(
        "write a model's embedding as word vectors, in the format of word2vec",
        "runs/sentiment_builtin/latest/model vectors.txt",
        "nlp_rnn.cli.vectors",
    ),
    "word2vec": Verb(
        "train word vectors on text without labels (skip-grams), for the embedding of a new model",
        "runs/sentiment_builtin/latest/model --data builtin reviews.txt --output vectors.txt",
        "nlp_rnn.cli.word2vec",
        """\
Texts are split as the model reads them; its weights do not matter. The file is for
fit --model.vectors, with the size as model.embedding_dim. It needs: pip install 'nlp-rnn[fasttext]'""",
        memory="--size, or give less text",
    ),
    "doctor": Verb(
        "check a model folder: files, tokenizers, tensors, checksums, card, and an answer",
        "runs/sentiment_builtin/latest/model",
        "nlp_rnn.cli.doctor",
        "The exit code is 1 if something is wrong.",
    ),
    "verify": Verb(
        "measure again what the card of a model folder states, on the data that it names",
        "runs/sentiment_builtin/latest/model",
        "nlp_rnn.cli.verify",
        """\
The exit code is 1 if a figure differs or cannot be measured. What is read is named on standard error before;
a stranger's card may name a file of yours, or a dataset that is downloaded.""",
        memory="a smaller model",
    ),
    "push": Verb(
        "upload a model folder to the Hugging Face hub; prints the address of the commit",
        "runs/sentiment_builtin/latest/model me/film-reviews --private",
        "nlp_rnn.cli.push",
        """\
The token is that of HF_TOKEN, or of `hf auth login`; it is never an argument, which others could see.""",
    ),
    "long-memory": Verb(
        "train several cells on a problem that needs long memory, and compare them",
        "--length 100 --cells rnn gru lstm --output memory",
        "nlp_rnn.cli.long_memory",
        memory="--batch-size, --length, --hidden-dim or --train",
    ),
    "completion": Verb(
        "print a script for the shell that completes verbs, settings and configurations",
        "bash > ~/.local/share/bash-completion/completions/nlp-rnn",
        "nlp_rnn.cli.completion",
    ),
}
"""The verbs, in the order in which the help names them."""
