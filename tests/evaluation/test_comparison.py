"""A comparison as a table and as a page, whatever is undefined in it."""

import json
import re

import pytest

from nlp_rnn.evaluation.comparison import Comparison, cell, signed


def metric(value, low, high):
    return {"value": value, "low": low, "high": high}


def difference(value, low, high, lower_is_better, p=0.25):
    tests = dict.fromkeys(("bootstrap_p", "randomization_p", "bootstrap_p_holm", "randomization_p_holm"), p)
    return {"difference": value, "low": low, "high": high, "lower_is_better": lower_is_better, **tests}


def results(models=2, **more):
    row = {
        "row": 3,
        "input": "<i>\x1b[31m" + "long " * 30,
        "reference": "",
        "first_answer": "",
        "other_answer": "",
    }
    pair = {
        "metrics": {
            "loss": difference(-0.2, -0.3, -0.1, True),
            "accuracy": difference(-0.1, -0.2, -0.05, False),
            "r2": difference(None, None, None, False, None),
            "f1_<b>": difference(0.0, -0.1, 0.1, False),
        },
        "worse": 1,
        "better": 0,
        "regressions": [row | {"first_score": 0.5, "other_score": None}],
        "improvements": [],
    }
    values = {
        "loss": metric(1.0, 0.9, 1.1),
        "accuracy": metric(0.5, 0.4, 0.6),
        "r2": metric(None, None, None),
    }
    values["f1_<b>"] = metric(0.5, 0.4, 0.6)
    return {
        "task": "tagging",
        "data": "corpus",
        "split": "test",
        "rows": 1234,
        "row_score": "score",
        "resamples": 1000,
        "trials": 10_000,
        "level": 0.9,
        "seed": 0,
        "block": 1,
        "notes": ["what to <know>"],
        "models": [{"name": f"model <{n}>", "metrics": values} for n in range(models)],
        "comparisons": [pair] * (models - 1),
        **more,
    }


def test_table():
    lines = Comparison(results(3, measured="the rows held out")).table().splitlines()
    assert lines[:3] == ["A  model <0>", "B  model <1>", "C  model <2>"]
    assert "tagging, corpus, test, 1,234 rows (the rows held out); 90% intervals of 1,000" in lines[4]
    header, *body = lines[6:15]
    assert header.split()[-6:] == ["p", "bootstrap", "(Holm)", "p", "randomization", "(Holm)"]
    assert [line.split()[:3] for line in body] == [
        [name, letter, value]
        for name, value in (("loss", "1.0000"), ("accuracy", "0.5000"), ("r2", "-"))
        for letter in "ABC"
    ][:8]
    assert {len(line) for line in body if line.endswith("0.2500")} == {len(header)}  # columns are aligned
    assert lines[-1] == "note: what to <know>"
    (example, _) = (line for line in lines if line.startswith("  row 3"))
    assert example.startswith("  row 3: 0.5000 -> -: <i>")
    assert example.endswith("…")
    assert "\x1b" not in example


def test_page():
    page = Comparison(results()).html()
    assert "<i>" not in page
    assert "<know>" not in page
    assert "f1_&lt;b&gt;" in page
    assert "corrected" not in page
    assert "corrected" in Comparison(results(3)).html()
    sides = re.findall(r'aria-label="interval of the difference, (\w+)"', page)
    assert sides == ["better", "worse", "even"]  # a lower loss, a lower accuracy, an F1 that may be the same
    assert not re.search(r"(?<!-)\b(src|href|url)\b", page)


def test_many_models_have_numbers():
    assert "M27  model <26>" in Comparison(results(27)).table()


def test_json_is_standard():
    comparison = Comparison(results())
    assert json.loads(comparison.json()) == comparison.results


@pytest.mark.parametrize(
    ("value", "shown", "with_sign"),
    [(None, "-", "-"), (0.0, "0.0000", "0.0000"), (2.5, "2.5000", "+2.5000"), (-1e-5, "-1e-05", "-1e-05")],
)
def test_numbers(value, shown, with_sign):
    assert (cell(value), signed(value)) == (shown, with_sign)


def test_a_model_and_itself_are_two_rows_of_the_page():
    """Though all that is known of both is equal."""
    equal = results()
    equal["models"] = [equal["models"][0]] * 2
    page = Comparison(equal).html()
    assert "-0.2000" in page
    assert re.findall(r"<tr[^>]*><td>[^<]*</td><td>([A-Z])</td>", page) == ["A", "B"] * 4


def test_columns_and_escapes_of_the_examples():
    """A column is there if any row has it, and no text changes how others are shown."""
    rows = results()
    (row,) = rows["comparisons"][0]["regressions"]
    full = {"reference": "the reference", "other_answer": "\u202egnorw\x1b"}
    rows["comparisons"][0]["regressions"] = [row, row | full]
    page = Comparison(rows).html()
    assert "the reference" in page
    assert "\\u202egnorw\\x1b" in page
    assert not {"\u202e", "\x1b"} & set(page)
