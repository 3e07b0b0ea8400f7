"""Answers of models become corpora, which training reads as any other."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nlp_rnn.data import Corpus
from nlp_rnn.errors import UsageError
from nlp_rnn.inference.inputs import Inputs
from nlp_rnn.inference.pipelines import pipeline
from nlp_rnn.inference.synthesis import Answering, make_corpus
from nlp_rnn.tasks.pretrained import from_pretrained, save_pretrained
from nlp_rnn.tasks.translation.flaws import CUT, REPEATING, find_flaw

AS_TRAINED = Answering()
TEXTS = ["the film is good", "a bad film .", "", "the film is good", "not good at all"]
COLUMNS = {"translation": ["de", "en", "score"], "sentiment": ["text", "label", "probability"]}


@pytest.fixture(scope="module")
def models(models, tmp_path_factory):
    """The models; that for translation has learned a little, so its translations come to an end."""
    task = from_pretrained(models["translation"])
    processor = task.processor
    rows = {"row": [0, 1, 2, 3], "source": ["good", "the film", "not good .", "is the film good"]}
    rows["target"] = ["film", "the work", "good !", "is not the film good"]
    batch = processor.collate({**rows, **processor.encode(rows)})
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(task.train().model.parameters(), 0.02)
    for _ in range(60):
        optimizer.zero_grad()
        task.loss(batch).backward()
        optimizer.step()
    return {**models, "translation": save_pretrained(task, tmp_path_factory.mktemp("ending") / "model")}


@pytest.fixture
def make(models, tmp_path):
    """A function that makes a corpus of lines; returns the rows and the folder."""

    def make(name="translation", texts=TEXTS, answering=AS_TRAINED, teachers=1, suffix=".txt", **options):
        source = tmp_path / f"lines{suffix}"
        source.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        folder = tmp_path / options.pop("output", "made")
        tasks = {(str(models[name]),): from_pretrained(models[name])}
        for number in range(1, teachers):
            tasks[f"teacher {number}",] = from_pretrained(models[name])
        inputs = Inputs(str(source), **options.pop("inputs", {}))
        made = make_corpus(tasks, inputs, folder, answering, "a test", **options)
        return list(map(json.loads, (folder / "train.jsonl").open(encoding="utf-8"))), folder, made

    return make


def test_rows_are_the_answers_of_the_pipeline(make, models):
    rows, folder, made = make()
    translate = pipeline("translation", models["translation"])
    expected = {text: translate(text)["text"] for text in TEXTS if text}
    assert {row["de"]: row["en"] for row in rows} == {text: new for text, new in expected.items() if new}
    assert made.inputs == 4
    assert made.left_out.get("equal to another row", 0) == 1
    assert len(rows) == made.rows
    origin = json.loads((folder / "origin.json").read_text(encoding="utf-8"))
    assert origin["rows"] == len(rows)
    assert origin["models"][0]["path"] == str(models["translation"])
    assert len(origin["models"][0]["weights"]) == 64
    assert "lines.txt" in origin["data"]["path"]


def test_training_reads_the_folder(make):
    _, folder, _ = make(texts=[f"a film {n}" for n in range(30)])
    splits = Corpus(str(folder)).load({"source": "de", "target": "en"})
    assert sum(map(len, splits.values())) == 30


@pytest.mark.parametrize("batch_size", [1, 2, 50])
def test_samples_depend_on_seed_and_text_alone(make, batch_size):
    sample = Answering(sample=True, seed=1, n_best=2, temperature=2.0)
    first, _, _ = make(answering=sample)
    again, _, _ = make(answering=sample, batch_size=batch_size, output="again")
    assert [(row["de"], row["en"]) for row in again] == [(row["de"], row["en"]) for row in first]
    backwards, _, _ = make(texts=TEXTS[::-1], answering=sample, output="backwards")
    assert {(row["de"], row["en"]) for row in backwards} == {(row["de"], row["en"]) for row in first}
    other, _, _ = make(answering=Answering(sample=True, seed=2, n_best=2, temperature=2.0), output="other")
    assert {row["en"] for row in other} != {row["en"] for row in first}


def test_an_ensemble_answers_as_one_teacher(run, models, tmp_path):
    """Its rows are those of the mean of the probabilities, and say so."""
    first = models["translation"]
    task = from_pretrained(first)
    for parameter in task.model.parameters():
        parameter.data.mul_(0.7)
    second = save_pretrained(task, tmp_path / "second")
    text = tmp_path / "lines.txt"
    text.write_text("\n".join(filter(None, TEXTS)), encoding="utf-8")
    rows = {}
    for name, teachers in {
        "alone": [first], "other": [second], "both": [first, second], "mean": [first, "--ensemble", second]
    }.items():  # fmt: skip
        output = str(tmp_path / name)
        code, _, error = run("distill", *map(str, teachers), "--data", str(text), "--output", output)
        assert code == 0, error
        rows[name] = {
            (row["de"], row["en"]) for row in map(json.loads, (tmp_path / name / "train.jsonl").open())
        }
    assert rows["alone"] != rows["other"]
    assert rows["both"] == rows["alone"] | rows["other"]
    translate = pipeline("translation", [first, second])
    assert rows["mean"] == {(text, translate(text)["text"]) for text in TEXTS if translate(text)["text"]}
    origin = json.loads((tmp_path / "mean" / "origin.json").read_text(encoding="utf-8"))
    (members,) = origin["models"]
    assert [member["path"] for member in members["ensemble"]] == [str(first), str(second)]
    assert len({member["weights"] for member in members["ensemble"]}) == 2
    augmented = ["augment", "--with", str(first), "--ensemble", str(second), "--text", str(text)]
    code, _, error = run(*augmented, "--output", str(tmp_path / "augmented"))
    assert code == 0, error
    content = (tmp_path / "augmented" / "train.jsonl").read_bytes()
    assert content == (tmp_path / "mean" / "train.jsonl").read_bytes()
    several = ["distill", str(first), str(first), "--ensemble", str(second), "--data", str(text)]
    code, _, error = run(*several, "--output", str(tmp_path / "x"))
    assert code == 2
    assert "--ensemble: its models answer together with one model, not with 2" in error


def test_equal_answers_of_several_teachers_are_one_row(make):
    alone, _, _ = make()
    both, _, made = make(teachers=2, output="both")
    assert both == alone
    assert made.left_out["equal to another row"] == 1 + 4


def test_translations_without_an_end_or_that_repeat_words_are_left_out(make, models, tmp_path, monkeypatch):
    """They are counted; all other rows stay."""
    sample = Answering(sample=True, n_best=3)
    rows, _, _ = make(answering=sample)
    task = from_pretrained(models["translation"])
    words = [len(task.processor.target.encode([row["en"]])[0]) for row in rows]
    task.decoding = replace(task.decoding, max_output=min(words) + 1)  # of which one is EOS
    monkeypatch.setitem(models, "translation", save_pretrained(task, tmp_path / "model"))
    kept, folder, made = make(answering=sample, output="short")
    assert kept == [row for row, count in zip(rows, words, strict=True) if count == min(words)]
    assert 0 < len(kept) < len(rows)
    left_out = json.loads((folder / "origin.json").read_text(encoding="utf-8"))["left_out"]
    assert made.left_out == left_out
    assert left_out[CUT] >= len(rows) - len(kept)
    assert f"{left_out[CUT]} translations without an end" in str(made)
    monkeypatch.setattr("nlp_rnn.tasks.translation.task.find_flaw", lambda text, finished: REPEATING)
    with pytest.raises(UsageError, match="no row is left of 4 inputs"):
        make(output="none")


@pytest.mark.parametrize(("text", "flaw"), [
    ("a man in a hat", ""),
    ("no no no", ""),
    ("no no no no", REPEATING),
    ("they say that a man in a man in a man in a man in a hat", REPEATING),
    ("a man and a man and a man and a woman", ""),
    ("one two three four five six seven eight " * 4, REPEATING),
    ("can can't can can't", ""),
    ("go, go, go, go, go away", REPEATING),
])  # fmt: skip
def test_words_that_are_repeated(text, flaw):
    assert find_flaw(text.strip(), True) == flaw
    assert find_flaw(text.strip(), False) == CUT


def test_how_far_it_is(make, run, models, tmp_path, monkeypatch):
    calls = []
    _, _, made = make(batch_size=1, progress=lambda *counts: calls.append(counts))
    assert calls[-1] == (made.inputs, made.rows)
    assert calls[0][0] == 1
    monkeypatch.setattr("nlp_rnn.cli.distill._SECONDS", 0.0)
    lines, output = str(tmp_path / "lines.txt"), str(tmp_path / "told")
    code, out, error = run("distill", str(models["translation"]), "--data", lines, "--output", output)
    assert (code, out) == (0, "")
    first, last = error.splitlines()[-2:]
    assert re.fullmatch(r"nlp-rnn distill: 4 inputs answered, [23] rows, \d+ inputs per second", first)
    assert f"{made.rows} rows of 4 inputs" in last


def test_all_of_the_n_best_are_rows(make):
    rows, _, made = make(answering=Answering(beam=4, n_best=3))
    assert len(rows) > 3
    assert len({(row["de"], row["en"]) for row in rows}) == len(rows) == made.rows


def test_labels_are_spelled_as_in_the_corpus_and_may_have_a_threshold(make, models, tmp_path):
    rows, _, _ = make("sentiment")
    task = from_pretrained(models["sentiment"])
    assert [*rows[0]] == COLUMNS["sentiment"]
    assert {row["label"] for row in rows} <= set(task.processor.classes)
    highest = max(row["probability"] for row in rows)
    few, _, made = make("sentiment", answering=Answering(least=highest), output="few")
    assert few == [row for row in rows if row["probability"] >= highest]
    assert made.left_out.get("less probable than --least", 0) == 3 - len({row["text"] for row in few}) + (
        rows[0] not in few
    )
    with pytest.raises(UsageError, match="no row is left"):
        make("sentiment", answering=Answering(least=1.0), output="none")
    assert not (tmp_path / "none").exists()


def test_taggers_make_rows_of_words(make):
    rows, _, _ = make("tagging")
    for row in rows:
        assert len(row["tokens"]) == len(row["upos"]) > 0
        assert 0 <= row["probability"] <= 1


@pytest.mark.parametrize("name", ["translation", "sentiment", "tagging"])
def test_tables_need_no_targets(make, name):
    row = {
        "translation": {"de": "the film"},
        "sentiment": {"text": "the film"},
        "tagging": {"tokens": ["the", "film"]},
    }[name]
    rows, _, _ = make(name, texts=[json.dumps(row)], suffix=".jsonl")
    assert len(rows) == 1
    assert row.items() <= rows[0].items()


def test_the_first_inputs_alone(make):
    assert make(inputs={"max_examples": 2})[2].inputs == 2


def test_columns_are_called_as_asked(make):
    rows, _, _ = make(inputs={"columns": {"source": "english", "target": "german"}})
    assert [*rows[0]] == ["english", "german", "score"]


@pytest.mark.parametrize(("name", "answering", "message"), [
    ("language_modeling", {}, "corpora are made by models for translation"),
    ("multi_label", {}, "corpora are made by models for translation"),
    ("translation", {"least": 0.5}, "--least is for models that predict labels"),
    ("sentiment", {"sample": True}, "answers are sampled by models for translation"),
    ("sentiment", {"beam": 2}, "beam and n_best are for tasks that generate text"),
    ("translation", {"n_best": 3, "beam": 2}, "n_best must be at most"),
])  # fmt: skip
def test_what_a_model_cannot_do_is_refused(make, tmp_path, name, answering, message):
    with pytest.raises(UsageError, match=message):
        make(name, answering=Answering(**answering))
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("settings", [
    {"temperature": 1.0}, {"seed": 1}, {"top_k": 2}, {"sample": True, "beam": 2}, {"least": 1.5},
])  # fmt: skip
def test_settings_that_contradict_each_other_are_refused(settings):
    with pytest.raises(UsageError):
        Answering(**settings)


def test_a_folder_with_other_files_is_left_alone(make, tmp_path):
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "train.csv").write_text("mine")
    with pytest.raises(UsageError, match=r"holds 'train\.csv'"):
        make()
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["train.csv"]


def test_models_of_different_tasks_are_refused(models, tmp_path):
    tasks = {(name,): from_pretrained(models[name]) for name in ("translation", "sentiment")}
    with pytest.raises(UsageError, match="sentiment: the models are for different tasks"):
        make_corpus(tasks, Inputs("builtin"), tmp_path / "made", Answering(), "a test")


def test_the_verbs_write_folders(run, models, tmp_path):
    text = tmp_path / "en.txt"
    text.write_text("the film is good\na bad film\n", encoding="utf-8")
    model = str(models["translation"])
    for name, arguments in {
        "distilled": ["distill", model, "--data", str(text), "--beam", "2"],
        "translated": ["augment", "--with", model, "--text", str(text), "--sample", "--seed", "4"],
    }.items():
        code, out, error = run(*arguments, "--output", str(tmp_path / name))
        assert (code, out) == (0, ""), error
        assert "rows of 2 inputs" in error
        assert sorted(path.name for path in Path(tmp_path / name).iterdir()) == ["origin.json", "train.jsonl"]
    code, _, error = run(
        "distill", model, "--data", str(text), "--output", str(tmp_path / "x"), "--seed", "1"
    )
    assert code == 2
    assert error.splitlines()[-1].endswith("are for samples: add --sample")
