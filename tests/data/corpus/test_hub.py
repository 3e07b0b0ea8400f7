"""Datasets of the hub: labels by name, columns, the cache without a network, and errors in one line."""

import datasets
import huggingface_hub
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from nlp_rnn.data.corpus import hub as hub_module
from nlp_rnn.data.corpus.columns import Words
from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.errors import UsageError

SENTIMENT = {"text": ("text", "sentence", "document"), "label": "label"}
PAIRS = {"source": "de", "target": "en"}
TAGS = {"tokens": Words(("tokens",)), "upos": Words(("upos",))}


def sizes(splits: DatasetDict) -> dict[str, int]:
    return {name: split.num_rows for name, split in splits.items()}


@pytest.fixture
def hub(monkeypatch):
    """Puts a DatasetDict, or an exception, in place of what the hub gives."""

    def put(answer: DatasetDict | Exception, reachable: bool = True) -> list[tuple]:
        calls = []

        def load_dataset(path, name=None, *, revision=None, streaming=False):
            calls.append((path, name, revision, datasets.config.HF_HUB_OFFLINE))
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(datasets, "load_dataset", load_dataset)
        monkeypatch.setattr(hub_module, "hub_is_reachable", lambda: reachable)
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
        return calls

    return put


def hub_split(labels: list[int], start: int = 0) -> Dataset:
    features = Features({"sentence": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    texts = [f"text {i}" for i in range(start, start + len(labels))]
    return Dataset.from_dict({"sentence": texts, "label": labels}, features=features)


def test_hub_labels_become_names_and_a_hidden_test_split_is_dropped(hub, caplog):
    calls = hub(
        DatasetDict(
            train=hub_split([0, 1, 1, 0]).select([3, 1, 0]),
            validation=hub_split([1], 10),
            test=hub_split([-1, -1], 20),
            unsupervised=hub_split([-1]),
        )
    )
    splits = Corpus("stanfordnlp/sst2", config="c", revision="r").load(SENTIMENT, "label")
    assert calls == [("stanfordnlp/sst2", "c", "r", False)]
    assert splits["train"].to_dict() == {
        "text": ["text 3", "text 1", "text 0"],
        "label": ["neg", "pos", "neg"],
    }
    assert sizes(splits) == {"train": 3, "validation": 1}
    assert [r.message for r in caplog.records] == [
        "dataset stanfordnlp/sst2: not used: unsupervised (used are train, validation, test)",
        "dataset stanfordnlp/sst2, split test: dropped, its labels are all missing or -1",
    ]


def test_rows_with_a_missing_label_are_left_out_and_counted(hub, caplog):
    hub(DatasetDict(train=hub_split([0, 1, -1] * 5)))
    splits = Corpus("a/b").load(SENTIMENT, "label")
    assert sizes(splits) == {"train": 8, "validation": 1, "test": 1}
    assert caplog.messages[0] == (
        "dataset a/b, split train: left out 5 of 15 row(s) with an empty column: label in 5"
    )


def test_hub_translations_nested_or_not(hub):
    pair = {"de": "Hund", "en": "dog"}
    for rows in ([{"translation": pair}] * 10, [pair] * 10):
        hub(DatasetDict(train=Dataset.from_list(rows)))
        splits = Corpus("a/b").load(PAIRS)
        assert sizes(splits) == {"train": 8, "validation": 1, "test": 1}
        assert splits["train"][0] == {"source": "Hund", "target": "dog"}


@pytest.mark.parametrize("tag", [Value("string"), ClassLabel(names=["NOUN", "VERB", "_"])])
def test_hub_tags_as_names_or_class_labels(hub, tag):
    features = Features({"tokens": datasets.Sequence(Value("string")), "upos": datasets.Sequence(tag)})
    rows = {"tokens": [["a", "b"], ["c"]] * 5, "upos": [["NOUN", "_"], ["VERB"]] * 5}
    hub(DatasetDict(train=Dataset.from_dict(rows, features=features)))
    splits = Corpus("a/b").load(TAGS, "upos")
    assert {(tuple(row["tokens"]), tuple(row["upos"])) for row in splits["train"]} == {
        (("a", "b"), ("NOUN", "_")),
        (("c",), ("VERB",)),
    }


def test_hub_columns_that_exist_are_named(hub):
    hub(DatasetDict(train=hub_split([0, 1])))
    with pytest.raises(
        UsageError, match="dataset a/b, split train: no column 'de'; the columns are sentence, label"
    ):
        Corpus("a/b").load(PAIRS)


def test_local_parquet_written_by_datasets_has_names_too(tmp_path):
    hub_split([0, 1] * 10).to_parquet(tmp_path / "train.parquet")
    splits = Corpus(str(tmp_path)).load(SENTIMENT, "label")
    assert set(splits["train"]["label"]) == {"neg", "pos"}
    pq.write_table(pa.table({"text": list("abcd"), "label": [0, 1, 0, 1]}), tmp_path / "train.parquet")
    assert set(Corpus(str(tmp_path)).load(SENTIMENT, "label")["train"]["label"]) == {"0", "1"}


@pytest.mark.parametrize(
    "error", [ConnectionError("Couldn't reach"), FileNotFoundError("gone"), RuntimeError("x")]
)
def test_offline_without_the_data_says_so_at_once(hub, error):
    calls = hub(error, reachable=False)
    for use in (Corpus("a/b").load, Corpus("a/b").cache_key):
        with pytest.raises(
            UsageError, match=r"dataset a/b: not in the local cache and the hub cannot be reached"
        ):
            use(SENTIMENT)
    assert calls == [("a/b", None, None, True)] * 2  # asked for the cache alone: no retries
    assert datasets.config.HF_HUB_OFFLINE is False


def test_offline_with_the_data_cached_works(tmp_path, monkeypatch):
    """A cache as the library leaves it: moved to where it looks for the dataset a/b."""
    (tmp_path / "b").mkdir()
    hub_split([0, 1] * 10).to_parquet(tmp_path / "b" / "train.parquet")
    cache = tmp_path / "cache"
    datasets.load_dataset(str(tmp_path / "b"), cache_dir=str(cache))
    (cache / "b").rename(cache / "a___b")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
    monkeypatch.setattr(hub_module, "hub_is_reachable", lambda: False)
    monkeypatch.chdir(tmp_path)
    splits = Corpus("a/b").load(SENTIMENT, "label")
    assert sizes(splits) == {"train": 16, "validation": 2, "test": 2}
    assert Corpus("a/b").cache_key(SENTIMENT) == Corpus("a/b").cache_key(SENTIMENT)


def test_an_error_of_the_hub_is_passed_on_in_one_line(hub):
    hub(ValueError("Config name is missing.\nPlease pick one: ['en_ewt']"))
    with pytest.raises(
        UsageError, match=r"^dataset a/b: cannot be loaded: Config name .* pick one: \['en_ewt'\]$"
    ):
        Corpus("a/b").load(TAGS)


def test_the_hub_cannot_be_reached_when_nothing_answers(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:1")  # nothing listens there
    assert hub_module.hub_is_reachable() is False


def test_key_of_a_hub_dataset_follows_its_fingerprint(hub):
    keys = set()
    for labels in ([0, 1], [0, 1], [1, 1]):
        hub(DatasetDict(train=hub_split(labels)))
        keys.add(Corpus("a/b").cache_key(SENTIMENT))
    assert len(keys) == 2
