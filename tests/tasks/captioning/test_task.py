"""Vectors in, captions out: what the tables of tasks that take text cannot show of captioning."""

import dataclasses
import io
import json
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_rnn.data import CaptioningData, Corpus, Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.evaluation.measuring import evaluate
from nlp_rnn.inference.pipelines import Pipeline, pipeline
from nlp_rnn.inference.prediction import predict
from nlp_rnn.models.layers.cells import CELLS
from nlp_rnn.models.layers.quantization import quantize
from nlp_rnn.tasks import BeamSettings, Captioning
from nlp_rnn.tasks.captioning.data import CaptioningProcessor
from nlp_rnn.tasks.pretrained import from_pretrained, save_pretrained

CAPTIONS = ["one dog", "a cat .", "two", "nothing at all"]
VECTORS = np.random.default_rng(0).normal(3, 2, (12, 6)).round(3).tolist()


def tiny(cell="lstm"):
    torch.manual_seed(3)
    words = Vocabulary.train(CAPTIONS, VocabularySettings(min_frequency=1))
    processor = CaptioningProcessor(words, [1.0, 2.0, 3.0, 4.0, 3.0, 2.0], 2.0)
    task = Captioning(
        processor, 8, 8, 2, 0.0, cell, decoding=BeamSettings(beam=3, n_best=2, max_output=6)
    ).eval()
    with torch.no_grad():
        for parameter in task.parameters():
            parameter.mul_(2)
    return task


@pytest.fixture(scope="module")
def ask():
    return pipeline("captioning", tiny())


def close(one, other):
    texts = [[entry["text"] for entry in answer["n_best"]] for answer in (one, other)]
    scores = [[entry["score"] for entry in answer["n_best"]] for answer in (one, other)]
    return texts[0] == texts[1] and scores[0] == pytest.approx(scores[1], abs=1e-5)


# ---------------------------------------------------------------------------------------------- the data


def write(folder, form, vectors, captions=None, names=("features", "caption")):
    """One file of rows."""
    captions = captions or [CAPTIONS[number % 4] for number in range(len(vectors))]
    path = folder / f"train.{form}"
    if form == "jsonl":
        rows = [dict(zip(names, row, strict=True)) for row in zip(vectors, captions, strict=True)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif form == "parquet":
        pq.write_table(pa.table(dict(zip(names, (vectors, captions), strict=True))), path)
    else:
        np.savez(path, **dict(zip(names, (np.array(vectors), np.array(captions)), strict=True)))
    return str(path)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("form", ["jsonl", "parquet", "npz"])
def test_formats(form, nested, tmp_path):
    vectors = [np.reshape(vector, (2, 3)).tolist() for vector in VECTORS] if nested else VECTORS
    data = CaptioningData(
        Corpus(write(tmp_path, form, vectors)), vocabulary=VocabularySettings(min_frequency=1)
    )
    rows = data.load_split("train")
    assert np.allclose(rows["features"], VECTORS)
    assert rows["caption"][:4] == CAPTIONS
    train = np.array(data.load()["train"]["features"][:])
    assert np.allclose(data.processor.means, train.mean(0))
    assert data.processor.scale == pytest.approx((train - train.mean(0)).std())
    (batch,) = data.processor.loader(data.splits["train"], data.batching)
    found = batch.vectors[np.argsort(batch.rows)] * data.processor.scale + torch.tensor(data.processor.means)
    assert np.allclose(found, train, atol=1e-5)
    assert batch.vectors.dtype == torch.float32


def test_columns_of_other_names(tmp_path):
    path = write(tmp_path, "jsonl", VECTORS, names=("pixels", "text"))
    assert CaptioningData(Corpus(path)).load_split("train").num_rows == 12
    path = write(tmp_path, "jsonl", VECTORS, names=("x", "y"))
    assert CaptioningData(Corpus(path), features="x", caption="y").load_split("train").num_rows == 12
    with pytest.raises(
        UsageError, match="no column 'features' or 'pixels' or 'vector'; the columns are x, y"
    ):
        CaptioningData(Corpus(path)).load_split("train")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([1.0] * 5, r"row 4: column 'features' holds 5 numbers, 6 before"),
        ([], r"row 4: column 'features' holds 0 numbers, 6 before"),
        ([1.0, None, *[1.0] * 4], r"row 4: column 'features' holds no value"),
        ([1.0, float("nan"), *[1.0] * 4], r"row 4: column 'features' holds a number that is not finite"),
        ([1.0, float("inf"), *[1.0] * 4], r"row 4: column 'features' holds a number that is not finite"),
        (None, r"row 4: column 'features' holds no value"),
    ],
)
@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_vectors_that_are_none(form, row, message, tmp_path):
    path = write(tmp_path, form, [*VECTORS[:3], row, *VECTORS[3:]])
    with pytest.raises(UsageError, match=message) as caught:
        CaptioningData(Corpus(path)).load()
    assert path in str(caught.value)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ([["a", "b"]] * 12, "not numbers"),
        ([1.5] * 12, "not lists of numbers"),
        (["1 2 3"] * 12, "not lists of numbers"),
        ([[1.0, 2.0]] * 12, "all vectors of the train split are equal"),
    ],
)
def test_columns_that_are_no_vectors(vectors, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        CaptioningData(Corpus(write(tmp_path, "jsonl", vectors))).processor  # noqa: B018


def test_splits_of_different_vectors(tmp_path):
    write(tmp_path, "jsonl", VECTORS)
    (tmp_path / "train.jsonl").rename(tmp_path / "val.jsonl")
    write(tmp_path, "jsonl", [vector[:5] for vector in VECTORS])
    with pytest.raises(UsageError, match="a vector of 6 numbers; the model reads 5"):
        CaptioningData(Corpus(str(tmp_path))).processor  # noqa: B018


def test_digits():
    data = CaptioningData(vocabulary=VocabularySettings("char"))
    assert {name: len(rows) for name, rows in data.splits.items()} == {
        "train": 1257,
        "validation": 180,
        "test": 360,
    }
    assert len(data.processor.means) == 64
    assert len(data.processor.target) == 4 + len(set("zeroonetwothreefourfivesixseveneightnine"))


# --------------------------------------------------------------------------------------------- the answers


@pytest.mark.parametrize("cell", CELLS)
def test_batch_size_order_and_company_change_nothing(cell):
    task = tiny(cell)
    alone = [Pipeline(task, 1)(vector) for vector in VECTORS]
    assert len({answer["text"] for answer in alone}) > 1
    for size in (1, 5, 64):
        assert all(map(close, Pipeline(task, size)(VECTORS), alone))
    assert all(map(close, Pipeline(task, 4)(VECTORS[::-1])[::-1], alone))
    assert all(map(close, Pipeline(task, 2).iterate(VECTORS), alone))


def test_an_input_is_an_array_of_numbers():
    processor = tiny().processor
    assert all(map(processor.is_input, [[1, 2.5], (1,), [[1, 2], [3, 4]], np.ones(3), [True]]))
    assert not any(map(processor.is_input, [1, np.array(2.0), "1 2", ["a"], None, [[1], [2, 3]], [1j]]))


def test_one_vector_and_several(ask):
    one, picture = VECTORS[0], np.reshape(VECTORS[0], (2, 3))
    expected = ask(one)
    for given_one in (tuple(one), np.array(one), torch.tensor(one), picture, picture.tolist(), picture[None]):
        answers = ask(given_one)
        assert close(answers if isinstance(answers, dict) else answers[0], expected)
    assert isinstance(ask(picture.tolist()), dict)
    for several in ([one], [picture], np.array([one, one]), [picture.tolist()] * 3, iter([one])):
        answers = ask(several)
        assert isinstance(answers, list)
        assert all(close(answer, expected) for answer in answers)
    assert len(ask(np.array(VECTORS))) == 12
    assert ask([]) == []


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.floats(-1e30, 1e30), min_size=6, max_size=6), min_size=1, max_size=4))
def test_any_numbers(ask, vectors):
    for vector, answer in zip(vectors, ask(vectors), strict=True):
        assert np.isfinite(answer["score"])
        assert close(ask(vector), answer)


@pytest.mark.parametrize(
    ("given_one", "message"),
    [
        ([1.0, 2.0], "a vector of 2 numbers; the model reads 6"),
        ([[1.0] * 6, [1.0] * 7], "input 2: a vector of 7 numbers; the model reads 6"),
        ([[]], "a vector of 0 numbers; the model reads 6"),
        ("1 2 3 4 5 6", "input 1 is no vector of numbers: '1 2 3 4 5 6'"),
        (3.0, "input 1 is no vector of numbers: 3.0"),
        ([[1.0] * 6, "text"], "input 2 is no vector of numbers: 'text'"),
        ([[1.0] * 6, None], "input 2 is no vector of numbers: None"),
        ([[[1.0], [1.0, 2.0]]], "input 1 is no vector of numbers"),
        ([1.0, 2.0, 3.0, 4.0, 5.0, float("nan")], "NaN, infinity"),
        ([1.0, 2.0, 3.0, 4.0, 5.0, 1e300], "beyond float32"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_inputs_other_than_vectors_are_refused(ask, given_one, message):
    with pytest.raises(UsageError) as caught:
        ask(given_one)
    assert message in str(caught.value)


def test_in_bfloat16_and_int8_scores_are_the_same_but_for_rounding(ask):
    rounded = [pipeline("captioning", tiny(), precision="bf16"), pipeline("captioning", tiny())]
    quantize(rounded[1].task.model)
    for answerer in rounded:
        errors = [
            one["score"] - other["score"] for one, other in zip(ask(VECTORS), answerer(VECTORS), strict=True)
        ]
        assert 0 < np.abs(errors).max() < 0.2


@pytest.mark.parametrize("int8", [False, True])
def test_saved_equals_loaded(int8, tmp_path):
    task = tiny()
    if int8:
        quantize(task.model)
    loaded = from_pretrained(save_pretrained(task, tmp_path / "model"))
    assert loaded.stored() == task.stored()
    answers = pipeline("captioning", task)(VECTORS)
    assert pipeline("captioning", loaded)(VECTORS) == answers
    assert (
        'pipeline("captioning", model="path/to/this/folder")([1.0, 2.0, 3.0, 4.0, 3.0, 2.0])'
        in (tmp_path / "model" / "README.md").read_text()
    )


def test_predictions(ask, tmp_path, monkeypatch, capsys):
    folder = save_pretrained(ask.task, tmp_path / "model")
    forms = [" ".join(map(str, VECTORS[0])), ", ".join(map(str, VECTORS[1])), json.dumps(VECTORS[2])]
    forms.append(json.dumps(np.reshape(VECTORS[3], (2, 3)).tolist()))
    expected = [answer["text"] for answer in ask(VECTORS[:4])]
    (tmp_path / "in").write_text("\n".join(forms) + "\n")
    predict(folder, str(tmp_path / "in"), str(tmp_path / "out"))
    assert (tmp_path / "out").read_text().split("\n") == [*expected, ""]
    for line, message in (
        ("", "line 1: a vector of 0 numbers"),
        ("1 2 3 4 5 6\n1 2", "line 2: a vector of 2 numbers"),
        ("[[1, 2, 3, 4, 5], [6, 7]]", "line 1: not a vector; give a list of numbers"),
        ("a cat", "not a number: 'a'"),
        ("[NaN]", "not finite"),
    ):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(line.encode() + b"\n")))
        with pytest.raises(UsageError, match=message):
            predict(folder)
    assert capsys.readouterr().out == ""


def test_noise_is_added_to_the_vectors_in_training_only(make_task, one_batch):
    plain, noisy = make_task("captioning"), make_task("captioning", noise=0.25)
    noisy.load_state_dict(plain.state_dict())
    batch = one_batch(plain)
    torch.manual_seed(5)
    loss = noisy.loss(batch)
    torch.manual_seed(5)
    moved = dataclasses.replace(batch, vectors=batch.vectors + 0.25 * torch.randn_like(batch.vectors))
    assert loss == plain.loss(moved) != plain.loss(batch)
    for task in (plain, noisy):
        task.update_metrics(batch, task.metrics("val"))
    metrics = [task.compute_metrics(task.metrics("val")) for task in (plain, noisy)]
    assert metrics[0] == metrics[1]


# --------------------------------------------------------------------------------------------- the figures


@pytest.mark.parametrize("beam", [1, 3])
def test_evaluation_measures_the_answers(beam, tmp_path):
    task = tiny()
    texts = [answer["text"] for answer in pipeline("captioning", task, beam=beam)(VECTORS)]
    references = [text.upper() if number % 3 else "another" for number, text in enumerate(texts)]
    path = write(tmp_path, "jsonl", VECTORS, [text or "!" for text in references])
    exact = np.mean([one.lower() == other.lower() for one, other in zip(texts, references, strict=True)])
    figures = evaluate(task, Corpus(path), beam=beam).results
    assert 0.3 < exact < 1
    assert figures["exact"] == pytest.approx(exact)
    assert figures["rows"] == 12
    assert figures["decoding"]["beam"] == beam
    scores = {name: value for name, value in figures.items() if isinstance(value, float)}
    for size in (1, 5):
        other = evaluate(task, Corpus(path), beam=beam, batch_size=size).results
        assert {name: other[name] for name in scores} == pytest.approx(scores, rel=1e-5)
    shown = {"task", "data", "split", "rows", "loss", "perplexity", "exact", "bleu", "chrf"}
    assert figures.keys() - {"bleu_signature", "chrf_signature", "decoding"} == shown
