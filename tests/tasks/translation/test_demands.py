"""Translations that begin with a text, contain words, or copy unknown words from the source."""

import pytest
import torch

from nlp_rnn import pipeline
from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.data.vocabulary import UNK
from nlp_rnn.errors import UsageError
from nlp_rnn.lite.decoding.hypotheses import Hypothesis
from nlp_rnn.tasks import BeamSettings, Optimization, Translation
from nlp_rnn.tasks.pretrained import from_pretrained, save_pretrained
from nlp_rnn.tasks.translation.data import TranslationData, TranslationProcessor

TEXT = "the film is good"


@pytest.fixture
def task(make_task, train):
    task = make_task("translation", optimization=Optimization(lr=0.03))
    train(task, 40)
    return task.eval()


@pytest.mark.parametrize("beam", [1, 4])
def test_each_input_has_its_own_demands(task, beam):
    translate = pipeline("translation", task, beam=beam, batch_size=3)
    inputs = [
        TEXT,
        {"text": TEXT, "prefix": "Gut"},
        {"text": TEXT, "constraints": ["arbeite", "nicht gut"]},
        {"text": "he works", "prefix": "die arbeit", "constraints": ("hier", "arbeit")},
        {"text": "he works"},
    ]
    answers = translate(inputs)
    free, begun, containing, both, plain = (answer["text"] for answer in answers)
    assert free == translate(TEXT)["text"]
    assert plain == translate("he works")["text"]
    assert begun.split()[0] == "gut"
    assert "arbeite" in containing
    assert "nicht gut" in containing
    assert both.startswith("die arbeit")
    assert "hier" in both
    for value, answer in zip(inputs, answers, strict=True):
        alone = translate(value)
        assert alone["text"] == answer["text"]
        assert alone["score"] == pytest.approx(answer["score"], abs=1e-4)


def test_an_answer_to_an_empty_text_is_what_is_asked_for(task):
    translate = pipeline("translation", task)
    empty, asked = translate(["", {"text": "", "prefix": "gut"}])
    assert empty["text"] == ""
    assert asked["text"].startswith("gut")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"text": TEXT, "prefix": "gut xyz"}, "prefix 'gut xyz': the model knows no 'xyz'; use words"),
        ({"text": TEXT, "constraints": ["gut", "xyz gut"]}, "constraint 'xyz gut': the model knows no 'xyz'"),
        ({"text": TEXT, "constraints": [" "]}, "constraint ' ' has no words: leave it out"),
        ({"text": TEXT, "constraints": "gut"}, "constraints must be a list of texts, not 'gut'"),
        ({"text": TEXT, "constraints": [3]}, r"constraints must be a list of texts, not \[3\]"),
        ({"text": TEXT, "prefix": ["gut"]}, r"prefix must be a text, not \['gut'\]"),
        ({"text": TEXT, "begin": "gut"}, "an input has text, prefix and constraints, not begin"),
        ({"text": TEXT, "prefix": "gut " * 9}, "have 9 tokens, an answer at most 8: ask for less, or raise"),
        ({"text": TEXT, "prefix": "gut", "constraints": ["der film ist nicht gut . a er"]}, "have 9 tokens"),
    ],
)
def test_impossible_demands_are_one_line(task, value, message):
    translate = pipeline("translation", task)
    with pytest.raises(UsageError, match=message):
        translate([TEXT, value])


@pytest.mark.parametrize("value", [{}, {"text": None}, {"prefix": "gut"}, 3])
def test_what_is_no_input_is_refused(task, value):
    with pytest.raises(UsageError, match="input 2 is no text"):
        pipeline("translation", task)([TEXT, value])


WORDS = VocabularySettings(min_frequency=1)


@pytest.fixture
def copying():
    """A function that makes a task which copies a name: the more of a source are names, the more unknown."""

    def make(train_steps=250, reverse_source=False, reverse_target=False, **options):
        torch.manual_seed(0)
        known = Vocabulary.train(["hallo ist hier und da"], WORDS)
        processor = TranslationProcessor(known, known, reverse_source, reverse_target=reverse_target)
        task = Translation(
            processor,
            12,
            12,
            1,
            0.0,
            "gru",
            copy_unknown=True,
            decoding=BeamSettings(max_output=8),
            **options,
        )
        sources = ["hallo X", "X ist hier", "hier und da ist X", "X und Y", "und X da", "hallo"]
        rows = {"source": sources, "target": sources}
        batch = processor.collate({"row": list(range(6)), **rows, **processor.encode(rows)})
        optimizer = torch.optim.Adam(task.parameters(), lr=0.03)
        for _ in range(train_steps):
            loss = task.loss(batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return task.eval()

    return make


def test_without_attention_unknown_words_are_copied_in_their_order(copying):
    task = copying()
    translate = pipeline("translation", task, batch_size=2)
    inputs = ["Anna und Zoë", "hallo Ümit", "hier und da ist McX", "hallo"]
    assert [answer["text"] for answer in translate(inputs)] == inputs
    task.copy_unknown = False
    assert "<unk>" not in translate("Anna und Zoë")["text"]
    assert "Anna" not in translate("Anna und Zoë")["text"]


@pytest.mark.parametrize("attention", ["luong", "bahdanau"])
@pytest.mark.parametrize("reverse_target", [False, True])
@pytest.mark.parametrize("reverse_source", [False, True])
def test_with_attention_the_most_attended_word_is_copied(
    copying, attention, reverse_source, reverse_target, monkeypatch
):
    """The k-th token looks at the k-th word that the model reads, and those after the last one at that."""
    task = copying(0, reverse_source, reverse_target, attention=attention)
    unknown = [[UNK] * length for length in (4, 2, 1)]
    hypotheses = [[Hypothesis([*ids, 5, UNK], 0.0, 0.0, True) for ids in unknown]] * 3
    monkeypatch.setattr(task, "search", lambda *_, **__: hypotheses)

    def one_by_one(target, state):
        lengths = state[-1].sum(0)  # [B]
        places = torch.arange(len(target))[:, None].minimum(lengths - 1)  # [T, B]
        return torch.nn.functional.one_hot(places.clamp(min=0), len(state[-1])).float()

    monkeypatch.setattr(task.model.decoder, "alignment", one_by_one)
    word = task.processor.target.decode([5])
    inputs = ["Anna und Zoë", "hallo Ümit", ""]
    for text, answer in zip(inputs, pipeline("translation", task)(inputs), strict=True):
        read = text.split()[::-1] if reverse_source else text.split()
        attended = [*read, *read[-1:] * 9]
        expected = (
            [[*attended[:count], word, attended[count + 1]] for count in (4, 2, 1)] if read else [[]] * 3
        )
        texts = [" ".join(words[::-1] if reverse_target else words) for words in expected]
        assert [one["text"] for one in answer["n_best"]] == texts


@pytest.mark.parametrize(
    "options",
    [{"attention": "luong"}, {"attention": "bahdanau"}, {"attention": "luong", "reverse_target": True}],
)
def test_attention_that_was_trained_copies_names(copying, options):
    translate = pipeline("translation", copying(**options))
    assert translate("hallo Ümit")["text"] == "hallo Ümit"
    assert translate("Anna ist hier")["text"] == "Anna ist hier"


def test_copying_is_stored_and_may_be_changed_later(copying, tmp_path):
    task = copying(train_steps=1)
    loaded = from_pretrained(save_pretrained(task, tmp_path / "model"))
    assert loaded.copy_unknown is True
    loaded.apply_settings({})
    assert loaded.copy_unknown is False
    loaded.apply_settings({"copy_unknown": True})
    assert loaded.stored()["settings"]["copy_unknown"] is True


def test_validation_copies_too(copying):
    task = copying()
    data = TranslationData([{"de": "Anna und Zoë", "en": "Anna und Zoë"}] * 20)
    data.attach_processor(task.processor)
    (batch, *_) = data.val_dataloader()
    assert batch.source_texts == ["Anna und Zoë"] * len(batch)
    task.update_metrics(batch, task.metrics("val"))
    assert task.compute_metrics(task.metrics("val"))["chrf"] == pytest.approx(100)


@pytest.mark.parametrize("level", ["bpe", "char"])
def test_subwords_and_characters_need_no_copying(level):
    """Only a character that the vocabulary lacks is unknown; it is copied in its place."""
    vocabulary = Vocabulary.train(["hallo anna und zoe"], VocabularySettings(level, False, 1))
    text = "hallo ☃ anna"
    (ids,) = vocabulary.encode([text])
    assert vocabulary.decode(ids, list(vocabulary.unknown(text))) == text
    assert "☃" not in vocabulary.decode(ids)
    assert vocabulary.decode(vocabulary.encode(["zoe und"])[0], ["x"]) == "zoe und"
