"""Splits in local files: found by name, as tables or as the sides of parallel text."""

from pathlib import Path

import datasets
import pytest
from datasets import DatasetDict

from nlp_rnn.data.corpus.columns import Words
from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.errors import UsageError

SENTIMENT = {"text": ("text", "sentence", "document"), "label": "label"}
PAIRS = {"source": "de", "target": "en"}
TAGS = {"tokens": Words(("tokens",)), "upos": Words(("upos",))}


def tsv(first: int, last: int, labels: str = "01") -> str:
    return "".join(f"text {i}\t{labels[i % len(labels)]}\n" for i in range(first, last))


def sizes(splits: DatasetDict) -> dict[str, int]:
    return {name: split.num_rows for name, split in splits.items()}


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
def test_unrecognizable_splits(folder, names, asked, message):
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
def test_path_that_is_neither_local_nor_a_hub_id(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets, "load_dataset", None)
    if path == "":
        path = "\n"
    with pytest.raises(UsageError, match=r"no such file or folder; give one, a hub id \(owner/name\), or"):
        Corpus(path).load(SENTIMENT)


def test_files_of_parallel_text(folder):
    path = folder(
        {"train.de": "a\n\u2028b\n", "train.en": "A\nB\n", "val.de": "c\n", "val.en": "C", "train.fr": "x"}
    )
    splits = Corpus(path).load({"source": ("xx", "de"), "target": "en"})
    assert splits["train"].to_dict() == {"source": ["a", "\u2028b"], "target": ["A", "B"]}
    assert splits["validation"].to_dict() == {"source": ["c"], "target": ["C"]}
    with pytest.raises(UsageError, match=r"train\.de: .* that also holds train\.it"):
        Corpus(path).load({"source": "de", "target": "it"})


class TestRow18PathsThatCannotBeRead:
    def test_folder(self, folder, monkeypatch):
        path = folder({"train.tsv": tsv(0, 4)})

        def refuse(self):  # permissions do not stop root, who may run this test
            raise PermissionError(13, "Permission denied", str(self))

        monkeypatch.setattr(Path, "iterdir", refuse)
        with pytest.raises(UsageError, match=r"cannot be read \(Permission denied\); check its permissions"):
            Corpus(path).load(SENTIMENT, "label")

    def test_name_that_is_too_long(self):
        with pytest.raises(UsageError, match=r"cannot be read \(File name too long\)"):
            Corpus("x" * 300 + ".csv").load(SENTIMENT, "label")

    def test_home_of_nobody(self):
        with pytest.raises(UsageError, match=r"~nobody-there/a\.csv: no such file or folder"):
            Corpus("~nobody-there/a.csv").load(SENTIMENT, "label")

    def test_folder_named_as_a_table(self, folder, tmp_path):
        path = folder({"dev.tsv": tsv(0, 4)})
        (tmp_path / "train.csv").mkdir()
        with pytest.raises(UsageError, match=r"train\.csv: is a directory; give a file"):
            Corpus(path).load(SENTIMENT, "label")


def test_unequal_sides_are_refused_with_both_counts(folder):
    with pytest.raises(UsageError, match=r"unequal length, in lines train\.de 3, train\.en 2"):
        Corpus(folder({"train.de": "a\nb\nc\n", "train.en": "A\nB\n"})).load(PAIRS)


def test_pairs_with_an_empty_side_are_dropped_and_counted(folder, caplog):
    de, en = "a\n\nc\n \u3000\ne\n", "A\nB\n\t\n\nE\n"
    path = folder({"train.de": de, "train.en": en, "val.de": "v\n", "val.en": "V\n"})
    assert Corpus(path).load(PAIRS)["train"].to_dict() == {"source": ["a", "e"], "target": ["A", "E"]}
    assert [r.message.partition(": ")[2] for r in caplog.records] == [
        "dropped 3 row(s) in which a column is empty"
    ]


def test_labeled_rows_stay_however_blank(folder, caplog):
    path = folder({"train.tsv": "\t1\n \t0\na\t1\n", "dev.tsv": "b\t1\n\t0\n"})
    splits = Corpus(path).load(SENTIMENT, "label")
    assert splits["train"]["text"][:] == ["", " ", "a"]
    assert splits["validation"]["text"][:] == ["b", ""]
    assert not any("dropped" in record.message for record in caplog.records)
