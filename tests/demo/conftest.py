"""A small untrained model of every task."""

import pytest
import torch

from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.demo.answering import Demo
from nlp_rnn.tasks import TASKS, BeamSettings
from nlp_rnn.tasks.captioning.data import CaptioningProcessor
from nlp_rnn.tasks.forecasting.data import ForecastingProcessor
from nlp_rnn.tasks.language_modeling.data import LanguageModelingProcessor
from nlp_rnn.tasks.multi_label.data import MultiLabelProcessor
from nlp_rnn.tasks.sentiment.data import SentimentProcessor
from nlp_rnn.tasks.series_tagging.data import SeriesTaggingProcessor
from nlp_rnn.tasks.tagging.data import TaggingProcessor
from nlp_rnn.tasks.text_pairs.data import TextPairsProcessor
from nlp_rnn.tasks.translation.data import TranslationProcessor

TEXT = "the work is not good , but the film is"
WRITES = {"translation", "captioning", "language_modeling"}


def _processor(name):
    words = Vocabulary.train([TEXT], VocabularySettings(min_frequency=1))
    scale = {"inputs": ["x", "y"], "means": [0.0, 1.0], "deviations": [1.0, 2.0]}
    return {
        "sentiment": lambda: SentimentProcessor(words, ["0", "1"], ["negative", "positive"]),
        "text_pairs": lambda: TextPairsProcessor(words, ["a", "b", "c"]),
        "multi_label": lambda: MultiLabelProcessor(words, ["film", "good", "work"]),
        "tagging": lambda: TaggingProcessor(
            Vocabulary.train_on_words([TEXT.split()], VocabularySettings(min_frequency=1)),
            ["ADJ", "NOUN", "VERB"],
            Vocabulary.train([TEXT], VocabularySettings("char", False, 1)),
        ),
        "translation": lambda: TranslationProcessor(words, words, False),
        "language_modeling": lambda: LanguageModelingProcessor(words),
        "captioning": lambda: CaptioningProcessor(words, [0.2] * 6, 0.5),
        "forecasting": lambda: ForecastingProcessor(
            **scale, targets=["y"], target_means=[1.0], target_deviations=[2.0], length=4, horizon=2
        ),
        "series_tagging": lambda: SeriesTaggingProcessor(**scale, label="label", labels=["down", "up"]),
    }[name]()


def _make(name, **options):
    torch.manual_seed(3)
    if name in WRITES:
        options = {"decoding": BeamSettings(max_output=8), **options}
    return Demo(TASKS[name](_processor(name), hidden_dim=5, **options).eval(), name)


@pytest.fixture(scope="session")
def make_demo():
    return _make
