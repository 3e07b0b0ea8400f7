"""Faults in settings: one line, exit code 2, before any data is read; nothing is run, nothing written."""

import os
import sys

import pytest
import torch

from nlp_rnn.cli import configs
from nlp_rnn.cli.main import main
from nlp_rnn.data import Corpus
from nlp_rnn.errors import UsageError
from nlp_rnn.tasks.registry import data_classes
from nlp_rnn.training import messages

TRANSLATION = "conf/translation_builtin.yaml"


@pytest.fixture
def refusal(tmp_path, monkeypatch, capsys):
    """Calls the command line; gives the one line that it leaves with."""
    monkeypatch.chdir(tmp_path)

    def no_data(*_):
        pytest.fail("data was read")

    for method in ("load", "load_split", "cache_key"):
        monkeypatch.setattr(Corpus, method, no_data)

    def call(*arguments, verb="fit", config=TRANSLATION):
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(SystemExit) as stopped:
            main([verb, "--config", config, *arguments])
        captured = capsys.readouterr()
        assert stopped.value.code == 2, captured.err
        assert captured.out == ""
        assert captured.err.startswith("nlp-rnn: error: ")
        assert captured.err.count("\n") == 1
        assert len(captured.err) < 420
        assert "Traceback" not in captured.err
        assert "Union" not in captured.err
        assert sorted(tmp_path.rglob("*")) == before
        return captured.err

    return call


def write(tmp_path, text):
    path = tmp_path / "given.yaml"
    path.write_text(text)
    return str(path)


def model(text):
    return f"model:\n  class_path: nlp_rnn.tasks.Translation\n  init_args:\n    {text}\n"


def data(text):
    return f"data:\n  class_path: nlp_rnn.data.TranslationData\n  init_args:\n    {text}\n"


# Row 25


@pytest.mark.parametrize(
    ("arguments", "key", "meant"),
    [
        (["--modle", "x"], "modle", "model"),
        (["--run", "x"], "run", "runs"),
        (["--data", "LongMemoryData", "--data.trian", "9"], "data.trian", "data.train"),
        (["--hidden_dim", "8"], "hidden_dim", "model.hidden_dim"),
        (["--model.hiden_dim", "8"], "model.hiden_dim", "model.hidden_dim"),
        (["--model.init_args.hiden_dim=8"], "model.hiden_dim", "model.hidden_dim"),
        (["--model.optimization.lrr", "8"], "model.optimization.lrr", "model.optimization.lr"),
        (["--model.decoding", '{"beem": 2}'], "model.decoding.beem", "model.decoding.beam"),
        (["--data.corpus.pth", "8"], "data.corpus.pth", "data.corpus.path"),
        (["--data.batching.sise", "8"], "data.batching.sise", "data.batching.size"),
        (["--data.batching", '{"sise": 8}'], "data.batching.sise", "data.batching.size"),
        (["--data.revers_source", "true"], "data.revers_source", "data.reverse_source"),
        (["--trainer.max_epoch", "8"], "trainer.max_epoch", "trainer.max_epochs"),
        (["--trainer", '{"max_epoch": 8}'], "trainer.max_epoch", "trainer.max_epochs"),
        (["--checkpoint.moniter", "x"], "checkpoint.moniter", "checkpoint.monitor"),
        (["--early_stopping.patince", "1"], "early_stopping.patince", "early_stopping.patience"),
        (["--optimizer", "torch.optim.SGD"], "optimizer", "model.optimization.optimizer"),
    ],
)
def test_an_unknown_flag_is_refused_with_the_nearest_one(refusal, arguments, key, meant):
    assert refusal(*arguments) == f"nlp-rnn: error: unknown setting '{key}'. Did you mean '{meant}'?\n"


@pytest.mark.parametrize(
    ("text", "key", "meant"),
    [
        ("modle: 3\n", "modle", "model"),
        ("trainer:\n  max_epoch: 3\n", "trainer.max_epoch", "trainer.max_epochs"),
        ("fit:\n  trainer:\n    max_epochs: 3\n", "fit.trainer.max_epochs", "trainer.max_epochs"),
        (model("hiden_dim: 3"), "model.hiden_dim", "model.hidden_dim"),
        (model("optimization: {lrr: 3}"), "model.optimization.lrr", "model.optimization.lr"),
        (data("corpus: {pth: 3}"), "data.corpus.pth", "data.corpus.path"),
        (data("vocabulary: {levl: bpe}"), "data.vocabulary.levl", "data.vocabulary.level"),
    ],
)
def test_an_unknown_key_in_a_file_is_refused_with_the_nearest_one(refusal, tmp_path, text, key, meant):
    path = write(tmp_path, text)
    assert refusal("--config", path) == f"nlp-rnn: error: unknown setting '{key}'. Did you mean '{meant}'?\n"


@pytest.mark.parametrize("flag", ["--trainer.max_ep", "--model.hidden", "--data.max_len", "--seed"])
def test_abbreviations_are_refused(refusal, flag):
    assert f"unknown setting '{flag[2:]}'" in refusal(flag, "3")


def test_a_key_like_no_other_gets_no_suggestion():
    assert messages.suggestion("model.zzzzzz", ["model.lr", "data.corpus.path"]) == ""


def test_a_key_of_another_class_is_not_proposed(refusal):
    assert refusal("--model.bidirectional", "true") == (
        "nlp-rnn: error: unknown setting 'model.bidirectional'.\n"
    )


@pytest.mark.parametrize(
    ("model", "data", "said"),
    [
        ("Sentiment", "TaggingData", "a Sentiment model does not read TaggingData: use SentimentData"),
        ("Forecasting", "SentimentData", "SentimentData: use ForecastingData or LongMemoryData"),
    ],
)
def test_a_model_and_data_that_do_not_go_together_are_refused(refusal, model, data, said):
    assert said in refusal("--model", model, "--data", data, config="conf/trainer/bf16.yaml")


def test_every_nested_setting_has_a_name():
    from nlp_rnn.tasks import TASKS

    names = {
        *messages.setting_names(TASKS.values(), "model"),
        *messages.setting_names([kind for name in TASKS for kind in data_classes(name)], "data"),
    }
    assert {"model.optimization.lr", "model.decoding.beam", "data.corpus.path", "data.batching.size"} <= names
    assert not [name for name in names if "processor." in name]


# Row 26


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("model.hidden_dim", "0", "hidden_dim must be between 1 and"),
        ("model.hidden_dim", "-3", "hidden_dim must be between 1 and"),
        ("model.hidden_dim", "99999999", "hidden_dim must be between 1 and"),
        ("model.dropout", "1.5", "dropout must be between 0 and"),
        ("model.dropout", ".nan", "dropout must be between 0 and"),
        ("model.teacher_forcing", "1.01", "teacher_forcing must be between 0 and 1"),
        ("model.optimization.lr", "0", "optimization.lr must be between"),
        ("model.optimization.lr", ".inf", "optimization.lr must be between"),
        ("model.optimization.lr", "-1.0", "optimization.lr must be between"),
        ("model.decoding.beam", "0", "beam must be between 1 and"),
        ("model.decoding.n_best", "5", "decoding.n_best must be at most the beam's width, 1, not 5"),
        ("data.batching.size", "0", "batching.size must be between 1 and"),
        ("data.batching.max_tokens", "-1", "batching.max_tokens must be between 1 and"),
        ("data.corpus.max_examples", "0", "corpus.max_examples must be between 1 and"),
        ("data.corpus.validation_fraction", "1", "corpus.validation_fraction must be between"),
        ("data.max_length", "0", "max_length must be between 1 and"),
        ("data.vocabulary.max_size", "3", "vocabulary.max_size must be between 5 and"),
        ("trainer.max_epochs", "-7", "trainer.max_epochs must be between -1 and"),
        ("trainer.gradient_clip_val", ".nan", "trainer.gradient_clip_val must be between 0 and"),
        ("trainer.limit_train_batches", "7.5", "7.5 for limit_train_batches"),
        ("trainer.devices", "0", "devices"),
        ("early_stopping.patience", "-1", "early_stopping.patience must be between 0 and"),
    ],
)
def test_values_out_of_range_are_refused_by_flag_and_by_file(refusal, tmp_path, flag, value, said):
    assert said in refusal(f"--{flag}", value)
    group, _, name = flag.partition(".")
    nested = {"model": model, "data": data}.get(group, lambda text: f"{group}: {{{text}}}\n")
    *outer, leaf = name.split(".")
    text = f"{leaf}: {value}"
    for part in reversed(outer):
        text = f"{part}: {{{text}}}"
    assert said in refusal("--config", write(tmp_path, nested(text)))


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("model.hidden_dim", "abc", "model.hidden_dim: expected a whole number, not 'abc'"),
        ("model.hidden_dim", "1.5", "model.hidden_dim: expected a whole number, not '1.5'"),
        ("model.optimization.lr", "nan", "model.optimization.lr: expected a number, not 'nan'"),
        (
            "model.optimization.schedule",
            "foo",
            "model.optimization.schedule: expected one of constant, cosine, one_cycle, plateau, not 'foo'",
        ),
        (
            "data.vocabulary.level",
            "words",
            "data.vocabulary.level: expected one of word, bpe, char, not 'words'",
        ),
        ("data.reverse_source", "perhaps", "data.reverse_source: expected true or false, not 'perhaps'"),
        ("trainer.max_epochs", "x", "trainer.max_epochs: expected a whole number or null, not 'x'"),
        ("trainer.gradient_clip_val", "x", "trainer.gradient_clip_val: expected a number or null, not 'x'"),
        ("trainer.precision", "8", "trainer.precision: expected "),
        ("early_stopping.patience", "x", "early_stopping.patience: expected a whole number, not 'x'"),
        ("seed_everything", "x", "seed_everything: expected true or false or a whole number, not 'x'"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_in_a_short_line(refusal, flag, value, said):
    assert refusal(f"--{flag}", value).startswith(f"nlp-rnn: error: {said}")


# Row 27

PAYLOAD = """\
import pathlib
pathlib.Path(__file__).with_name("ran").touch()
class Y:
    def __init__(self, *_, **__): pass
"""


@pytest.fixture
def payload(tmp_path_factory, monkeypatch):
    """A module that leaves a file behind when it is as much as imported."""
    folder = tmp_path_factory.mktemp("payload")
    (folder / "payload_of_a_test.py").write_text(PAYLOAD)
    monkeypatch.syspath_prepend(str(folder))
    yield "payload_of_a_test.Y"
    assert not (folder / "ran").exists()
    assert "payload_of_a_test" not in sys.modules


CALLBACK = (
    '{"class_path": "pytorch_lightning.callbacks.LambdaCallback", "init_args": {"on_fit_start": "PAYLOAD"}}'
)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--model", "PAYLOAD"],
        ["--model=PAYLOAD"],
        ["--model.class_path", "PAYLOAD"],
        ["--model", '{"class_path": "PAYLOAD"}'],
        ["--data", "PAYLOAD"],
        ["--data.corpus", '{"class_path": "PAYLOAD"}'],
        ["--model.optimization", "PAYLOAD"],
        ["--trainer.callbacks", "PAYLOAD"],
        ["--trainer.callbacks+=PAYLOAD"],
        ["--trainer.callbacks+", '{"class_path": "PAYLOAD"}'],
        ["--trainer.callbacks", '[{"class_path": "PAYLOAD"}]'],
        ["--trainer.callbacks", f"[{CALLBACK}]"],
        ["--trainer.callbacks+", CALLBACK],
        ["--trainer.logger=PAYLOAD"],
        ["--trainer.logger.class_path=PAYLOAD"],
        ["--trainer.strategy", '{"class_path": "PAYLOAD"}'],
        ["--trainer.plugins", "PAYLOAD"],
        ["--trainer.profiler", "PAYLOAD"],
        ["--trainer", '{"logger": "PAYLOAD"}'],
        ["--trainer.accelerator", "PAYLOAD"],
        ["--trainer.strategy", "PAYLOAD"],
    ],
)
def test_a_class_of_others_is_refused_and_not_imported(refusal, payload, arguments):
    refusal(*(argument.replace("PAYLOAD", payload) for argument in arguments))


@pytest.mark.parametrize(
    "text",
    [
        "model: PAYLOAD\n",
        "model:\n  class_path: PAYLOAD\n",
        "data:\n  class_path: PAYLOAD\n",
        "trainer:\n  logger: PAYLOAD\n",
        "trainer:\n  callbacks:\n  - class_path: PAYLOAD\n",
        f"trainer:\n  callbacks:\n  - {CALLBACK}\n",
        "trainer:\n  logger:\n    class_path: pytorch_lightning.loggers.CSVLogger\n    init_args:\n"
        "      save_dir: {class_path: PAYLOAD}\n",
        model("optimization: {class_path: PAYLOAD}"),
        model("x: !!python/object/apply:PAYLOAD []"),
        "x: !!python/name:PAYLOAD\n",
    ],
)
def test_a_class_of_others_in_a_file_is_refused_and_not_imported(refusal, tmp_path, payload, text):
    refusal("--config", write(tmp_path, text.replace("PAYLOAD", payload)))


@pytest.mark.parametrize(
    "name", ["os.system", "pytorch_lightning.cli.os.system", "nlp_rnn.training.cli.torch.load"]
)
def test_a_function_reached_through_a_trusted_package_is_refused(refusal, name):
    callback = CALLBACK.replace("PAYLOAD", name)
    assert "is refused; use one of nlp_rnn or pytorch_lightning" in refusal(
        "--trainer.callbacks", f"[{callback}]"
    )


def test_a_tag_is_refused_with_file_and_line(refusal, tmp_path):
    path = write(tmp_path, "seed_everything: 1\nname: !!python/object/apply:os.system ['true']\n")
    assert f"{path}, line 2: refused, configurations hold plain values" in refusal("--config", path)


@pytest.mark.parametrize(
    ("flag", "name"),
    [("--model", "Translatio"), ("--model", "nlp_rnn.tasks.Nothing"), ("--data", "nlp_rnn.data.No")],
)
def test_a_class_that_is_not_there_is_named(refusal, flag, name):
    assert f"there is no class '{name}'; use one of Sentiment" in refusal(flag, name)


def test_data_in_the_place_of_a_model_is_refused(refusal):
    assert "model: not the name of a Task" in refusal("--model", "nlp_rnn.data.TranslationData")


# Rows 28 and 29


@pytest.mark.parametrize("runs", ["file", "file/below", "file/far/below"])
def test_an_unwritable_runs_folder_is_found_first(refusal, tmp_path, runs):
    (tmp_path / "file").touch()
    said = refusal("--runs", str(tmp_path / runs))
    assert f"--runs {tmp_path / runs}: {tmp_path / 'file'} is not a folder" in said


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_runs_folder_without_permission_is_found_first(refusal, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "is not writable" in refusal("--runs", str(tmp_path / "locked" / "runs"))


@pytest.mark.parametrize("name", ["../elsewhere", "a/b", "..", " "])
def test_the_name_of_a_run_is_one_folder(refusal, name):
    assert "give a plain folder name" in refusal("--name", name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("accelerator", ["gpu", "cuda"])
def test_a_gpu_that_is_not_there_is_an_error_before_data_loads(refusal, accelerator):
    said = refusal("--trainer.accelerator", accelerator)
    assert said.startswith("nlp-rnn: error: trainer: ")
    assert any(word in said.lower() for word in ("gpu", "cuda"))


# Files


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("conf/transltion_builtin.yaml", "did you mean conf/translation_builtin.yaml?"),
        ("tagging_ewt.yml", "did you mean conf/tagging_ewt.yaml?"),
        ("zzz", "nlp-rnn --help lists the ready-made ones"),
        ("conf/../pyproject.toml", "no such file"),
        (".", "not a file"),
    ],
)
def test_a_missing_configuration_names_the_nearest_ready_made_one(refusal, name, said):
    assert said in refusal(config=name).replace("\n", "")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: [1\n", "line 2: not valid YAML"),
        (b"", "this is empty"),
        (b"- a\n", "this is a list"),
        (b"a: \xff\n", "cannot be read"),
    ],
)
def test_a_damaged_configuration_is_named(refusal, tmp_path, content, said):
    path = tmp_path / "damaged.yaml"
    path.write_bytes(content)
    message = refusal("--config", str(path))
    assert str(path) in message
    assert said in message


def test_ready_made_configurations_are_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert configs.find_config(TRANSLATION).is_file()
    (tmp_path / "own.yaml").write_text("{}")
    assert configs.check_arguments(["fit", "--config=own.yaml", "-c", TRANSLATION]) == [
        "fit",
        "--config=own.yaml",
        f"--config={configs.find_config(TRANSLATION)}",
    ]


def test_a_flag_without_its_value(refusal):
    with pytest.raises(UsageError, match="give the path"):
        configs.check_arguments(["fit", "--config"])
    assert "--trainer.max_epochs: expected a value" in refusal("--trainer.max_epochs")


@pytest.mark.parametrize("verb", ["validate", "test", "predict"])
def test_a_model_that_was_never_trained_is_not_measured(refusal, verb):
    assert f"{verb} needs a trained model: --ckpt_path" in refusal(verb=verb)
