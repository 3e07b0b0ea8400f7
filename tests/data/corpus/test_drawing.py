"""Splits that are drawn from train: whole, stratified, in groups; and the record of them."""

import base64
import random
import zlib
from collections import Counter, defaultdict
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_rnn.data.corpus.drawing import Drawn, content_hash, draw_rows, draw_splits, number_groups
from nlp_rnn.data.corpus.validation import label_names
from nlp_rnn.errors import UsageError

BOTH = {"validation": 0.1, "test": 0.1}


@settings(max_examples=60, deadline=None)
@given(
    labels=st.lists(st.sampled_from("abcde"), min_size=4, max_size=80).filter(
        lambda x: 1 < len(set(x)) < len(x) - 1
    ),
    fractions=st.tuples(st.floats(0.01, 0.45), st.floats(0.01, 0.45)),
    num_groups=st.none() | st.integers(3, 40),
    seed=st.integers(0, 99),
    listed=st.booleans(),
)
def test_each_row_is_in_one_split_and_groups_are_whole(labels, fractions, num_groups, seed, listed):
    """One label per row, or lists of two per row (the label of the first row and of the row itself)."""
    column = [[labels[0], label] for label in labels] if listed else labels
    table = pa.table({"label": column, "text": [f"text {row}" for row in range(len(labels))]})
    groups = np.arange(len(labels)) % num_groups if num_groups else None
    wanted = dict(zip(("validation", "test"), fractions, strict=True))
    try:
        splits = draw_splits("here", table, "label", wanted, seed, groups)
    except UsageError:
        assert num_groups  # train needs them all, for their labels
        return
    again = draw_splits("here", table, "label", wanted, seed, groups)
    assert {name: list(rows) for name, rows in splits.items()} == {n: list(rows) for n, rows in again.items()}
    assert sorted(np.concatenate(list(splits.values()))) == list(range(len(labels)))
    assert all(len(rows) and list(rows) == sorted(rows) for rows in splits.values())
    train = table.take(pa.array(splits["train"]))
    assert set(label_names(train, "label")) == set(labels)
    if groups is not None:
        places = defaultdict(set)
        for name, rows in splits.items():
            for row in rows:
                places[groups[row]].add(name)
        assert all(len(names) == 1 for names in places.values())


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(2, 60), min_size=2, max_size=4),
    fraction=st.floats(0.02, 0.5),
    seed=st.integers(0, 99),
)
def test_each_label_gets_its_share_to_within_one_row(counts, fraction, seed):
    labels = [label for label, count in zip("abcd", counts, strict=False) for _ in range(count)]
    random.Random(seed).shuffle(labels)
    table = pa.table({"label": labels})
    size = max(1, round(fraction * len(labels)))
    drawn = draw_rows(table, "label", size, seed)
    free = len(labels) - len(counts)  # one row of each label stays in train
    assert drawn.sum() == min(size, free)
    found = Counter(np.array(labels)[drawn])
    for label, count in zip("abcd", counts, strict=False):
        assert abs(found[label] - min(size, free) * (count - 1) / free) < 1


@pytest.mark.parametrize(
    ("fraction", "drawn"),
    [(0.1, [4, 6]), (0.25, [10, 15]), (0.128, [5, 8]), (0.5, [20, 30]), (0.001, [0, 1])],
)
def test_the_fraction_is_of_all_rows_and_of_each_label(fraction, drawn):
    table = pa.table({"label": ["a"] * 40 + ["b"] * 60, "text": [str(row) for row in range(100)]})
    wanted = {"validation": fraction, "test": min(fraction, 0.4)}
    splits = draw_splits("here", table, "label", wanted, 0)
    assert len(splits["validation"]) == sum(drawn)
    assert len(splits["test"]) == max(1, round(100 * wanted["test"]))
    labels = table["label"].take(pa.array(splits["validation"])).to_pylist()
    for label, number in zip("ab", drawn, strict=True):
        assert abs(labels.count(label) - number) <= 1


def test_splits_are_those_of_earlier_versions():
    """The same validation rows are drawn as before test was, whatever the fraction of test."""
    table = pa.table({"label": list("ab") * 20, "text": [str(row) for row in range(40)]})
    for wanted in ({"validation": 0.1}, {"validation": 0.1, "test": 0.2}):
        assert draw_splits("here", table, "label", wanted, 0)["validation"].tolist() == [5, 10, 36, 37]
    without = draw_splits("here", table.select(["text"]), None, {"validation": 0.1}, 0)
    assert without["validation"].tolist() == [2, 14, 25, 30]


def test_groups_are_drawn_as_near_to_the_fraction_as_they_can():
    draw = random.Random(0)
    groups = np.array([draw.choice([*range(60), 0, 0, 0]) for _ in range(1000)])
    table = pa.table({"label": ["ab"[group % 2] for group in groups], "text": list(map(str, range(1000)))})
    splits = draw_splits("here", table, "label", BOTH, 0, groups)
    largest = np.bincount(groups).max()
    for name in BOTH:
        assert abs(len(splits[name]) - 100) <= largest / 2
        labels = Counter(table["label"].take(pa.array(splits[name])).to_pylist())
        assert 0.3 < labels["a"] / len(splits[name]) < 0.7
    # Two are too few for three splits, and one of three that are all large is better than none.
    halves = np.arange(1000) % 2
    labels = table.set_column(0, "label", pa.array(list("aabb") * 250))
    assert set(draw_splits("here", labels, "label", BOTH, 0, halves)) == {"train", "validation"}
    thirds = draw_splits("here", labels, "label", BOTH, 0, np.arange(1000) % 3)
    assert {name: len(rows) for name, rows in thirds.items()}.keys() == {"train", *BOTH}
    with pytest.raises(UsageError, match="here: 1 groups are too few to sample a validation split from"):
        draw_splits("here", labels, "label", BOTH, 0, np.full(1000, 7))


def test_equal_texts_stay_together(caplog):
    texts = [f"text {row % 100}" for row in range(1000)]
    table = pa.table({"text": texts, "label": ["ab"[row // 7 % 2] for row in range(1000)]})
    splits = draw_splits("here", table, "label", BOTH, 0)
    of = {name: {texts[row] for row in rows} for name, rows in splits.items()}
    assert sum(map(len, of.values())) == 100
    assert [len(splits[name]) for name in BOTH] == [100, 100]
    assert caplog.text == ""
    few = pa.table({"text": ["good", "bad"] * 50, "label": ["1", "0"] * 50})
    splits = draw_splits("here", few, "label", BOTH, 0)
    assert {name: len(rows) for name, rows in splits.items()} == {"train": 80, "validation": 10, "test": 10}
    for name in BOTH:
        assert f"here: 10 {name} row(s) are also in train" in caplog.text


@pytest.mark.parametrize(
    ("fractions", "groups"),
    [({"validation": 0.2}, None), (BOTH, np.arange(60))],
    ids=["validation", "groups"],
)
def test_equal_texts_that_do_not_stay_together_are_counted(fractions, groups, caplog):
    table = pa.table({"text": [f"text {row % 30}" for row in range(60)], "label": ["a", "b"] * 30})
    splits = draw_splits("here", table, "label", fractions, 0, groups)
    texts = {name: table["text"].take(pa.array(rows)).to_pylist() for name, rows in splits.items()}
    for name in fractions:
        shared = sum(text in texts["train"] for text in texts[name])
        assert shared
        assert f"here: {shared} {name} row(s) are also in train" in caplog.text


def test_few_rows_are_refused_or_leave_no_test_split(caplog):
    table = pa.table({"text": list("abc"), "label": list("001")})
    assert {n: len(r) for n, r in draw_splits("here", table, "label", BOTH, 0).items()} == {
        "train": 2,
        "validation": 1,
    }
    assert "there is no test split: here: 3 rows are too few to sample a test split from" in caplog.text
    with pytest.raises(UsageError, match="here: 2 rows are too few to sample a validation split from"):
        draw_splits("here", table.slice(1), "label", BOTH, 0)


def test_rows_without_a_group_are_groups_of_their_own(caplog):
    groups = number_groups("a.csv", pa.chunked_array([["x", None, "", "y", " ", "x"]]))
    assert "a.csv: 3 row(s) have no group (corpus.group); each is by itself" in caplog.text
    assert groups[0] == groups[5]
    assert len(set(groups)) == 5


def test_the_record_is_small_and_survives_storage():
    codes = np.random.default_rng(0).choice(
        ["train", "validation", "test", ""], 100_000, p=[0.78, 0.1, 0.1, 0.02]
    )
    splits = {name: np.flatnonzero(codes == name) for name in ("train", "validation", "test")}
    drawn = Drawn.of("a.csv", "0" * 64, len(codes), splits)
    assert len(drawn.codes) < 0.22 * len(codes)
    found = Drawn.from_state(asdict(drawn)).split_rows()
    assert {name: rows.tolist() for name, rows in found.items()} == {n: r.tolist() for n, r in splits.items()}


@pytest.mark.parametrize(
    "change",
    [
        {"codes": 3},
        {"rows": -1},
        {"rows": True},
        {"content": "../x"},
        {"source": None},
        {"path": "/etc/passwd"},
    ],
)
def test_a_record_of_a_stranger_is_checked(change):
    state = asdict(Drawn.of("a.csv", "0" * 64, 3, {"train": np.arange(3)}))
    with pytest.raises(UsageError, match="drawn must be source, content, rows and codes"):
        Drawn.from_state({**state, **change})
    with pytest.raises(UsageError, match="drawn must be"):
        Drawn.from_state("x")


def test_damaged_codes_are_refused_and_bombs_not_unpacked():
    def codes(data):
        return base64.b64encode(zlib.compress(data)).decode()

    for damaged in ("!", "AAAA", codes(b"\1\1"), codes(b""), codes(bytes(10**8))):
        with pytest.raises(UsageError, match="is damaged; delete it"):
            Drawn("a.csv", "0" * 64, 3, damaged).split_rows()


def test_the_hash_is_of_the_rows_but_not_of_their_labels():
    table = pa.table({"text": ["a", None, "b"], "words": [["x", "y"], [], ["z"]], "label": list("001")})
    base = content_hash(table, "label")
    assert base == content_hash(table.set_column(2, "label", pa.array(list("111"))), "label")
    assert base == content_hash(pa.concat_tables([table.slice(0, 1), table.slice(1)]), "label")
    vectors = pa.table({"x": pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32())), "y": [1.5, 2.5]})
    others = [
        content_hash(table, None),
        content_hash(table.slice(1), "label"),
        content_hash(table.set_column(0, "text", pa.array(["a", "b", "b"])), "label"),
        content_hash(table.set_column(1, "words", pa.array([["x"], ["y"], ["z"]])), "label"),
        content_hash(vectors, None),
        content_hash(vectors.set_column(1, "y", pa.array([1.5, 2.0])), None),
        content_hash(vectors.set_column(0, "x", vectors["x"].take(pa.array([1, 0]))), None),
    ]
    assert len({base, *others}) == 1 + len(others)
