"""Labeled series: sequences whole, padding not scored, and faults named by file and row."""

import numpy as np
import pytest

from nlp_rnn.data import Batching, Corpus, SeriesTaggingData
from nlp_rnn.data.batching import IGNORED
from nlp_rnn.errors import UsageError

SERIES = np.random.default_rng(0).normal(20, 5, (40, 2))


def write(path, columns):
    """Write a CSV file of columns; return its path."""
    rows = [columns, *zip(*columns.values(), strict=True)]
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    return str(path)


def recordings(count=6, steps=5):
    numbers = SERIES[: count * steps, 0].tolist()
    return {
        "value": numbers,
        "label": ["high" if number > 20 else "low" for number in numbers],
        "group": [f"r{at // steps}" for at in range(count * steps)],
    }


LABELED = {"inputs": "value", "label": "label", "group": "group"}


def test_sequences_are_whole_and_the_last_validate(tmp_path):
    path = write(tmp_path / "a.csv", recordings())
    data = SeriesTaggingData(
        Corpus(path, test_fraction=0, validation_fraction=0.3), **LABELED, batching=Batching(size=9)
    )
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 4, "validation": 2}
    (batch,) = data.val_dataloader()
    np.testing.assert_allclose(data.processor.means, [SERIES[:20, 0].mean()])
    steps = batch.vectors[..., 0].double().numpy() * data.processor.deviations + data.processor.means
    order = [batch.rows.index(0), batch.rows.index(1)]
    np.testing.assert_allclose(steps[:, order].T.ravel(), SERIES[20:30, 0], rtol=1e-5)
    labels = [data.processor.labels[label] for label in batch.labels[:, order].t().flatten()]
    assert labels == recordings()["label"][20:]


def test_shorter_sequences_are_padded_with_what_is_not_scored(tmp_path):
    columns = {"value": [1, 2, 3, 4, 5, 6], "label": list("ababab"), "group": list("kkkklm")}
    path = write(tmp_path / "a.csv", columns)
    data = SeriesTaggingData(Corpus(path, test_fraction=0, validation_fraction=0.1), **LABELED)
    (batch,) = data.train_dataloader()
    assert sorted(batch.lengths.tolist()) == [1, 4]
    short = batch.lengths.tolist().index(1)
    assert batch.labels[1:, short].tolist() == [IGNORED] * 3
    assert batch.vectors[1:, short].eq(0).all()


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({"label": ["low"] * 29 + [""]}, {}, "a.csv, row 30: column 'label' is blank"),
        ({"label": ["low"] * 29 + ["  "]}, {}, "a.csv, row 30: column 'label' is blank"),
        ({"label": ["low"] * 30}, {}, "every label in train is 'low'; give two or more"),
        (
            {"label": ["low"] * 26 + ["high"] * 4},
            {},
            "a.csv: all label in train without what is held out are low; lower validation_fraction",
        ),
        (
            {"label": ["low", "high"] * 13 + ["new"] * 4},
            {},
            "a.csv, row 27: label 'new' is never seen in train without",
        ),
        ({"value": [1, ""] * 15}, {}, "a.csv, row 2: column 'value' holds no value"),
        ({"value": [1] * 30}, {}, "column 'value' is constant in train"),
        ({}, {"label": ""}, "inputs and label name the columns"),
    ],
)
def test_errors_in_labeled_series_are_named(change, arguments, message, tmp_path):
    path = write(tmp_path / "a.csv", recordings() | change)
    with pytest.raises(UsageError) as caught:
        _ = SeriesTaggingData(Corpus(path, test_fraction=0), **(LABELED | arguments)).processor
    assert message in str(caught.value)


def test_labels_that_train_lacks_are_refused(tmp_path):
    write(tmp_path / "train.csv", recordings())
    write(tmp_path / "val.csv", recordings() | {"label": ["low"] * 29 + ["strange"]})
    with pytest.raises(UsageError, match=r"val\.csv, row 30: label 'strange' is never seen in train"):
        SeriesTaggingData(Corpus(str(tmp_path)), **LABELED).load()
