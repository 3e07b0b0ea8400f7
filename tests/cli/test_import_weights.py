"""`nlp-rnn import`: weights of other people's code as a model folder."""

import json

import pytest
import torch
from torch import nn

WORDS = ["<unk>", "<pad>", "the", "film", "is", "good", "."]


@pytest.fixture
def arguments(tmp_path):
    torch.manual_seed(0)
    model = nn.ModuleDict(
        {"embedding": nn.Embedding(7, 4), "lstm": nn.LSTM(4, 3, bidirectional=True), "fc": nn.Linear(6, 2)}
    )
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    (tmp_path / "words.json").write_text(json.dumps(WORDS))
    return ["import", tmp_path / "weights.pt", tmp_path / "model", "--like", "sentiment-lstm", "--vocab"]


def test_a_folder_is_written_that_predicts(arguments, run, tmp_path):
    code, out, _ = run(*map(str, arguments), str(tmp_path / "words.json"))
    assert code == 0
    assert "largest difference to the original's scores" in out
    assert out.splitlines()[-1] == str(tmp_path / "model")
    (tmp_path / "texts.txt").write_text("the film is good .\n")
    code, out, _ = run("predict", str(tmp_path / "model"), str(tmp_path / "texts.txt"))
    assert (code, out.strip() in ("negative", "positive")) == (0, True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, p: [*a, p / "missing.json"], "missing.json"),
        (lambda a, p: [*a, *[p / "words.json"] * 3], "3 file(s); sentiment-lstm has tokens, [labels]"),
        (lambda a, p: [*a, p / "words.json", "--reverse-source"], "--reverse-source is for translators"),
        (lambda a, p: [*a[:2], p, *a[3:], p / "words.json"], "exists: give another folder"),
        (lambda a, p: [*a[:4], "tagger", a[5], *[p / "words.json"] * 2], "not its labels"),
        (lambda a, p: [a[0], p / "words.json", *a[2:], p / "words.json"], "words.json"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(change, message, arguments, run, tmp_path):
    code, _, err = run(*map(str, change(arguments, tmp_path)))
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "model").exists()
