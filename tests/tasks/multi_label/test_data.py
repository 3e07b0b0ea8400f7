"""Sets of labels: lists, text with separators, a column per label."""

import json

import pytest

from nlp_rnn.data import Corpus, MultiLabelData, VocabularySettings
from nlp_rnn.data.encoding import encode
from nlp_rnn.errors import UsageError

TEXTS = ["a good film", "a bad film", "dull", "fun"]
SETS = [["drama", "war"], ["drama"], [], ["fun", "war"]]
NAMES = ("drama", "fun", "war")


def lines(header, line):
    """The lines of a file: its header, and one line per text and its labels."""
    return [*header, *(line(text, labels) for text, labels in zip(TEXTS, SETS, strict=True))]


def flags(labels):
    return [int(name in labels) for name in NAMES]


FORMS = {
    "lists": ("jsonl", lines([], lambda text, labels: json.dumps({"text": text, "labels": labels}))),
    "bars": ("tsv", lines(["text\tlabels"], lambda text, labels: f"{text}\t{' | '.join(labels)}")),
    "semicolons": ("tsv", lines(["text\tlabels"], lambda text, labels: f"{text}\t{';'.join(labels)}")),
    "commas": ("csv", lines(["text,labels"], lambda text, labels: f'{text},"{", ".join(labels)}"')),
    "flags": (
        "csv",
        lines(
            ["text,drama,fun,war"],
            lambda text, labels: ",".join([text, *(str(int(n in labels)) for n in NAMES)]),
        ),
    ),
    "float flags": (
        "csv",
        lines(
            ["text,drama,fun,war"],
            lambda text, labels: ",".join([text, *(str(float(n in labels)) for n in NAMES)]),
        ),
    ),
}


def make(folder, form, **settings):
    ending, content = FORMS[form]
    for split in ("train", "validation"):
        (folder / f"{split}.{ending}").write_text("\n".join(content) + "\n")
    if form.endswith("flags"):
        settings = {"label": ["drama", "fun", "war"], **settings}
    return MultiLabelData(Corpus(str(folder)), vocabulary=VocabularySettings(min_frequency=1), **settings)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_labels(form, tmp_path):
    data = make(tmp_path, form)
    assert data.processor.labels == ["drama", "fun", "war"]
    batch = data.processor.collate(data.splits["train"][[0, 1, 2, 3]])
    assert batch.labels.tolist() == [[1, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 1, 1, 0]]


@pytest.mark.parametrize("form", ["bars", "commas"])
def test_says_how_labels_are_separated(form, tmp_path, caplog):
    make(tmp_path, form).load()
    mark = {"bars": "'|'", "commas": "','"}[form]
    said = f"labels are read as lists with {mark} between the labels; if one label may hold it, give lists"
    assert said in caplog.text


def test_labels_that_the_model_does_not_know_are_counted(tmp_path, caplog):
    processor = make(tmp_path, "bars").processor
    ids = processor.encode({"text": ["a film", "b"], "labels": [["war", "love"], ["love"]]})
    batch = processor.collate({"row": [0, 1], **ids})
    assert batch.labels.tolist() == [[0, 0, 1, 1], [0, 0, 0, 1]]
    assert "2 label(s) that the model does not know count as errors: 'love'" in caplog.text


def test_flags_say_yes_or_no(tmp_path):
    data = make(tmp_path, "flags")
    rows = data.load()["train"].to_dict()
    rows["drama"] = ["True", "FALSE", "no", "maybe"]
    with pytest.raises(UsageError, match="column 'drama' holds 'maybe', neither 1 nor 0"):
        data.processor.encode(rows)
    rows["drama"][3] = "Yes"
    ids = data.processor.encode(rows)["label_ids"]
    assert [0 in row for row in ids] == [True, False, False, True]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"label": ["drama"]}, "give the name of one column, or of two or more"),
        ({"label": ["drama", "text"]}, "none of them text"),
        ({"label": ["drama", "labels"]}, "none of them text or labels"),
        ({"label": ["drama", "love"]}, "no column 'love'"),
    ],
)
def test_errors(settings, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        make(tmp_path, "flags", **settings).load()


def test_texts_without_any_label_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("text,labels\n" + "a film,\n" * 30)
    with pytest.raises(UsageError, match=r"every labels in train is"):
        MultiLabelData(Corpus(str(tmp_path / "a.csv"))).load()


def test_encoding_a_whole_split(tmp_path):
    data = make(tmp_path, "lists")
    assert encode(data.load()["validation"], data.processor)["label_ids"].to_pylist() == [
        [0, 2],
        [0],
        [],
        [1, 2],
    ]


def test_a_label_may_be_called_as_a_column_is():
    data = MultiLabelData([{"text": "good", "labels": "labels|text"}, {"text": "bad", "labels": "b"}] * 5)
    assert data.processor.labels == ["b", "labels", "text"]
    encoded = data.processor.encode({"text": ["a"], "labels": [["text", "labels"]]})
    assert encoded["label_ids"] == [[2, 1]]


@pytest.mark.parametrize("train_mark", ["|", ";", ","])
def test_all_splits_have_the_separator_of_train(tmp_path, caplog, train_mark):
    """In the others, what separates labels elsewhere may be a part of a label."""
    other = {"|": ",", ";": "|", ",": "|"}[train_mark]
    rows = [f"text {number}\ta{other}b{train_mark}c" for number in range(9)] + ["text 9\tc", "text 10\td"]
    if other == "|":
        rows = [row.replace(other, " ") for row in rows]  # the first of several marks separates
    (tmp_path / "train.tsv").write_text("\n".join(["text\tlabels", *rows]) + "\n")
    for split in ("validation", "test"):
        (tmp_path / f"{split}.tsv").write_text(f"text\tlabels\n{split} 1\tc\n{split} 2\ta{other}b\n")
    data = MultiLabelData(str(tmp_path))
    splits = data.load()
    assert splits["train"]["labels"][0] == [rows[0].split("\t")[1].removesuffix(f"{train_mark}c"), "c"]
    for split in ("validation", "test"):
        assert list(splits[split]["labels"]) == [["c"], [f"a{other}b"]]
    assert caplog.text.count("between the labels") == 1
