"""What the tests of training share: the command line in this process, and a trained model."""

import pytest

from nlp_rnn.cli.main import main
from nlp_rnn.data import Corpus

TINY = [
    *("--data.corpus.max_examples", "120", "--data.batching.size", "20"),
    *("--model.embedding_dim", "8", "--model.hidden_dim", "8"),
    *("--trainer.limit_val_batches", "2", "--trainer.max_epochs", "2"),
]


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A run directory of two epochs."""
    runs = tmp_path_factory.mktemp("runs")
    main(["fit", "--config", "conf/sentiment_builtin.yaml", *TINY, "--runs", str(runs)])
    return runs / "sentiment_builtin" / "1"


@pytest.fixture
def refusal(tmp_path, monkeypatch, capsys):
    """Calls the command line; gives the one line that it exits with, before data is read or files written."""
    monkeypatch.chdir(tmp_path)

    def no_data(*_):
        pytest.fail("data was read")

    for method in ("load", "load_split", "cache_key"):
        monkeypatch.setattr(Corpus, method, no_data)

    def call(*arguments, verb="fit", config="conf/translation_builtin.yaml"):
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(SystemExit) as stopped:
            main([verb, "--config", config, *arguments])
        captured = capsys.readouterr()
        assert stopped.value.code == 2, captured.err
        assert captured.out == ""
        assert captured.err.startswith("nlp-rnn: error: ")
        assert captured.err.count("\n") == 1
        assert len(captured.err) < 420
        assert "Traceback" not in captured.err
        assert "Union" not in captured.err
        assert sorted(tmp_path.rglob("*")) == before
        return captured.err

    return call
