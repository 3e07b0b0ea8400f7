"""Tiny models of every task, as folders, and how the answers of both ways are compared."""

import pytest
import torch

from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.inference.pipelines import pipeline
from nlp_rnn.lite.pipelines import pipeline as lite_pipeline
from nlp_rnn.lite.text.lemmas import find_rule
from nlp_rnn.lite.text.spans import scheme_labels
from nlp_rnn.models.layers.quantization import quantize
from nlp_rnn.tasks import TASKS, BeamSettings
from nlp_rnn.tasks.captioning.data import CaptioningProcessor
from nlp_rnn.tasks.forecasting.data import ForecastingProcessor
from nlp_rnn.tasks.language_modeling.data import LanguageModelingProcessor
from nlp_rnn.tasks.multi_label.data import MultiLabelProcessor
from nlp_rnn.tasks.pretrained import save_pretrained
from nlp_rnn.tasks.sentiment.data import SentimentProcessor
from nlp_rnn.tasks.series_tagging.data import SeriesTaggingProcessor
from nlp_rnn.tasks.tagging.data import TaggingProcessor
from nlp_rnn.tasks.tagging.split_learning import learn_splitter
from nlp_rnn.tasks.text_pairs.data import TextPairsProcessor
from nlp_rnn.tasks.translation.data import TranslationProcessor

TEXTS = [
    "i work at google .",
    "the work is not good , but the film is .",
    "good",
    "a b c d e f g h",
    "",
    "!",
    "the <br /> film",
    "an unseen word",
    "  ",
]
ALL = VocabularySettings(min_frequency=1)


def _words(level="word"):
    return Vocabulary.train(TEXTS[:-2], VocabularySettings(level, min_frequency=1))


def _processor(name, level="word", **options):
    if name == "sentiment":
        return SentimentProcessor(_words(level), ["0", "1", "2"], ["bad", "good", "so-so"], 7)
    if name == "multi_label":
        return MultiLabelProcessor(_words(level), ["film", "work", "all"], 20)
    if name == "text_pairs":
        return TextPairsProcessor(_words(level), ["a", "b", "c"], 20)
    if name == "tagging":
        return _tagging_processor(**options)
    if name == "language_modeling":
        return LanguageModelingProcessor(_words(level), max_length=9)
    if name == "captioning":
        return CaptioningProcessor(_words(level), [0.2] * 6, 0.5)
    scale = {"inputs": ["x", "y"], "means": [0.4, 0.1], "deviations": [0.2, 0.5]}
    if name == "series_tagging":
        return SeriesTaggingProcessor(**scale, label="label", labels=["down", "still", "up"])
    if name == "forecasting":
        targets = {"targets": ["a"], "target_means": [3.0], "target_deviations": [20.0]}
        return ForecastingProcessor(**scale, **targets, length=4, horizon=2)
    reversals = {"reverse_source": True, **options}
    return TranslationProcessor(_words(level), _words(level), max_length=9, **reversals)


def _tagging_processor(characters=True, scheme=None, columns=("upos",), affixes=None):
    sentences = [text.split() for text in TEXTS]
    labels = {
        "upos": ["ADJ", "NOUN", "VERB"],
        "lemma": [find_rule("works", "work"), find_rule("was", "be"), find_rule("Films", "film")],
        "ner": scheme_labels(["PER", "LOC"], scheme or "iob2"),
    }
    main, *others = columns
    schemes = [(scheme or "iob2") if name == "ner" else "" for name in columns]
    return TaggingProcessor(
        Vocabulary.train_on_words(sentences, ALL),
        labels[main],
        Vocabulary.train(TEXTS, VocabularySettings("char", False, 1)) if characters else None,
        8,
        5,
        columns=None if columns == ("upos",) else list(columns),
        other_labels=[labels[name] for name in others] or None,
        schemes=schemes if any(schemes) else None,
        affixes=affixes,
        affix_buckets=affixes and 40,
        splitter=learn_splitter(["I don't.", "a b."], [["I", "do", "n't", "."], ["a", "b", "."]]),
    )


def _make_folder(folder, name, int8=False, processor=None, **settings):
    """A folder of a model with random weights, large enough to make answers differ."""
    torch.manual_seed(3)
    made = _processor(name, **(processor or {}))
    defaults = {"hidden_dim": 6, "num_layers": 1}
    if name not in ("forecasting", "series_tagging"):
        defaults["embedding_dim"] = 6
    if name in ("translation", "language_modeling", "captioning"):
        defaults["decoding"] = BeamSettings(max_output=7)
    task = TASKS[name](made, **{**defaults, **settings}).eval()
    with torch.no_grad():
        for parameter in task.parameters():
            parameter.mul_(2).add_(0.1 * torch.randn_like(parameter))
    if int8:
        quantize(task.model)
    return save_pretrained(task, folder)


def inputs_of(name):
    """Inputs of a task, of unequal lengths."""
    if name == "text_pairs":
        return list(map(list, zip(TEXTS, TEXTS[::-1], strict=True)))
    if name == "tagging":
        return [*TEXTS, ["a", "film", "Google"], "I don't. Was\u00a0it " + "long " * 9]
    if name == "captioning":
        return [[0.1 * row * n for n in range(6)] for row in range(5)]
    if name in ("forecasting", "series_tagging"):
        return [[[0.1 * n, 0.3 * size - n] for n in range(size)] for size in (4, 1, 7)]
    return TEXTS


def _difference(ours, theirs, path="answer"):
    """The largest difference of numbers in answers, all else of which must be equal."""
    assert type(ours) is type(theirs), path
    if isinstance(ours, dict):
        assert list(ours) == list(theirs), path
        return max((_difference(ours[key], theirs[key], f"{path}.{key}") for key in ours), default=0)
    if isinstance(ours, list):
        assert len(ours) == len(theirs), (path, ours, theirs)
        pairs = enumerate(zip(ours, theirs, strict=True))
        return max((_difference(a, b, f"{path}[{n}]") for n, (a, b) in pairs), default=0)
    if isinstance(ours, float):
        return abs(ours - theirs) / max(1, abs(theirs))
    assert ours == theirs, path
    return 0


@pytest.fixture(scope="session")
def make_folder(tmp_path_factory):
    def make(name, **options):
        return _make_folder(tmp_path_factory.mktemp(name) / "model", name, **options)

    return make


@pytest.fixture(scope="session")
def difference():
    return _difference


@pytest.fixture(scope="session")
def same_lines(difference):
    """Check that two outputs are equal but for the last digit of numbers, which processors round."""

    def check(ours, theirs):
        for one, other in zip(ours.split(" "), theirs.split(" "), strict=True):
            assert one == other or difference(*([float(n) for n in w.split()] for w in (one, other))) < 1e-5

    return check


@pytest.fixture(scope="session")
def check_same(difference):
    """Check that a folder's answers are the same with torch and without."""

    def check(folder, name, inputs=None, tolerance=2e-5, **options):
        inputs = inputs_of(name) if inputs is None else inputs
        ours, theirs = lite_pipeline(name, folder, **options), pipeline(name, folder, **options)
        answers = ours(inputs)
        assert difference(answers, theirs(inputs)) < tolerance
        return ours, theirs, answers

    return check


@pytest.fixture(scope="session", name="inputs_of")
def _inputs_of():
    return inputs_of
