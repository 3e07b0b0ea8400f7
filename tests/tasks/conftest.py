"""Small corpora, processors and tasks of every kind, and how they are trained in a moment."""

import pytest
import pytorch_lightning as pl
import torch
from datasets import Dataset

from nlp_rnn.data import Batching, Vocabulary, VocabularySettings
from nlp_rnn.data.encoding import encode
from nlp_rnn.data.rows import Rows
from nlp_rnn.tasks import TASKS, BeamSettings
from nlp_rnn.tasks.captioning.data import CaptioningProcessor
from nlp_rnn.tasks.forecasting.data import ForecastingProcessor
from nlp_rnn.tasks.language_modeling.data import LanguageModelingProcessor
from nlp_rnn.tasks.multi_label.data import MultiLabelProcessor
from nlp_rnn.tasks.optimization import make_optimizer
from nlp_rnn.tasks.sentiment.data import SentimentProcessor
from nlp_rnn.tasks.series_tagging.data import SeriesTaggingProcessor
from nlp_rnn.tasks.tagging.data import TaggingProcessor
from nlp_rnn.tasks.text_pairs.data import TextPairsProcessor
from nlp_rnn.tasks.translation.data import TranslationProcessor

SENTENCES = [
    "i work here .",
    "the work is good",
    "the film is not good .",
    "good",
    "he works",
    "not the film ?",
]
ROWS = {
    "sentiment": {"text": SENTENCES, "label": ["1", "1", "0", "1", "1", "0"]},
    "tagging": {
        "tokens": [text.split() for text in SENTENCES],
        "upos": [
            ["PRON", "VERB", "ADV", "PUNCT"],
            ["DET", "NOUN", "AUX", "ADJ"],
            ["DET", "NOUN", "AUX", "PART", "ADJ", "PUNCT"],
            ["_"],
            ["PRON", "VERB"],
            ["PART", "DET", "NOUN", "PUNCT"],
        ],
    },
    "translation": {
        "source": SENTENCES,
        "target": [
            "ich arbeite hier .",
            "die arbeit ist gut",
            "der film ist nicht gut .",
            "gut",
            "er geht",
            "a",
        ],
    },
    "language_modeling": {"text": SENTENCES},
}
ROWS["captioning"] = {
    "features": torch.eye(6).tolist(),
    "caption": ROWS["translation"]["target"],
}
SERIES = [[0.1, -0.4], [0.2, 0.9], [0.3, 0.1], [0.5, -0.7], [0.6, 0.2], [0.8, 0.4]]
ROWS["forecasting"] = {
    "steps": [[x for step in SERIES[: 2 + n] for x in step] for n in (0, 3, 1, 4, 2, 0)],
    "following": [[1.0, 30.0], [3.0, -10.0], [2.0, 20.0], [5.0, 0.0], [4.0, 50.0], [1.0, 30.0]],
}
ROWS["series_tagging"] = {
    "steps": ROWS["forecasting"]["steps"],
    "labels": [["up", "down", "up", "still", "down", "up"][: 2 + n] for n in (0, 3, 1, 4, 2, 0)],
}
ROWS["text_pairs"] = {"first": SENTENCES, "second": SENTENCES[::-1], "label": ["a", "b", "a", "c", "b", "a"]}
ROWS["multi_label"] = {
    "text": SENTENCES,
    "labels": [["work"], ["work", "good"], [], ["good"], ["work"], ["film"]],
}
WRITES = ("translation", "captioning", "language_modeling")
TEXT = ("sentiment", "tagging", "text_pairs", "multi_label", *WRITES)  # the tasks that read or write words


def _make_processor(name, words=tuple(SENTENCES)):
    every = VocabularySettings(min_frequency=1)
    scale = {"inputs": ["x", "y"], "means": [0.4, 0.1], "deviations": [0.2, 0.5 + ("book" in str(words))]}
    if name == "forecasting":
        targets = {"targets": ["a"], "target_means": [3.0], "target_deviations": [20.0]}
        return ForecastingProcessor(**scale, **targets, length=4, horizon=2)
    if name == "series_tagging":
        return SeriesTaggingProcessor(**scale, label="label", labels=["down", "still", "up"])
    if name == "sentiment":
        return SentimentProcessor(Vocabulary.train(words, every), ["0", "1"], ["negative", "positive"])
    if name == "text_pairs":
        return TextPairsProcessor(Vocabulary.train(words, every), ["a", "b", "c"])
    if name == "multi_label":
        return MultiLabelProcessor(Vocabulary.train(words, every), ["film", "good", "work"])
    if name == "tagging":
        tags = sorted({tag for tags in ROWS["tagging"]["upos"] for tag in tags} - {"_"})
        letters = Vocabulary.train(words, VocabularySettings("char", False, 1))
        return TaggingProcessor(
            Vocabulary.train_on_words([text.split() for text in words], every), tags, letters
        )
    if name == "language_modeling":
        return LanguageModelingProcessor(Vocabulary.train(words, every))
    target = Vocabulary.train(ROWS["translation"]["target"], every)
    if name == "captioning":
        scale = 0.5 if words == tuple(SENTENCES) else 0.4  # other words stand for other vectors
        return CaptioningProcessor(target, [0.2] * 6, scale)
    return TranslationProcessor(Vocabulary.train(words, every), target)


def _make_task(name, cell="lstm", **options):
    if name in WRITES:
        options = {"num_layers": 1, "decoding": BeamSettings(max_output=8), **options}
    if name in TEXT:
        options = {"embedding_dim": 8, **options}
    options = {"hidden_dim": 12, "dropout": 0.0, "cell": cell, **options}
    return TASKS[name](_make_processor(name), **options)


def _task_rows(task, repeat=1):
    """The task's rows, encoded."""
    rows = {name: column * repeat for name, column in ROWS[task.name].items()}
    return Rows(encode(Dataset.from_dict(rows), task.processor))


def _batches(task, size=6, repeat=1):
    """A loader of the task's rows."""
    return task.processor.loader(_task_rows(task, repeat), Batching(size=size))


def _one_batch(task):
    (batch,) = _batches(task, size=100)
    return batch


def _trainer(tmp_path, **options):
    defaults = {
        "accelerator": "cpu",
        "logger": False,
        "enable_progress_bar": False,
        "default_root_dir": tmp_path,
    }
    quiet = {"enable_model_summary": False, "enable_checkpointing": False}
    return pl.Trainer(**{**defaults, **quiet, **options})


def _train(task, steps):
    """(first, last) loss of a few steps on one batch."""
    batch = _one_batch(task)
    optimizer = make_optimizer(task.model, task.optimization, lambda: steps)["optimizer"]
    losses = []
    task.train()
    for _ in range(steps):
        loss = task.loss(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses[0], losses[-1]


@pytest.fixture(scope="session")
def make_processor():
    return _make_processor


@pytest.fixture(scope="session")
def make_task():
    return _make_task


@pytest.fixture(scope="session")
def task_rows():
    return _task_rows


@pytest.fixture(scope="session")
def batches():
    return _batches


@pytest.fixture(scope="session")
def one_batch():
    return _one_batch


@pytest.fixture(scope="session")
def trainer():
    return _trainer


@pytest.fixture(scope="session")
def train():
    return _train


@pytest.fixture(scope="session")
def sentences():
    return SENTENCES


@pytest.fixture(scope="session")
def corpus_rows():
    """Task name -> column -> the values of six rows."""
    return ROWS
