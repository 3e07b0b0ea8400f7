"""Tables that say what each translation must have, and unknown words that are copied from the source."""

import json
from functools import partial

import pandas as pd
import pytest
import torch

from nlp_rnn.cli.main import main
from nlp_rnn.data.vocabulary import UNK
from nlp_rnn.errors import UsageError
from nlp_rnn.inference.pipelines import pipeline
from nlp_rnn.inference.prediction import predict
from nlp_rnn.tasks.pretrained import from_pretrained, save_pretrained

TEXTS = ["i work", "good film", "the work is good", None]
PREFIXES = ["the film", None, "i", "i"]
CONSTRAINTS = [None, ["good", "work at"], ["film"], ["film"]]
INPUTS = [
    {"text": "i work", "prefix": "the film"},
    {"text": "good film", "constraints": ["good", "work at"]},
    {"text": "the work is good", "prefix": "i", "constraints": ["film"]},
]


def table(path, names=("de", "prefix", "constraints")):
    """A table with demands; constraints are lists where the format has lists."""
    is_text = path.suffix in (".csv", ".tsv")
    joined = [row and " | ".join(row) for row in CONSTRAINTS] if is_text else CONSTRAINTS
    frame = pd.DataFrame(dict(zip(names, (TEXTS, PREFIXES, joined), strict=True)))
    match path.suffix:
        case ".parquet":
            frame.to_parquet(path, index=False)
        case ".csv" | ".tsv":
            frame.to_csv(path, index=False, sep="," if path.suffix == ".csv" else "\t")
        case _:
            frame.to_json(path, orient="records", lines=path.suffix == ".jsonl")
    return str(path)


@pytest.fixture(scope="module")
def expected(models):
    answers = pipeline("translation", models["translation"])(INPUTS)
    return [answer["text"] for answer in answers]


READ = {
    ".csv": pd.read_csv,
    ".tsv": partial(pd.read_csv, sep="\t"),
    ".json": pd.read_json,
    ".jsonl": partial(pd.read_json, lines=True),
    ".parquet": pd.read_parquet,
}


def found(path):
    return READ[path.suffix](path)["prediction"].fillna("").tolist()


@pytest.mark.parametrize("ending", READ)
def test_a_table_says_what_each_translation_must_have(models, expected, tmp_path, caplog, ending):
    source, output = table(tmp_path / f"in{ending}"), tmp_path / f"out{ending}"
    predict(models["translation"], source, str(output))
    assert found(output) == [*expected, ""]
    assert expected[0].startswith("the film")
    assert "have what these columns say: prefix, constraints; rename one" in caplog.text


def test_such_columns_may_be_named(models, expected, tmp_path, caplog):
    source, output = table(tmp_path / "in.csv", ("de", "begin", "has")), tmp_path / "out.csv"
    predict(models["translation"], source, str(output), columns={"prefix": "begin", "constraints": "has"})
    assert found(output) == [*expected, ""]
    assert not caplog.text
    predict(models["translation"], source, str(output))
    assert found(output)[0] != expected[0]  # which columns are meant is not guessed
    with pytest.raises(UsageError, match=r"no column 'start' .*--columns prefix=COLUMN"):
        predict(models["translation"], source, str(output), columns={"prefix": "start"})


def test_shards_know_the_columns_that_they_were_begun_with(models, expected, tmp_path):
    source = table(tmp_path / "in.csv")
    predict(models["translation"], source, f"{tmp_path}/out/", shard_rows=2)
    assert list(pd.read_parquet(tmp_path / "out")["prediction"])[:3] == expected
    with pytest.raises(UsageError, match="begun with another setting"):
        predict(models["translation"], source, f"{tmp_path}/out/", shard_rows=2, columns={"prefix": "de"})


@pytest.mark.parametrize(
    ("name", "columns", "message"),
    [
        ("sentiment", {"prefix": "begin"}, "sentiment has no column 'prefix'; it has text, label$"),
        ("translation", {"begin": "x"}, "it has source, target, prefix, constraints$"),
    ],
)
def test_other_columns_are_refused(models, tmp_path, name, columns, message):
    with pytest.raises(UsageError, match=message):
        predict(models[name], table(tmp_path / "in.csv"), columns=columns)


def test_a_demand_that_cannot_be_met_names_rows_and_text(models, tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("de,prefix\ni work,xyz\n")
    with pytest.raises(UsageError, match=r"in.csv, rows 1 to 1: prefix 'xyz': the model knows no 'xyz'"):
        predict(models["translation"], str(path), str(tmp_path / "out.csv"))
    assert not (tmp_path / "out.csv").exists()


def test_unknown_words_are_copied_where_it_is_asked_for(models, tmp_path, capsys):
    (tmp_path / "in.txt").write_text("Zoë Ümit\n")
    task = from_pretrained(models["translation"])
    with torch.no_grad():
        task.model.decoder.fc_out.bias[UNK] = 100  # else it hardly says that a word is unknown
    model = str(save_pretrained(task, tmp_path / "model"))

    def run(*options):
        main(["predict", model, str(tmp_path / "in.txt"), "--json", *options])
        return json.loads(capsys.readouterr().out)["text"]

    assert run("--copy-unknown").startswith("Zoë Ümit <unk>")
    assert run("--no-copy-unknown") == run() != run("--copy-unknown")
    (tmp_path / "test.tsv").write_text("de\ten\nZoë Ümit\tZoë Ümit" + 6 * " <unk>" + "\n")
    main(["evaluate", model, "--data", str(tmp_path / "test.tsv"), "--copy-unknown"])
    assert json.loads(capsys.readouterr().out)["bleu"] == pytest.approx(100)


@pytest.mark.parametrize("name", ["sentiment", "language_modeling"])
def test_a_task_that_copies_nothing_refuses(models, name):
    with pytest.raises(UsageError, match=f"copy_unknown is for translation; this model is for {name}"):
        pipeline(name, models[name], copy_unknown=True)
