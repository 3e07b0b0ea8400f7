"""Checks of a run's settings: before any data is read, and before anything is written."""

import json
import sys

import pytest
import torch

from nlp_rnn.errors import UsageError
from nlp_rnn.training.checks import check_places


def write(tmp_path, text):
    path = tmp_path / "configuration.yaml"
    path.write_text(text)
    return str(path)


def model(text):
    return f"model:\n  class_path: nlp_rnn.tasks.Translation\n  init_args:\n    {text}\n"


def data(text):
    return f"data:\n  class_path: nlp_rnn.data.TranslationData\n  init_args:\n    {text}\n"


@pytest.mark.parametrize(
    ("model", "data", "said"),
    [
        ("Sentiment", "TaggingData", "a Sentiment model does not read TaggingData: use SentimentData"),
        ("Forecasting", "SentimentData", "SentimentData: use ForecastingData or LongMemoryData"),
    ],
)
def test_a_model_and_data_that_do_not_go_together_are_refused(refusal, model, data, said):
    assert said in refusal("--model", model, "--data", data, config="conf/trainer/bf16.yaml")


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
        ("model.decoding.n_best", "5", "n_best must be at most the beam's width, 1, not 5"),
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
        ("trainer.devices", "[0, 1]", "devices"),
        ("trainer.max_time", "soon", "not a valid duration"),
        ("trainer.val_check_interval", "0", "trainer.val_check_interval 0: give a fraction"),
        ("trainer.log_every_n_steps", "-1", "trainer.log_every_n_steps must be between 0 and"),
        ("trainer.num_sanity_val_steps", "-2", "trainer.num_sanity_val_steps must be between -1 and"),
        ("model.dropout", "null", "model.dropout must be a number, not None"),
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
    "flag", ["save_minutes", "model.dropout", "model.optimization.lr", "trainer.devices"]
)
def test_a_number_of_hundreds_of_digits_is_refused(refusal, flag):
    refusal(f"--{flag}", f"1{'0' * 400}")


@pytest.mark.parametrize(
    ("task", "flags", "said"),
    [
        ("sentiment", [], "its words need their vectors: set model.vectors to words.txt too"),
        ("tagging", ["--model.vectors", "others.txt"], "set model.vectors to words.txt too"),
        ("translation", [], "data.vocabulary.vectors: this model has no model.vectors; leave it out"),
    ],
)
def test_words_of_vectors_without_their_vectors_are_refused(refusal, task, flags, said):
    flags = ["--data.vocabulary.vectors", "words.txt", *flags]
    assert said in refusal(*flags, config=f"conf/{task}_builtin.yaml")


@pytest.mark.parametrize("group", ["trainer", "checkpoint", "training"])
def test_a_list_in_place_of_settings_is_refused(refusal, tmp_path, group):
    assert f"{group}: expected settings by name, not [1]" in refusal(
        "--config", write(tmp_path, f"{group}: [1]\n")
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(
    "arguments",
    [
        ["--runs"],
        ["--checkpoint.dirpath"],
        ["--trainer.default_root_dir"],
        ["--trainer.logger", "CSVLogger", "--trainer.logger.save_dir"],
        ["--trainer.callbacks", "ModelCheckpoint", "--trainer.callbacks.dirpath"],
    ],
)
def test_places_that_cannot_be_written_are_found_before_training(refusal, arguments):
    assert f"{arguments[-1]} /proc/none: cannot be written" in refusal(*arguments, "/proc/none")


def test_the_place_of_each_callback_is_checked(refusal, tmp_path):
    own = [
        {"class_path": "ModelCheckpoint", "init_args": {"dirpath": str(place), "monitor": None}}
        for place in ("/proc/none", tmp_path)
    ]
    said = refusal("--trainer.callbacks", json.dumps([*own, {"class_path": "RichProgressBar"}]))
    assert "--trainer.callbacks.dirpath /proc/none: cannot be written" in said


def test_a_place_in_the_home_folder_is_found(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    trainer = {"default_root_dir": "~/file"}
    with pytest.raises(UsageError, match=f"^--trainer.default_root_dir {tmp_path}/file: .* is not a folder"):
        check_places(
            {"resume": None, "runs": str(tmp_path), "checkpoint": {"dirpath": None}, "trainer": trainer}
        )


@pytest.mark.parametrize("accelerator", ["gpu", "cuda"])
def test_missing_gpu_is_an_error_before_data_loads(refusal, accelerator):
    said = refusal("--trainer.accelerator", accelerator)
    assert said.startswith("nlp-rnn: error: trainer: ")
    assert any(word in said.lower() for word in ("gpu", "cuda"))


@pytest.mark.parametrize("verb", ["validate", "test", "predict"])
def test_a_model_that_was_never_trained_is_not_measured(refusal, verb):
    assert f"{verb} needs a trained model: --ckpt_path" in refusal(verb=verb)


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
def test_foreign_class_is_refused_and_not_imported(refusal, payload, arguments):
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
def test_foreign_class_in_a_file_is_refused_and_not_imported(refusal, tmp_path, payload, text):
    refusal("--config", write(tmp_path, text.replace("PAYLOAD", payload)))


@pytest.mark.parametrize(
    "name", ["os.system", "pytorch_lightning.cli.os.system", "nlp_rnn.tasks.pretrained.torch.load"]
)
def test_a_function_reached_through_a_trusted_package_is_refused(refusal, name):
    callback = CALLBACK.replace("PAYLOAD", name)
    assert "is refused; use a class of nlp_rnn, of" in refusal("--trainer.callbacks", f"[{callback}]")


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("max_epochs", "0", "trainer.max_epochs 0: nothing would be trained"),
        ("max_steps", "0", "trainer.max_steps 0: nothing would be trained"),
        ("limit_train_batches", "0", "trainer.limit_train_batches 0: nothing would be trained"),
        ("limit_train_batches", "0.0", "trainer.limit_train_batches 0.0: nothing would be trained"),
        ("max_time", "00:00:00:00", "trainer.max_time 00:00:00:00: nothing would be trained"),
        ("max_time", '{"minutes": 0}', "nothing would be trained"),
        ("enable_checkpointing", "false", "the model folder is made from a checkpoint; leave it on"),
        ("barebones", "true", "trainer.barebones true: it keeps neither metrics nor checkpoints"),
        ("check_val_every_n_epoch", "0", "trainer.check_val_every_n_epoch must be between 1 and"),
        ("min_epochs", "99", "trainer.min_epochs 99 is more than trainer.max_epochs"),
        (
            "callbacks",
            '[{"class_path": "StochasticWeightAveraging", "init_args": {"swa_lrs": 0.1}}]',
            "use EMAWeightAveraging",
        ),
        ("accelerator", "nope", "invalid accelerator name"),
        ("strategy", "nope", "invalid strategy name"),
        ("profiler", "nope", "simple"),
    ],
)
def test_settings_with_which_nothing_is_trained_or_kept_are_refused(refusal, flag, value, said):
    assert said in refusal(f"--trainer.{flag}", value)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of the user's own with a callback."""
    name = f"own_{abs(hash(str(tmp_path)))}"  # what a process has trusted it goes on to trust
    folder = tmp_path / "packages" / name
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(
        "from pytorch_lightning.callbacks import Callback\n\n\nclass Own(Callback):\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(folder.parent))
    yield name
    sys.modules.pop(name, None)


def test_a_trusted_package_may_be_named(package, run):
    arguments = ["--config", "conf/translation_builtin.yaml", "--trainer.callbacks", f"{package}.Own"]
    code, out, error = run("fit", "--trust", package, *arguments, "--print_config")
    assert (code, error) == (0, "")
    assert f"class_path: {package}.Own" in out


def test_only_the_command_line_trusts(package, tmp_path, refusal):
    said = refusal("--trainer.callbacks", f"{package}.Own")
    assert f"'{package}.Own' is refused; use a class of nlp_rnn, of pytorch_lightning or of a package" in said
    assert package not in sys.modules
    assert "unknown setting 'trust'" in refusal("--config", write(tmp_path, f"trust: {package}\n"))
    assert "--trust nowhere_at_all: cannot be imported" in refusal("--trust", "nowhere_at_all")
    assert "--trust: the value is empty" in refusal("--trust=")
