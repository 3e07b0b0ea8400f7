"""`nlp-rnn word2vec`: word vectors of text without labels, for the tokens that a model reads."""

import json

import pytest

from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.data.vocabulary import SPECIALS
from nlp_rnn.lite.text.splitting import WordSplitter
from nlp_rnn.storage.vectors import find_vectors
from nlp_rnn.tasks import Forecasting, Sentiment, Tagging
from nlp_rnn.tasks.forecasting.data import ForecastingProcessor
from nlp_rnn.tasks.pretrained import save_pretrained
from nlp_rnn.tasks.sentiment.data import SentimentProcessor
from nlp_rnn.tasks.tagging.data import TaggingProcessor

TEXT = "A FILM isn't a good film, unseen"
SERIES = {
    **{"inputs": ["x"], "means": [0.0], "deviations": [1.0], "length": 4, "horizon": 1},
    **{"targets": [], "target_means": [0.0], "target_deviations": [1.0]},
}
SMALL = ["--size", "4", "--epochs", "1"]


@pytest.fixture
def models(tmp_path):
    """Folders of untrained models, by their names."""
    words = Vocabulary.train(["a good film"], VocabularySettings(min_frequency=1))
    subwords = Vocabulary.train([TEXT] * 3, VocabularySettings("bpe", max_size=60))
    tagged = Vocabulary.train_on_words([["a", "film"]], VocabularySettings(min_frequency=1))
    splitter = WordSplitter(chunks=["is n't"])
    tasks = {
        "words": Sentiment(SentimentProcessor(words, ["0", "1"], ["bad", "good"], max_length=2), 4, 4),
        "subwords": Sentiment(SentimentProcessor(subwords, ["0", "1"], ["bad", "good"]), 4, 4),
        "tagging": Tagging(TaggingProcessor(tagged, ["X", "Y"], max_length=2, splitter=splitter), 4, 4),
        "forecasting": Forecasting(ForecastingProcessor(**SERIES), 4),
    }
    return {name: str(save_pretrained(task, tmp_path / name)) for name, task in tasks.items()}


@pytest.fixture
def corpora(tmp_path):
    """Three copies of a text, as lines, as a table, and as a table whose column has another name."""
    (tmp_path / "lines.txt").write_text(f"{TEXT}\n" * 3)
    (tmp_path / "table.jsonl").write_text(f"{json.dumps({'text': TEXT})}\n" * 3)
    (tmp_path / "renamed.jsonl").write_text(f"{json.dumps({'body': TEXT})}\n" * 3)
    return {name: str(tmp_path / name) for name in ("lines.txt", "table.jsonl", "renamed.jsonl")}


def found(path, tokens):
    """Whether a file has vectors of each token."""
    return find_vectors(path, [SPECIALS[0], *tokens], 4).is_found[1:].tolist()


@pytest.mark.parametrize("corpus", ["lines.txt", "table.jsonl", "renamed.jsonl"])
@pytest.mark.parametrize(
    ("model", "known", "columns"),
    [
        ("words", ["a", "film", "isn't", ",", "unseen"], "text=text,body"),
        ("tagging", ["a", "film", "is", "n't", ",", "unseen"], "tokens=text,body"),
    ],
)
def test_texts_are_split_whole_as_the_model_splits_them(
    corpus, model, known, columns, models, corpora, run, tmp_path
):
    pytest.importorskip("gensim")
    output = tmp_path / "vectors.txt"
    arguments = ["--data", corpora[corpus], "--columns", columns, "--output", str(output)]
    code, out, error = run("word2vec", models[model], *arguments, *SMALL)
    assert (code, out) == (0, ""), error
    assert found(output, [*known, "bad"]) == [*[True] * len(known), False]
    assert f"3 texts, {3 * (len(known) + 3)} tokens" in error
    assert f"{output}: {len(known) + 1} tokens, 4 dimensions" in error


def test_subwords_of_several_corpora(models, corpora, run, tmp_path):
    pytest.importorskip("gensim")
    output = tmp_path / "new_folder" / "vectors.bin"
    data = [corpora["lines.txt"], corpora["table.jsonl"]]
    arguments = ["--data", *data, "--output", str(output), "--subword-dropout", "0.2", "--min-frequency", "1"]
    code, _, error = run("word2vec", models["subwords"], *arguments, *SMALL)
    assert code == 0, error
    assert "6 texts" in error
    vocabulary = Vocabulary.train([TEXT] * 3, VocabularySettings("bpe", max_size=60))
    tokens = vocabulary.tokens()[len(SPECIALS) :]
    assert f"{output}: {sum(found(output, tokens))} tokens, 4 dimensions" in error
    assert sum(found(output, tokens)) > len(tokens) / 2


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        ("forecasting", [], "the model reads no tokens of a vocabulary, but a list of numbers"),
        ("words", ["--size", "0"], "size must be between 1 and 100000, not 0"),
        ("words", ["--subword-dropout", "0.1"], "subword_dropout is for vocabulary.level bpe, not word"),
        ("words", ["--min-frequency", "9"], "no token occurs 9 times"),
        ("words", ["--data", "no_such_file"], "no_such_file"),
        (
            "words",
            ["--columns", "txt=review"],
            "--columns: sentiment has no column 'txt'; it has text, label",
        ),
    ],
)
def test_errors(model, arguments, message, models, corpora, run, tmp_path):
    pytest.importorskip("gensim")
    output = tmp_path / "vectors.txt"
    command = ["word2vec", models[model], "--data", corpora["lines.txt"], "--output", str(output)]
    code, out, error = run(*command, *arguments)
    assert (code, out) == (2, "")
    assert message in error.splitlines()[-1]
    assert not output.exists()


def test_nothing_that_is_read_is_replaced(models, corpora, run):
    path = corpora["lines.txt"]
    code, _, error = run("word2vec", models["words"], "--data", path, "--output", path)
    assert (code, error.count("\n")) == (2, 1)
    assert "would replace" in error


def test_rows_that_training_held_out_are_not_read(run, tmp_path):
    """Of the table that splits were drawn from; another one needs no labels."""
    pytest.importorskip("gensim")
    rows = [{"text": f"a film {number}", "label": number % 2} for number in range(40)]
    labeled, other, table = (tmp_path / name for name in ("labeled.jsonl", "other.jsonl", "other.csv"))
    labeled.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    other.write_text("".join(f"{json.dumps({'text': row['text']})}\n" for row in rows))
    table.write_text("text\n" + "".join(f"{row['text']}\n" for row in rows))
    settings = ["--config", "conf/sentiment_builtin.yaml", "--data.corpus.path", str(labeled)]
    quick = ["--trainer.max_steps", "1", "--trainer.enable_progress_bar", "false", "--model.hidden_dim", "4"]
    code, _, error = run("fit", *settings, *quick, "--runs", str(tmp_path / "runs"), "--name", "drawn")
    assert code == 0, error
    model = str(tmp_path / "runs" / "drawn" / "latest" / "model")
    for data, number in ((labeled, 32), (other, 40), (table, 40)):
        arguments = ["--data", str(data), "--output", str(tmp_path / "v.txt.gz")]
        code, _, error = run("word2vec", model, *arguments, *SMALL)
        assert code == 0, error
        assert f"{number} texts" in error


def test_equal_runs_write_equal_files(models, corpora, run, tmp_path):
    pytest.importorskip("gensim")
    made = []
    for name in ("first.txt.gz", "second.txt.gz"):
        output = tmp_path / name
        data = ["--data", corpora["lines.txt"]]
        assert run("word2vec", models["words"], *data, "--output", str(output), *SMALL)[0] == 0
        made.append(output.read_bytes())
    assert made[0] == made[1]
