"""A model is measured on rows that its training held out, if it is measured on the data of its training."""

import json

import pandas as pd
import pytest
import pytorch_lightning as pl

from nlp_rnn.data import Corpus, ForecastingData, SentimentData, SeriesTaggingData
from nlp_rnn.errors import UsageError
from nlp_rnn.evaluation.measuring import evaluate
from nlp_rnn.tasks import Forecasting, Sentiment, SeriesTagging
from nlp_rnn.tasks.pretrained import from_pretrained, save_pretrained

ROWS = [{"review": f"film {row % 30} x {row}", "stars": "15"[row % 2], "by": row % 20} for row in range(200)]


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "reviews.csv"
    pd.DataFrame(ROWS).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def trained(reviews, tmp_path_factory):
    """The folder and the checkpoint of a model, and the data that it was trained on."""
    home = tmp_path_factory.mktemp("trained")
    data = SentimentData(Corpus(reviews, group="by"), text="review", label="stars")
    task = Sentiment(data.processor, embedding_dim=8, hidden_dim=8)
    run = pl.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    run.fit(task, data)
    run.save_checkpoint(home / "a.ckpt")
    return save_pretrained(task, home / "model"), home / "a.ckpt", data


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_the_same_file_is_measured_on_held_out_rows_alone(trained, reviews, split):
    folder, checkpoint, data = trained
    part = data.load()[split].to_pandas()
    expected = evaluate(folder, Corpus(part), split, columns={"text": "text", "label": "label"}).results
    assert expected["rows"] == len(part) in (160, 20)
    for model in (folder, checkpoint):
        for corpus in (Corpus(reviews), Corpus(ROWS), Corpus(reviews, seed=5, validation_fraction=0.4)):
            results = evaluate(model, corpus, split).results
            assert results.pop("measured").startswith(f"{len(part)} of 200 rows of ")
            assert results == expected | {"data": str(corpus.path)}


def test_the_command_says_which_rows_are_measured(trained, reviews, run):
    folder, _, _ = trained
    code, out, err = run("evaluate", str(folder), "--data", str(reviews))
    assert code == 0
    note = "20 of 200 rows of reviews.csv: those held out in training, for test"
    assert (json.loads(out)["measured"], json.loads(out)["rows"]) == (note, 20)
    assert f"measured             {note}\n" in err
    code, out, _ = run("evaluate", str(folder), "--data", str(reviews), "--split", "all")
    assert (code, json.loads(out)["rows"]) == (0, 200)
    assert "measured" not in json.loads(out)
    _, out, _ = run("evaluate", str(folder), "--data", str(reviews), "--max-examples", "5")
    assert json.loads(out)["rows"] == 5
    assert json.loads(out)["measured"] == f"5 sampled from {note}"


@pytest.mark.parametrize(("name", "what"), [("reviews.csv", "name"), ("other.csv", "number")])
def test_changed_rows_are_told(trained, tmp_path, caplog, name, what):
    pd.DataFrame(ROWS[::-1]).to_csv(tmp_path / name, index=False)
    assert evaluate(trained[0], Corpus(tmp_path / name)).results["rows"] == 200
    assert f"not the rows that the model was trained on, though of the same {what};" in caplog.text


def test_without_a_record_all_rows_are_measured(trained, reviews):
    task = from_pretrained(trained[0])
    task.drawn = None
    results = evaluate(task, Corpus(reviews)).results
    assert results["rows"] == 200
    assert "measured" not in results


def test_a_bundled_corpus_has_no_split_all(trained):
    with pytest.raises(UsageError, match="corpus builtin: has the splits train, validation, test; name one"):
        evaluate(trained[0], Corpus(), "all")


@pytest.mark.parametrize("name", ["forecasting", "series_tagging"])
def test_series_are_measured_on_the_end_of_their_file(name, tmp_path, cache_home):
    steps = [{"x": at % 7, "y": at % 5, "state": "ab"[at % 2], "part": at // 10} for at in range(100)]
    pd.DataFrame(steps).to_csv(tmp_path / "a.csv", index=False)
    corpus = Corpus(tmp_path / "a.csv")
    if name == "forecasting":
        data = ForecastingData(corpus, "x,y", length=4)
        task = Forecasting(data.processor, hidden_dim=4)
    else:
        data = SeriesTaggingData(corpus, "x,y", "state", "part")
        task = SeriesTagging(data.processor, hidden_dim=4)
    run = pl.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    run.fit(task, data)
    folder = save_pretrained(task, tmp_path / "model")
    results = evaluate(folder, corpus).results
    assert results["measured"] == "10 of 100 rows of a.csv: those held out in training, for test"
    pd.DataFrame(steps[90:]).to_csv(tmp_path / "end.csv", index=False)
    expected = evaluate(folder, Corpus(tmp_path / "end.csv")).results
    del results["measured"], results["data"], expected["data"]
    assert results == expected
