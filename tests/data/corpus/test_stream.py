"""Streams: the first rows or all, as a table of them would be read; and how they fail."""

import datasets
import huggingface_hub
import pytest

from nlp_rnn.data.corpus import hub as hub_module
from nlp_rnn.data.corpus import spool, stream
from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.errors import UsageError
from nlp_rnn.tasks.sentiment.data import SentimentData

ROWS = [{"text": f"a {'good' if n % 2 else 'bad'} film {n}", "label": n % 2} for n in range(60)]
COLUMNS = {"text": ("text",), "label": ("label",)}


def endless():
    number = 0
    while True:
        yield ROWS[number % len(ROWS)] | {"text": f"film {number}"}
        number += 1


def streamed(rows):
    return datasets.Dataset.from_list(rows).to_iterable_dataset(num_shards=3)


@pytest.fixture(params=[7, 10_000], autouse=True)
def chunk_rows(request, monkeypatch):
    monkeypatch.setattr(spool, "CHUNK_ROWS", request.param)


@pytest.mark.parametrize("limit", [None, 25, 1000])
def test_a_stream_gives_what_a_table_of_its_first_rows_gives(limit, caplog):
    ours = SentimentData(Corpus(streamed(ROWS), max_examples=limit))
    table = SentimentData(ROWS[:limit])
    assert ours.processor.state() == table.processor.state()
    assert {n: len(rows) for n, rows in ours.splits.items()} == {n: len(r) for n, r in table.splits.items()}
    assert ours.corpus.load(COLUMNS, "label")["train"][:] == table.corpus.load(COLUMNS, "label")["train"][:]
    assert ("may never come" in caplog.text) == (limit is None)


def test_splits_that_are_streams_and_the_names_of_classes():
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])}
    )
    train = datasets.Dataset.from_list(ROWS, features=features).to_iterable_dataset()
    data = SentimentData({"train": train, "test": train.take(4), "validation": train.skip(50)})
    assert "data in memory (train a stream, test a stream, validation a stream)" in str(data)
    assert data.processor.classes == ["neg", "pos"]
    assert {name: len(rows) for name, rows in data.splits.items()} == {
        "train": 60,
        "validation": 10,
        "test": 4,
    }


def test_of_an_endless_stream_no_more_is_read_than_is_asked_for():
    taken = []

    def rows():
        for row in endless():
            taken.append(row)
            yield row

    data = Corpus(datasets.IterableDataset.from_generator(rows), max_examples=30)
    assert not taken
    assert sum(len(split) for split in data.load(COLUMNS, "label").values()) == 30
    assert len(taken) <= 31


def test_two_limits_of_one_stream_are_two_corpora():
    source = streamed(ROWS)
    one, two = (SentimentData(Corpus(source, max_examples=limit)) for limit in (20, 40))
    assert one.cache_key() != two.cache_key()
    assert one.cache_key() == SentimentData(Corpus(source, max_examples=20)).cache_key()


def test_how_far_a_stream_was_read_is_said(caplog, monkeypatch):
    monkeypatch.setattr(stream, "_REPORTED", 20)
    caplog.set_level("INFO")
    stream.draw_stream(streamed(ROWS), None, "rows")
    assert "rows: 60 rows so far" in caplog.messages


def test_a_stream_that_fails_is_one_line():
    def rows():
        yield ROWS[0]
        raise ConnectionError("no route\nto host")

    broken = datasets.IterableDataset.from_generator(rows)
    with pytest.raises(UsageError, match=r"a stream.*: cannot be read: .*no route to host"):
        Corpus(broken, max_examples=5).load(COLUMNS, "label")


def test_a_dataset_of_the_hub_is_streamed(monkeypatch):
    calls = []

    def load_dataset(path, name=None, *, revision=None, streaming=False):
        calls.append((path, name, revision, streaming))
        return datasets.IterableDatasetDict(train=streamed(ROWS), test=streamed(ROWS[:6]))

    class Api:
        def dataset_info(self, path, revision):
            return huggingface_hub.DatasetInfo(id=path, sha=f"{revision}-commit")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr(hub_module, "hub_is_reachable", lambda: True)
    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    corpus = Corpus("a/b", revision="r", streaming=True, max_examples=30)
    splits = corpus.load(COLUMNS, "label")
    assert {name: len(split) for name, split in splits.items()} == {"train": 27, "validation": 3, "test": 6}
    assert calls[0] == ("a/b", None, "r", True)
    keys = [
        Corpus("a/b", revision=revision, streaming=True, max_examples=limit).cache_key(COLUMNS, "label")
        for revision, limit in (("r", 30), ("r", 30), ("s", 30), ("r", 20))
    ]
    assert len(set(keys)) == 3
    assert keys[0] == keys[1]


def test_only_datasets_of_the_hub_can_be_streamed(tmp_path):
    (tmp_path / "train.jsonl").write_text('{"text": "a", "label": "b"}')
    for path in (str(tmp_path), "builtin", ROWS):
        with pytest.raises(UsageError, match=r"streaming is for datasets of the hub.*leave it out"):
            Corpus(path, streaming=True).load(COLUMNS, "label")
