"""`nlp-rnn vectors`: a model's embedding in the format of word2vec."""

import pytest

from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.data.vocabulary import PAD
from nlp_rnn.models.layers.quantization import quantize
from nlp_rnn.storage.vectors import find_vectors
from nlp_rnn.tasks import Forecasting, Sentiment, Translation
from nlp_rnn.tasks.forecasting.data import ForecastingProcessor
from nlp_rnn.tasks.pretrained import save_pretrained
from nlp_rnn.tasks.sentiment.data import SentimentProcessor
from nlp_rnn.tasks.translation.data import TranslationProcessor

WORDS = Vocabulary.train(["a good film"], VocabularySettings(min_frequency=1))
SERIES = {
    **{"inputs": ["x"], "means": [0.0], "deviations": [1.0], "length": 4, "horizon": 1},
    **{"targets": [], "target_means": [0.0], "target_deviations": [1.0]},
}


@pytest.fixture
def tasks():
    return {
        "sentiment": Sentiment(SentimentProcessor(WORDS, ["0", "1"], ["bad", "good"]), 4, 4),
        "translation": Translation(TranslationProcessor(WORDS, WORDS), 4, 4, 1),
        "forecasting": Forecasting(ForecastingProcessor(**SERIES), 4),
    }


@pytest.mark.parametrize(
    ("name", "arguments", "part"),
    [
        ("sentiment", [], "embedding"),
        ("translation", ["--embedding", "encoder.embedding"], "encoder.embedding"),
        ("translation", ["--embedding", "decoder.embedding"], "decoder.embedding"),
    ],
)
def test_writes_an_embedding(name, arguments, part, tasks, run, tmp_path):
    folder = save_pretrained(tasks[name], tmp_path / "model")
    code, out, _ = run("vectors", str(folder), str(tmp_path / "vectors.txt"), *arguments)
    assert (code, out) == (0, "")
    vectors = find_vectors(tmp_path / "vectors.txt", WORDS.tokens())
    weight = tasks[name].model.get_submodule(part).weight
    assert vectors.is_found.sum() == len(WORDS) - 1
    assert vectors.matrix[PAD + 1 :].tolist() == weight[PAD + 1 :].tolist()


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("translation", [], "--embedding: the model has encoder.embedding, decoder.embedding; name one"),
        (
            "translation",
            ["--embedding", "embedding"],
            "--embedding: the model has encoder.embedding, decoder",
        ),
        ("forecasting", [], "a model for forecasting has no embedding"),
        ("int8", [], "its weights are int8; give the model that was quantized"),
    ],
)
def test_errors(name, arguments, message, tasks, run, tmp_path):
    if name == "int8":
        quantize(tasks["sentiment"].model)
    folder = save_pretrained(tasks.get(name, tasks["sentiment"]), tmp_path / "model")
    code, out, error = run("vectors", str(folder), str(tmp_path / "vectors.txt"), *arguments)
    assert (code, out) == (2, "")
    assert message in error
    assert not (tmp_path / "vectors.txt").exists()


def test_the_model_is_never_replaced(tasks, run, tmp_path):
    folder = save_pretrained(tasks["sentiment"], tmp_path / "model")
    before = (folder / "model.safetensors").read_bytes()
    code, _, error = run("vectors", str(folder), str(folder / "model.safetensors"))
    assert (code, error.count("\n")) == (2, 1)
    assert "would replace" in error
    assert (folder / "model.safetensors").read_bytes() == before
