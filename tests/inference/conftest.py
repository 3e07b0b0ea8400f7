"""A tiny model folder of each text task, and what it answers."""

import pytest
import torch

from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.inference.pipelines import pipeline
from nlp_rnn.inference.prediction import predict
from nlp_rnn.tasks import TASKS as EVERY_TASK
from nlp_rnn.tasks import BeamSettings
from nlp_rnn.tasks.language_modeling.data import LanguageModelingProcessor
from nlp_rnn.tasks.multi_label.data import MultiLabelProcessor
from nlp_rnn.tasks.pretrained import save_pretrained
from nlp_rnn.tasks.sentiment.data import SentimentProcessor
from nlp_rnn.tasks.tagging.data import TaggingProcessor
from nlp_rnn.tasks.translation.data import TranslationProcessor

TASKS = {name: task for name, task in EVERY_TASK.items() if task.processor_class.input_description == "text"}
TEXTS = ["i work at google .", "the work is not good , but the film is .", "good", "a b c d e f", "", "!"]


def tiny(name):
    torch.manual_seed(3)
    every = VocabularySettings(min_frequency=1)
    words = Vocabulary.train(TEXTS, every)
    options = {}
    if name == "sentiment":
        processor = SentimentProcessor(words, ["0", "1"], ["negative", "positive"], 20)
    elif name == "multi_label":
        processor = MultiLabelProcessor(words, ["film", "work"], 20)
    elif name == "tagging":
        sentences = Vocabulary.train_on_words([text.split() for text in TEXTS], every)
        letters = Vocabulary.train(TEXTS, VocabularySettings("char", False, 1))
        processor = TaggingProcessor(sentences, ["ADJ", "NOUN", "VERB"], letters, 20, 8)
    elif name == "language_modeling":
        processor = LanguageModelingProcessor(words, max_length=20)
    else:
        processor = TranslationProcessor(words, words, True, 20)
    if name in ("translation", "language_modeling"):
        options = {"decoding": BeamSettings(max_output=8)}
    task = TASKS[name](processor, embedding_dim=8, hidden_dim=8, **options).eval()
    with torch.no_grad():
        for parameter in task.parameters():
            parameter.mul_(2)
    return task


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A model folder of each task."""
    home = tmp_path_factory.mktemp("models")
    return {name: save_pretrained(tiny(name), home / name) for name in TASKS}


@pytest.fixture(scope="module")
def labels(models):
    """The sentiment model's label of a text, asked alone: what each line's answer must be, empty for none."""
    ask = pipeline("sentiment", models["sentiment"])
    return lambda text: ask(text)["label"] or ""


@pytest.fixture
def answers(models, tmp_path):
    """The lines that a model writes for bytes in a file."""

    def ask(content, name="sentiment", **options):
        source, output = tmp_path / "in.txt", tmp_path / "out.txt"
        source.write_bytes(content)
        predict(models[name], str(source), str(output), **options)
        text = output.read_bytes().decode("utf-8")
        assert text == "" or text.endswith("\n")
        return text.split("\n")[:-1]

    return ask
