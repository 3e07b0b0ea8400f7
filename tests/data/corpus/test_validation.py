"""What is wrong with rows is refused with its row, and what is dropped is counted."""

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nlp_rnn.data.corpus import spool, validation
from nlp_rnn.data.corpus.columns import Words
from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.data.corpus.validation import normalize_labels, warn_shared_rows
from nlp_rnn.errors import UsageError

SENTIMENT = {"text": ("text", "sentence", "document"), "label": "label"}
PAIRS = {"source": "de", "target": "en"}
TAGS = {"tokens": Words(("tokens",)), "upos": Words(("upos",))}


def tsv(first: int, last: int, labels: str = "01") -> str:
    return "".join(f"text {i}\t{labels[i % len(labels)]}\n" for i in range(first, last))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param({"train.tsv": "good\t1\nbad\n"}, r"train.tsv, line 2: 2 fields expected", id="ragged"),
        pytest.param(
            {"train.jsonl": '{"review": "a", "label": 1}\n'},
            r"train.jsonl, line 1: no column 'text' or .*; the columns are review, label",
            id="column",
        ),
        pytest.param(
            {"train.tsv": tsv(0, 4), "dev.tsv": "x\t0\ny\tneutral\n"},
            r"dev.tsv, row 2: label 'neutral' is never seen in train; known: 0, 1",
            id="label never seen",
        ),
        pytest.param(
            {"train.tsv": tsv(0, 4), "dev.tsv": tsv(4, 6), "test.tsv": "x\t2\n"},
            r"test.tsv, row 1: label '2' is never",
            id="label never seen, test",
        ),
        pytest.param({"train.tsv": ""}, r"train.tsv: no rows for the train split", id="empty"),
        pytest.param({"train.tsv": "text\tlabel\n"}, r"train.tsv: no rows", id="header alone"),
        pytest.param({"train.tsv": tsv(0, 9, "1")}, r"every label in train is '1'; give two", id="one class"),
        pytest.param(
            {"train.tsv": tsv(0, 2)}, "2 rows are too few to sample a validation split from", id="too few"
        ),
    ],
)
def test_bad_labeled_data_is_refused(folder, files, message):
    with pytest.raises(UsageError, match=message) as error:
        Corpus(folder(files)).load(SENTIMENT, "label")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"tokens": ["a", "b"], "upos": ["X"]}', "row 2: 2 tokens but 1 upos; give the same number of both"),
        ('{"tokens": ["a", null], "upos": ["X", "X"]}', "row 2: column 'tokens' holds no value"),
    ],
)
def test_bad_tagged_data_is_refused(folder, line, message):
    good = '{"tokens": ["a", "b"], "upos": ["X", "Y"]}\n'
    with pytest.raises(UsageError, match=message):
        Corpus(folder({"train.jsonl": good + line + "\n"})).load(TAGS, "upos")


def test_rows_in_train_and_test_are_counted(folder, caplog):
    path = folder({"train.tsv": tsv(0, 10), "dev.tsv": tsv(0, 10), "test.tsv": tsv(8, 12) + "text 0\t1\n"})
    Corpus(path).load(SENTIMENT, "label")
    messages = [r.message for r in caplog.records if "no header" not in r.message]
    assert messages == [
        f"{path}/dev.tsv: 10 validation row(s) are also in train",
        f"{path}/test.tsv: 2 test row(s) are also in train",
        f"{path}/test.tsv: 1 text(s) of test are in train with another label",
    ]


def test_a_text_with_several_labels_is_counted_once(folder, caplog):
    train = "text\tlabel\na\t0\na\t1\na\t0\nb\t0\nb\t1\nc\t0\nc\t0\n"
    path = folder({"train.tsv": train, "dev.tsv": "text\tlabel\na\t0\nc\t1\nnew\t1\n"})
    Corpus(path).load(SENTIMENT, "label")
    assert [r.message for r in caplog.records] == [
        f"{path}/train.tsv: 2 text(s) have more than one label in train",
        f"{path}/dev.tsv: 1 validation row(s) are also in train",
        f"{path}/dev.tsv: 1 text(s) of validation are in train with another label",
    ]


def test_pairs_have_no_labels(folder, caplog):
    path = folder({"train.de": "a\na\n", "train.en": "A\nB\n", "val.de": "a\na\n", "val.en": "B\nC\n"})
    Corpus(path).load(PAIRS)
    assert [r.message for r in caplog.records] == [
        f"{path}/val.de and {path}/val.en: 1 validation row(s) are also in train"
    ]


def test_tagged_sentences_too(folder, caplog):
    rows = ['{"tokens": ["a", "b"], "upos": ["X", "Y"]}\n', '{"tokens": ["a b"], "upos": ["X"]}\n']
    path = folder({"train.jsonl": rows[0], "dev.jsonl": rows[1], "test.jsonl": rows[0] + rows[1]})
    Corpus(path).load(TAGS, "upos")
    assert [r.message for r in caplog.records] == [f"{path}/test.jsonl: 1 test row(s) are also in train"]


def test_untagged_words_are_no_label(folder, caplog):
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
        f"{path}/dev.conllu: 1 word(s) without a tag (_ or -100) are left out of scoring"
    ]


def test_untagged_words_make_no_second_class(folder):
    rows = '{"tokens": ["a", "b"], "upos": ["X", "_"]}\n' * 9
    with pytest.raises(UsageError, match="every upos in train is 'X'; give two or more"):
        Corpus(folder({"train.jsonl": rows})).load(TAGS, "upos")


def test_long_labels_and_many_labels_are_shortened(folder):
    labels = [f"{number:05}" + "x" * 1000 for number in range(100)]
    train = "text\tlabel\n" + "".join(f"text\t{label}\n" for label in labels)
    path = folder({"train.tsv": train, "dev.tsv": "text\tlabel\na\t" + "y" * 1000 + "\n"})
    with pytest.raises(UsageError, match=r"label 'y{30}…' is never seen in train; known: 00000") as error:
        Corpus(path).load(SENTIMENT, "label")
    assert len(str(error.value).replace(path, "")) <= 1000


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["1", "1 ", " 1"], ["1", "1", "1"]),
        (["1.0", "-0.0", "2.50", "1e2"], ["1", "0", "2.5", "100"]),
        ([".5", "0.50", "-.5", "."], ["0.5", "0.5", "-0.5", "."]),
        (
            ["9007199254740993", "9007199254740992.0", "9" * 400],
            ["9007199254740993", "9007199254740992", "9" * 400],
        ),
        (["007", "1.0.0", "1,5", "nan", "+1"], ["007", "1.0.0", "1,5", "nan", "1"]),
        (["True", "FALSE", "true"], ["true", "false", "true"]),
        (["\u1107\u116e\u110c\u1165\u11bc", "부정"], ["부정", "부정"]),
        (["-100", "x"], ["-100", "x"]),
        ([None, "a "], [None, "a"]),
    ],
)
def test_labels_have_one_spelling(labels, expected):
    table = normalize_labels(pa.table({"text": ["x"] * len(labels), "label": labels}), "label")
    assert table["label"].to_pylist() == expected


def test_tags_have_one_spelling_and_minus_100_is_not_scored():
    table = pa.table({"upos": [["1.0", "-100"], None, ["X "]]})
    assert normalize_labels(table, "upos")["upos"].to_pylist() == [["1", "_"], None, ["X"]]


@pytest.mark.parametrize("test", ["", "text\tlabel\n", "a\t\nb\t\n"], ids=["empty", "header", "no labels"])
def test_an_evaluation_split_without_rows_is_left_out_unless_it_is_named(folder, test, caplog):
    path = folder({"train.tsv": tsv(0, 10), "test.tsv": test})
    assert set(Corpus(path).load(SENTIMENT, "label")) == {"train", "validation"}
    assert "the test split is left out: " in caplog.text
    with pytest.raises(UsageError, match=r"test\.tsv: no rows for the test split"):
        Corpus(path, test_split="test").load(SENTIMENT, "label")


rows_with_labels = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("xyz")), max_size=40)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(train=rows_with_labels, test=rows_with_labels, chunk=st.integers(1, 9))
def test_shared_rows_are_counted(monkeypatch, caplog, train, test, chunk):
    def table(rows, names=("text", "label")):
        return pa.table(
            {name: pa.array([r[place] for r in rows], pa.string()) for place, name in enumerate(names)}
        )

    caplog.clear()
    with monkeypatch.context() as patch:
        patch.setattr(spool, "CHUNK_ROWS", chunk)
        patch.setattr(validation, "_HASHES_AT_ONCE", chunk)
        patch.setattr(validation, "_HASHES_SORTED", chunk)
        warn_shared_rows({"train": ("train", table(train)), "test": ("test", table(test))}, "label")
    labels = {text: {label for t, label in train if t == text} for text, _ in train}
    counts = [
        (
            sum(len(found) > 1 for found in labels.values()),
            "train: {} text(s) have more than one label in train",
        ),
        (sum(row in train for row in test), "test: {} test row(s) are also in train"),
        (
            sum(row not in train and row[0] in labels for row in test),
            "test: {} text(s) of test are in train with another label",
        ),
    ]
    assert caplog.messages == [message.format(count) for count, message in counts if count]
