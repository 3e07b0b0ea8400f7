"""What a user gets who sets nothing. Another default changes everyone's results: say so in the CHANGELOG."""

import inspect

import pytest

from nlp_rnn.data import Batching, Corpus, VocabularySettings
from nlp_rnn.tasks import TASKS, BeamSettings, Optimization, Regularization
from nlp_rnn.tasks.generation import SamplingSettings
from nlp_rnn.tasks.registry import data_classes

SETTINGS = [
    Batching(size=64, max_tokens=None, num_workers=0, seed=0),
    BeamSettings(beam=1, length_penalty=1.0, n_best=1, max_output=100),
    SamplingSettings(max_output=100, temperature=None, top_k=None, top_p=None, seed=None),
    VocabularySettings(level="word", lowercase=True, min_frequency=2, max_size=32_000),
    Optimization(
        optimizer="adamw",
        lr=1e-3,
        weight_decay=0.0,
        schedule="constant",
        warmup=0.0,
        factor=0.5,
        patience=1,
        init="torch",
        memory=0,
    ),
    Regularization(consistency=0.0, adversarial=0.0, virtual_adversarial=0.0, perturbation=5.0),
    Corpus(
        path="builtin",
        config=None,
        revision=None,
        train_split=None,
        validation_split=None,
        test_split=None,
        validation_fraction=0.1,
        test_fraction=0.1,
        group=None,
        max_examples=None,
        seed=0,
    ),
]
LAYERS = {"cell": "lstm", "optimization": Optimization()}
SMOOTHING = {"label_smoothing": 0.0, "word_dropout": 0.0}
MODELS = {
    "sentiment": LAYERS
    | SMOOTHING
    | {"embedding_dim": 128, "hidden_dim": 128, "num_layers": 1, "dropout": 0.5}
    | {"bidirectional": True, "pooling": "last", "locked": False, "init_encoder": None, "vectors": None}
    | {"calibrate": True, "temperature": 1.0, "unsure_below": 0.0, "regularization": Regularization()},
    "tagging": LAYERS
    | SMOOTHING
    | {"embedding_dim": 100, "hidden_dim": 200, "num_layers": 1, "dropout": 0.5}
    | {"bidirectional": True, "character_embedding_dim": 32, "character_hidden_dim": 64}
    | {"locked": False, "crf": False, "init_encoder": None, "vectors": None}
    | {"regularization": Regularization()},
    "translation": LAYERS
    | SMOOTHING
    | {"embedding_dim": 256, "hidden_dim": 512, "num_layers": 2, "dropout": 0.5}
    | {"tie_embeddings": "none", "context": False, "readout": "combined", "attention": "none"}
    | {"bidirectional": False}
    | {"teacher_forcing": 1.0, "decoding": BeamSettings(), "copy_unknown": False},
    "language_modeling": LAYERS
    | SMOOTHING
    | {"embedding_dim": 256, "hidden_dim": 256, "num_layers": 1, "dropout": 0.2}
    | {"tie_weights": False, "locked": False, "weight_dropout": 0.0, "decoding": BeamSettings()}
    | {"bidirectional": False}
    | {"vectors": None},
    "captioning": LAYERS
    | SMOOTHING
    | {"embedding_dim": 64, "hidden_dim": 256, "num_layers": 1, "dropout": 0.2}
    | {"noise": 0.0, "decoding": BeamSettings()},
    "forecasting": LAYERS | {"hidden_dim": 64, "num_layers": 1, "dropout": 0.0},
    "series_tagging": LAYERS
    | {"hidden_dim": 64, "num_layers": 1, "dropout": 0.0}
    | {"bidirectional": False, "label_smoothing": 0.0},
    "text_pairs": LAYERS
    | SMOOTHING
    | {"embedding_dim": 128, "hidden_dim": 128, "num_layers": 1, "dropout": 0.3}
    | {"bidirectional": True, "pooling": "max", "locked": False, "init_encoder": None, "vectors": None}
    | {"calibrate": True, "temperature": 1.0, "unsure_below": 0.0, "regularization": Regularization()},
    "multi_label": LAYERS
    | {"embedding_dim": 128, "hidden_dim": 128, "num_layers": 1, "dropout": 0.5, "word_dropout": 0.0}
    | {"bidirectional": True, "pooling": "max", "locked": False, "init_encoder": None, "vectors": None}
    | {"tune_thresholds": True, "thresholds": None, "regularization": Regularization()},
}
TEXTS = {"corpus": Corpus(), "vocabulary": VocabularySettings(), "extra": ()}
DATA = {
    "SentimentData": TEXTS
    | {"text": ("text", "sentence", "document", "review"), "label": "label", "label_names": None}
    | {"batching": Batching(size=64), "max_length": 256, "balance": "none"},
    "TaggingData": TEXTS
    | {"tokens": "tokens", "tags": "upos", "characters": True, "batching": Batching(size=32)}
    | {
        "max_length": 512,
        "max_word_length": 32,
        "scheme": "auto",
        "affixes": (),
        "affix_buckets": 4096,
        "language_model": None,
    },
    "TranslationData": TEXTS
    | {"source": "de", "target": "en", "batching": Batching(size=128), "reverse_source": False}
    | {"max_length": 100, "shared_vocabulary": False, "reverse_target": False},
    "LanguageModelingData": TEXTS
    | {"text": ("text", "txt", "sentence", "document", "review"), "batching": Batching(size=64)}
    | {"window": None, "max_length": 256},
    "CaptioningData": {"vocabulary": VocabularySettings()}
    | {"corpus": Corpus("digits"), "features": ("features", "pixels", "vector")}
    | {"caption": ("caption", "text"), "batching": Batching(size=64), "max_length": 100},
    "ForecastingData": {"corpus": Corpus("ramp"), "inputs": ("value",), "targets": (), "group": ""}
    | {"length": 4, "horizon": 1, "batching": Batching(size=64)},
    "LongMemoryData": {"problem": "multiplication", "length": 100, "seed": 0}
    | {"train": 51_200, "validation": 1_000, "test": 10_000, "batching": Batching(size=64)},
    "SeriesTaggingData": {"corpus": Corpus("motion"), "inputs": tuple(f"p{pixel}" for pixel in range(16))}
    | {"label": "label", "group": "clip", "batching": Batching(size=32)},
    "TextPairsData": TEXTS
    | {"first": ("sentence1", "premise", "question1", "text1", "first"), "label": "label"}
    | {"second": ("sentence2", "hypothesis", "question2", "text2", "second")}
    | {"batching": Batching(size=64), "max_length": 256, "balance": "none"},
    "MultiLabelData": TEXTS
    | {"text": ("text", "sentence", "document", "review", "comment_text"), "label": "labels"}
    | {"batching": Batching(size=64), "max_length": 256},
}
PROCESSORS = {
    "sentiment": {"max_length": 256, "label_weights": None},
    "tagging": {
        "characters": None,
        "max_length": 512,
        "max_word_length": 32,
        "columns": None,
        "other_labels": None,
        "schemes": None,
        "splitter": None,
        "affixes": None,
        "affix_buckets": None,
        "context_characters": None,
        "language_model": None,
        "language_model_folder": None,
    },
    "translation": {"reverse_source": False, "max_length": 100, "reverse_target": False},
    "language_modeling": {"window": None, "max_length": 256},
    "captioning": {"max_length": 100},
    "forecasting": {"group": ""},
    "series_tagging": {"group": ""},
    "text_pairs": {"max_length": 256, "label_weights": None},
    "multi_label": {"max_length": 256},
}


def defaults(owner):
    parameters = inspect.signature(owner).parameters.values()
    return {
        parameter.name: parameter.default
        for parameter in parameters
        if parameter.default is not parameter.empty and repr(parameter.default) != "<factory>"
    }


@pytest.mark.parametrize("expected", SETTINGS, ids=lambda settings: type(settings).__name__)
def test_settings(expected):
    assert type(expected)() == expected
    assert defaults(type(expected)) == vars(expected)


@pytest.mark.parametrize("name", TASKS)
def test_tasks_their_data_and_processors(name):
    assert defaults(TASKS[name]) == MODELS[name]
    assert defaults(TASKS[name].processor_class) == PROCESSORS[name]
    for data in data_classes(name):
        assert defaults(data) == DATA[data.__name__]
