"""Series of numbers: windows in time, scales of train alone, and faults named by file, row and column."""

import json
import logging

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_rnn.data import Batching, Corpus, ForecastingData, SeriesTaggingData
from nlp_rnn.data.batching import IGNORED
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
    corpus = Corpus(path, validation_fraction=0.25)
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


def test_groups_keep_their_own_ends_for_validation_and_short_ones_are_counted(tmp_path, caplog):
    path = write(tmp_path / "a.csv", {"value": range(48), "group": ["a"] * 20 + ["b"] * 20 + ["c"] * 8})
    with caplog.at_level(logging.WARNING):
        splits = ForecastingData(Corpus(path, validation_fraction=0.4), group="group", length=4).load()
    assert [row["following"][0] for row in splits["validation"]] == [16, 17, 18, 19, 36, 37, 38, 39]
    assert "1 series shorter than length + horizon = 5 left out" in caplog.text


@pytest.mark.parametrize(
    ("columns", "arguments", "message"),
    [
        ({"x": [1, 2, 3]}, {}, "3 steps, too few for a window of length + horizon = 4 + 1 = 5; lower"),
        ({"x": [7] * 30}, {}, "a.csv: column 'x' is constant in train (7), so there is nothing to learn"),
        ({"x": [1, 2, "", 4] * 9}, {}, "a.csv, row 3: column 'x' holds no value (null)"),
        ({"x": [1, "nan", 3, 4] * 9}, {}, "a.csv, row 2: column 'x' holds 'nan', not a number"),
        ({"x": [1, 2, 3, "four"] * 9}, {}, "a.csv, row 4: column 'x' holds 'four', not a number"),
        ({"x": [1, 2] * 9}, {"inputs": ("x", "z")}, "no column 'z'; the columns are x"),
        ({"x": [1, 2] * 9}, {"inputs": ("z",)}, "no column z in the header 'x' (a file without"),
        ({"x": range(20)}, {"length": 9}, "rows 15 to 20: 6 steps, too few"),
        (
            {"x": range(20)},
            {"length": 14},
            "rows 1 to 20: too few steps for a window of length + horizon = 14 + 1 to train on and one to "
            "validate on; lower them, give more rows or give a validation split",
        ),
        ({"x": [1, 2] * 9}, {"inputs": ("x", "x")}, "column 'x' is named twice"),
        ({"x": [1, 2] * 9}, {"group": "x"}, "column 'x' is named twice"),
        ({"x": [1, 2] * 9}, {"inputs": ()}, "inputs names no column"),
        ({"x": [1, 2] * 9}, {"length": 0}, "length must be between 1"),
        ({"x": [1, 2] * 9}, {"horizon": 0}, "horizon must be between 1"),
        ({"x": [1e300, -1e300] * 9}, {}, "column 'x' is too large or too small to scale"),
    ],
)
def test_faults_are_named(columns, arguments, message, tmp_path):
    path = write(tmp_path / "a.csv", columns)
    with pytest.raises(UsageError) as caught:
        _ = ForecastingData(
            Corpus(path, validation_fraction=0.3), **{"inputs": ("x",), **arguments}
        ).processor
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_groups_that_come_back_are_told(tmp_path, caplog):
    path = write(tmp_path / "a.csv", {"value": range(40), "group": ["a"] * 10 + ["b"] * 10 + ["a"] * 20})
    with caplog.at_level(logging.WARNING):
        ForecastingData(Corpus(path, validation_fraction=0.5), group="group").load()
    assert "1 time(s) a value of column 'group' comes back" in caplog.text


def test_the_last_of_many_short_groups_validate_whole(tmp_path, caplog):
    groups = [group for group in "abcdef" for _ in range(6)]
    path = write(tmp_path / "a.csv", {"value": range(38), "group": [*groups, "g", "g"]})
    with caplog.at_level(logging.WARNING):
        splits = ForecastingData(Corpus(path, validation_fraction=0.3), group="group").load()
    assert [row["following"][0] for row in splits["validation"]] == [28, 29, 34, 35]
    assert [row["following"][0] for row in splits["train"]] == [4, 5, 10, 11, 16, 17, 22, 23]
    assert "the last 2 series become the validation split" in caplog.text
    assert "1 series shorter than length + horizon = 5 left out" in caplog.text


def test_what_validation_leaves_may_be_too_short(tmp_path):
    path = write(tmp_path / "a.csv", {"value": range(20)})
    with pytest.raises(UsageError, match=r"rows 1 to 4: 4 steps, .* = 5; .*: lower validation_fraction"):
        _ = ForecastingData(Corpus(path, validation_fraction=0.8)).processor


def test_numbers_of_any_size_are_answered_if_they_are_like_those_in_train(tmp_path):
    path = write(tmp_path / "a.csv", {"value": [step * 1e44 for step in range(60)]})
    data = ForecastingData(Corpus(path))
    (steps,) = data.processor.rows([[2e44, 3e44, 4e44, 5e44]])["steps"]
    assert steps == [2e44, 3e44, 4e44, 5e44]
    assert np.isfinite(data.processor.vectors([steps])).all()


def test_numbers_far_from_those_in_train_are_refused(tmp_path):
    write(tmp_path / "train.csv", {"value": range(60)})
    write(tmp_path / "test.csv", {"value": [*range(29), 1e300]})
    with pytest.raises(UsageError, match=r"step 1: 1e\+300 is beyond float32 when scaled as in"):
        _ = ForecastingData(Corpus(str(tmp_path))).splits


def test_lists_are_no_time_steps(tmp_path):
    path = write(tmp_path / "a.jsonl", {"value": [[1, 2], [3, 4]]})
    with pytest.raises(UsageError, match="column 'value' holds lists; give each number a column of its own"):
        ForecastingData(Corpus(path)).load()


def test_text_among_numbers_of_json_is_named_by_its_row(tmp_path):
    path = write(tmp_path / "a.jsonl", {"value": [1, 2.5, "three", 4]})
    with pytest.raises(UsageError, match=r"a\.jsonl, row 3, column 'value': "):
        ForecastingData(Corpus(path)).load()


def test_max_examples_takes_the_first_rows(tmp_path):
    path = write(tmp_path / "a.csv", {"value": range(100)})
    rows = ForecastingData(Corpus(path, max_examples=20, validation_fraction=0.2), length=3).load()["train"]
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
def test_rows_of_another_width_are_no_input(wrong):
    with pytest.raises(ValueError, match="reshape"):
        processor(("x", "y")).encode(wrong)


# ------------------------------------------------------------------------------------------- what is asked


def processor(columns=("x",)):
    ones = [1.0] * len(columns)
    return ForecastingProcessor(
        inputs=list(columns), means=ones, deviations=ones, length=3, horizon=1, target_means=ones,
        target_deviations=ones,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "line", "steps"),
    [
        (("x",), "1 2,3 , -4e1", [1, 2, 3, -40]),
        (("x",), "[1, 2.5]", [1, 2.5]),
        (("x", "y"), "1 2 3 4", [1, 2, 3, 4]),
        (("x", "y"), "[[1, 2], [3, 4]]", [1, 2, 3, 4]),
    ],
)
def test_lines(columns, line, steps):
    reader = processor(columns)
    assert reader.rows([reader.parse(line)])["steps"] == [steps]


@pytest.mark.parametrize(
    ("columns", "line", "message"),
    [
        (("x",), "", "there is no step; give 1 number(s) per step: x"),
        (("x",), "[]", "there is no step"),
        (("x",), "1 two", "not a number: 'two'"),
        (("x",), "[1, ", "not a JSON list of numbers"),
        (("x",), '["1"]', "not a number: '\"1\"'"),
        (("x",), "[true]", "not a number: 'true'"),
        (("x",), "[1, [2]]", "the steps have unequal sizes"),
        (("x",), "1 nan", "not a number: 'nan'"),
        (("x",), "1 1e99", "step 2: 1e+99 is beyond float32 when scaled as in the train split (mean 1,"),
        (("x",), "1" * 400, "a number that is not finite"),
        (("x",), f"[{'1' * 400}]", "a number that is not finite"),
        (("x", "y"), "1 2 3", "the shape is 3; give 2 number(s) per step: x, y"),
        (("x", "y"), "[[1, 2, 3]]", "the shape is 1 x 3"),
    ],
)
def test_lines_that_are_none(columns, line, message):
    with pytest.raises(UsageError) as caught:
        processor(columns).parse(line)
    assert message in str(caught.value)


def test_one_or_several():
    one, two = processor(), processor(("x", "y"))
    assert one.is_single([1.0, 2])
    assert one.is_single(np.ones(3))
    assert one.is_single((1,))
    assert not one.is_single([[1.0, 2]])
    assert not one.is_single(np.ones((2, 3)))
    assert one.is_single(np.ones((3, 1)))
    assert not one.is_single(np.ones((0, 1)))
    assert not one.is_single([[1.0], [2.0]])
    assert not one.is_single(np.ones((2, 3, 1)))
    assert not one.is_single([])
    assert two.is_single([[1.0, 2]])
    assert two.is_single([1, 2])
    assert two.is_single(np.ones((3, 2)))
    assert not two.is_single([[[1.0, 2]]])
    assert not two.is_single(np.ones((4, 3, 2)))


# ------------------------------------------------------------------------------------------ series tagging


def recordings(count=6, steps=5):
    numbers = SERIES[: count * steps, 0].tolist()
    return {
        "value": numbers,
        "label": ["high" if number > 20 else "low" for number in numbers],
        "group": [f"r{at // steps}" for at in range(count * steps)],
    }


LABELLED = {"inputs": "value", "label": "label", "group": "group"}


def test_sequences_are_whole_and_the_last_validate(tmp_path):
    path = write(tmp_path / "a.csv", recordings())
    data = SeriesTaggingData(Corpus(path, validation_fraction=0.3), **LABELLED, batching=Batching(size=9))
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
    data = SeriesTaggingData(Corpus(path, validation_fraction=0.1), **LABELLED)
    (batch,) = data.train_dataloader()
    assert sorted(batch.lengths.tolist()) == [1, 4]
    short = batch.lengths.tolist().index(1)
    assert batch.labels[1:, short].tolist() == [IGNORED] * 3
    assert batch.vectors[1:, short].eq(0).all()


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({}, {"group": ""}, "one sequence is too few to split off validation"),
        ({"label": ["low"] * 29 + [""]}, {}, "a.csv, row 30: column 'label' is blank"),
        ({"label": ["low"] * 29 + ["  "]}, {}, "a.csv, row 30: column 'label' is blank"),
        ({"label": ["low"] * 30}, {}, "all label in train are low; give two or more"),
        (
            {"label": ["low"] * 26 + ["high"] * 4},
            {},
            "a.csv: all label in train without its validation part are low; lower validation_fraction",
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
def test_faults_of_labelled_series_are_named(change, arguments, message, tmp_path):
    path = write(tmp_path / "a.csv", recordings() | change)
    with pytest.raises(UsageError) as caught:
        _ = SeriesTaggingData(Corpus(path), **(LABELLED | arguments)).processor
    assert message in str(caught.value)


def test_labels_that_train_lacks_are_refused(tmp_path):
    write(tmp_path / "train.csv", recordings())
    write(tmp_path / "val.csv", recordings() | {"label": ["low"] * 29 + ["strange"]})
    with pytest.raises(UsageError, match=r"val\.csv, row 30: label 'strange' is never seen in train"):
        SeriesTaggingData(Corpus(str(tmp_path)), **LABELLED).load()
