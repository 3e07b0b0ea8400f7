"""A tiny model of each text task, and a corpus to measure it on."""

import random

import pytest
import torch

from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.tasks import TASKS as EVERY_TASK
from nlp_rnn.tasks import BeamSettings
from nlp_rnn.tasks.language_modeling.data import LanguageModelingProcessor
from nlp_rnn.tasks.multi_label.data import MultiLabelProcessor
from nlp_rnn.tasks.sentiment.data import SentimentProcessor
from nlp_rnn.tasks.tagging.data import TaggingProcessor
from nlp_rnn.tasks.translation.data import TranslationProcessor

TASKS = {name: task for name, task in EVERY_TASK.items() if task.processor_class.input_description == "text"}
WORDS = [*"abcdefghijkl", "good", "bad", "not", ".", "!", "New", "Old", "don't"]
TAGS = ["ADJ", "NOUN", "VERB", "X"]  # X: a tag that no word of the corpus has
WRITES = ("translation", "language_modeling")


def _tiny(name):
    """An untrained model that knows some of the corpus's words, and gives many different answers."""
    torch.manual_seed(5)
    every = VocabularySettings(min_frequency=1)
    known = WORDS[:-5]
    words = Vocabulary.train([" ".join(known)], every)
    if name == "sentiment":
        processor = SentimentProcessor(words, ["0", "1", "2"], ["negative", "neutral", "positive"])
    elif name == "multi_label":
        processor = MultiLabelProcessor(words, ["a", "b", "c"])
    elif name == "tagging":
        letters = Vocabulary.train(known, VocabularySettings("char", False, 1))
        processor = TaggingProcessor(Vocabulary.train_on_words([known], every), TAGS, letters)
    elif name == "language_modeling":
        processor = LanguageModelingProcessor(words, window=7)
    else:
        processor = TranslationProcessor(words, words, reverse_source=True)
    options = {"decoding": BeamSettings(max_output=12)} if name in WRITES else {}
    task = TASKS[name](processor, embedding_dim=8, hidden_dim=8, **options).eval()
    with torch.no_grad():
        for parameter in task.parameters():
            parameter.mul_(2)
    return task


@pytest.fixture(scope="module")
def tasks():
    return {name: _tiny(name) for name in TASKS}


@pytest.fixture(scope="module")
def rows():
    """Sentences of 1 to 24 words with labels, tags and translations."""
    draw = random.Random(0)
    sentences = [[draw.choice(WORDS) for _ in range(draw.choice([1, 3, 6, 12, 24]))] for _ in range(60)]
    return {
        "sentence": [" ".join(words) for words in sentences],
        "label": [draw.choice("012") for _ in sentences],
        "tags": [[draw.choice([*TAGS[:3], "_"]) for _ in words] for words in sentences],
        "translation": [" ".join(draw.sample(words, len(words))) for words in sentences],
    }


@pytest.fixture(scope="module")
def corpora(rows, tmp_path_factory):
    """Of each task the folder of a corpus with nothing but a test split."""
    home = tmp_path_factory.mktemp("corpora")
    for name in TASKS:
        (home / name).mkdir()
    pairs = zip(rows["sentence"], rows["label"], strict=True)
    tsv = "text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in pairs)
    (home / "sentiment" / "test.tsv").write_text(tsv)
    texts = "".join(
        f"{text}\t{'|'.join(sorted(set(text.split()) & set('abc')))}\n" for text in rows["sentence"]
    )
    (home / "multi_label" / "test.tsv").write_text("text\tlabels\n" + texts)
    with (home / "tagging" / "test.conllu").open("w") as file:
        for sentence, tags in zip(rows["sentence"], rows["tags"], strict=True):
            for place, (word, tag) in enumerate(zip(sentence.split(), tags, strict=True), 1):
                file.write(f"{place}\t{word}\t_\t{tag}\t_\t_\t_\t_\t_\t_\n")
            file.write("\n")
    (home / "language_modeling" / "test.txt").write_text("\n".join(rows["sentence"]) + "\n")
    (home / "translation" / "test.de").write_text("\n".join(rows["sentence"]) + "\n")
    (home / "translation" / "test.en").write_text("\n".join(rows["translation"]) + "\n")
    return {name: str(home / name) for name in TASKS}


@pytest.fixture(scope="session")
def tiny():
    return _tiny
