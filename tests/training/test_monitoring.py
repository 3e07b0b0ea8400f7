"""The metric that chooses the best checkpoint: that it exists, and which way is better."""

import csv

import pytest
import yaml

from nlp_rnn import from_pretrained
from nlp_rnn.tasks import TASKS
from nlp_rnn.training.monitoring import better, logged_metrics

TINY = [
    *("--config", "conf/sentiment_builtin.yaml", "--data.corpus.max_examples", "60"),
    *("--data.batching.size", "20", "--model.embedding_dim", "8", "--model.hidden_dim", "8"),
]


@pytest.mark.parametrize(
    ("task", "metric", "expected"),
    [
        ("sentiment", "val/loss", "min"),
        ("sentiment", "val/accuracy", "max"),
        ("sentiment", "val/f1_positive", "max"),
        ("tagging", "val/unknown_accuracy", "max"),
        ("series_tagging", "val/f1", "max"),
        ("translation", "val/bleu", "max"),
        ("translation", "val/chrf", "max"),
        ("translation", "val/perplexity", "min"),
        ("captioning", "val/exact", "max"),
        ("captioning", "val/perplexity", "min"),
        ("language_modeling", "val/bits_per_character", "min"),
        ("forecasting", "val/r2", "max"),
        ("forecasting", "val/mae", "min"),
        ("forecasting", "val/mse", "min"),
        ("translation", "train/loss_epoch", "min"),
    ],
)
def test_each_metric_has_its_better_direction(task, metric, expected):
    assert better(TASKS[task], metric) == expected


@pytest.fixture(scope="module")
def by_accuracy(tmp_path_factory):
    """A run directory of four epochs that keeps the best accuracy, beside callbacks of the user's own."""
    from nlp_rnn.cli.main import main

    runs = tmp_path_factory.mktemp("runs")
    own = [
        {
            "class_path": "ModelCheckpoint",
            "init_args": {"dirpath": str(runs / "own"), "monitor": "val/f1", "mode": "max"},
        },
        {"class_path": "EarlyStopping", "init_args": {"monitor": "train/loss_epoch", "patience": 9}},
    ]
    config = runs / "own.yaml"
    config.write_text(yaml.safe_dump({"trainer": {"callbacks": own}}))
    main(
        [
            *("fit", *TINY, "--config", str(config), "--runs", str(runs), "--trainer.max_epochs", "4"),
            *("--checkpoint.monitor", "val/accuracy", "--early_stopping.monitor", "val/accuracy"),
            *("--model.optimization.lr", "0.05"),
        ]
    )
    return runs / "sentiment_builtin" / "1"


def test_the_best_checkpoint_has_the_highest_accuracy_whatever_else_is_saved(by_accuracy, run):
    with (by_accuracy / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    validated = [float(row["val/accuracy"]) for row in rows if row["val/accuracy"]]
    assert min(validated) < max(validated)
    code, out, error = run("validate", *TINY, "--ckpt_path", str(by_accuracy / "model"))
    assert code == 0, error
    assert yaml.safe_load(out)["val/accuracy"] == pytest.approx(max(validated))
    best = from_pretrained(by_accuracy / "checkpoints" / "best.ckpt").model.state_dict()
    folder = from_pretrained(by_accuracy / "model").model.state_dict()
    assert all(value.equal(folder[name]) for name, value in best.items())
    stored = yaml.safe_load((by_accuracy / "config.yaml").read_text())
    assert stored["checkpoint"]["mode"] == stored["early_stopping"]["mode"] == "max"


@pytest.mark.parametrize("group", ["checkpoint", "early_stopping"])
def test_a_mistyped_monitor_is_refused_before_training(run, tmp_path, group):
    code, out, error = run("fit", *TINY, f"--{group}.monitor", "val/acurac", "--runs", str(tmp_path))
    assert (code, out) == (2, "")
    assert error == (
        f"nlp-rnn: error: {group}.monitor: sentiment has no metric 'val/acurac'; did you mean "
        "'val/accuracy'? It has val/loss, val/accuracy, val/f1, val/f1_negative, val/f1_positive, "
        "train/loss_epoch, train/loss_step\n"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("monitor", "mode", "better"), [("val/accuracy", "min", "higher"), ("val/loss", "max", "lower")]
)
def test_a_mode_that_contradicts_its_metric_is_refused(refusal, monitor, mode, better):
    said = refusal(
        *("--early_stopping.monitor", monitor, "--early_stopping.mode", mode),
        config="conf/sentiment_builtin.yaml",
    )
    assert f"early_stopping.mode '{mode}' contradicts its monitor: {monitor} is better" in said
    assert f"when {better}; leave the mode out" in said


def test_a_metric_of_training_is_monitored_at_the_end_of_its_epoch(run, tmp_path):
    code, _, error = run(
        *("fit", *TINY, "--checkpoint.monitor", "train/loss_epoch", "--runs", str(tmp_path)),
        *("--early_stopping.monitor", "train/loss_epoch", "--trainer.max_epochs", "2"),
        *("--trainer.val_check_interval", "0.5", "--early_stopping.stopping_threshold", "100"),
    )
    assert code == 0, error
    assert "epoch 1/2" in error
    assert "epoch 2/2" not in error  # stopped at the end of the first epoch
    assert (tmp_path / "sentiment_builtin" / "1" / "checkpoints" / "best.ckpt").is_file()


def test_the_metrics_are_named_without_training(by_accuracy):
    task = from_pretrained(by_accuracy / "model")
    assert logged_metrics(task)[:3] == ["val/loss", "val/accuracy", "val/f1"]
    assert not any(metric._update_called for metric in task.metrics("val").values())


def own(name, **settings):
    return ["--trainer.callbacks", yaml.safe_dump([{"class_path": name, "init_args": settings}])]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (own("EarlyStopping", monitor="val/accuracy"), "val/accuracy is better when higher; set mode: max"),
        (own("ModelCheckpoint", monitor="val/loss", mode="max"), "better when lower; set mode: min"),
        (own("EarlyStopping", monitor="val/acc"), "sentiment has no metric 'val/acc'; did you mean 'val/acc"),
        (own("EarlyStopping", monitor="val/loss"), "a second EarlyStopping on val/loss; change the settings"),
        (own("ModelCheckpoint", monitor="val/loss"), "the settings of the first one, --checkpoint, instead"),
        (
            own("ModelCheckpoint", monitor="val/f1", every_n_train_steps=3),
            "is measured by validations",
        ),
        (["--checkpoint.every_n_train_steps", "5"], "set trainer.val_check_interval instead"),
        (["--checkpoint.train_time_interval", "00:00:01"], "set trainer.val_check_interval instead"),
    ],
)
def test_callbacks_that_would_keep_the_wrong_weights_are_refused(run, tmp_path, arguments, said):
    code, out, error = run("fit", *TINY, *arguments, "--runs", str(tmp_path))
    assert (code, out) == (2, "")
    assert said in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "epoch"),
    [
        (["--checkpoint.save_top_k", "3"], None),
        (["--checkpoint.save_top_k", "-1"], None),
        (["--checkpoint.save_top_k", "0"], 3),  # none is kept but the last
        (["--checkpoint.monitor", "null"], 3),  # the newest is the best
        (["--checkpoint.save_last", "true"], None),
    ],
)
def test_the_model_folder_is_the_best_however_many_are_kept(run, tmp_path, arguments, epoch):
    fit = ["fit", *TINY, *arguments, "--runs", str(tmp_path), "--trainer.max_epochs", "4"]
    assert run(*fit, "--model.optimization.lr", "0.1", "--trainer.log_every_n_steps", "1")[0] == 0
    run_dir = tmp_path / "sentiment_builtin" / "1"
    with (run_dir / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    validated = [float(row["val/loss"]) for row in rows if row["val/loss"]]
    assert min(validated) < validated[-1]
    code, out, error = run("validate", *TINY, "--ckpt_path", str(run_dir / "model"))
    assert code == 0, error
    expected = min(validated) if epoch is None else validated[epoch]
    assert yaml.safe_load(out)["val/loss"] == pytest.approx(expected, rel=1e-5)


def test_a_metric_unlike_all_others_gets_no_suggestion(run, tmp_path):
    code, _, error = run("fit", *TINY, "--checkpoint.monitor", "speed", "--runs", str(tmp_path))
    assert code == 2
    assert "sentiment has no metric 'speed'. It has val/loss, " in error


@pytest.mark.parametrize(
    ("arguments", "settings"),
    [
        ("patience: int = 1", "'val/f1', patience=patience"),
        ("monitor: str = 'val/f1'", "monitor, mode='max'"),
    ],
)
def test_a_callback_that_sets_its_monitor_or_mode_itself_is_left_alone(
    run, tmp_path, monkeypatch, arguments, settings
):
    name = "own_" + arguments.partition(":")[0]
    (tmp_path / f"{name}.py").write_text(
        "from pytorch_lightning.callbacks import EarlyStopping\n\n\nclass Own(EarlyStopping):\n"
        f"    def __init__(self, {arguments}):\n        super().__init__({settings})\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    own = ["--trust", name, "--trainer.callbacks", f"{name}.Own"]
    code, _, error = run("fit", *TINY, *own, "--checkpoint.monitor", "nope", "--runs", str(tmp_path / "runs"))
    assert code == 2
    assert "checkpoint.monitor: sentiment has no metric 'nope'" in error
