"""The page as a file: what it holds, and what is refused."""

import json
import re
from importlib import resources

import pytest
import torch

from nlp_rnn import __version__
from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.export.html.weights import pack_weights, round_weights
from nlp_rnn.export.html.writing import RUNTIME, VIEW, json_text, make_page, runtime
from nlp_rnn.models import CELLS
from nlp_rnn.models.layers.quantization import quantize
from nlp_rnn.tasks import Forecasting, Sentiment, Translation
from nlp_rnn.tasks.forecasting.data import ForecastingProcessor
from nlp_rnn.tasks.pretrained import save_pretrained
from nlp_rnn.tasks.sentiment.data import SentimentProcessor
from nlp_rnn.tasks.translation.data import TranslationProcessor

HOSTILE = ["</script><img src=x onerror=alert(1)>", "<!--<script>", "&lt;", "\u2028'\"\\", "yes"]


@pytest.fixture
def task():
    words = Vocabulary.train(["a good film </script>"], VocabularySettings(min_frequency=1))
    return Sentiment(SentimentProcessor(words, list("01234"), HOSTILE), 4, 4, cell="gru")


def test_a_page_is_whole_and_asks_for_nothing(task):
    page = make_page(task)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "http" not in policy
    program = re.sub(r'id="description">.*?</script>', "", page)
    assert not re.search(r"\b(src|href|url|fetch|import|XMLHttpRequest|WebSocket)\s*[=(]", program)
    assert page.count("</script>") == 3
    assert page.count("<script") == 3
    description = json.loads(re.search(r'id="description">(.*?)</script>', page)[1])
    assert description["labels"] == HOSTILE
    assert description["version"] == __version__
    assert description["vocabularies"]["tokens"]["tokens"] == task.processor.tokens.tokens()
    assert runtime(*RUNTIME, *VIEW) in page


def test_every_file_of_the_runtime_is_in_the_page():
    folder = resources.files("nlp_rnn.export.html") / "runtime"
    scripts = {path.name for path in folder.iterdir() if path.name.endswith(".js")}
    assert scripts == {*RUNTIME, *VIEW}
    assert "\r" not in runtime(*RUNTIME, *VIEW, "style.css")  # browsers would hash another text
    assert "</script" not in runtime(*RUNTIME, *VIEW)


def test_text_in_json_cannot_end_a_script():
    value = {"</script>": ["<!--", "&", "\ud800", "é\u2028\x00"]}
    text = json_text(value)
    assert not set(text) & set("<>&\ud800")
    assert json.loads(text) == value


def test_weights_have_one_scale_per_row(task):
    weight = torch.tensor([[127.0, -1.0, 0.4], [0.0, 0.0, 0.0], [1e-3, 5e-4, -1e-3]])
    entries, text = pack_weights({"w": weight, "b": torch.tensor([0.5])})
    assert entries == [["w", 3, 3], ["b", 0, 1]]
    assert len(text) == 4 * -(-(3 * 4 + 9 + 4) // 3)
    rounded = round_weights(task)
    for (name, before), after in zip(task.model.named_parameters(), rounded.model.parameters(), strict=True):
        bound = before.abs().amax(-1, keepdim=True) / 127 / 2 if before.dim() == 2 else 0
        assert ((before - after).abs() <= bound * 1.001).all(), name


class OtherSentiment(Sentiment):
    pass


def test_what_no_page_can_run_is_refused_in_one_line(task, monkeypatch):
    words = task.processor.tokens
    pairs = TranslationProcessor(words, words)
    sizes = {"embedding_dim": 4, "hidden_dim": 4, "num_layers": 1}
    monkeypatch.setitem(CELLS, "mygru", CELLS["gru"].__class__(type("MyGRU", (CELLS["gru"].layer,), {})))
    scales = {name: [1.0] for name in ("means", "deviations", "target_means", "target_deviations")}
    series = ForecastingProcessor(inputs=["x"], **scales, length=4, horizon=2)
    quantized = Sentiment(task.processor, 4, 4)
    quantize(quantized.model)
    for refused, message in (
        (OtherSentiment(task.processor, 4, 4), "a page cannot run the model OtherSentiment"),
        (Forecasting(series), "a page cannot run the model Forecasting: export one of sentiment, "),
        (quantized, "the weights are int8 already"),
        (Sentiment(task.processor, 4, 4, cell="mygru"), "the cell mygru is not written in JavaScript"),
        (Translation(pairs, **sizes, copy_unknown=True), "a page cannot copy unknown words"),
    ):
        with pytest.raises(UsageError) as error:
            make_page(refused)
        assert message in str(error.value)
        assert "\n" not in str(error.value)


def test_the_verb_writes_a_page_or_nothing(task, run, tmp_path):
    folder, page = save_pretrained(task, tmp_path / "model"), tmp_path / "page.html"
    code, printed, errors = run("export", str(folder), "--format", "html", "--output", str(page))
    assert (code, errors) == (0, "")
    size, place = printed.splitlines()
    assert size.endswith("MB, with weights in 8 bits; open it in a browser")
    assert place == str(page)
    assert page.read_text(encoding="utf-8") == make_page(task)
    code, _, error = run("export", str(folder), "--format", "html", "--int8", "--output", str(tmp_path / "o"))
    assert code == 2
    assert "--int8 is for --format onnx" in error
    quantize(task.model)
    int8 = save_pretrained(task, tmp_path / "int8")
    code, _, error = run("export", str(int8), "--format", "html", "--output", str(tmp_path / "o.html"))
    assert code == 2
    assert "the weights are int8 already" in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["int8", "model", "page.html"]
