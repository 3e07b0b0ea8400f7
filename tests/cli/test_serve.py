"""`nlp-rnn serve`: what the options load."""

import os

import pytest

from nlp_rnn.cli import serve
from nlp_rnn.cli.main import main
from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.inference.pipelines import Pipeline as TorchPipeline
from nlp_rnn.lite.pipelines import Pipeline as LitePipeline
from nlp_rnn.lite.serving import options as serving
from nlp_rnn.lite.serving import process
from nlp_rnn.tasks import Sentiment
from nlp_rnn.tasks.pretrained import save_pretrained
from nlp_rnn.tasks.sentiment.data import SentimentProcessor


@pytest.fixture
def folder(tmp_path):
    words = Vocabulary.train(["a good film"], VocabularySettings(min_frequency=1))
    task = Sentiment(SentimentProcessor(words, ["0", "1"], ["bad", "good"]), 4, 4, cell="gru")
    return save_pretrained(task, tmp_path / "model")


@pytest.mark.parametrize(
    ("arguments", "kind"), [([], TorchPipeline), (["--backend", "torch"], TorchPipeline),
                          (["--backend", "numpy"], LitePipeline)]
)  # fmt: skip
def test_a_backend_makes_a_pipeline(monkeypatch, folder, arguments, kind):
    plans = []
    monkeypatch.setattr(process, "serve", plans.append)
    for name in (*serving._THREADS, "TOKENIZERS_PARALLELISM", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"):
        monkeypatch.setenv(name, "1")  # restored after the test
    del os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"]
    main(["serve", str(folder), *arguments, "--max-batch", "5"])
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "64"
    loaded = plans[0].load(plans[0].models["model"])
    assert type(loaded) is kind
    assert loaded.batch_size == 5


def test_a_package_that_is_not_there_is_not_trusted(folder):
    with pytest.raises(UsageError, match="cannot be imported"):
        serve.load_pipeline(str(folder), "torch", 5, ("no_such_package",))
