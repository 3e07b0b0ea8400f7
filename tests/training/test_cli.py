"""The command line's verbs, and what a run leaves behind."""

import csv
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from nlp_rnn import from_pretrained
from nlp_rnn.cli.main import main
from nlp_rnn.errors import UsageError
from nlp_rnn.tasks import Sentiment, Translation
from nlp_rnn.training import cli as training
from nlp_rnn.training.run_directory import new_run_dir, point_latest

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


def run(capfd, *arguments):
    """(exit code, standard output, standard error) of one command."""
    capfd.readouterr()
    code = 0
    try:
        main(list(arguments))
    except SystemExit as stopped:
        code = stopped.code
    return code, *capfd.readouterr()


def one_line(error):
    assert error.startswith("nlp-rnn: error: ")
    assert error.count("\n") == 1
    return error


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run directory of two epochs."""
    runs = tmp_path_factory.mktemp("runs")
    main(["fit", "--config", CONFIG, *TINY, "--runs", str(runs)])
    return runs / "sentiment_builtin" / "1"


def rows(run_dir):
    with (run_dir / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def steps(run_dir):
    """(epoch, step) of each line on the training loss of a whole epoch."""
    return [(int(row["epoch"]), int(row["step"])) for row in rows(run_dir) if row.get("train/loss_epoch")]


# What fit leaves


def test_a_run_directory_holds_all_of_a_run(trained):
    names = {str(path.relative_to(trained)) for path in trained.rglob("*") if path.is_file()}
    assert {
        "config.yaml",
        "metrics.csv",
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
    assert [epoch for epoch, _ in steps(trained)] == [0, 1]


def test_the_card_has_metrics_data_and_command(trained):
    card = (trained / "model" / "README.md").read_text()
    assert re.search(r"\| validation \| accuracy \| \d\.\d{4} \|", card)
    assert "`builtin`" in card
    assert f"nlp-rnn fit --config {CONFIG}" in card


def test_the_model_folder_is_the_best_checkpoint(trained):
    folder, best = from_pretrained(trained / "model"), from_pretrained(trained / "checkpoints" / "best.ckpt")
    weights = best.model.state_dict()
    assert all(value.equal(weights[name]) for name, value in folder.model.state_dict().items())


def test_the_resolved_configuration_gives_the_same_run_again(trained, tmp_path, capfd):
    config = str(trained / "config.yaml")
    assert (trained / "config.yaml").read_text().startswith(f"# nlp-rnn fit --config {CONFIG} ")
    code, out, error = run(capfd, "fit", "--config", config, "--runs", str(tmp_path), "--name", "again")
    assert (code, out) == (0, "")
    again = tmp_path / "again" / "1"
    weights = from_pretrained(again / "model").model.state_dict()
    assert all(v.equal(weights[k]) for k, v in from_pretrained(trained / "model").model.state_dict().items())
    assert not [noise for noise in NOISE if noise in error]
    assert "run directory: " in error
    assert "model folder: " in error
    # and now it has a second sibling, and `latest` leads to the newer
    assert run(capfd, "fit", "--config", config, "--runs", str(tmp_path), "--name", "again")[0] == 0
    assert (tmp_path / "again" / "latest").resolve() == (tmp_path / "again" / "2").resolve()
    assert again.is_dir()


def test_run_directories_are_numbered_on(tmp_path):
    assert [new_run_dir(tmp_path, "a").name for _ in range(2)] == ["1", "2"]
    (tmp_path / "a" / "10").mkdir()
    (tmp_path / "a" / "notes").mkdir()
    assert new_run_dir(tmp_path, "a").name == "11"
    for number in ("2", "11"):
        point_latest(tmp_path / "a" / number)
        assert (tmp_path / "a" / "latest").resolve().name == number
    (tmp_path / "b").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        new_run_dir(tmp_path, "b")


# The other verbs


def test_every_form_of_a_model_measures_the_same(trained, capfd):
    answers = []
    for model in ("checkpoints/best.ckpt", "model"):
        code, out, error = run(capfd, "test", "--config", CONFIG, *TINY, "--ckpt_path", str(trained / model))
        assert code == 0, error
        assert out.count("\n") == 1  # standard output holds the answer alone
        answers.append(json.loads(out))
    assert answers[0] == answers[1]
    assert {"test/loss", "test/accuracy", "test/f1"} <= set(answers[0])
    code, out, _ = run(
        capfd, "validate", "--config", str(trained / "config.yaml"), "--ckpt_path", str(trained / "model")
    )
    assert code == 0
    best = min(float(row["val/loss"]) for row in rows(trained) if row["val/loss"])
    assert json.loads(out)["val/loss"] == pytest.approx(best, abs=1e-5)


def test_predict_writes_every_row_in_order(trained, tmp_path, capfd):
    output = tmp_path / "new" / "answers.jsonl"
    arguments = ["--config", CONFIG, *TINY, "--ckpt_path", str(trained / "model"), "--output", str(output)]
    code, out, error = run(capfd, "predict", *arguments)
    assert (code, out) == (0, ""), error
    answers = [json.loads(line) for line in output.read_text().splitlines()]
    assert [answer["row"] for answer in answers] == list(range(120))
    assert {answer["label"] for answer in answers} <= {"negative", "positive"}
    assert [path.name for path in output.parent.iterdir()] == ["answers.jsonl"]


def test_an_output_that_cannot_be_written_is_found_first(trained, tmp_path, capfd):
    (tmp_path / "file").touch()
    arguments = [
        "--config",
        CONFIG,
        "--ckpt_path",
        str(trained / "model"),
        "--output",
        str(tmp_path / "file" / "x"),
    ]
    code, _, error = run(capfd, "predict", *arguments)
    assert code == 2
    assert "--output" in one_line(error)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("conf/translation_builtin.yaml", "holds a model for sentiment"),
        ("conf/tagging_builtin.yaml", "holds a model for sentiment"),
    ],
)
@pytest.mark.parametrize("verb", ["test", "fit"])
def test_a_model_of_another_task_is_refused(trained, tmp_path, capfd, config, said, verb):
    checkpoint = str(trained / "checkpoints" / "last.ckpt")
    arguments = ["--config", config, "--ckpt_path", checkpoint, "--runs", str(tmp_path)]
    code, _, error = run(capfd, verb, *arguments, "--data.corpus.max_examples", "120")
    assert code == 2
    assert said in one_line(error)


def test_a_missing_test_split_is_named(trained, tmp_path, capfd):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    lines = [f"a {word} film,{label}\n" for word, label in (("good", "positive"), ("bad", "negative"))]
    (corpus / "train.csv").write_text("text,label\n" + "".join(lines * 20))
    arguments = ["--config", CONFIG, "--data.corpus.path", str(corpus), "--ckpt_path", str(trained / "model")]
    for verb in ("test", "predict"):
        code, out, error = run(capfd, verb, *arguments, "--output", str(tmp_path / "answers.jsonl"))
        assert (code, out) == (2, "")
        assert "has no test split" in error.splitlines()[-1]
    assert not list(tmp_path.glob("*answers*"))


def test_what_a_trained_model_is_made_of_cannot_be_set_and_that_is_said(trained, capfd, caplog):
    tiny = ["--data.corpus.max_examples", "60", "--model.hidden_dim", "16"]
    code, _, _ = run(capfd, "test", "--config", CONFIG, *tiny, "--ckpt_path", str(trained / "model"))
    assert code == 0
    assert "stays as it is" in caplog.text
    assert "hidden_dim 16 (was 8)" in caplog.text


def test_decoding_can_be_set_for_a_trained_model(tmp_path, capfd):
    tiny = ["--config", "conf/translation_builtin.yaml", *TINY, "--trainer.max_epochs", "1"]
    tiny += ["--data.vocabulary.min_frequency", "1", "--model.decoding.max_output", "7"]
    assert run(capfd, "fit", *tiny, "--runs", str(tmp_path), "--name", "t")[0] == 0
    output = tmp_path / "answers.jsonl"
    arguments = ["--ckpt_path", str(tmp_path / "t" / "1" / "model"), "--output", str(output)]
    code, _, error = run(capfd, "predict", *tiny, *arguments, "--model.decoding", '{"beam": 3, "n_best": 2}')
    assert code == 0, error
    answers = [json.loads(line) for line in output.read_text().splitlines()]
    assert all(len(answer["n_best"]) == 2 for answer in answers)


def test_before_training_nothing_is_translated_at_length(tmp_path, capfd, monkeypatch):
    longest, answer = [], Translation.answer

    def record(task, batch):
        longest.append(task._max_output())
        return answer(task, batch)

    monkeypatch.setattr(Translation, "answer", record)
    arguments = ["--config", "conf/translation_builtin.yaml", *TINY, "--model.decoding.max_output", "7"]
    arguments += ["--data.vocabulary.min_frequency", "1", "--trainer.limit_train_batches", "1"]
    code, _, error = run(capfd, "fit", *arguments, "--trainer.max_epochs", "1", "--runs", str(tmp_path))
    assert code == 0, error
    assert longest == [2, 2, 7, 7, 7, 7]  # before, after the epoch, and of the best checkpoint


# Going on


def test_training_goes_on_where_it_stopped(trained, tmp_path, capfd):
    last = str(trained / "checkpoints" / "last.ckpt")
    arguments = ["fit", "--config", CONFIG, *TINY, "--ckpt_path", last, "--runs", str(tmp_path)]
    code, _, error = run(capfd, *arguments)
    assert code == 2
    assert "trained for 2 epochs already; set trainer.max_epochs higher" in one_line(error)
    assert not list(tmp_path.iterdir())
    code, _, error = run(capfd, *arguments, "--trainer.max_epochs", "4")
    assert code == 0, error
    a_step = steps(trained)[0][1] + 1
    assert steps(tmp_path / "sentiment_builtin" / "1") == [(2, 3 * a_step - 1), (3, 4 * a_step - 1)]


@pytest.mark.parametrize(
    ("schedule", "rate"),
    # one_cycle: what comes after its last step; plateau: what it had come down to
    [("constant", 0.5), ("cosine", 0.0), ("one_cycle", 0.024759683), ("plateau", 0.002)],
)
def test_settings_win_over_the_checkpoint_and_that_is_said(tmp_path, capfd, caplog, schedule, rate):
    arguments = ["fit", "--config", CONFIG, *TINY, "--runs", str(tmp_path), "--name", "a"]
    arguments += ["--trainer.limit_train_batches", "2", "--model.optimization.schedule", schedule]
    assert run(capfd, *arguments, "--trainer.max_epochs", "1")[0] == 0
    arguments += ["--ckpt_path", str(tmp_path / "a" / "1" / "checkpoints" / "last.ckpt")]
    arguments += ["--model.optimization.weight_decay", "0.125"]
    code, _, error = run(capfd, *arguments, "--model.optimization.lr", "0.5", "--trainer.max_epochs", "5")
    assert code == 0, error
    assert "optimization.lr 0.5 (was 0.002)" in caplog.text
    assert "optimization.weight_decay 0.125 (was 0.0)" in caplog.text
    import torch

    saved = torch.load(tmp_path / "a" / "2" / "checkpoints" / "last.ckpt", weights_only=True)
    group = saved["optimizer_states"][0]["param_groups"][0]
    assert group["weight_decay"] == 0.125
    assert group["lr"] == pytest.approx(rate, abs=1e-6)
    assert saved["global_step"] == 10
    if schedule == "one_cycle":  # as long as this run, not as the first
        assert (saved["lr_schedulers"][0]["total_steps"], group["max_lr"]) == (10, 0.5)


def test_a_run_that_ends_before_it_is_validated_leaves_a_model(tmp_path, capfd):
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
    code, _, error = run(capfd, *arguments)
    assert code == 0, error
    assert from_pretrained(tmp_path / "sentiment_builtin" / "1" / "model").name == "sentiment"


@pytest.mark.parametrize(("epochs", "which"), [("2", "last"), ("3", "best"), ("4", "best")])
def test_what_is_not_validated_is_not_lost(tmp_path, capfd, epochs, which):
    arguments = ["fit", "--config", "conf/hello.yaml", "--trainer.check_val_every_n_epoch", "3"]
    code, _, error = run(capfd, *arguments, "--trainer.max_epochs", epochs, "--runs", str(tmp_path))
    assert code == 0, error
    assert f"{which} checkpoint on validation: " in error
    run_dir = tmp_path / "hello" / "1"
    folder = from_pretrained(run_dir / "model").model.state_dict()
    kept = from_pretrained(run_dir / "checkpoints" / f"{which}.ckpt").model.state_dict()
    assert all(value.equal(folder[name]) for name, value in kept.items())
    import torch

    last = torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["epoch"] == int(epochs) - 1


def test_no_whole_epoch_no_model(tmp_path, capfd, caplog):
    code, _, error = run(
        capfd, "fit", "--config", "conf/hello.yaml", "--trainer.max_epochs", "0", "--runs", str(tmp_path)
    )
    assert code == 0, error
    assert "no epoch was finished" in caplog.text


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("model", "resumes from a .ckpt file"),
        ("none.ckpt", "no such checkpoint"),
        ("config.yaml", "refused"),
    ],
)
def test_training_resumes_from_checkpoints_alone(trained, tmp_path, capfd, path, said):
    arguments = [
        "fit",
        "--config",
        CONFIG,
        *TINY,
        "--ckpt_path",
        str(trained / path),
        "--runs",
        str(tmp_path),
    ]
    code, _, error = run(capfd, *arguments)
    assert code == 2
    assert said in one_line(error)
    assert not list(tmp_path.iterdir())


def test_a_resumed_model_keeps_its_size(trained, tmp_path, capfd):
    checkpoint = str(trained / "checkpoints" / "last.ckpt")
    arguments = ["fit", "--config", CONFIG, *TINY, "--ckpt_path", checkpoint, "--runs", str(tmp_path)]
    code, _, error = run(capfd, *arguments, "--model.hidden_dim", "16", "--trainer.max_epochs", "3")
    assert code == 2
    assert "hidden_dim 16 (was 8)" in one_line(error)


# Settings and help


def test_the_printed_configuration_can_be_used_again(tmp_path, capfd):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("trainer:\n  precision: bf16-mixed\n  max_epochs: 5\n")
    stacked = ["fit", "--config", CONFIG, "--config", str(overlay), "--trainer.max_epochs", "7"]
    code, out, error = run(capfd, *stacked, "--model.optimization.lr", "0.25", "--print_config")
    assert (code, error) == (0, "")
    printed = yaml.safe_load(out)
    assert printed["trainer"]["precision"] == "bf16-mixed"  # the overlay, over nothing
    assert printed["trainer"]["max_epochs"] == 7  # the flag, over both files
    assert printed["trainer"]["gradient_clip_val"] == 1.0  # the first file
    assert printed["model"]["init_args"]["optimization"]["lr"] == 0.25
    (tmp_path / "printed.yaml").write_text(out)
    assert run(capfd, "fit", "--config", str(tmp_path / "printed.yaml"), "--print_config")[1] == out


@pytest.mark.parametrize(
    ("flag", "name"),
    [
        (f"--{group}.help", f"{task}{end}")
        for group, end in (("model", ""), ("data", "Data"))
        for task in ("Sentiment", "Tagging", "Translation")
    ],
)
def test_help_has_a_line_for_every_setting_of_a_class(capfd, flag, name):
    code, out, _ = run(capfd, "fit", flag, name)
    assert code == 0
    described = settings_in(out)
    group = flag.removesuffix(".help").removeprefix("--")
    own = {key: text for key, text in described.items() if key.startswith(f"{group}.")}
    nested = {"model": "optimization.lr", "data": "corpus.path"}[group]
    assert any(key.endswith(nested) for key in own)
    assert len(own) > 10
    assert not [key for key, text in own.items() if not text]


def settings_in(text):
    """setting -> what the help says of it"""
    described, key = {}, None
    for line in text.splitlines():
        if found := re.match(r"  +(?:-\w \w+, )?--([\w.]+)", line):
            key = found[1]
            described[key] = ""
        elif not line.startswith("    "):
            key = None
        if key is not None:
            rest = (
                re.split(r"\s{2,}", line.strip(), maxsplit=1) if line.lstrip().startswith("-") else ["", line]
            )
            described[key] += re.sub(r"\((required, )?(type|default).*", "", " ".join(rest[1:]).strip())
    return {name: text for name, text in described.items() if not name.endswith((".help", "+"))}


def test_help_names_the_settings_of_the_run(capfd):
    code, out, _ = run(capfd, "fit", "--help")
    assert code == 0
    described = settings_in(out)
    for setting in (
        "config",
        "runs",
        "name",
        "output",
        "trainer.max_epochs",
        "checkpoint.monitor",
        "ckpt_path",
    ):
        assert described[setting]
    for setting in ("model", "data", "early_stopping.patience"):
        assert setting in described
    assert "weights_only" not in described
    assert "optimizer" not in described


def test_help_names_the_verbs(capfd):
    code, out, error = run(capfd, "--help")
    assert (code, error) == (0, "")
    assert all(verb in out for verb in ("fit", "validate", "test", "predict"))


def test_version_is_fast():
    program = (
        "import sys; from nlp_rnn.cli.main import main; main(['--version']); "
        "assert 'torch' not in sys.modules"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"nlp-rnn \d+\.\d+\.\d+\n", found.stdout)


# Faults while running


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        (RuntimeError("it\nbroke"), 1, "RuntimeError: it broke"),
        (UsageError("your fault"), 2, "your fault"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_a_fault_while_running_is_one_line(capfd, monkeypatch, fault, code, said):
    def break_down(*_):
        raise fault

    monkeypatch.setattr(training, "_CLI", break_down)
    assert run(capfd, "fit") == (code, "", f"nlp-rnn: error: {said}\n")


def test_an_interrupted_run_says_so(tmp_path, capfd, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Sentiment, "loss", interrupt)
    before = signal.getsignal(signal.SIGINT)
    try:
        code, _, error = run(capfd, "fit", "--config", CONFIG, *TINY, "--runs", str(tmp_path))
    finally:
        signal.signal(signal.SIGINT, before)  # which Lightning has switched off
    assert code == 130
    assert error.endswith("nlp-rnn: error: interrupted\n")


def test_a_prediction_that_fails_leaves_nothing(trained, tmp_path, capfd, monkeypatch):
    def break_down(*_):
        raise RuntimeError("it broke")

    monkeypatch.setattr(Sentiment, "answer", break_down)
    arguments = ["--config", CONFIG, *TINY, "--ckpt_path", str(trained / "model")]
    code, out, error = run(capfd, "predict", *arguments, "--output", str(tmp_path / "answers.jsonl"))
    assert (code, out) == (1, "")
    assert error.endswith("nlp-rnn: error: RuntimeError: it broke\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "{fit,validate,test,predict,evaluate"),
        (["fitt"], "choose from"),
        (["fit"], "missing: data, model; give --config conf/NAME.yaml"),
        (["fit", "--config", CONFIG, "stray"], "unrecognized arguments: stray"),
    ],
)
def test_an_incomplete_command_is_one_line(capfd, arguments, said):
    code, out, error = run(capfd, *arguments)
    assert (code, out) == (2, "")
    assert said in one_line(error)


def test_settings_that_fit_no_model_are_one_line(tmp_path, capfd):
    arguments = ["fit", "--config", "conf/tagging_builtin.yaml", "--data.corpus.max_examples", "60"]
    code, _, error = run(capfd, *arguments, "--runs", str(tmp_path), "--data.vocabulary.level", "char")
    assert code == 2
    assert "vocabulary.level must be word for tagging" in one_line(error)
    assert not list(Path(tmp_path).iterdir())
