"""Tiny models to inspect."""

import pytest
import torch

from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.tasks import TASKS
from nlp_rnn.tasks.language_modeling.data import LanguageModelingProcessor
from nlp_rnn.tasks.multi_label.data import MultiLabelProcessor
from nlp_rnn.tasks.sentiment.data import SentimentProcessor
from nlp_rnn.tasks.tagging.data import TaggingProcessor
from nlp_rnn.tasks.translation.data import TranslationProcessor

TEXT = "the work is not good , but the film is"
TOKENS = TEXT.split()


def _tiny(name, cell="lstm", **options):
    torch.manual_seed(3)
    every = VocabularySettings(min_frequency=1)
    words = Vocabulary.train([TEXT], every)
    if name == "sentiment":
        processor = SentimentProcessor(words, ["0", "1"], ["negative", "positive"], 20)
    elif name == "multi_label":
        processor = MultiLabelProcessor(words, ["film", "work"], 20)
    elif name == "tagging":
        letters = Vocabulary.train([TEXT], VocabularySettings("char", False, 1))
        sentences = Vocabulary.train_on_words([TOKENS], every)
        processor = TaggingProcessor(sentences, ["ADJ", "NOUN", "VERB"], letters, 20, 8)
    elif name == "translation":
        processor = TranslationProcessor(words, words, True, 20)
    else:
        processor = LanguageModelingProcessor(words)
    options = {"embedding_dim": 6, "hidden_dim": 5, "num_layers": 2, "cell": cell, **options}
    return TASKS[name](processor, **options).eval()


@pytest.fixture(scope="session")
def tiny():
    return _tiny
