"""Changing a card: what the user wrote stays."""

from dataclasses import replace

import pytest
from huggingface_hub import ModelCard

from nlp_rnn.data import Corpus
from nlp_rnn.errors import UsageError
from nlp_rnn.storage.card_edit import add_result, read_results, set_metadata, training_facts, unbacked_rows
from nlp_rnn.storage.results import Measured, corpus_settings, current_versions, overall
from nlp_rnn.tasks.pretrained import from_pretrained

TEST = Measured({"path": "builtin"}, "test", 100, "0ab", {"accuracy": 0.5}, versions=current_versions())

EDITED = """---
license: mit
custom: {a: 1}
model-index:
- name: mine
  results:
  - task: {type: text-classification}
    dataset: {name: other, type: other, split: test}
    metrics:
    - {type: accuracy, value: 0.25}
---

# My model

| split | metric | value |
| --- | --- | --- |
| test of builtin | accuracy | 0.1000 |
| mine | joy | 1.0000 |

Good for film reviews.
"""


def test_results_are_read_back_and_replaced(folder):
    assert read_results(folder) == []
    add_result(folder, TEST)
    other = replace(TEST, data={"path": "builtin", "max_examples": 5}, split="validation", rows=5)
    add_result(folder, other)
    assert read_results(folder) == [TEST, other]
    better = replace(TEST, metrics={"accuracy": 0.75}, options={"beam": 3}, command="nlp-rnn evaluate")
    add_result(folder, better)
    assert read_results(folder) == [other, better]
    assert unbacked_rows(folder) == ([], [])
    text = (folder / "README.md").read_text()
    assert "| test of builtin | accuracy | 0.7500 |" in text
    assert "| validation (5 rows) of builtin | accuracy | 0.5000 |" in text
    assert "0.5000 |" not in text.replace("validation (5 rows) of builtin | accuracy | 0.5000", "")
    assert "Not measured." not in text
    from_pretrained(folder)  # the card is not a part of the checksums


def test_edits_of_the_user_stay(folder):
    (folder / "README.md").write_text(EDITED)
    add_result(folder, TEST)
    set_metadata(folder, {"language": ["de", "en"]})
    text = (folder / "README.md").read_text()
    body = EDITED.split("---\n", 2)[2].replace("0.1000", "0.5000").splitlines()
    assert sorted(text.split("---\n", 2)[2].splitlines()) == sorted(body)
    data = ModelCard(text).data
    assert (data.license, data.language, data.custom) == ("mit", ["de", "en"], {"a": 1})
    assert data.model_name == "mine"
    assert [result.dataset_name for result in data.eval_results] == ["other", "builtin"]
    assert [result.metric_value for result in data.eval_results] == [0.25, 0.5]


@pytest.mark.parametrize("text", ["", "just text\n", "# Title\n\nNot measured.\n"])
def test_a_card_without_metadata(text, folder):
    (folder / "README.md").write_text(text)
    add_result(folder, TEST)
    assert read_results(folder) == [TEST]
    assert "| test of builtin | accuracy | 0.5000 |" in (folder / "README.md").read_text()
    (folder / "README.md").unlink()
    set_metadata(folder, {"license": "mit"})
    assert ModelCard((folder / "README.md").read_text()).data.license == "mit"


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ("a: [", "its metadata, above the second ---, cannot be read"),
        ("- a", "its metadata, above the second ---, cannot be read"),
        ("model-index: 3", "its metadata, above the second ---, cannot be read"),
        ("nlp_rnn: {results: 3}", "its results cannot be read"),
        ("nlp_rnn: {results: [3]}", "its results cannot be read"),
        ("nlp_rnn: {results: [{magic: 3}]}", "its results cannot be read"),
        (
            "nlp_rnn: {results: [{data: {path: x}, split: test, rows: 1, data_hash: x, metrics: {a: .nan}}]}",
            "its results cannot be read",
        ),
    ],
)
def test_a_card_that_cannot_be_read_stays_as_it_is(metadata, expected, folder):
    text = f"---\n{metadata}\n---\nbody\n"
    (folder / "README.md").write_text(text)
    for change in (read_results, lambda folder: add_result(folder, TEST)):
        with pytest.raises(UsageError, match=expected) as caught:
            change(folder)
        assert str(folder / "README.md") in str(caught.value)
    assert (folder / "README.md").read_text() == text


def test_what_is_stated_of_a_corpus():
    assert corpus_settings(Corpus("builtin")) == {"path": "builtin"}
    corpus = Corpus("x.csv", max_examples=5, seed=3, columns=("a", "b"))
    assert corpus_settings(corpus) == {"path": "x.csv", "max_examples": 5, "seed": 3, "columns": ["a", "b"]}
    assert Corpus(**corpus_settings(corpus)) == replace(corpus, columns=["a", "b"])
    assert overall({"val/loss": 1.0, "f1": 0.5, "f1_a": 0.1, "x": float("nan")}) == {"loss": 1.0, "f1": 0.5}


def test_evaluate_states_what_training_stated(run, tmp_path, monkeypatch):
    """The same split has the same hash and the same metrics, whoever measures."""
    monkeypatch.chdir(tmp_path)
    small = (
        "--data.corpus.max_examples 60 --model.hidden_dim 8 --model.embedding_dim 8 --trainer.max_epochs 1"
    )
    code, _, error = run(*f"fit --config conf/sentiment_builtin.yaml {small} --seed_everything 3".split())
    assert code == 0, error
    folder = tmp_path / "runs" / "sentiment_builtin" / "latest" / "model"
    (trained,) = read_results(folder)
    facts = training_facts(folder)
    assert (trained.split, trained.rows, facts["seed"]) == ("validation", 60, 3)
    assert facts["command"] == trained.command
    assert trained.command.startswith("nlp-rnn fit --config")
    before = (folder / "README.md").read_text()
    code, _, error = run(*f"evaluate {folder} --split validation --max-examples 60 --card".split())
    assert code == 0, error
    (measured,) = read_results(folder)
    assert measured.data_hash == trained.data_hash
    assert measured.metrics == pytest.approx(trained.metrics, abs=1e-6)
    assert measured.data == trained.data
    assert "evaluate" in measured.command
    assert before.count("\n| validation |") == 5
    assert "\n| validation |" not in (folder / "README.md").read_text()
    code, _, error = run(*f"evaluate {tmp_path}/runs/sentiment_builtin/latest/checkpoints --card".split())
    assert code == 2


def test_a_card_is_of_a_folder(run, trained):
    code, _, error = run("evaluate", str(trained[0] / "sentiment.ckpt"), "--card")
    assert (code, "which alone has a card" in error) == (2, True)


def test_push_states_a_license_first(run, folder, hub, monkeypatch):
    from hub_server import TOKEN

    monkeypatch.setenv("HF_TOKEN", TOKEN)
    (folder / "notes.txt").write_text("")
    code, output, error = run("push", str(folder), "me/mine", "--license", "mit", "--language", "en")
    assert code == 0, error
    repo = hub.repos["me/mine"]
    card = repo.commits[repo.refs["main"]]["README.md"]
    assert card == (folder / "README.md").read_bytes()
    assert (ModelCard(card.decode()).data.license, ModelCard(card.decode()).data.language) == ("mit", ["en"])
    assert output.strip().endswith(repo.refs["main"])
    assert "left out: notes.txt" in error
    assert TOKEN not in output + error


@pytest.mark.parametrize(
    ("repo_id", "options", "expected"),
    [
        ("me/mine", [], "the weights were altered"),
        ("mine", [], "no id of a model"),
        ("me/mine", ["--create-pr", "--revision", "x"], "leave out its revision"),
    ],
)
def test_a_refused_push_leaves_the_card_as_it_was(repo_id, options, expected, run, folder, hub):
    if "altered" in expected:
        weights = bytearray((folder / "model.safetensors").read_bytes())
        weights[-1] ^= 1
        (folder / "model.safetensors").write_bytes(weights)
    before = (folder / "README.md").read_bytes()
    code, _, error = run("push", str(folder), repo_id, "--license", "mit", *options)
    assert (code, expected in error) == (2, True)
    assert (folder / "README.md").read_bytes() == before
    assert hub.requests == []
