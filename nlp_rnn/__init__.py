"""Recurrent NLP models with the Hugging Face data stack and Lightning.

Train a model with the command line (`nlp-rnn fit --config conf/sentiment_builtin.yaml`), then use it:

    >>> from nlp_rnn import pipeline
    >>> classify = pipeline("sentiment", model="runs/sentiment_builtin/latest/model")
    >>> classify("not a bad film")["label"]
    'positive'

`from_pretrained` loads a model as a `nlp_rnn.tasks.Task`, `save_pretrained` writes one as a model folder, and
`push_to_hub` uploads one to the Hugging Face hub. The models themselves are plain `torch.nn.Module`s in
`nlp_rnn.models`, tasks and their data are in `nlp_rnn.tasks` and `nlp_rnn.data`. All names are imported when
they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what type checkers and editors see
    from nlp_rnn.inference.pipelines import pipeline
    from nlp_rnn.models import Captioner, Classifier, Decoder, Encoder, LanguageModel, Seq2Seq, Tagger
    from nlp_rnn.tasks.pretrained import from_pretrained, save_pretrained
    from nlp_rnn.tasks.publishing import push_to_hub

__version__ = "0.1.0"

# Name -> module. Imported on first use, so that `import nlp_rnn` is fast.
_PUBLIC = {
    "pipeline": "nlp_rnn.inference.pipelines",
    "from_pretrained": "nlp_rnn.tasks.pretrained",
    "save_pretrained": "nlp_rnn.tasks.pretrained",
    "push_to_hub": "nlp_rnn.tasks.publishing",
    "Captioner": "nlp_rnn.models",
    "Classifier": "nlp_rnn.models",
    "Tagger": "nlp_rnn.models",
    "Encoder": "nlp_rnn.models",
    "Decoder": "nlp_rnn.models",
    "Seq2Seq": "nlp_rnn.models",
    "LanguageModel": "nlp_rnn.models",
}

__all__ = [
    "Captioner",
    "Classifier",
    "Decoder",
    "Encoder",
    "LanguageModel",
    "Seq2Seq",
    "Tagger",
    "__version__",
    "from_pretrained",
    "pipeline",
    "push_to_hub",
    "save_pretrained",
]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        from importlib import import_module

        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'nlp_rnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
