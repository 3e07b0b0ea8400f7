"""Pages in headless Chromium, opened from the disk."""

import pytest
import torch
from page_runtime import (
    answers_in_browser,
    answers_in_python,
    assert_same,
    drive_page,
    load_page,
    needs_browser,
)

from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.export.html.weights import round_weights
from nlp_rnn.export.html.writing import make_page, write_html
from nlp_rnn.tasks import LanguageModeling, MultiLabel, Sentiment, Tagging, TextPairs, Translation
from nlp_rnn.tasks.generation import BeamSettings
from nlp_rnn.tasks.language_modeling.data import LanguageModelingProcessor
from nlp_rnn.tasks.multi_label.data import MultiLabelProcessor
from nlp_rnn.tasks.sentiment.data import SentimentProcessor
from nlp_rnn.tasks.tagging.data import TaggingProcessor
from nlp_rnn.tasks.tagging.splitting import WordSplitter
from nlp_rnn.tasks.text_pairs.data import TextPairsProcessor
from nlp_rnn.tasks.translation.data import TranslationProcessor

pytestmark = [needs_browser, pytest.mark.slow]

SENTENCES = ["the cook isn't here , she sleeps .", "a good film , I think !", "<b> & </script>"]
TEXTS = [*SENTENCES, "", " ", "zzz <pad>", "İ Σ é é", "👨‍👩‍👧 狗"]
LABELS = ["</script><b id=injected>", "yes & no", "__proto__"]
SIZES = {"embedding_dim": 5, "hidden_dim": 6}


def make_tasks():
    every = VocabularySettings(min_frequency=1)
    subwords = VocabularySettings(level="bpe", min_frequency=1, max_size=60)
    words, parts = (Vocabulary.train(SENTENCES, settings) for settings in (every, subwords))
    letters = Vocabulary.train(SENTENCES, VocabularySettings(level="char", min_frequency=1))
    whole = Vocabulary.train_on_words([text.split() for text in SENTENCES], every)
    tags = TaggingProcessor(whole, LABELS, letters, splitter=WordSplitter())
    yield Sentiment(SentimentProcessor(words, list("012"), LABELS), **SIZES, bidirectional=False)
    yield MultiLabel(MultiLabelProcessor(letters, LABELS), **SIZES, cell="gru")
    yield TextPairs(TextPairsProcessor(parts, LABELS), **SIZES)
    yield Tagging(tags, **SIZES, character_embedding_dim=3, character_hidden_dim=3, crf=True)
    writes = {**SIZES, "decoding": BeamSettings(beam=2, n_best=2, max_output=6)}
    yield LanguageModeling(LanguageModelingProcessor(words), **writes, cell="minlstm")
    yield Translation(TranslationProcessor(words, parts), **writes, num_layers=2, attention="luong")


TASKS = {task.name: task.eval() for task in make_tasks()}


@pytest.fixture(params=TASKS)
def task(request):
    task = TASKS[request.param]
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in task.model.parameters():
            weight.uniform_(-1, 1)
    return task


def test_answers_are_those_of_torch(task, tmp_path):
    path = tmp_path / "page #1 ü.html"
    write_html(task, path)
    inputs = [[a, b] for a in TEXTS[:3] for b in TEXTS] if task.name == "text_pairs" else TEXTS
    expected = answers_in_python(round_weights(task), inputs)
    assert_same(expected, answers_in_browser(path, inputs))


USE = """
const seen = { title: find("h1").textContent, first: find("#answer").textContent };
await type("textarea", "the <i>film</i> ");
seen.typed = find("#answer").textContent;
seen.words = [...document.querySelectorAll("#words span")].map((word) => word.textContent);
seen.maps = [...document.querySelectorAll("canvas.map")].map((map) => map.getAttribute("aria-label"));
seen.max = Number(find("#step").max);
await type("#step", "1");
seen.label = find("#step-label").textContent;
seen.unread = document.querySelectorAll("#words .unread").length;
press("#maps canvas.map", "ArrowRight");
seen.cell = find("#maps output").textContent;
find("#play").click();
seen.button = find("#play").textContent;
await wait(300 * (seen.max + 3));
seen.played = [find("#play").textContent, Number(find("#step").value)];
await type("textarea", "a \\ud800");
seen.error = [find("#error").hidden, find("#error").textContent];
await type("textarea", "");
seen.cleared = find("#error").hidden;
seen.wide = document.documentElement.scrollWidth - innerWidth;
seen.injected = document.querySelectorAll("#injected, main b:not(figcaption b), main i").length;
return seen;
"""


@pytest.mark.parametrize("width", [1280, 500])
def test_a_person_types_steps_and_plays(task, width, tmp_path):
    seen = drive_page(make_page(task), tmp_path / "page.html", USE, width)
    assert seen["title"].lower() == task.name.replace("_", " ")
    assert seen["first"] != seen["typed"]
    assert "<" in "".join(seen["words"])  # as text
    assert seen["label"] == f"Step 1 of {seen['max']}"
    assert seen["unread"] > 0
    assert seen["maps"]
    assert all(": " in map and "steps" in map for map in seen["maps"])
    assert "step 1" in seen["cell"]
    assert seen["button"] == "Stop"
    assert seen["played"] == ["Play", seen["max"]]
    assert seen["error"][0] is False
    assert "lone surrogate" in seen["error"][1]
    assert seen["cleared"] is True
    assert seen["wide"] <= 0
    assert seen["injected"] == 0


def test_the_policy_stops_other_scripts_and_requests(tmp_path):
    path = tmp_path / "page.html"
    page = make_page(TASKS["sentiment"])
    added = '<script>document.title = "run"</script><img src="http://example.com/x.png">'
    path.write_text(page.replace("</main>", f"</main>{added}"), encoding="utf-8")
    dom, messages = load_page(path)
    assert "<title>Sentiment</title>" in dom
    assert messages.count("Content Security Policy") >= 2
