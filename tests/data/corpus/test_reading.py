"""Which rows are measured: those that training held out, where it drew its splits from the same rows."""

import json

import datasets
import pandas as pd
import pytest

from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.data.corpus.drawing import Drawn
from nlp_rnn.errors import UsageError

SENTIMENT = {"text": ("text",), "label": ("label",)}
ROWS = [
    {"text": f"text {row}" if row % 11 else " ", "label": str(row % 3), "by": row // 7} for row in range(110)
]


def write(path, rows=ROWS):
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".csv":
        pd.DataFrame(rows).to_csv(path, index=False)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def measured(corpus, split, drawn):
    rows, note = Corpus(corpus).load_measured(SENTIMENT, split, "label", drawn=drawn)
    return rows.to_dict(), note


@pytest.mark.parametrize("settings", [{}, {"max_examples": 20}, {"group": "by"}, {"seed": 5}])
def test_the_rows_of_each_split_are_found_again(tmp_path, settings):
    path = write(tmp_path / "reviews.csv")
    splits, drawn = Corpus(path, **settings).load_drawn(SENTIMENT, "label")
    assert {"train", "validation", "test"} == set(splits)
    assert isinstance(drawn, Drawn)
    # In whatever form the same rows come, and with other labels.
    relabeled = [{**row, "label": "2"} for row in ROWS]
    same = [
        path,
        write(tmp_path / "other.jsonl"),
        write(tmp_path / "folder" / "train.csv").parent,
        pd.DataFrame(ROWS),
        {"train": ROWS},
    ]
    for corpus in (*same, relabeled):
        for name, split in splits.items():
            rows, note = measured(corpus, name, drawn)
            assert rows["text"] == split["text"][:]
            assert corpus is relabeled or rows == split.to_dict()
            use = "that the model was trained on" if name == "train" else f"held out in training, for {name}"
            assert note.startswith(f"{len(split)} of 110 rows of ")
            assert note.endswith(f": those {use}")
    assert measured(path, "test", drawn)[1].startswith(f"{len(splits['test'])} of 110 rows of reviews.csv: ")
    everything = measured(path, "all", drawn)
    assert len(everything[0]["text"]) == 100
    assert everything[1] == ""


def test_other_rows_are_measured_whole_and_named_if_the_name_is_the_same(tmp_path, caplog):
    path = write(tmp_path / "reviews.csv")
    drawn = Corpus(path).load_drawn(SENTIMENT, "label")[1]
    caplog.clear()
    for rows in (ROWS[1:], [*ROWS, ROWS[0]], [{**row, "text": row["text"] + "!"} for row in ROWS]):
        for name in ("reviews.csv", "other.csv"):
            caplog.clear()
            found, note = measured(write(tmp_path / "new" / name, rows), "test", drawn)
            assert len(found["text"]) > 90
            assert note == ""
            said = (
                f"{name}: not the rows that the model was trained on, though of the same name; some of those"
            )
            assert (said in caplog.text) is (name == "reviews.csv")


def test_a_corpus_with_a_test_split_of_its_own_has_its_validation_from_the_record(tmp_path):
    write(tmp_path / "a" / "train.csv")
    write(tmp_path / "a" / "test.csv", ROWS[:20])
    splits, drawn = Corpus(tmp_path / "a", seed=3, validation_fraction=0.3).load_drawn(SENTIMENT, "label")
    assert set(drawn.split_rows()) == {"train", "validation"}
    for name in ("train", "validation"):  # with other settings than in training
        assert measured(tmp_path / "a", name, drawn)[0] == splits[name].to_dict()
    assert measured(tmp_path / "a", "test", drawn) == (splits["test"].to_dict(), "")
    with pytest.raises(
        UsageError,
        match=r"train.csv: the model was trained on it, and no rows were held out for test; there "
        "are train, validation, and all for all rows",
    ):
        measured(tmp_path / "a" / "train.csv", "test", drawn)
    with pytest.raises(UsageError, match="has the splits test, train; name one of them"):
        measured(tmp_path / "a", "all", drawn)
    write(tmp_path / "b" / "train.csv")
    with pytest.raises(UsageError, match="no test split; found train"):
        measured(tmp_path / "b", "test", None)


def test_a_folder_without_train_is_read_as_usual(tmp_path):
    drawn = Corpus(ROWS).load_drawn(SENTIMENT, "label")[1]
    write(tmp_path / "a" / "test.csv", ROWS[:20])
    assert len(measured(tmp_path / "a", "test", drawn)[0]["text"]) == 18
    with pytest.raises(UsageError, match="no train split"):
        measured(tmp_path / "a", "train", drawn)


def test_splits_that_are_all_named_are_not_recorded(tmp_path, caplog):
    for name in ("train", "dev", "test"):
        write(tmp_path / f"{name}.csv")
    assert Corpus(tmp_path).load_drawn(SENTIMENT, "label")[1] is None
    assert Corpus("builtin").load_drawn(SENTIMENT, "label")[1] is None
    Corpus(tmp_path, group="by").load(SENTIMENT, "label")
    assert "group is not used, for the corpus has a validation split" in caplog.text


def test_no_test_split_is_drawn_if_its_fraction_is_0():
    splits, drawn = Corpus(ROWS, test_fraction=0).load_drawn(SENTIMENT, "label")
    assert set(splits) == {"train", "validation"} == set(drawn.split_rows())
    assert splits["validation"].to_dict() == Corpus(ROWS).load(SENTIMENT, "label")["validation"].to_dict()
    with pytest.raises(
        UsageError, match=r"validation_fraction 0.6 and test_fraction 0.4 leave nothing of train"
    ):
        Corpus(ROWS, validation_fraction=0.6, test_fraction=0.4)


def test_groups_stay_together_in_every_form(tmp_path):
    by = {row["text"]: row["by"] for row in ROWS}
    pairs = {"source": "de", "target": "en"}
    for name in ("de", "en", "doc"):
        lines = [f"{name} {row // 4 if name == 'doc' else row}" for row in range(100)]
        (tmp_path / f"train.{name}").write_text("\n".join(lines) + "\n")
    saved = tmp_path / "saved"
    datasets.Dataset.from_list(ROWS).save_to_disk(saved)
    for path in (write(tmp_path / "a" / "a.csv"), write(tmp_path / "a" / "a.jsonl"), ROWS, saved):
        splits = Corpus(path, group="by").load(SENTIMENT, "label")
        assert splits["test"].column_names == ["text", "label"]
        groups = [{by[text] for text in split["text"]} for split in splits.values()]
        assert sum(map(len, groups)) == len(set.union(*groups)) == 16
    splits = Corpus(tmp_path, group="doc").load(pairs)
    documents = [{int(text.split()[1]) // 4 for text in split["source"]} for split in splits.values()]
    assert sum(map(len, documents)) == 25
    for path in (ROWS, tmp_path / "a" / "a.csv"):
        with pytest.raises(UsageError, match="no column 'nobody'"):
            Corpus(path, group="nobody").load(SENTIMENT, "label")


def test_a_folder_of_texts_has_no_groups(tmp_path):
    for label in ("neg", "pos"):
        for row in range(9):
            (tmp_path / "train" / label).mkdir(parents=True, exist_ok=True)
            (tmp_path / "train" / label / f"{row}.txt").write_text(f"{label} {row}")
    with pytest.raises(UsageError, match=r"no column 'by' for corpus\.group; it needs a table"):
        Corpus(tmp_path, group="by").load(SENTIMENT, "label")
