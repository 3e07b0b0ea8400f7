"""The file of answers that `predict --config` writes."""

import json

from nlp_rnn.tasks import Sentiment

CONFIG = "conf/sentiment_builtin.yaml"
TINY = [
    *("--data.corpus.max_examples", "120", "--data.batching.size", "20"),
    *("--model.embedding_dim", "8", "--model.hidden_dim", "8"),
    *("--trainer.limit_val_batches", "2", "--trainer.max_epochs", "2"),
]


def one_line(error):
    assert error.startswith("nlp-rnn: error: ")
    assert error.count("\n") == 1
    return error


def test_predict_writes_every_row_in_order(trained, tmp_path, run):
    output = tmp_path / "new" / "answers.jsonl"
    arguments = ["--config", CONFIG, *TINY, "--ckpt_path", str(trained / "model"), "--output", str(output)]
    code, out, error = run("predict", *arguments)
    assert (code, out) == (0, ""), error
    answers = [json.loads(line) for line in output.read_text().splitlines()]
    assert [answer["row"] for answer in answers] == list(range(120))
    assert {answer["label"] for answer in answers} <= {"negative", "positive"}
    assert [path.name for path in output.parent.iterdir()] == ["answers.jsonl"]


def test_an_output_that_cannot_be_written_is_found_first(trained, tmp_path, run):
    (tmp_path / "file").touch()
    arguments = [
        "--config",
        CONFIG,
        "--ckpt_path",
        str(trained / "model"),
        "--output",
        str(tmp_path / "file" / "x"),
    ]
    code, _, error = run("predict", *arguments)
    assert code == 2
    assert "--output" in one_line(error)


def test_a_prediction_that_fails_leaves_nothing(trained, tmp_path, run, monkeypatch):
    def break_down(*_):
        raise RuntimeError("it broke")

    monkeypatch.setattr(Sentiment, "answer", break_down)
    arguments = ["--config", CONFIG, *TINY, "--ckpt_path", str(trained / "model")]
    code, out, error = run("predict", *arguments, "--output", str(tmp_path / "answers.jsonl"))
    assert (code, out) == (1, "")
    assert error.endswith("nlp-rnn: error: RuntimeError: it broke\n")
    assert not list(tmp_path.iterdir())
