"""Series of numbers in the rows of a file: where each begins, and what is no series."""

import logging

import pytest

from nlp_rnn.data import Corpus, ForecastingData, SeriesTaggingData
from nlp_rnn.data.series import parse_names
from nlp_rnn.errors import UsageError


def write(path, columns):
    """Write a CSV file of columns; return its path."""
    rows = [columns, *zip(*columns.values(), strict=True)]
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    return str(path)


def test_series_are_split_where_the_group_changes(tmp_path):
    columns = {"x": range(7), "label": list("ababaab"), "clip": list("kkkllmm")}
    data = SeriesTaggingData(Corpus(write(tmp_path / "a.csv", columns)), "x", "label", "clip")
    series = [series for split in ("train", "validation") for series in data._series[split]]
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
