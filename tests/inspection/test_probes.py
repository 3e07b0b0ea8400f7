"""A probe passes where the states hold the property, and not on its control; a held unit changes answers."""

import csv

import pytest
import torch

from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.data.builtin.properties import Property, plain_texts
from nlp_rnn.errors import UsageError
from nlp_rnn.inference.pipelines import pipeline
from nlp_rnn.inspection import probes
from nlp_rnn.inspection.inspector import inspect
from nlp_rnn.inspection.probe_files import describe_probe, write_clamped, write_probe
from nlp_rnn.inspection.probes import _read_words, clamp, fit_probe, hidden_states, probe_states
from nlp_rnn.models.layers.cells import CELLS
from nlp_rnn.tasks import LanguageModeling, Sentiment
from nlp_rnn.tasks.language_modeling.data import LanguageModelingProcessor
from nlp_rnn.tasks.sentiment.data import SentimentProcessor

TEXT = "the work is not good , but the film is"


@pytest.fixture(scope="module")
def remembering():
    """A GRU whose unit 3 turns on at "not", and keeps what it has; the other units are random."""
    torch.manual_seed(0)
    texts = [" ".join(words) for words in plain_texts(300)]
    words = Vocabulary.train(texts, VocabularySettings(min_frequency=1))
    processor = SentimentProcessor(words, ["0", "1"], ["negative", "positive"], 40)
    task = Sentiment(processor, 8, 8, cell="gru", bidirectional=False, dropout=0.0).eval()
    (mark,) = words.encode_words(["not"])
    with torch.no_grad():
        task.model.embedding.weight[:, 0] = -1
        task.model.embedding.weight[mark, 0] = 1
        w_ih, w_hh, b_ih, b_hh = task.model.rnn.all_weights[0]
        for matrix in (w_ih, w_hh):
            matrix[3::8] = 0
        for bias in (b_ih, b_hh):
            bias[3::8] = 0
        w_ih[8 + 3, 0], w_ih[16 + 3, 0] = -20, 20  # the update gate keeps the state unless "not" is read
    return task


def test_a_unit_that_follows_a_word_is_found(remembering, monkeypatch, tmp_path):
    monkeypatch.setattr(probes, "TEXTS", 150)

    def seen(words):
        return [("not" in words[: end + 1]) for end in range(len(words))]

    result = probe_states(remembering, "negation", Property("", seen, frozenset({"not"})))
    assert result.passes
    assert (result.unit, result.unit_accuracy) == (3, 1)
    assert result.accuracy > 0.99
    assert result.levels == pytest.approx((0, 1), abs=1e-6)
    assert result.majority - 0.05 < result.untrained < result.accuracy
    assert f"untrained network {result.untrained:.1%}" in describe_probe(result)
    assert "the states follow it" in describe_probe(result)
    table, picture = write_probe(result, *hidden_states(remembering, TEXT), tmp_path)
    rows = list(csv.DictReader(table.open(newline="")))
    assert [float(row["probability"]) > 0.5 for row in rows] == seen(TEXT.split())
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_a_probe_of_shuffled_labels_does_not_pass(remembering, monkeypatch):
    monkeypatch.setattr(probes, "TEXTS", 150)
    generator = torch.Generator().manual_seed(1)

    def shuffled(words):
        return (torch.rand(len(words), generator=generator) < 0.4).tolist()

    result = probe_states(remembering, "negation", Property("", shuffled, frozenset({"not"})))
    assert not result.passes
    assert "the states do not follow it" in describe_probe(result)


@pytest.mark.parametrize("name", ["sentiment", "language_modeling"])
def test_the_states_are_those_of_an_inspection(name, tiny):
    task = tiny(name)
    words, states = hidden_states(task, TEXT)
    found = inspect(task, TEXT)
    place = found.hidden.size(1) - (2 if found.bidirectional else 1)
    assert words == TEXT.split()
    torch.testing.assert_close(states.float(), found.hidden[-len(words) :, place])


@pytest.mark.parametrize("cell", CELLS)
def test_a_unit_held_at_its_own_value_changes_nothing_and_at_another_something(cell, tiny, tmp_path):
    task = tiny("sentiment", cell, bidirectional=False, temperature=0.5)
    tokens, free, held = found = clamp(task, TEXT, 2, 0.9)
    inspection = inspect(task, TEXT)
    assert tokens == inspection.tokens
    torch.testing.assert_close(free.float(), inspection.probabilities)
    scores = list(pipeline("sentiment", task)(TEXT)["scores"].values())
    assert free[-1].tolist() == pytest.approx(scores, abs=1e-5)
    assert not torch.allclose(free, held)
    first = float(inspection.hidden[0, -1, 2])
    torch.testing.assert_close(clamp(task, "the", 2, first)[2], free[:1], atol=1e-6, rtol=0)
    table, _ = write_clamped(task, found, "2 held at 0.9", tmp_path)
    assert table.read_text().startswith('"word","negative","positive","negative held","positive held"')


@pytest.mark.parametrize("settings", [{"level": "char"}, {"level": "bpe", "max_size": 80}, {}], ids=str)
def test_words_end_with_their_last_token(settings):
    texts = plain_texts(50)
    vocabulary = Vocabulary.train(map(" ".join, texts), VocabularySettings(min_frequency=1, **settings))
    for words in texts:
        ids, ends = _read_words(vocabulary, words)
        assert ids == vocabulary.encode([" ".join(words)])[0]
        read = [vocabulary.decode(ids[: end + 1]) for end in ends]
        assert read == [
            vocabulary.decode(vocabulary.encode([" ".join(words[:n])])[0]) for n in range(1, len(words) + 1)
        ]


def test_a_model_of_characters_is_probed_at_the_ends_of_words(monkeypatch):
    monkeypatch.setattr(probes, "TEXTS", 30)
    texts = [" ".join(words) for words in plain_texts(30)]
    characters = Vocabulary.train(texts, VocabularySettings(level="char", min_frequency=1))
    task = LanguageModeling(LanguageModelingProcessor(characters, max_length=20), 4, 5, dropout=0.0).eval()
    heard = []
    monkeypatch.setattr(probes, "_fit", lambda x, y, split: (heard.append(len(x)), (0.5, 0.5, x[0]))[1])
    fit_probe(task, "negation")
    assert heard == 3 * [sum(map(len, plain_texts(30)))]


def test_states_do_not_depend_on_what_is_read_together(tiny, monkeypatch):
    task = tiny("language_modeling")
    texts = [[4, 5, 6, 4], [5], [6, 6, 4, 5, 4]]
    together = probes._read(task, texts)
    monkeypatch.setattr(probes, "_AT_ONCE", 1)
    torch.testing.assert_close(probes._read(task, texts), together)
    assert [len(states) for states in together] == [4, 1, 5]


def test_refusals(tiny, monkeypatch):
    with pytest.raises(UsageError, match="the model reads texts from their end"):
        fit_probe(tiny("translation"), "negation")
    with pytest.raises(UsageError, match="no property 'mood': use one of negation, tense, number, quotes"):
        fit_probe(tiny("sentiment"), "mood")
    with pytest.raises(UsageError, match='has no word that tells quotes, such as ": probe'):
        fit_probe(tiny("sentiment"), "quotes")
    with pytest.raises(
        UsageError, match="lacks 86% of the words of a probe's English sentences: probe a model"
    ):
        fit_probe(tiny("sentiment"), "negation")
    monkeypatch.setattr(probes, "MAX_UNKNOWN", 1)
    with pytest.raises(UsageError, match=r"letters of words too: .* --data\.characters false"):
        fit_probe(tiny("tagging"), "tense")
    with pytest.raises(UsageError, match="there is no unit 5: the layer has units 0 to 4"):
        clamp(tiny("sentiment"), TEXT, 5, 0.0)
    with pytest.raises(UsageError, match="tagging does not predict a label per text"):
        clamp(tiny("tagging"), TEXT, 0, 0.0)
