"""Spans as tags, against another reading of the rules of conlleval."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.data.labels import UNSEEN
from nlp_rnn.lite.text.spans import (
    Span,
    find_scheme,
    legal_sequences,
    read_spans,
    scheme_labels,
    write_spans,
)
from nlp_rnn.models.layers.crf import LinearChain
from nlp_rnn.tasks.tagging.columns import SpanColumn, learn_column
from nlp_rnn.tasks.tagging.scoring import UNKNOWN_TAG, SpanScorer

few = settings(derandomize=True, max_examples=100, deadline=None, database=None)
SCHEMES = ("iob1", "iob2", "iobes", "bilou")
TAGS = ["O", *(f"{letter}-{kind}" for letter in "BIES" for kind in ("X", "Y-Z"))]

# What conlleval says of two successive tags, by the letters of their positions, where the type is the same.
ENDS = {"BB", "BS", "BO", "IB", "IS", "IO"} | {f"{before}{after}" for before in "ES" for after in "BIESO"}
STARTS = {f"{before}{after}" for before in "OBIES" for after in "BS"} | {"EE", "EI", "SE", "SI", "OE", "OI"}


def count_spans(truth, predicted):
    """Numbers of correct, true and predicted spans, word by word, as conlleval counts them."""
    correct = right = found = 0
    open_in_both = False
    before = "O", "O"
    for pair in [*zip(truth, predicted, strict=True), ("O", "O")]:
        ends, starts = [], []
        for last, tag in zip(before, pair, strict=True):
            letters, same = last[0] + tag[0], last[2:] == tag[2:]
            ends.append(letters in ENDS or (last != "O" and not same))
            starts.append(letters in STARTS or (tag != "O" and not same))
        if open_in_both:
            if all(ends):
                correct, open_in_both = correct + 1, False
            elif any(ends) or before[0][2:] != before[1][2:]:
                open_in_both = False
        if all(starts) and pair[0][2:] == pair[1][2:]:
            open_in_both = True
        right, found = right + starts[0], found + starts[1]
        before = pair
    return correct, right, found


@st.composite
def layouts(draw):
    """Spans that do not overlap, and the number of words."""
    spans, place = [], 0
    for _ in range(draw(st.integers(0, 4))):
        start = place + draw(st.integers(0, 2))
        place = start + draw(st.integers(1, 3))
        spans.append(Span(start, place, draw(st.sampled_from(["X", "Y-Z"]))))
    return spans, place + draw(st.integers(0, 2))


@few
@given(rows=st.lists(st.lists(st.tuples(*[st.sampled_from(TAGS)] * 2), max_size=8), min_size=1, max_size=4))
def test_scores_equal_conlleval(rows):
    labels = scheme_labels(["X", "Y-Z"], "iobes")
    scorer = SpanScorer(SpanColumn("ner", labels, "iobes"))
    metrics = scorer.make_metrics()
    longest = max(map(len, rows))
    ids = torch.full((2, longest, len(rows)), IGNORED)
    counts = []
    for number, row in enumerate(rows):
        for step, pair in enumerate(row):
            ids[:, step, number] = torch.tensor([labels.index(tag) for tag in pair])
        counts.append(count_spans([tag for tag, _ in row], [tag for _, tag in row]))
    truth, predicted = ids[0], ids[1].clamp(min=0)
    scorer.update(metrics, predicted, truth, truth >= 0)
    correct, right, found = map(sum, zip(*counts, strict=True))
    results = scorer.compute(metrics)
    precision, recall = correct / max(1, found), correct / max(1, right)
    assert results["precision"] == pytest.approx(precision)
    assert results["recall"] == pytest.approx(recall)
    assert results["f1"] == pytest.approx(2 * precision * recall / max(precision + recall, 1e-9))
    table = scorer.tables(metrics)["classes"]
    assert [row["class"] for row in table] == ["X", "Y-Z"]
    assert sum(row["support"] for row in table) == right


def test_scores_of_types():
    labels = scheme_labels(["LOC", "PER"], "iob2")
    scorer = SpanScorer(SpanColumn("ner", labels, "iob2"))
    metrics = scorer.make_metrics()
    truth = ["B-PER", "I-PER", "O", "B-LOC", "B-LOC", "O"]
    predicted = ["B-PER", "I-PER", "O", "B-LOC", "I-LOC", "B-PER"]
    ids = [torch.tensor([[labels.index(tag)] for tag in tags]) for tags in (predicted, truth)]
    scorer.update(metrics, *ids, ids[0] >= 0)
    results = scorer.compute(metrics)
    assert results["precision"] == pytest.approx(1 / 3)
    assert results["recall"] == pytest.approx(1 / 3)
    assert (results["f1_PER"], results["f1_LOC"]) == (pytest.approx(2 / 3), 0)
    assert results["accuracy"] == pytest.approx(4 / 6)


def test_spans_of_unknown_type_and_words_without_a_tag():
    labels = scheme_labels(["X"], "iob2")  # B-X, I-X, O
    scorer = SpanScorer(SpanColumn("ner", labels, "iob2"))
    metrics = scorer.make_metrics()
    truth = torch.tensor([[UNSEEN], [UNSEEN], [2], [0], [IGNORED], [0]])
    predicted = torch.tensor([[0], [1], [2], [0], [0], [0]])
    scorer.update(metrics, predicted, truth, truth != IGNORED)
    counts = {row["class"]: row["support"] for row in scorer.tables(metrics)["classes"]}
    assert counts == {"X": 2, UNKNOWN_TAG: 1}
    results = scorer.compute(metrics)
    assert (results["precision"], results["recall"]) == (pytest.approx(2 / 3), pytest.approx(2 / 3))


@few
@given(layout=layouts(), scheme=st.sampled_from(SCHEMES))
def test_written_spans_are_read_back(layout, scheme):
    spans, length = layout
    tags = write_spans(spans, length, scheme)
    assert read_spans(tags) == spans
    assert set(tags) <= set(scheme_labels({span.type for span in spans}, scheme))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_legal_are_the_sequences_that_can_be_written(scheme):
    """Every sequence of up to four tags is legal exactly if it is how its own spans are written."""
    labels = scheme_labels(["X", "Y"], scheme)
    start, transitions, end = legal_sequences(labels, scheme)
    for length in (1, 2, 3) + (4,) * (len(labels) < 6):
        for ids in itertools.product(range(len(labels)), repeat=length):
            is_legal = start[ids[0]] and end[ids[-1]]
            is_legal &= all(transitions[a][b] for a, b in itertools.pairwise(ids))
            tags = [labels[id] for id in ids]
            assert is_legal == (write_spans(read_spans(tags), length, scheme) == tags), tags


@few
@given(st.integers(0, 2**30), st.sampled_from(SCHEMES), st.integers(1, 9))
def test_illegal_sequences_are_never_the_best(seed, scheme, length):
    labels = scheme_labels(["X", "Y"], scheme)
    chain = LinearChain(*map(torch.tensor, legal_sequences(labels, scheme)))
    emissions = torch.randn(length, 1, len(labels), generator=torch.Generator().manual_seed(seed))
    tags = [labels[id] for id in chain.best_tags(emissions, torch.tensor([length]))[:, 0]]
    assert write_spans(read_spans(tags), length, scheme) == tags


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        ("O I-X I-X O, I-X B-X O", "iob1"),
        ("O I-X I-X O", "iob1"),
        ("O B-X I-X O, B-X B-X", "iob2"),
        ("B-X, O I-X, B-X I-X", "iob2"),
        ("O B-X E-X S-Y", "iobes"),
        ("O B-X L-X U-Y", "bilou"),
        ("O B I I B", "iob2"),
        ("NOUN VERB O", None),
        ("B-X NOUN", None),
        ("O S", None),
        ("O O", None),
        ("B-X B O", None),
        ("B-X L-X S-X O", None),
    ],
)
def test_schemes_are_recognized(text, scheme):
    assert find_scheme([row.split() for row in text.split(", ")]) == scheme


def test_tags_that_are_not_legal_are_read_as_conlleval_does(caplog):
    rows = [["B-X", "I-X", "O"], ["O", "I-X", "_", "I-X"]]
    column = learn_column("ner", rows, rows, "auto")
    assert (column.scheme, column.types) == ("iob2", ["X"])
    assert "2 tag(s) of ner in train are not legal in iob2" in caplog.text
    assert column.decode([], [0, 1, 2]) == ["B-X", "I-X", "O"]
    assert column.encode(rows, rows) == [[0, 1, 2], [2, 0, IGNORED, 0]]
    assert column.encode([], [["B-X", "I-Y"], ["S-X"]]) == [[0, UNSEEN], [0]]


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ("iob1", ["I-X", "I-X", "B-X"]),
        ("iobes", ["B-X", "E-X", "S-X"]),
        ("bilou", ["B-X", "L-X", "U-X"]),
        ("none", ["B-X", "I-X", "B-X"]),
    ],
)
def test_a_scheme_is_converted(scheme, expected):
    rows = [["B-X", "I-X", "B-X"], ["O"]]
    column = learn_column("ner", rows, rows, scheme)
    assert column.decode([], column.encode(rows, rows)[0]) == expected
