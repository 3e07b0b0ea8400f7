"""Training a model on with other data, another vocabulary and other labels."""

import json

import pytest
import pytorch_lightning as pl
import torch

from nlp_rnn import from_pretrained, save_pretrained
from nlp_rnn.data import LanguageModelingData, MultiLabelData, SentimentData, VocabularySettings
from nlp_rnn.models.layers.quantization import quantize
from nlp_rnn.tasks import LanguageModeling, MultiLabel, Sentiment
from nlp_rnn.training.init_from import with_settings_of_model

FOOD = "the soup is good,tasty\nthe pasta is bad,nasty\nthe film is good,tasty\na dull soup,nasty\n" * 8
SMALL = ["--trainer.max_epochs", "1", "--data.vocabulary.min_frequency", "1", "--data.batching.size", "8"]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The folder of a small sentiment model with labels good and bad."""
    rows = [{"review": "the film is good", "stars": "good"}, {"review": "a bad film", "stars": "bad"}] * 4
    data = SentimentData(
        rows, text="review", label="stars", vocabulary=VocabularySettings("word", True, 1), max_length=17
    )
    torch.manual_seed(1)
    task = Sentiment(data.processor, 6, 7, cell="gru", dropout=0.25)
    task.data_columns = data.data_columns
    task.temperature = 4.0
    return save_pretrained(task, tmp_path_factory.mktemp("base") / "model")


@pytest.fixture
def fit(run, tmp_path, base):
    """Runs fit from the model on four texts about food; gives code, messages and run directory."""
    data = tmp_path / "food.csv"
    data.write_text(f"review,stars\n{FOOD}")

    def call(*options, source=base):
        arguments = [
            "--init_from",
            str(source),
            "--data.corpus.path",
            str(data),
            "--runs",
            str(tmp_path / "runs"),
        ]
        code, _, error = run("fit", *SMALL, *arguments, *options)
        return code, error, tmp_path / "runs" / "run" / "1"

    return call


def test_goes_on_with_other_words_and_labels(fit, base):
    code, error, run_dir = fit("--model.optimization.lr", "1e-12")
    assert code == 0, error
    assert f"init_from {base}: copied 9 of 11 tensors; embedding.weight " in error
    old, new = from_pretrained(base), from_pretrained(run_dir / "model")
    assert (new.settings["cell"], new.settings["dropout"]) == ("gru", 0.25)
    assert new.processor.max_length == 17
    assert new.labels == ["nasty", "tasty"]
    before, after = (task.processor.tokens.tokens() for task in (old, new))
    assert after[: len(before)] == before
    assert set(after) - set(before) == {"soup", "pasta", "dull"}
    assert f"embedding.weight {len(before)} of {len(after)} rows kept, 3 new (" in error
    assert "fc_out.weight 0 of 2 rows kept, 2 new ('nasty', 'tasty'), 2 gone ('bad', 'good')" in error
    for name, weight in new.model.named_parameters():
        trained = old.model.get_parameter(name)
        if name.startswith("fc_out"):
            assert not torch.allclose(weight, trained, atol=1e-6)
        else:
            torch.testing.assert_close(weight[: len(trained)], trained, atol=1e-6, rtol=0)


def test_keeps_the_rows_of_labels_that_both_have(fit, base, tmp_path):
    (tmp_path / "more.csv").write_text(
        "review,stars\n" + "a good film,good\nan odd film,odd\na bad one,bad\n" * 9
    )
    path = ["--data.corpus.path", str(tmp_path / "more.csv")]
    code, error, run_dir = fit(*path, "--model.optimization.lr", "1e-12")
    assert code == 0, error
    assert "fc_out.weight 2 of 3 rows kept, 1 new ('odd')" in error
    old, new = from_pretrained(base), from_pretrained(run_dir / "model")
    for label in old.labels:
        rows = (task.model.fc_out.weight[task.labels.index(label)] for task in (old, new))
        torch.testing.assert_close(*rows, atol=1e-6, rtol=0)


def test_settings_win_over_those_of_the_model(fit, base):
    code, error, run_dir = fit("--model.dropout", "0.5", "--model.num_layers", "2", "--model.hidden_dim", "7")
    assert code == 0, error
    assert "not copied: rnn.weight_ih_l1, " in error
    settings = json.loads((run_dir / "model" / "config.json").read_text())["settings"]
    assert (settings["dropout"], settings["num_layers"], settings["cell"]) == (0.5, 2, "gru")


def test_what_was_fitted_to_the_old_labels_is_left_out(fit, tmp_path):
    code, error, run_dir = fit()
    assert code == 0, error
    assert from_pretrained(run_dir / "model").temperature == 1.0
    data = MultiLabelData([{"text": "good", "labels": "a|b"}, {"text": "bad", "labels": "c"}] * 5)
    folder = save_pretrained(MultiLabel(data.processor, 6, 7, thresholds=[0.1, 0.2, 0.3]), tmp_path / "m")
    arguments = with_settings_of_model(["fit", "--init_from", str(folder)])
    assert '"hidden_dim": 7' in arguments[1]
    assert '"thresholds"' not in arguments[1]


def test_parts_can_be_frozen(fit, base):
    code, error, run_dir = fit(
        "--model.optimization.freeze", "[embedding, rnn]", "--model.optimization.lr", "1"
    )
    assert code == 0, error
    assert "; frozen: embedding and rnn" in error or "; frozen: embedding, rnn" in error
    old, new = from_pretrained(base), from_pretrained(run_dir / "model")
    for name, weight in old.model.rnn.named_parameters():
        assert torch.equal(weight, new.model.rnn.get_parameter(name))


def test_a_run_with_a_frozen_part_resumes(fit, run):
    code, error, run_dir = fit("--model.optimization.freeze", "embedding")
    assert code == 0, error
    code, _, error = run("fit", "--resume", str(run_dir), "--trainer.max_epochs", "2")
    assert code == 0, error
    assert "changed settings" not in error


def test_a_run_that_resumes_needs_the_model_no_more(fit, base, tmp_path, run):
    copy = save_pretrained(from_pretrained(base), tmp_path / "copy")
    code, error, run_dir = fit(source=copy)
    assert code == 0, error
    copy.rename(tmp_path / "gone")
    code, _, error = run("fit", "--resume", str(run_dir), "--trainer.max_epochs", "2")
    assert code == 0, error
    assert "copied" not in error
    assert from_pretrained(run_dir / "model").labels == ["nasty", "tasty"]


def test_a_model_of_another_task_gives_what_fits(fit, tmp_path, run):
    data = LanguageModelingData({"text": ["a good film"] * 4}, vocabulary=VocabularySettings("word", True, 1))
    source = save_pretrained(LanguageModeling(data.processor, 6, 7), tmp_path / "lm")
    classes = [
        "--model",
        "Sentiment",
        "--data",
        "SentimentData",
        "--data.text",
        "review",
        "--data.label",
        "stars",
    ]
    sizes = ["--model.embedding_dim", "6", "--model.hidden_dim", "7", "--model.bidirectional", "false"]
    code, error, _ = fit(*classes, *sizes, source=source)
    assert code == 0, error
    assert "copied 5 of 7 tensors; embedding.weight 7 of 13 rows kept" in error


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("nowhere", [], "nowhere: no such model folder"),
        ("int8", [], "its weights are int8; give the model that was quantized"),
        (
            "base",
            ["--model.embedding_dim", "5", "--model.hidden_dim", "9"],
            "none of its weights has the name",
        ),
        ("base", ["--data.text", "body"], "no column 'body'; the columns are review, stars"),
    ],
)
def test_errors(source, options, message, fit, base, tmp_path):
    if source == "int8":
        task = from_pretrained(base)
        quantize(task.model)
        save_pretrained(task, tmp_path / "int8")
    code, error, run_dir = fit(*options, source=base if source == "base" else tmp_path / source)
    assert code == 2
    assert message in error
    assert error.count("\n") == 1
    assert not run_dir.exists()


def train(task, folder):
    """One epoch on two texts."""
    rows = [{"review": "a good film", "stars": "good"}, {"review": "bad", "stars": "bad"}] * 5
    data = SentimentData(rows, text="review", label="stars")
    data.attach_processor(task.processor)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    nothing = {"enable_checkpointing": False, "limit_val_batches": 0, "default_root_dir": folder}
    pl.Trainer(max_epochs=1, **quiet, **nothing).fit(task, data)


def test_a_loaded_model_is_trained_with_dropout(base, tmp_path):
    task = from_pretrained(base)
    assert not task.training
    modes = []
    task.model.dropout.register_forward_hook(lambda module, *_: modes.append(module.training))
    train(task, tmp_path)
    assert modes
    assert all(modes)


def test_parts_in_evaluation_mode_stay_so(base, tmp_path):
    task = from_pretrained(base).train()
    task.model.dropout.eval()
    train(task, tmp_path)
    assert not task.model.dropout.training


@pytest.mark.parametrize("rate", [1e-12, 0.5])
def test_the_learning_rate_can_be_changed_between_fits(rate, base, tmp_path):
    task = from_pretrained(base)
    train(task, tmp_path)
    before = task.model.fc_out.weight.clone()
    task.lr = rate
    train(task, tmp_path)
    assert task.settings["optimization"]["lr"] == rate
    assert ((task.model.fc_out.weight - before).abs().max() > 1e-3) == (rate > 0.1)
