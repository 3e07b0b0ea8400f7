"""Data that a program holds is read like a file, whatever holds it."""

from pathlib import Path

import datasets
import pandas as pd
import pyarrow as pa
import pytest

from nlp_rnn.data import Corpus, SentimentData, TaggingData
from nlp_rnn.data.corpus.memory import InMemory
from nlp_rnn.data.corpus.splits import SPLITS
from nlp_rnn.errors import UsageError

SENTIMENT = {"text": ("text", "review"), "label": "label"}
ROWS = [{"review": f"text {i}", "label": i % 2, "id": i} for i in range(20)]
COLUMNS = {name: [row[name] for row in ROWS] for name in ROWS[0]}
TABLES = {
    "rows": ROWS,
    "columns": COLUMNS,
    "pandas": pd.DataFrame(ROWS, index=range(5, 25)),
    "datasets": datasets.Dataset.from_list(ROWS),
    "arrow": pa.table(COLUMNS),
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_table_is_the_train_split_and_any_split_of_an_evaluation(table):
    corpus = Corpus(table)
    splits = corpus.load(SENTIMENT, "label")
    assert {name: len(split) for name, split in splits.items()} == {"train": 16, "validation": 2, "test": 2}
    assert {text for split in splits.values() for text in split["text"]} == set(COLUMNS["review"])
    assert corpus.load_split(SENTIMENT, "test", "label")["label"][:] == ["0", "1"] * 10
    assert corpus.cache_key(SENTIMENT) == Corpus(table).cache_key(SENTIMENT)
    assert corpus.cache_key(SENTIMENT) != Corpus(ROWS[1:]).cache_key(SENTIMENT)
    assert str(corpus.path) == "data in memory (20 rows)"


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_splits_have_the_names_that_the_data_gives_them(table):
    for corpus in (
        Corpus({"train": table, "dev": table, "test": table}),
        Corpus({"a": table, "b": table, "c": table}, train_split="a", validation_split="b", test_split="c"),
    ):
        splits = corpus.load(SENTIMENT, "label")
        assert {name: len(split) for name, split in splits.items()} == dict.fromkeys(SPLITS, 20)


def test_a_dataset_dict_keeps_the_names_of_its_classes():
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["bad", "good"])}
    )
    rows = datasets.Dataset.from_dict({"text": ["a", "b"] * 5, "label": [0, 1] * 5}, features=features)
    splits = Corpus(datasets.DatasetDict(train=rows, test=rows)).load(SENTIMENT, "label")
    assert splits["test"]["label"][:] == ["bad", "good"] * 5


def test_missing_values_of_pandas_are_missing(caplog):
    table = pd.DataFrame({"text": ["a", None, "b", "c"] * 5, "label": [1.0, 0.0, None, 0.0] * 5})
    splits = Corpus(table).load(SENTIMENT, "label")
    assert set(splits["train"]["label"]) == {"0", "1"}
    assert "left out 10 of 20 row(s) with an empty column: text in 5, label in 5" in caplog.text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (5, "data must be a path, a hub id, a table .*, not int"),
        ([1, 2], "data must be a path, .*, not list"),
        (
            pd.DataFrame({"text": ["a", 1], "label": [0, 1]}),
            "data in memory: .*Conversion failed for column text",
        ),
        ([{"text": "\ud800", "label": 1}], "data in memory, column 'text': .*surrogates"),
        (pd.Series(["a"]), "data must be a path, .*, not Series"),
        (pd.DataFrame([["a", "b"]], columns=["text", "text"]), "Duplicate column names"),
        ({"text": 5, "label": [1]}, "column 'text': int is no list of values"),
        ({"text": "ab", "label": [1, 2]}, "column 'text': str is no list of values"),
        ({"text": ["a"], "label": [1, 2]}, "columns of unequal length, in rows text 1, label 2"),
        ({"text": ["a", "b"], "label": [1, "x"]}, "column 'label': .*; give values of one type"),
    ],
)
def test_what_is_no_table_is_refused(data, message):
    with pytest.raises(UsageError, match=message):
        Corpus(data)


def test_data_modules_take_data_paths_and_settings(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    datasets.Dataset.from_list(ROWS).to_json(path)
    states = [
        SentimentData(corpus).processor.state()
        for corpus in (
            pd.DataFrame(ROWS),
            ROWS,
            path,
            str(path),
            {"path": str(path)},
            Corpus(path),
            {"train": ROWS},
        )
    ]
    assert all(state == states[0] for state in states)
    sentences = [{"tokens": ["a", "b"], "upos": ["X", "Y"]}] * 10
    assert TaggingData(sentences).processor.labels == ["X", "Y"]
    with pytest.raises(UsageError, match="give the data itself"):
        SentimentData.from_datasets(train_dataset=ROWS)


def test_the_data_is_never_copied():
    corpus = Corpus(ROWS)
    assert Corpus(corpus.path, seed=1).path is corpus.path
    assert isinstance(corpus.path, InMemory)


def test_nan_is_a_missing_label(caplog):
    rows = [{"text": f"text {i}", "label": (float("nan"), "a", "b")[i % 3]} for i in range(30)]
    splits = Corpus(rows).load(SENTIMENT, "label")
    assert set(splits["train"]["label"]) == {"a", "b"}
    assert "left out 10 of 30 row(s) with an empty column: label in 10" in caplog.text


def test_an_empty_list_is_a_split_without_rows(caplog):
    assert set(Corpus({"train": ROWS, "test": []}).load(SENTIMENT, "label")) == {"train", "validation"}
    assert "the test split is left out" in caplog.text
