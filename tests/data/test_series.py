"""Series of numbers in the rows of a file: where each begins, what is held out, and what is no series."""

import logging
from itertools import groupby

import numpy as np
import pytest

from nlp_rnn.data import Corpus, ForecastingData, SeriesTaggingData
from nlp_rnn.data.series import Series, last_series, last_steps, parse_names
from nlp_rnn.errors import UsageError


def write(path, columns):
    """Write a CSV file of columns; return its path."""
    rows = [columns, *zip(*columns.values(), strict=True)]
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    return str(path)


def test_series_are_split_where_the_group_changes(tmp_path):
    columns = {"x": range(7), "label": list("ababaab"), "clip": list("kkkllmm")}
    data = SeriesTaggingData(Corpus(write(tmp_path / "a.csv", columns)), "x", "label", "clip")
    series = [series for split in ("train", "validation", "test") for series in data._series[split]]
    assert [(one.start, one.numbers[:, 0].tolist(), one.labels) for one in series] == [
        (0, [0, 1, 2], ["a", "b", "a"]),
        (3, [3, 4], ["b", "a"]),
        (5, [5, 6], ["a", "b"]),
    ]
    assert series[1].where == f"{tmp_path / 'a.csv'}, rows 4 to 5"
    assert series[0][1:].where == f"{tmp_path / 'a.csv'}, rows 2 to 3"


@pytest.mark.parametrize("columns", ["a, b,", ["a", " b"], ("a", "b")])
def test_names_are_a_list_or_a_text_with_commas(columns):
    assert parse_names(columns) == ["a", "b"]
    assert parse_names(None) == parse_names("") == []


def test_groups_that_recur_are_reported(tmp_path, caplog):
    path = write(tmp_path / "a.csv", {"value": range(40), "group": ["a"] * 10 + ["b"] * 10 + ["a"] * 20})
    with caplog.at_level(logging.WARNING):
        ForecastingData(Corpus(path, validation_fraction=0.5), group="group").load()
    assert "1 time(s) a value of column 'group' comes back" in caplog.text


def test_lists_are_no_time_steps(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"value": [1, 2]}\n{"value": [3, 4]}\n')
    with pytest.raises(UsageError, match="column 'value' holds lists; give each number a column of its own"):
        ForecastingData(Corpus(str(path))).load()


def test_text_among_numbers_of_json_is_named_by_its_row(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"value": {value}}}\n' for value in ("1", "2.5", '"three"', "4")))
    with pytest.raises(UsageError, match=r"a\.jsonl, row 3, column 'value': "):
        ForecastingData(Corpus(str(path))).load()


def test_series_that_are_part_of_train_are_counted(tmp_path, caplog):
    write(tmp_path / "train.csv", {"value": range(40)})
    write(tmp_path / "val.csv", {"value": range(20, 35)})
    write(tmp_path / "test.csv", {"value": range(30, 45)})
    ForecastingData(Corpus(str(tmp_path)), length=2).load()
    assert caplog.messages == [f"{tmp_path / 'val.csv'}: 1 validation series are also in train"]


def test_of_several_series_the_equal_ones_are_counted(tmp_path, caplog):
    train = {"x": range(9), "label": list("abcabcabc"), "clip": list("kkklllmmm")}
    write(tmp_path / "train.csv", train)
    test = {"x": [0, 1, 2, 3, 4, 9, 8, 7, 6], "label": list("abcabcabc"), "clip": list("kkklllmmm")}
    write(tmp_path / "test.csv", test)
    SeriesTaggingData(Corpus(str(tmp_path), validation_fraction=0.3), "x", "label", "clip").load()
    assert f"{tmp_path / 'test.csv'}: 1 test series are also in train" in caplog.messages


def test_series_have_no_groups_of_the_corpus():
    with pytest.raises(UsageError, match=r"corpus\.group is for rows .*: name the series by data\.group"):
        ForecastingData(Corpus("ramp", group="clip"))


def forecasting(lengths, tmp_path, **settings):
    """Windows of 2 + 1 steps of series of these lengths, whose values are all different."""
    groups = [f"g{number}" for number, length in enumerate(lengths) for _ in range(length)]
    path = write(tmp_path / "a.csv", {"value": range(len(groups)), "group": groups})
    return ForecastingData(Corpus(path, **settings), group="group", length=2)


def tagging(lengths, tmp_path, **settings):
    """Series of these lengths with two labels, whose values are all different."""
    groups = [f"g{number}" for number, length in enumerate(lengths) for _ in range(length)]
    columns = {"value": range(len(groups)), "label": ["ab"[at % 2] for at in range(len(groups))]}
    path = write(tmp_path / "a.csv", columns | {"group": groups})
    return SeriesTaggingData(Corpus(path, **settings), "value", "label", "group")


@pytest.mark.parametrize(
    ("make", "lengths", "settings", "held_out"),
    [
        (forecasting, [100], {}, {"validation": [*range(80, 90)], "test": [*range(90, 100)]}),
        (
            forecasting,
            [30, 2, 30],
            {"validation_fraction": 0.2},
            {
                "validation": [*range(21, 27), *range(53, 59)],
                "test": [*range(27, 30), *range(59, 62)],
            },
        ),
        (forecasting, [6] * 5, {}, {"validation": [*range(18, 24)], "test": [*range(24, 30)]}),
        (forecasting, [30], {"test_fraction": 0}, {"validation": [27, 28, 29]}),
        (
            forecasting,
            [100],
            {"max_examples": 40},
            {"validation": [*range(32, 36)], "test": [*range(36, 40)]},
        ),
        (tagging, [4] * 5, {}, {"validation": [*range(12, 16)], "test": [*range(16, 20)]}),
        (tagging, [100], {}, {"validation": [*range(80, 90)], "test": [*range(90, 100)]}),
    ],
)
def test_the_end_of_a_single_file_is_held_out(make, lengths, settings, held_out, tmp_path, cache_home):
    """The last part is for test, the part before it for validation; and both are found again."""
    data = make(lengths, tmp_path, **settings)
    rows = {name: numbers.tolist() for name, numbers in data.drawn.split_rows().items()}
    train = rows.pop("train")
    assert rows == {name: numbers for name, numbers in held_out.items() if numbers}
    assert max(train) < min(rows["validation"]) or len(lengths) > 1
    assert "validation" in data.splits
    for name in held_out:
        assert f"{name} {len(data.splits[name])} (drawn)" in data.summary()
    splits = data.load()
    elsewhere = make(lengths, tmp_path)  # with its own settings, which do not matter
    for name, split in splits.items():
        found, note = elsewhere.load_measured(name, data.drawn)
        assert found.to_dict() == split.to_dict()
        assert note.startswith(f"{len(rows.get(name, train))} of {sum(lengths)} rows of a.csv: those ")
    assert elsewhere.load_measured("all", data.drawn)[1] == ""


def test_of_what_was_held_out_the_first_rows_can_be_measured(tmp_path):
    data = forecasting([100], tmp_path)
    found, note = forecasting([100], tmp_path, max_examples=5).load_measured("test", data.drawn)
    assert [row["steps"] for row in found] == [[90, 91], [91, 92], [92, 93]]
    assert note.startswith("the first 5 of 10 of 100 rows of a.csv: those held out in training, for test")


@pytest.mark.parametrize(
    ("make", "lengths", "reason"),
    [
        (
            forecasting,
            [25],
            "too few for a window of length + horizon = 2 + 1 = 3; they are the end of train",
        ),
        (forecasting, [6], "too few steps for a window of length + horizon = 2 + 1 to train on and one each"),
        (tagging, [5, 5], "2 series are too few for train, validation and test"),
    ],
)
def test_small_data_gets_no_test_split(make, lengths, reason, tmp_path, caplog):
    data = make(lengths, tmp_path, validation_fraction=0.5)
    assert set(data.load()) == {"train", "validation"} == set(data.drawn.split_rows())
    (message,) = [text for text in caplog.messages if "test" in text]
    assert message.startswith("there is no test split: ")
    assert reason in message


def test_no_label_is_held_out_with_the_test_split(tmp_path, caplog):
    columns = {"x": range(40), "label": [*"ab" * 17, *"cababc"], "clip": [at // 4 for at in range(40)]}
    path = write(tmp_path / "a.csv", columns)
    assert set(SeriesTaggingData(Corpus(path), "x", "label", "clip").load()) == {"train", "validation"}
    assert caplog.messages[-1].startswith(f"there is no test split: {path}, row 40: label 'c' is never seen ")


@pytest.mark.parametrize("fractions", [{"validation": 0.1}, {"validation": 0.3, "test": 0.2}])
@pytest.mark.parametrize("cut", [last_steps, last_series])
def test_cutting_loses_no_step_and_keeps_the_order(cut, fractions):
    lengths = [1, 7, 30, 2, 5]
    train = [Series("a", sum(lengths[:place]), np.zeros((length, 1))) for place, length in enumerate(lengths)]
    parts = cut(train, fractions)
    rows = [(at, name) for name, series in parts.items() for one in series for at in one.rows.tolist()]
    assert sorted(at for at, _ in rows) == list(range(45))
    order = ["train", "validation", "test"]
    for one in train if cut is last_steps else [Series("a", 0, np.zeros((45, 1)))]:
        names = [name for name, _ in groupby(name for at, name in sorted(rows) if at in one.rows)]
        assert names == sorted(names, key=order.index)
