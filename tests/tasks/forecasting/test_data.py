"""Windows of series: all of them, none across a boundary, and faults named by file, row and column."""

import json
import logging

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_rnn.data import Corpus, ForecastingData
from nlp_rnn.errors import UsageError
from nlp_rnn.tasks.forecasting.data import ForecastingProcessor, windows_to_arrow

SERIES = np.random.default_rng(0).normal(20, 5, (40, 2))
NAMES = ("x", "y")


def write(path, columns):
    """A file of columns, in the format that its name says."""
    names = list(columns)
    rows = list(zip(*columns.values(), strict=True))
    if path.suffix == ".csv":
        lines = [",".join(names), *(",".join(map(str, row)) for row in rows)]
        path.write_text("\n".join(lines) + "\n")
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows))
    elif path.suffix == ".parquet":
        pq.write_table(pa.table({name: list(values) for name, values in columns.items()}), path)
    else:
        np.savez(path, **{name: np.array(values) for name, values in columns.items()})
    return str(path)


def series(**more):
    return {"x": SERIES[:, 0].tolist(), "y": SERIES[:, 1].tolist(), **more}


def windows(data, split):
    """[(window [T, F], targets [horizon, K])] in the data's own units, in the rows' order."""
    rows, processor = data.splits[split], data.processor
    batch = processor.collate(rows[list(range(len(rows)))])
    steps = batch.vectors.double().numpy().swapaxes(0, 1) * processor.deviations + processor.means
    return list(zip(steps, processor.unscaled(batch.targets), strict=True))


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "npz"])
def test_every_window_of_every_format_and_none_over_the_cut(suffix, tmp_path):
    path = write(tmp_path / f"a.{suffix}", series())
    corpus = Corpus(path, test_fraction=0, validation_fraction=0.25)
    data = ForecastingData(corpus, NAMES, ("y",), length=5, horizon=2)
    for split, first, end in (("train", 0, 30), ("validation", 30, 40)):
        found = windows(data, split)
        assert len(found) == end - first - 6
        for at, (steps, following) in enumerate(found, first):
            np.testing.assert_allclose(steps, SERIES[at : at + 5], rtol=1e-5)
            np.testing.assert_allclose(following[:, 0], SERIES[at + 5 : at + 7, 1], rtol=1e-5)
    # Fitted on train alone, each of its steps once.
    np.testing.assert_allclose(data.processor.means, SERIES[:30].mean(0))
    np.testing.assert_allclose(data.processor.deviations, SERIES[:30].std(0))
    assert data.processor.target_means == data.processor.means[1:]


def test_splits_in_files_of_their_own(tmp_path):
    for name, part in (("train", slice(0, 20)), ("val", slice(20, 30)), ("test", slice(30, 40))):
        write(tmp_path / f"{name}.csv", {"x": SERIES[part, 0].tolist()})
    data = ForecastingData(Corpus(str(tmp_path)), ("x",), length=4)
    assert {name: len(rows) for name, rows in data.splits.items()} == {
        "train": 16, "validation": 6, "test": 6,
    }  # fmt: skip
    assert windows(data, "test")[0][0][0, 0] == pytest.approx(SERIES[30, 0])
    assert data.processor.targets == []
    assert len(data.load_split("test")) == 6


@pytest.mark.parametrize(
    ("fraction", "following"),
    [(0.4, [16, 17, 18, 19, 36, 37, 38, 39]), (0.25, [19, 39])],  # of 20 steps: eight, and just a window
)
def test_groups_keep_their_own_ends_for_validation_and_short_ones_are_counted(
    fraction, following, tmp_path, caplog
):
    path = write(tmp_path / "a.csv", {"value": range(48), "group": ["a"] * 20 + ["b"] * 20 + ["c"] * 8})
    with caplog.at_level(logging.WARNING):
        splits = ForecastingData(
            Corpus(path, test_fraction=0, validation_fraction=fraction), group="group", length=4
        ).load()
    assert [row["following"][0] for row in splits["validation"]] == following
    assert "1 series shorter than length + horizon = 5 left out" in caplog.text


def test_the_last_of_many_short_groups_validate_whole(tmp_path, caplog):
    groups = [group for group in "abcdef" for _ in range(6)]
    path = write(tmp_path / "a.csv", {"value": range(38), "group": [*groups, "g", "g"]})
    with caplog.at_level(logging.WARNING):
        splits = ForecastingData(Corpus(path, test_fraction=0, validation_fraction=0.3), group="group").load()
    assert [row["following"][0] for row in splits["validation"]] == [28, 29, 34, 35]
    assert [row["following"][0] for row in splits["train"]] == [4, 5, 10, 11, 16, 17, 22, 23]
    assert "the last 2 series become the validation split" in caplog.text
    assert "1 series shorter than length + horizon = 5 left out" in caplog.text


def test_remaining_train_rows_may_be_too_short(tmp_path):
    path = write(tmp_path / "a.csv", {"value": range(20)})
    with pytest.raises(UsageError, match=r"rows 1 to 4: 4 steps, .* = 5; .*: lower validation_fraction"):
        _ = ForecastingData(Corpus(path, test_fraction=0, validation_fraction=0.8)).processor


@pytest.mark.parametrize(
    ("columns", "arguments", "message"),
    [
        ({"x": [1, 2, 3]}, {}, "3 steps, too few for a window of length + horizon = 4 + 1 = 5; lower"),
        ({"x": [7] * 30}, {}, "a.csv: column 'x' is constant in train (7), so there is nothing to learn"),
        ({"x": [1, 2, "", 4] * 9}, {}, "a.csv, row 3: column 'x' holds no value (null)"),
        ({"x": [1, "nan", 3, 4] * 9}, {}, "a.csv, row 2: column 'x' holds 'nan', not a number"),
        ({"x": [1, 2, 3, "four"] * 9}, {}, "a.csv, row 4: column 'x' holds 'four', not a number"),
        ({"x": [1, 2] * 9}, {"inputs": ("x", "z")}, "no column 'z'; the columns are x"),
        ({"x": [1, 2] * 9}, {"inputs": ("z",)}, "no column z in the header 'x' (commas between)"),
        ({"x": range(20)}, {"length": 9}, "rows 15 to 20: 6 steps, too few"),
        (
            {"x": range(20)},
            {"length": 14},
            "rows 1 to 20: too few steps for a window of length + horizon = 14 + 1 to train on and one each "
            "for validation; lower them, give more rows or give a validation split",
        ),
        ({"x": [1, 2] * 9}, {"inputs": ("x", "x")}, "column 'x' is named twice"),
        ({"x": [1, 2] * 9}, {"group": "x"}, "column 'x' is named twice"),
        ({"x": [1, 2] * 9}, {"inputs": ()}, "inputs names no column"),
        ({"x": [1, 2] * 9}, {"length": 0}, "length must be between 1"),
        ({"x": [1, 2] * 9}, {"horizon": 0}, "horizon must be between 1"),
        ({"x": [1e300, -1e300] * 9}, {}, "column 'x' is too large or too small to scale"),
    ],
)
def test_errors_name_their_cause(columns, arguments, message, tmp_path):
    path = write(tmp_path / "a.csv", columns)
    with pytest.raises(UsageError) as caught:
        _ = ForecastingData(
            Corpus(path, test_fraction=0, validation_fraction=0.3), **{"inputs": ("x",), **arguments}
        ).processor
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6), length=st.integers(1, 4))
def test_no_window_reaches_over_a_change_of_group(lengths, length, tmp_path_factory):
    folder = tmp_path_factory.mktemp("groups")
    groups = [group % 2 for group, count in enumerate(lengths) for _ in range(count)]
    values = [group * 100 + at for group, count in enumerate(lengths) for at in range(count)]
    for name in ("train", "val"):
        write(folder / f"{name}.csv", {"value": values, "group": groups})
    data = ForecastingData(Corpus(str(folder)), group="group", length=length)
    expected = sum(max(0, count - length) for count in lengths)
    if expected == 0:
        with pytest.raises(UsageError, match=f"too few for a window of length \\+ horizon = {length} "):
            data.load()
        return
    rows = data.load()["train"]
    assert len(rows) == expected
    for row in rows:
        together = row["steps"] + row["following"]
        assert together == [together[0] + at for at in range(length + 1)]


def test_max_examples_takes_the_first_rows(tmp_path):
    path = write(tmp_path / "a.csv", {"value": range(100)})
    rows = ForecastingData(
        Corpus(path, max_examples=20, validation_fraction=0.2, test_fraction=0), length=3
    ).load()["train"]
    assert [row["steps"][0] for row in rows] == list(range(13))


def test_a_models_processor_must_read_the_same(tmp_path):
    data = ForecastingData(Corpus("ramp"))
    data.attach_processor(data.processor)
    with pytest.raises(UsageError, match="trained with horizon 1, the data has 2"):
        ForecastingData(Corpus("ramp"), horizon=2).attach_processor(data.processor)


def test_a_models_processor_reads_windows_of_any_length(cache_home):
    data = ForecastingData(Corpus("ramp"))
    for length in (4, 6):  # each its own rows, also where both are cached
        again = ForecastingData(Corpus("ramp"), length=length)
        again.attach_processor(data.processor)
        (batch,) = again.val_dataloader()
        assert set(batch.lengths.tolist()) == {length}


def test_too_many_numbers_are_refused_before_they_are_copied():
    windows = np.broadcast_to(np.zeros(1), (2**21, 2**11, 1))
    with pytest.raises(UsageError, match=r"too many .*: lower length, or give fewer rows"):
        windows_to_arrow([windows])
    assert windows_to_arrow([np.ones((2, 3, 2)), np.zeros((1, 3, 2))], [1]).to_pylist() == [[1.0] * 3] * 2 + [
        [0.0] * 3
    ]


@pytest.mark.parametrize("wrong", [{"steps": [[1.0, 2, 3]]}, {"steps": [[1.0, 2]], "following": [[1.0] * 4]}])
def test_rows_of_another_width_are_refused(wrong):
    ones = [1.0, 1.0]
    processor = ForecastingProcessor(
        inputs=["x", "y"], means=ones, deviations=ones, length=3, horizon=1, target_means=ones,
        target_deviations=ones,
    )  # fmt: skip
    with pytest.raises(ValueError, match="reshape"):
        processor.encode(wrong)
