from collections import Counter
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from nlp_rnn.data.builtin import sentences as builtin
from nlp_rnn.data.corpus import hub as hub_module
from nlp_rnn.data.corpus.columns import Words
from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.errors import UsageError

SENTIMENT = {"text": ("text", "sentence", "document"), "label": "label"}
PAIRS = {"source": "de", "target": "en"}
TAGS = {"tokens": Words(("tokens",)), "upos": Words(("upos",))}
REAL = Path(__file__).parents[4] / "shared" / "data"

real_data = pytest.mark.skipif(not REAL.is_dir(), reason=f"no real corpora in {REAL}")


@pytest.fixture
def folder(tmp_path):
    """A function that writes text files, given as {name: text}, into a folder and returns its path."""

    def make(files: dict[str, str]) -> str:
        for name, content in files.items():
            (tmp_path / name).write_bytes(content.encode("utf-8"))
        return str(tmp_path)

    return make


def tsv(first: int, last: int, labels: str = "01") -> str:
    return "".join(f"text {i}\t{labels[i % len(labels)]}\n" for i in range(first, last))


def sizes(splits: DatasetDict) -> dict[str, int]:
    return {name: split.num_rows for name, split in splits.items()}


# --------------------------------------------------------------------------------------- real corpora


@real_data
@pytest.mark.parametrize(
    ("name", "columns", "labels", "rows"),
    [
        ("sst2", SENTIMENT, "label", (6_920, 872, 1_821)),
        ("imdb", SENTIMENT, "label", (22_500, 2_500, 25_000)),
        ("nsmc", SENTIMENT, "label", (150_000, 10_000, 20_000)),
        ("multi30k", PAIRS, None, (29_000, 1_014, 1_000)),
    ],
)
def test_real_corpora(name, columns, labels, rows):
    splits = Corpus(str(REAL / name)).load(columns, labels)
    assert sizes(splits) == dict(zip(("train", "validation", "test"), rows, strict=True))
    for split in splits.values():
        assert split.features == Features({column: Value("string") for column in columns})
        if labels:
            assert set(split.unique("label")) == {"0", "1"}


@real_data
def test_real_conllu(tmp_path):
    for name in ("dev", "test"):  # reading the whole train split takes seconds
        (tmp_path / f"en_ewt-ud-{name}.conllu").symlink_to(REAL / "ud_english_ewt" / f"{name}.conllu")
    (tmp_path / "en_ewt-ud-train.conllu").symlink_to(REAL / "ud_english_ewt" / "dev.conllu")
    splits = Corpus(str(tmp_path)).load(TAGS, "upos")
    assert sizes(splits) == {"train": 2_001, "validation": 2_001, "test": 2_077}
    assert sum(map(len, splits["test"]["tokens"])) == sum(map(len, splits["test"]["upos"])) == 25_094
    assert len({tag for tags in splits["train"]["upos"] for tag in tags}) == 17


# -------------------------------------------------------------------------------------- finding splits


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("train.tsv", "dev.tsv", "test.tsv"), "train dev test"),
        (("train_1.tsv", "val.tsv", "notes.txt", "._train_1.tsv"), "train_1 val -"),
        (("training.tsv", "valid.tsv", "test_2016.tsv"), "training valid test_2016"),
        (("x-ud-train.tsv", "x-ud-dev.tsv", "x-ud-test.tsv"), "x-ud-train x-ud-dev x-ud-test"),
        (("train.tsv", "train_more.tsv", "test.tsv", "test2.tsv", "device.tsv"), "train - test"),
        (("train.csv", "validation.tsv", "test.jsonl"), "train validation test"),
    ],
)
def test_splits_of_a_folder(folder, names, expected):
    path = folder(dict.fromkeys(names, ""))
    found = Corpus(path)._split_files(Path(path), {"text": ("text",)})
    wanted = zip(("train", "validation", "test"), expected.split(), strict=True)
    assert {split: [f.stem for f in files] for split, files in found.items()} == {
        split: [stem] for split, stem in wanted if stem != "-"
    }


@pytest.mark.parametrize(
    ("names", "asked", "message"),
    [
        ("train test_a test_b", {}, "test_a, test_b could each be test; set test_split"),
        ("train dev val", {}, "dev, val could each be validation; set validation_split"),
        ("all test", {}, "no train split; found all, test; set train_split"),
        ("", {}, r"nothing to read: give tables \(.*\), or text in files .*\.text"),
        ("train dev", {"test_split": "tset"}, r"no test split 'tset'; .*; set test_split \(eval"),
        ("train test", {"test_split": "tset"}, "no test split 'tset'; found test, train"),
    ],
)
def test_splits_that_cannot_be_told(folder, names, asked, message):
    path = folder({f"{name}.tsv": tsv(0, 4) for name in names.split()})
    with pytest.raises(UsageError, match=message):
        Corpus(path, **asked).load(SENTIMENT, "label")


def test_named_splits_are_not_found_a_second_time(folder):
    files = {
        "train_a.tsv": tsv(0, 4),
        "train_b.tsv": tsv(4, 10),
        "test_a.tsv": tsv(10, 13),
        "test_b.tsv": tsv(13, 15),
    }
    splits = Corpus(folder(files), train_split="train_b", validation_split="test_b").load(SENTIMENT)
    assert sizes(splits) == {"train": 6, "validation": 2, "test": 3}


def test_two_formats_of_one_split(folder):
    with pytest.raises(UsageError, match=r"train.csv: train.tsv is in the same folder"):
        Corpus(folder({"train.tsv": tsv(0, 4), "train.csv": "a,1\n"})).load(SENTIMENT)


def test_a_single_file_is_the_train_split(folder):
    path = folder({"test.tsv": tsv(0, 40), "train.tsv": tsv(0, 2)}) + "/test.tsv"
    assert sizes(Corpus(path).load(SENTIMENT, "label")) == {"train": 36, "validation": 4}
    with pytest.raises(UsageError, match="a single file is the train split"):
        Corpus(path, test_split="test").load(SENTIMENT, "label")


@pytest.mark.parametrize(
    "path", ["./nothing", "/no/such/file", "data/train.tsv", "a/b/c", "csv", "bultin", ""]
)
def test_a_path_that_is_neither_here_nor_a_hub_id(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets, "load_dataset", None)
    if path == "":
        path = "\n"
    with pytest.raises(UsageError, match=r"no such file or folder; give one, a hub id \(owner/name\), or"):
        Corpus(path).load(SENTIMENT)


# --------------------------------------------------------------------------------------- parallel text


def test_side_files_of_parallel_text(folder):
    path = folder(
        {"train.de": "a\n\u2028b\n", "train.en": "A\nB\n", "val.de": "c\n", "val.en": "C", "train.fr": "x"}
    )
    splits = Corpus(path).load({"source": ("xx", "de"), "target": "en"})
    assert splits["train"].to_dict() == {"source": ["a", "\u2028b"], "target": ["A", "B"]}
    assert splits["validation"].to_dict() == {"source": ["c"], "target": ["C"]}
    with pytest.raises(UsageError, match=r"train\.de: .* that also holds train\.it"):
        Corpus(path).load({"source": "de", "target": "it"})


def test_row_9_unequal_sides_are_refused_with_both_counts(folder):
    with pytest.raises(UsageError, match=r"unequal length, in lines train\.de 3, train\.en 2"):
        Corpus(folder({"train.de": "a\nb\nc\n", "train.en": "A\nB\n"})).load(PAIRS)


def test_row_10_pairs_with_an_empty_side_are_dropped_and_counted(folder, caplog):
    de, en = "a\n\nc\n \u3000\ne\n", "A\nB\n\t\n\nE\n"
    path = folder({"train.de": de, "train.en": en, "val.de": "v\n", "val.en": "V\n"})
    assert Corpus(path).load(PAIRS)["train"].to_dict() == {"source": ["a", "e"], "target": ["A", "E"]}
    assert [r.message.partition(": ")[2] for r in caplog.records] == [
        "dropped 3 row(s) in which a column is empty"
    ]


def test_row_8_labelled_rows_stay_however_blank(folder, caplog):
    path = folder({"train.tsv": "\t1\n \t0\na\t1\n", "dev.tsv": "b\t1\n\t0\n"})
    splits = Corpus(path).load(SENTIMENT, "label")
    assert splits["train"]["text"][:] == ["", " ", "a"]
    assert splits["validation"]["text"][:] == ["b", ""]
    assert all("no header" in record.message for record in caplog.records)


# ---------------------------------------------------------------------------------------------- checks


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param(
            {"train.tsv": "good\t1\nbad\n"}, r"train.tsv, line 2: 2 fields expected", id="row 13, ragged"
        ),
        pytest.param(
            {"train.jsonl": '{"review": "a", "label": 1}\n'},
            r"train.jsonl, line 1: no column 'text' or .*; the columns are review, label",
            id="row 13, column",
        ),
        pytest.param(
            {"train.tsv": tsv(0, 4), "dev.tsv": "x\t0\ny\tneutral\n"},
            r"dev.tsv, row 2: label 'neutral' is never seen in train; known: 0, 1",
            id="row 14",
        ),
        pytest.param(
            {"train.tsv": tsv(0, 4), "dev.tsv": tsv(4, 6), "test.tsv": "x\t2\n"},
            r"test.tsv, row 1: label '2' is never",
            id="row 14, test",
        ),
        pytest.param({"train.tsv": ""}, r"train.tsv: no rows for the train split", id="row 15, empty"),
        pytest.param({"train.tsv": "text\tlabel\n"}, r"train.tsv: no rows", id="row 15, header alone"),
        pytest.param(
            {"train.tsv": tsv(0, 9, "1")}, r"all label in train are 1; give two", id="row 15, one class"
        ),
        pytest.param(
            {"train.tsv": tsv(0, 4), "test.tsv": ""}, "test.tsv: no rows for the test", id="empty test"
        ),
        pytest.param(
            {"train.jsonl": '{"text": "a", "label": 1}\n{"text": null, "label": 0}\n'},
            r"train.jsonl, row 2: column 'text' holds no value",
            id="null",
        ),
        pytest.param(
            {"train.tsv": tsv(0, 2)}, "2 rows are too few to sample a validation split from", id="too few"
        ),
    ],
)
def test_what_is_wrong_with_labelled_data_is_refused(folder, files, message):
    with pytest.raises(UsageError, match=message) as error:
        Corpus(folder(files)).load(SENTIMENT, "label")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"tokens": ["a", "b"], "upos": ["X"]}', "row 2: 2 tokens but 1 upos; give the same number of both"),
        ('{"tokens": ["a", null], "upos": ["X", "X"]}', "row 2: column 'tokens' holds no value"),
        ('{"tokens": null, "upos": ["X"]}', "row 2: column 'tokens' holds no value"),
    ],
)
def test_what_is_wrong_with_tagged_data_is_refused(folder, line, message):
    good = '{"tokens": ["a", "b"], "upos": ["X", "Y"]}\n'
    with pytest.raises(UsageError, match=message):
        Corpus(folder({"train.jsonl": good + line + "\n"})).load(TAGS, "upos")


def test_row_16_rows_in_train_and_test_are_counted(folder, caplog):
    path = folder({"train.tsv": tsv(0, 10), "dev.tsv": tsv(0, 10), "test.tsv": tsv(8, 12) + "text 0\t1\n"})
    Corpus(path).load(SENTIMENT, "label")
    messages = [r.message for r in caplog.records if "no header" not in r.message]
    assert messages == [f"{path}/test.tsv: 2 test row(s) are also in train"]


def test_row_16_tagged_sentences_too(folder, caplog):
    rows = ['{"tokens": ["a", "b"], "upos": ["X", "Y"]}\n', '{"tokens": ["a b"], "upos": ["X"]}\n']
    path = folder({"train.jsonl": rows[0], "dev.jsonl": rows[1], "test.jsonl": rows[0] + rows[1]})
    Corpus(path).load(TAGS, "upos")
    assert [r.message for r in caplog.records] == [f"{path}/test.jsonl: 1 test row(s) are also in train"]


def test_row_23_untagged_words_are_no_label(folder, caplog):
    word = "1\t{}\t_\t{}\t_\t_\t0\troot\t_\t_\n\n"
    path = folder(
        {
            "train.conllu": word.format("a", "X") + word.format("b", "Y") + "# only a comment\n\n",
            "dev.conllu": word.format("c", "_") + word.format("d", "X"),
        }
    )
    splits = Corpus(path).load(TAGS, "upos")
    assert splits["validation"].to_dict() == {"tokens": [["c"], ["d"]], "upos": [["_"], ["X"]]}
    assert [r.message for r in caplog.records] == [
        f"{path}/dev.conllu: 1 word(s) without a UPOS tag are left out of scoring"
    ]


def test_row_15_untagged_words_make_no_second_class(folder):
    rows = '{"tokens": ["a", "b"], "upos": ["X", "_"]}\n' * 9
    with pytest.raises(UsageError, match="all upos in train are X; give two or more"):
        Corpus(folder({"train.jsonl": rows})).load(TAGS, "upos")


# ----------------------------------------------------------------------------------------------- draws


def test_drawn_validation_is_stratified_seeded_and_disjoint(folder):
    path = folder({"train.tsv": tsv(0, 90, "a") + tsv(90, 100, "b")})
    draws = [Corpus(path, validation_fraction=0.2, seed=seed).load(SENTIMENT, "label") for seed in (0, 0, 1)]
    for splits in draws:
        assert Counter(splits["validation"]["label"]) == {"a": 18, "b": 2}
        texts = [*splits["train"]["text"], *splits["validation"]["text"]]
        assert sorted(texts) == sorted(f"text {i}" for i in range(100))
        assert splits["train"]["text"][:] == sorted(splits["train"]["text"], key=lambda text: int(text[5:]))
    assert draws[0]["validation"].to_dict() == draws[1]["validation"].to_dict()
    assert draws[0]["validation"].to_dict() != draws[2]["validation"].to_dict()


def test_max_examples_is_a_seeded_sample_of_each_split_in_order(folder):
    path = folder({"train.tsv": tsv(0, 500, "a") + tsv(500, 1000, "b"), "test.tsv": tsv(1000, 1100, "ab")})
    splits = Corpus(path, max_examples=40).load(SENTIMENT, "label")
    assert sizes(splits) == {"train": 40, "validation": 40, "test": 40}
    assert 10 < Counter(splits["train"]["label"])["a"] < 30
    for split in splits.values():
        assert split["text"][:] == sorted(split["text"], key=lambda text: int(text[5:]))
    assert (
        splits["train"].to_dict() == Corpus(path, max_examples=40).load(SENTIMENT, "label")["train"].to_dict()
    )
    with pytest.raises(UsageError, match="max_examples=1 cannot hold all labels; give 2 or more"):
        Corpus(path, max_examples=1).load(SENTIMENT, "label")
    with pytest.raises(UsageError, match="max_examples must be between"):
        Corpus(path, max_examples=0).load(SENTIMENT, "label")


def test_max_examples_keeps_a_rare_label_in_train(folder):
    path = folder({"train.tsv": tsv(0, 500, "a") + tsv(500, 501, "b"), "dev.tsv": tsv(0, 9, "b")})
    for seed in range(5):
        splits = Corpus(path, max_examples=5, seed=seed).load(SENTIMENT, "label")
        assert Counter(splits["train"]["label"]) == {"a": 4, "b": 1}


# ------------------------------------------------------------------------------------------------- hub


@pytest.fixture
def hub(monkeypatch):
    """Puts a DatasetDict, or an exception, in place of what the hub gives."""

    def put(answer: DatasetDict | Exception, reachable: bool = True) -> list[tuple]:
        calls = []

        def load_dataset(path, name=None, *, revision=None):
            calls.append((path, name, revision, datasets.config.HF_HUB_OFFLINE))
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(datasets, "load_dataset", load_dataset)
        monkeypatch.setattr(hub_module, "_hub_is_reachable", lambda: reachable)
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
        return calls

    return put


def hub_split(labels: list[int], start: int = 0) -> Dataset:
    features = Features({"sentence": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    texts = [f"text {i}" for i in range(start, start + len(labels))]
    return Dataset.from_dict({"sentence": texts, "label": labels}, features=features)


def test_hub_labels_become_names_and_a_secret_test_split_goes(hub, caplog):
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
        "dataset stanfordnlp/sst2, split test: dropped, its labels are all missing or -1"
    ]


def test_a_single_missing_label_is_an_error(hub):
    hub(DatasetDict(train=hub_split([0, 1, -1])))
    with pytest.raises(UsageError, match="dataset a/b, split train, row 3: column 'label' holds no value"):
        Corpus("a/b").load(SENTIMENT, "label")


def test_hub_translations_nested_or_not(hub):
    pair = {"de": "Hund", "en": "dog"}
    for rows in ([{"translation": pair}] * 10, [pair] * 10):
        hub(DatasetDict(train=Dataset.from_list(rows)))
        splits = Corpus("a/b").load(PAIRS)
        assert sizes(splits) == {"train": 9, "validation": 1}
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
def test_row_49_offline_without_the_data_says_so_at_once(hub, error):
    calls = hub(error, reachable=False)
    for use in (Corpus("a/b").load, Corpus("a/b").cache_key):
        with pytest.raises(
            UsageError, match=r"dataset a/b: not in the local cache and the hub cannot be reached"
        ):
            use(SENTIMENT)
    assert calls == [("a/b", None, None, True)] * 2  # asked for the cache alone: no retries
    assert datasets.config.HF_HUB_OFFLINE is False


def test_row_49_offline_with_the_data_cached_works(tmp_path, monkeypatch):
    """A cache as the library leaves it: moved to where it looks for the dataset a/b."""
    (tmp_path / "b").mkdir()
    hub_split([0, 1] * 10).to_parquet(tmp_path / "b" / "train.parquet")
    cache = tmp_path / "cache"
    datasets.load_dataset(str(tmp_path / "b"), cache_dir=str(cache))
    (cache / "b").rename(cache / "a___b")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
    monkeypatch.setattr(hub_module, "_hub_is_reachable", lambda: False)
    monkeypatch.chdir(tmp_path)
    splits = Corpus("a/b").load(SENTIMENT, "label")
    assert sizes(splits) == {"train": 18, "validation": 2}
    assert Corpus("a/b").cache_key(SENTIMENT) == Corpus("a/b").cache_key(SENTIMENT)


def test_an_error_of_the_hub_is_passed_on_in_one_line(hub):
    hub(ValueError("Config name is missing.\nPlease pick one: ['en_ewt']"))
    with pytest.raises(
        UsageError, match=r"^dataset a/b: cannot be loaded: Config name .* pick one: \['en_ewt'\]$"
    ):
        Corpus("a/b").load(TAGS)


def test_the_hub_cannot_be_reached_when_nothing_answers(monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", "http://127.0.0.1:1")  # nothing listens there
    assert hub_module._hub_is_reachable() is False


# -------------------------------------------------------------------------------------- built in, keys


@pytest.fixture(scope="module")
def built_in():
    return builtin.builtin_splits(0)  # takes a second: made once


@pytest.mark.parametrize("columns", [PAIRS, TAGS, SENTIMENT], ids=lambda columns: "-".join(columns))
def test_built_in_sentences_offer_every_task_s_columns(columns, built_in, monkeypatch):
    monkeypatch.setattr(builtin, "builtin_splits", {0: built_in}.get)
    splits = Corpus(seed=3).load(columns)
    assert sizes(splits) == {name: len(rows) for name, rows in built_in.items()}
    assert splits["train"].column_names == list(columns)
    row, made = splits["test"][7], built_in["test"][7]
    german, english = " ".join(made.german), " ".join(made.english)
    assert row in (
        {"source": german, "target": english},
        {"tokens": list(made.english), "upos": list(made.upos)},
        {"text": english, "label": made.sentiment},
    )


def test_key_follows_content_and_settings_not_the_place(tmp_path):
    def key(name: str, content: str, columns=SENTIMENT, labels=None, **settings) -> str:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "train.tsv").write_text(content)
        return Corpus(str(folder), **settings).cache_key(columns, labels)

    base = key("a", "x\t1\n")
    assert base == key("b", "x\t1\n")
    different = [
        key("a", "x\t0\n"),
        key("a", "x\t1\n", {"text": "text", "label": "label"}),
        key("a", "x\t1\n", {"label": "label", "text": SENTIMENT["text"]}),
        key("a", "x\t1\n", labels="label"),
        key("a", "x\t1\n", seed=1),
        key("a", "x\t1\n", validation_fraction=0.2),
        key("a", "x\t1\n", max_examples=5),
        Corpus().cache_key(SENTIMENT),
        Corpus(seed=1).cache_key(SENTIMENT),
    ]
    (tmp_path / "a" / "dev.tsv").write_text("x\t1\n")
    different.append(Corpus(str(tmp_path / "a")).cache_key(SENTIMENT))
    assert len({base, *different}) == 1 + len(different)


def test_key_of_a_hub_dataset_follows_its_fingerprint(hub):
    keys = set()
    for labels in ([0, 1], [0, 1], [1, 1]):
        hub(DatasetDict(train=hub_split(labels)))
        keys.add(Corpus("a/b").cache_key(SENTIMENT))
    assert len(keys) == 2


def test_a_path_of_the_name_of_a_built_in_corpus_is_not_passed_over(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hello").mkdir()
    (tmp_path / "hello" / "train.csv").write_text("text\n" + "mine\n" * 9)
    for call in (Corpus("hello").load, Corpus("hello").cache_key):
        with pytest.raises(UsageError, match=r"both a bundled corpus and a local path: write \./hello"):
            call({"text": "text"})
    assert Corpus("./hello").load({"text": "text"})["train"][0] == {"text": "mine"}
