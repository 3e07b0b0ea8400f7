"""The verbs that take a configuration, and what a run leaves behind."""

import csv
import json
import re
from pathlib import Path

import pytest
import torch

from nlp_rnn import from_pretrained, save_pretrained
from nlp_rnn.tasks import Translation

CONFIG = "conf/sentiment_builtin.yaml"
TINY = [
    *("--data.corpus.max_examples", "120", "--data.batching.size", "20"),
    *("--model.embedding_dim", "8", "--model.hidden_dim", "8"),
    *("--trainer.limit_val_batches", "2", "--trainer.max_epochs", "2"),
]
NOISE = [
    "GPU available",
    "TPU available",
    "litlogger",
    "LeafSpec",
    "Experiment logs",
    "Seed set",
    "Warning",
    "shards",
]


def rows(run_dir):
    with (run_dir / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def one_line(error):
    assert error.startswith("nlp-rnn: error: ")
    assert error.count("\n") == 1
    return error


def test_a_run_directory_holds_all_of_a_run(trained):
    names = {str(path.relative_to(trained)) for path in trained.rglob("*") if path.is_file()}
    assert {
        "config.yaml",
        "metrics.csv",
        "metrics.json",
        "curves.png",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
    } <= names
    assert {
        "model/config.json",
        "model/model.safetensors",
        "model/tokenizer.json",
        "model/README.md",
    } <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert (trained / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert {"train/loss_epoch", "val/loss", "val/accuracy", "val/f1", "train/padding"} <= set(
        rows(trained)[0]
    )
    assert [row["epoch"] for row in rows(trained) if row.get("train/loss_epoch")] == ["0", "1"]


def test_the_card_has_metrics_data_and_command(trained):
    card = (trained / "model" / "README.md").read_text()
    assert re.search(r"\| validation \| accuracy \| \d\.\d{4} \|", card)
    assert "`builtin`" in card
    assert f"nlp-rnn fit --config {CONFIG}" in card


def test_the_model_folder_is_the_best_checkpoint(trained):
    folder, best = from_pretrained(trained / "model"), from_pretrained(trained / "checkpoints" / "best.ckpt")
    weights = best.model.state_dict()
    assert all(value.equal(weights[name]) for name, value in folder.model.state_dict().items())


def test_the_resolved_configuration_gives_the_same_run_again(trained, tmp_path, run):
    config = str(trained / "config.yaml")
    assert (trained / "config.yaml").read_text().startswith(f"# nlp-rnn fit --config {CONFIG} ")
    code, out, error = run("fit", "--config", config, "--runs", str(tmp_path), "--name", "again")
    assert code == 0
    again = tmp_path / "again" / "1"
    assert out == (again / "metrics.json").read_text() == (trained / "metrics.json").read_text()
    weights = from_pretrained(again / "model").model.state_dict()
    assert all(v.equal(weights[k]) for k, v in from_pretrained(trained / "model").model.state_dict().items())
    assert not [noise for noise in NOISE if noise in error]
    assert "run directory: " in error
    assert "model folder: " in error
    # and now it has a second sibling, and `latest` leads to the newer
    assert run("fit", "--config", config, "--runs", str(tmp_path), "--name", "again")[0] == 0
    assert (tmp_path / "again" / "latest").resolve() == (tmp_path / "again" / "2").resolve()
    assert again.is_dir()


def test_every_form_of_a_model_measures_the_same(trained, run):
    answers = []
    for model in ("checkpoints/best.ckpt", "model"):
        code, out, error = run("test", "--config", CONFIG, *TINY, "--ckpt_path", str(trained / model))
        assert code == 0, error
        assert out.count("\n") == 1  # standard output holds the answer alone
        answers.append(json.loads(out))
    assert {"test/loss", "test/accuracy", "test/f1"} <= set(answers[0])
    losses = [answer.pop("test/loss") for answer in answers]  # only the folder's probabilities are calibrated
    assert losses[0] != losses[1]
    assert answers[0] == answers[1]
    code, out, _ = run(
        "validate", "--config", str(trained / "config.yaml"), "--ckpt_path", str(trained / "model")
    )
    assert code == 0
    final = json.loads((trained / "metrics.json").read_text())
    assert json.loads(out)["val/loss"] == pytest.approx(final["metrics"]["val/loss"], abs=1e-5)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("conf/translation_builtin.yaml", "holds a model for sentiment"),
        ("conf/tagging_builtin.yaml", "holds a model for sentiment"),
    ],
)
@pytest.mark.parametrize("verb", ["test", "fit"])
def test_a_model_of_another_task_is_refused(trained, tmp_path, run, config, said, verb):
    checkpoint = str(trained / "checkpoints" / "last.ckpt")
    arguments = ["--config", config, "--ckpt_path", checkpoint, "--runs", str(tmp_path)]
    code, _, error = run(verb, *arguments, "--data.corpus.max_examples", "120")
    assert code == 2
    assert said in one_line(error)


def test_a_missing_test_split_is_named(trained, tmp_path, run):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    lines = [f"a {word} film,{label}\n" for word, label in (("good", "positive"), ("bad", "negative"))]
    (corpus / "train.csv").write_text("text,label\n" + "".join(lines * 20))
    arguments = ["--config", CONFIG, "--data.corpus.path", str(corpus), "--ckpt_path", str(trained / "model")]
    arguments += ["--data.corpus.test_fraction", "0"]
    for verb in ("test", "predict"):
        code, out, error = run(verb, *arguments, "--output", str(tmp_path / "answers.jsonl"))
        assert (code, out) == (2, "")
        assert "has no test split" in error.splitlines()[-1]
    assert not list(tmp_path.glob("*answers*"))


def test_fixed_settings_of_a_trained_model_are_kept_and_named(trained, run, caplog):
    tiny = ["--data.corpus.max_examples", "60", "--model.hidden_dim", "16"]
    code, _, _ = run("test", "--config", CONFIG, *tiny, "--ckpt_path", str(trained / "model"))
    assert code == 0
    assert "stays as it is" in caplog.text
    assert "hidden_dim 16 (was 8)" in caplog.text


def test_decoding_can_be_set_for_a_trained_model(tmp_path, run):
    tiny = ["--config", "conf/translation_builtin.yaml", *TINY, "--trainer.max_epochs", "1"]
    tiny += ["--data.vocabulary.min_frequency", "1", "--model.decoding.max_output", "7"]
    assert run("fit", *tiny, "--runs", str(tmp_path), "--name", "t")[0] == 0
    output = tmp_path / "answers.jsonl"
    arguments = ["--ckpt_path", str(tmp_path / "t" / "1" / "model"), "--output", str(output)]
    code, _, error = run("predict", *tiny, *arguments, "--model.decoding", '{"beam": 3, "n_best": 2}')
    assert code == 0, error
    answers = [json.loads(line) for line in output.read_text().splitlines()]
    assert all(len(answer["n_best"]) == 2 for answer in answers)


def test_sanity_check_limits_decoding(tmp_path, run, monkeypatch):
    longest, answer = [], Translation.answer

    def record(task, batch):
        longest.append(task._max_output())
        return answer(task, batch)

    monkeypatch.setattr(Translation, "answer", record)
    arguments = ["--config", "conf/translation_builtin.yaml", *TINY, "--model.decoding.max_output", "7"]
    arguments += ["--data.vocabulary.min_frequency", "1", "--trainer.limit_train_batches", "1"]
    code, _, error = run("fit", *arguments, "--trainer.max_epochs", "1", "--runs", str(tmp_path))
    assert code == 0, error
    assert longest == [2, 2, 7, 7, 7, 7]  # before, after the epoch, and of the best checkpoint


def test_a_run_that_ends_before_it_is_validated_leaves_a_model(tmp_path, run):
    arguments = [
        "fit",
        "--config",
        CONFIG,
        *TINY,
        "--runs",
        str(tmp_path),
        "--trainer.limit_val_batches",
        "0",
    ]
    code, _, error = run(*arguments)
    assert code == 0, error
    assert from_pretrained(tmp_path / "sentiment_builtin" / "1" / "model").name == "sentiment"


@pytest.mark.parametrize(("epochs", "which"), [("2", "last"), ("3", "best"), ("4", "best")])
def test_epochs_without_validation_are_saved(tmp_path, run, epochs, which):
    arguments = ["fit", "--config", "conf/hello.yaml", "--trainer.check_val_every_n_epoch", "3"]
    code, _, error = run(*arguments, "--trainer.max_epochs", epochs, "--runs", str(tmp_path))
    assert code == 0, error
    assert f"{which} checkpoint on validation: " in error
    run_dir = tmp_path / "hello" / "1"
    folder = from_pretrained(run_dir / "model").model.state_dict()
    kept = from_pretrained(run_dir / "checkpoints" / f"{which}.ckpt").model.state_dict()
    assert all(value.equal(folder[name]) for name, value in kept.items())

    last = torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["epoch"] == int(epochs) - 1


def test_settings_that_fit_no_model_are_one_line(tmp_path, run):
    arguments = ["fit", "--config", "conf/tagging_builtin.yaml", "--data.corpus.max_examples", "60"]
    code, _, error = run(*arguments, "--runs", str(tmp_path), "--data.vocabulary.level", "char")
    assert code == 2
    assert "vocabulary.level must be word for tagging" in one_line(error)
    assert not list(Path(tmp_path).iterdir())


@pytest.mark.curves
@pytest.mark.parametrize("logger", ["CSVLogger", "TensorBoardLogger", "true"])
def test_metrics_and_curves_are_written_beside_the_users_own_logger(run, tmp_path, logger):
    chosen = ["--trainer.logger", logger]
    chosen += [] if logger == "true" else ["--trainer.logger.save_dir", str(tmp_path / "logs")]
    assert run("fit", "--config", CONFIG, *TINY, *chosen, "--runs", str(tmp_path))[0] == 0
    run_dir = tmp_path / "sentiment_builtin" / "1"
    assert [row["epoch"] for row in rows(run_dir) if row.get("train/loss_epoch")] == ["0", "1"]
    assert (run_dir / "curves.png").is_file()
    assert (logger == "true") != (tmp_path / "logs").is_dir()


def test_the_best_of_averaged_weights_is_measured_and_kept(run, tmp_path):
    averaged = ["--trainer.callbacks", "EMAWeightAveraging", "--trainer.callbacks.decay", "0.5"]
    averaged += ["--model.optimization.lr", "0.1", "--trainer.max_epochs", "4", "--model.calibrate", "false"]
    assert run("fit", "--config", CONFIG, *TINY, *averaged, "--runs", str(tmp_path))[0] == 0
    run_dir = tmp_path / "sentiment_builtin" / "1"
    validated = [float(row["val/loss"]) for row in rows(run_dir) if row["val/loss"]]
    assert min(validated) < validated[-1]
    code, out, _ = run("validate", "--config", CONFIG, *TINY, "--ckpt_path", str(run_dir / "model"))
    assert code == 0
    assert json.loads(out)["val/loss"] == pytest.approx(min(validated), rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--trainer.fast_dev_run", "2"], 0, "trainer.fast_dev_run: nothing is saved, so there is no model"),
        (["--trainer.limit_val_batches", "0"], 0, "last checkpoint on validation: not measured"),
        (["--trainer.val_check_interval", "99"], 2, "trainer.val_check_interval (99) must be less"),
        (["--checkpoint.filename", "last"], 2, "checkpoint.filename: last is taken by other checkpoints"),
        (["--trainer.precision", "16-mixed"], 0, "best checkpoint on validation: "),
    ],
)
def test_settings_of_the_trainer_do_what_is_said(run, tmp_path, arguments, code, said):
    ended, _, error = run("fit", "--config", CONFIG, *TINY, *arguments, "--runs", str(tmp_path))
    assert ended == code, error
    assert said in error
    assert (tmp_path / "sentiment_builtin" / "1" / "model").is_dir() == ("on validation" in said)


def test_what_was_fitted_to_validation_stays_unless_it_is_set(trained, tmp_path, run, caplog):
    task = from_pretrained(trained / "model")
    task.temperature = 4.0
    model = ["--ckpt_path", str(save_pretrained(task, tmp_path / "model"))]
    config = ["--config", str(trained / "config.yaml")]

    def loss(*arguments):
        code, out, error = run("validate", *config, *arguments)
        assert code == 0, error
        assert "stays as it is" not in caplog.text
        return json.loads(out)["val/loss"]

    cold, fitted = loss("--ckpt_path", str(trained / "checkpoints" / "best.ckpt")), loss(*model)
    assert fitted != pytest.approx(cold, abs=1e-9)
    assert loss(*model, "--model.temperature", "4") == fitted
    assert loss(*model, "--model.temperature", "2") not in (fitted, cold)
