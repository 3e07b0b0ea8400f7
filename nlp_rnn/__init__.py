"""Recurrent NLP models with the Hugging Face data stack and Lightning."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

# Imported when first asked for, so that `import nlp_rnn` costs nothing.
_PUBLIC = {
    "pipeline": "nlp_rnn.inference.pipelines",
    "from_pretrained": "nlp_rnn.tasks.pretrained",
    "save_pretrained": "nlp_rnn.tasks.pretrained",
    "Captioner": "nlp_rnn.models",
    "Classifier": "nlp_rnn.models",
    "Tagger": "nlp_rnn.models",
    "Encoder": "nlp_rnn.models",
    "Decoder": "nlp_rnn.models",
    "Seq2Seq": "nlp_rnn.models",
    "LanguageModel": "nlp_rnn.models",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        from importlib import import_module

        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'nlp_rnn' has no attribute {name!r}")
