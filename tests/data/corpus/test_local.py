"""Splits in local files: found by name, as tables or as the sides of parallel text."""

import gzip
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
    found = Corpus(path)._reader({"text": ("text",)}, None, True).choose()
    wanted = zip(("train", "validation", "test"), expected.split(), strict=True)
    assert found == {split: stem for split, stem in wanted if stem != "-"}


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
    assert sizes(Corpus(path).load(SENTIMENT, "label")) == {"train": 32, "validation": 4, "test": 4}
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
        "left out 3 of 5 row(s) with an empty column: source in 2, target in 2"
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tsv", "text\tlabel\n\t1\n \t0\na\t1\nb\t0\nc\t\nd\t  \n"),
        ("csv", 'text,label\n"",1\n" ",0\na,1\nb,0\nc,\nd,"  "\n'),
        (
            "jsonl",
            '{"text": null, "label": 1}\n{"text": " ", "label": 0}\n{"text": "a", "label": 1}\n'
            '{"text": "b", "label": 0}\n{"text": "c", "label": null}\n{"text": "d", "label": null}\n',
        ),
    ],
)
def test_missing_texts_and_labels_are_left_out_and_counted_in_every_format(folder, caplog, name, content):
    path = folder({f"train.{name}": content, f"dev.{name}": content})
    splits = Corpus(path).load(SENTIMENT, "label")
    for split in splits.values():
        assert split.to_dict() == {"text": ["a", "b"], "label": ["1", "0"]}
    messages = [record.message.partition(": ")[2] for record in caplog.records]
    assert messages.count("left out 4 of 6 row(s) with an empty column: text in 2, label in 2") == 2


def test_parts_of_a_split_are_one(folder, caplog):
    table = "text,label\n"
    path = folder(
        {
            "train-00001-of-00002.csv": table + "c,1\nd,0\n",
            "train-00000-of-00002.csv": table + "a,1\nb,0\n",
            "dev.csv": table + "e,1\nf,0\n",
        }
    )
    splits = Corpus(path).load(SENTIMENT, "label")
    assert splits["train"]["text"][:] == ["a", "b", "c", "d"]
    (Path(path) / "train-00000-of-00002.csv").unlink()
    assert Corpus(path).load(SENTIMENT, "label")["train"]["text"][:] == ["c", "d"]
    assert f"{path}/train-00001-of-00002.csv: 1 of 2 parts are there" in caplog.messages


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (("train.csv", "eval.csv"), {"train": 4, "validation": 4}),
        (("train.csv", "devel.csv", "devtest.csv"), {"train": 4, "validation": 4, "test": 4}),
        (("train.csv", "dev.csv", "devtest.csv", "test.csv"), {"train": 4, "validation": 4, "test": 4}),
    ],
)
def test_rarer_names_of_splits(folder, files, expected):
    path = folder(dict.fromkeys(files, "text,label\na,1\nb,0\nc,1\nd,0\n"))
    assert sizes(Corpus(path).load(SENTIMENT, "label")) == expected


def test_files_that_are_not_used_are_named(folder, caplog):
    content = "text,label\na,1\nb,0\nc,1\nd,0\n"
    path = folder({"train.csv": content, "dev.csv": content, "more.csv": content})
    Corpus(path).load(SENTIMENT, "label")
    assert f"{path}: not used: more (used are train, dev)" in caplog.messages


@pytest.mark.parametrize("split", ["dev.csv", "test.csv"])
def test_an_evaluation_split_that_cannot_be_used_does_not_stop_training(folder, caplog, split):
    path = folder({"train.csv": "text,label\n" + "a,1\nb,0\n" * 20, split: "id,text\n1,a\n"})
    assert set(Corpus(path).load(SENTIMENT, "label")) == {"train", "validation"}
    assert any("split is left out: " in message and split in message for message in caplog.messages)
    name = {"dev.csv": "validation", "test.csv": "test"}[split]
    with pytest.raises(UsageError, match="no column 'label'"):
        Corpus(path).load_split(SENTIMENT, name, "label")
    with pytest.raises(UsageError, match="no column 'label'"):
        Corpus(path, **{f"{name}_split": split.removesuffix(".csv")}).load(SENTIMENT, "label")


@pytest.mark.parametrize("compressed", ["", ".gz"])
def test_sides_of_parallel_text_that_end_in_txt(tmp_path, compressed):
    for name, content in (("train.de.txt", "a\nb\n" * 9), ("train.en.txt", "A\nB\n" * 9)):
        data = content.encode()
        (tmp_path / (name + compressed)).write_bytes(gzip.compress(data) if compressed else data)
    splits = Corpus(str(tmp_path), validation_fraction=0.5).load(PAIRS)
    assert set(splits["train"]["target"]) == {"A", "B"}


@pytest.mark.parametrize("with_splits", [True, False])
def test_a_folder_of_texts_per_label(tmp_path, with_splits):
    for split in ("train", "test") if with_splits else (".",):
        for label, text in (("neg", "bad\nfilm"), ("pos", "good"), ("unsup", "?")):
            (tmp_path / split / label).mkdir(parents=True)
            for number in range(4):
                (tmp_path / split / label / f"{number}_1.txt").write_text(f"{text} {number}\n")
    corpus = Corpus(str(tmp_path), validation_fraction=0.25, test_fraction=0)
    splits = corpus.load(SENTIMENT, "label")
    assert sizes(splits) == {"train": 6, "validation": 2} | ({"test": 8} if with_splits else {})
    assert {(row["text"].split()[0], row["label"]) for row in splits["train"]} == {
        ("bad", "neg"),
        ("good", "pos"),
    }
    key = Corpus(str(tmp_path)).cache_key(SENTIMENT, "label")
    file = next(tmp_path.rglob("3_1.txt"))
    file.rename(file.parent.parent / ("pos" if file.parent.name == "neg" else "neg") / "9_1.txt")
    assert key != Corpus(str(tmp_path)).cache_key(SENTIMENT, "label")


def test_a_folder_per_split(tmp_path):
    for split in ("train", "validation"):
        (tmp_path / split).mkdir()
        for part in "ab":
            (tmp_path / split / f"{part}.jsonl").write_text(
                f'{{"text": "{part}", "label": 1}}\n{{"text": "x", "label": 0}}\n'
            )
    splits = Corpus(str(tmp_path)).load(SENTIMENT, "label")
    assert splits["train"]["text"][:] == ["a", "x", "b", "x"]


@pytest.mark.parametrize("with_splits", [True, False])
def test_datasets_that_were_saved(tmp_path, with_splits):
    rows = datasets.Dataset.from_dict({"text": ["a", "b"] * 5, "label": [0, 1] * 5})
    (DatasetDict(train=rows, test=rows) if with_splits else rows).save_to_disk(str(tmp_path / "saved"))
    splits = Corpus(str(tmp_path / "saved")).load(SENTIMENT, "label")
    assert sizes(splits) == {
        "train": 9 - (not with_splits),
        "validation": 1,
        "test": 10 if with_splits else 1,
    }
    assert len(Corpus(str(tmp_path / "saved")).cache_key(SENTIMENT, "label")) == 64
    (tmp_path / "saved" / ("dataset_dict.json" if with_splits else "state.json")).write_text("{")
    with pytest.raises(UsageError, match="saved: cannot be loaded"):
        Corpus(str(tmp_path / "saved")).load(SENTIMENT, "label")


def test_an_unknown_ending_names_a_similar_one(folder):
    path = folder({"reviews.cvs": "a,1\n"})
    with pytest.raises(
        UsageError, match=r"reviews\.cvs: \.cvs is not one of the formats .*; did you mean \.csv\?"
    ):
        Corpus(f"{path}/reviews.cvs").load(SENTIMENT, "label")


def test_pairs_with_tabs_between_in_a_text_file(folder):
    lines = "".join(f'Go {i}.\tGeh {i}.\tby "a" & b\n' for i in range(20))
    path = folder({"deu.txt": lines, "deu.tsv": lines})
    pairs = {"source": "en", "target": "de"}
    with pytest.raises(
        UsageError, match=r"deu\.txt: .* rename it to \.tsv and state .*corpus\.columns.*\.en$"
    ):
        Corpus(f"{path}/deu.txt", columns=("en", "de", "by")).load(pairs)
    splits = Corpus(f"{path}/deu.tsv", columns=("en", "de", "by")).load(pairs)
    assert sizes(splits) == {"train": 16, "validation": 2, "test": 2}
    assert all(row["source"].replace("Go", "Geh") == row["target"] for row in splits["train"])


@pytest.mark.parametrize(
    "files",
    [
        ("README.md", "data/train.tsv", "data/test.tsv"),
        ("README.md", "data/train-00000-of-00001.tsv", "data/test-00000-of-00001.tsv"),
    ],
)
def test_splits_in_a_folder_of_the_folder(files, tmp_path):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(tsv(0, 20))
    splits = Corpus(str(tmp_path)).load(SENTIMENT, "label")
    assert sizes(splits) == {"train": 18, "validation": 2, "test": 20}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("train-00000-of-00001.tsv", "train.tsv"), "train.tsv is in the same folder; keep one of the two"),
        (("train-00000-of-00001.tsv", "train-00000-of-00002.tsv"), "is in the same folder"),
        (("a/train.tsv", "a/test.tsv", "b/train.tsv"), "holds the splits test, train, not the parts of one"),
    ],
)
def test_files_that_are_not_the_parts_of_one_split(names, message, tmp_path):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(tsv(0, 20))
    with pytest.raises(UsageError, match=message):
        Corpus(str(tmp_path), train_split="a" if "/" in names[0] else None).load(SENTIMENT, "label")


@pytest.mark.parametrize("other", ["train.de.txt", "train.de.gz", "train.tsv"])
def test_two_files_of_one_side_are_refused(folder, other):
    path = Path(folder({"train.de": "a\n", "train.en": "b\n"}))
    (path / other).write_bytes(gzip.compress(b"x\n") if other.endswith("gz") else b"x\ty\n")
    with pytest.raises(UsageError, match="is in the same folder; keep one of the two"):
        Corpus(str(path)).load(PAIRS)


def test_the_raw_text_beside_a_treebank_is_not_read(folder):
    words = "\n\n".join("1\ta\ta\tX\t_\t_\t0\troot\t_\t_\n2\tb\tb\tY\t_\t_\t1\tdep\t_\t_" for _ in range(9))
    path = folder({"x-ud-train.conllu": words + "\n\n", "x-ud-train.txt": "a b a b\n"})
    assert sizes(Corpus(path).load(TAGS, "upos")) == {"train": 7, "validation": 1, "test": 1}


def test_texts_by_label_among_other_files(tmp_path, caplog):
    for split in ("train", "test"):
        for label in ("pos", "neg"):
            (tmp_path / split / label).mkdir(parents=True)
            for i in range(3):
                (tmp_path / split / label / f"{i}.txt").write_text(f"{label} {i} {split}")
        (tmp_path / split / "urls_pos.txt").write_text("http://\n")
        (tmp_path / split / "pos" / "Thumbs.db").write_bytes(b"\xff")
    splits = Corpus(str(tmp_path)).load(SENTIMENT, "label")
    assert sizes(splits) == {"train": 5, "validation": 1, "test": 6}
    assert f"{tmp_path}/train/pos: not used: Thumbs.db" in caplog.text


@pytest.mark.parametrize(
    ("name", "message"), [("a.csv.zip", "an archive of files; unpack it"), ("a.xlsx", "save it as CSV")]
)
def test_other_containers_of_tables_are_named(folder, name, message):
    with pytest.raises(UsageError, match=message):
        Corpus(folder({name: "x"}) + f"/{name}").load(SENTIMENT, "label")


def test_a_whole_file_is_read_as_its_columns_and_encoding_say(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_bytes("1\tschön\n0\tschlecht\n".encode("cp1252"))
    corpus = Corpus(str(path), columns=["label", "text"], encoding="cp1252")
    assert corpus.load_split(SENTIMENT, "test", "label").to_dict() == {
        "text": ["schön", "schlecht"],
        "label": ["1", "0"],
    }
    with pytest.raises(UsageError, match="no column text"):
        Corpus(str(path), encoding="cp1252").load_split(SENTIMENT, "test", "label", guess=False)
