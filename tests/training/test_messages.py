"""The parser's errors: one line each, and what this package relies on in their text."""

from importlib.util import find_spec

import pytest

from nlp_rnn.tasks.registry import data_classes
from nlp_rnn.training import arguments as parsing
from nlp_rnn.training import messages


def write(tmp_path, text):
    path = tmp_path / "configuration.yaml"
    path.write_text(text)
    return str(path)


def model(text):
    return f"model:\n  class_path: nlp_rnn.tasks.Translation\n  init_args:\n    {text}\n"


def data(text):
    return f"data:\n  class_path: nlp_rnn.data.TranslationData\n  init_args:\n    {text}\n"


@pytest.mark.parametrize(
    ("arguments", "key", "meant"),
    [
        (["--modl", "x"], "modl", "model"),
        (["--run", "x"], "run", "runs"),
        (["--data", "LongMemoryData", "--data.trainn", "9"], "data.trainn", "data.train"),
        (["--hidden_dim", "8"], "hidden_dim", "model.hidden_dim"),
        (["--model.hiden_dim", "8"], "model.hiden_dim", "model.hidden_dim"),
        (["--model.init_args.hiden_dim=8"], "model.hiden_dim", "model.hidden_dim"),
        (["--model.optimization.lrr", "8"], "model.optimization.lrr", "model.optimization.lr"),
        (["--model.decoding", '{"beem": 2}'], "model.decoding.beem", "model.decoding.beam"),
        (["--data.corpus.pth", "8"], "data.corpus.pth", "data.corpus.path"),
        (["--data.batching.sizee", "8"], "data.batching.sizee", "data.batching.size"),
        (["--data.batching", '{"sizee": 8}'], "data.batching.sizee", "data.batching.size"),
        (["--data.revers_source", "true"], "data.revers_source", "data.reverse_source"),
        (["--trainer.max_epoch", "8"], "trainer.max_epoch", "trainer.max_epochs"),
        (["--trainer", '{"max_epoch": 8}'], "trainer.max_epoch", "trainer.max_epochs"),
        (["--checkpoint.monitr", "x"], "checkpoint.monitr", "checkpoint.monitor"),
        (["--early_stopping.patince", "1"], "early_stopping.patince", "early_stopping.patience"),
        (["--optimizer", "torch.optim.SGD"], "optimizer", "model.optimization.optimizer"),
    ],
)
def test_an_unknown_flag_is_refused_with_the_nearest_one(refusal, arguments, key, meant):
    assert refusal(*arguments) == f"nlp-rnn: error: unknown setting '{key}'. Did you mean '{meant}'?\n"


@pytest.mark.parametrize(
    ("text", "key", "meant"),
    [
        ("modl: 3\n", "modl", "model"),
        ("trainer:\n  max_epoch: 3\n", "trainer.max_epoch", "trainer.max_epochs"),
        ("fit:\n  trainer:\n    max_epochs: 3\n", "fit.trainer.max_epochs", "trainer.max_epochs"),
        (model("hiden_dim: 3"), "model.hiden_dim", "model.hidden_dim"),
        (model("optimization: {lrr: 3}"), "model.optimization.lrr", "model.optimization.lr"),
        (data("corpus: {pth: 3}"), "data.corpus.pth", "data.corpus.path"),
        (data("vocabulary: {levell: bpe}"), "data.vocabulary.levell", "data.vocabulary.level"),
    ],
)
def test_an_unknown_key_in_a_file_is_refused_with_the_nearest_one(refusal, tmp_path, text, key, meant):
    path = write(tmp_path, text)
    assert refusal("--config", path) == f"nlp-rnn: error: unknown setting '{key}'. Did you mean '{meant}'?\n"


@pytest.mark.parametrize(
    "flag",
    [
        *("--trainer.max_ep", "--model.hidden", "--data.max_len", "--seed"),
        *("--data.corpus.max_example", "--model.optimization.l"),  # whose parsers jsonargparse makes
    ],
)
def test_abbreviations_are_refused(refusal, flag):
    assert f"unknown setting '{flag[2:]}'" in refusal(flag, "3")


def test_dissimilar_key_gets_no_suggestion():
    assert messages.suggestion("model.zzzzzz", ["model.lr", "data.corpus.path"]) == ""


def test_a_key_of_another_class_is_not_proposed(refusal):
    assert refusal("--model.pooling", "max") == ("nlp-rnn: error: unknown setting 'model.pooling'.\n")


def test_every_nested_setting_has_a_name():
    from nlp_rnn.tasks import TASKS

    names = {
        *messages.setting_names(TASKS.values(), "model"),
        *messages.setting_names([kind for name in TASKS for kind in data_classes(name)], "data"),
    }
    assert {"model.optimization.lr", "model.decoding.beam", "data.corpus.path", "data.batching.size"} <= names
    assert not [name for name in names if "processor." in name]


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


PAYLOAD = """\
import pathlib
pathlib.Path(__file__).with_name("ran").touch()
class Y:
    def __init__(self, *_, **__): pass
"""


@pytest.mark.parametrize(
    ("flag", "name"),
    [("--model", "Translatio"), ("--model", "nlp_rnn.tasks.Nothing"), ("--data", "nlp_rnn.data.No")],
)
def test_missing_class_is_named(refusal, flag, name):
    assert f"there is no class '{name}'; use one of Sentiment" in refusal(flag, name)


def test_data_in_the_place_of_a_model_is_refused(refusal):
    assert "model: not the name of a Task" in refusal("--model", "nlp_rnn.data.TranslationData")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trainer.gpus", "1"], "unknown setting 'trainer.gpus'. Did you mean 'trainer.devices'?"),
        (["--data.vocabulary.shared", "true"], "unknown setting 'data.vocabulary.shared'."),
        (["--trainer.tpu_cores", "1"], "unknown setting 'trainer.tpu_cores'."),
        (["--epochs", "1"], "unknown setting 'epochs'. Did you mean 'trainer.max_epochs'?"),
        (["--batch_size", "1"], "unknown setting 'batch_size'. Did you mean 'data.batching.size'?"),
        (["--model.hidden-dim", "1"], "unknown setting 'model.hidden-dim'. Did you mean 'model.hidden_dim'?"),
        (["--trainer.max_epochs"], "--trainer.max_epochs: expected a value"),
        (["--model.hidden_dim"], "--model.hidden_dim: expected a value"),
        (["--model.hidden_dim", "--runs", "x"], "--model.hidden_dim: expected a value"),
        (["--data.corpus.path", "--runs", "x"], "--data.corpus.path: expected a value"),
        (["--runs"], "--runs: expected a value"),
    ],
)
def test_common_mistakes_get_plain_messages(refusal, arguments, message):
    assert refusal(*arguments) == f"nlp-rnn: error: {message}\n"


@pytest.mark.parametrize(
    ("flag", "owner"),
    [("model.hidden_dim", "model"), ("data.batching.size", "data"), ("model.cell", "model")],
)
def test_a_setting_of_a_class_that_is_not_chosen(run, flag, owner):
    code, _, error = run("fit", f"--{flag}", "3")
    assert code == 2
    assert error == (
        f"nlp-rnn: error: --{flag}: no {owner} is chosen yet; "
        f"give --config conf/NAME.yaml, or --{owner} CLASS before this flag\n"
    )


def test_flags_win_over_configurations_wherever_they_stand(run):
    config = ["--config", "conf/translation_builtin.yaml"]
    flags = ["--model.hidden_dim", "3", "--trainer.max_epochs", "2"]
    before, after = (run("fit", *order, "--print_config") for order in ([*flags, *config], [*config, *flags]))
    assert before == after
    assert "hidden_dim: 3\n" in before[1]
    assert "max_epochs: 2\n" in before[1]


# The contract: these forms of text are all that `readable` relies on in jsonargparse.


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        (["--modl", "x"], messages._UNKNOWN),
        (["--trainer.max_epoch", "1"], messages._UNKNOWN),
        (["--trainer", '{"max_epoch": 8}'], messages._UNKNOWN),
        (["--model.hiden_dim", "1"], messages._UNKNOWN),
        (["--model.decoding", '{"beem": 2}'], messages._UNKNOWN),
        (["--model", "os.system"], messages._REFUSED_IMPORT),
        (["--model", "Translatio"], messages._NO_CLASS),
        (["--model", "nlp_rnn.tasks.Nothing"], messages._NO_CLASS),
        (["--model", "nlp_rnn.data.TranslationData"], messages._WRONG_CLASS),
        (["--trainer.max_epochs"], messages._NO_VALUE),
        (["--model.hidden_dim"], messages._NO_VALUE),
        (["--model.hidden-dim", "1"], messages._NOT_NESTED),
        (["--model.hidden_dim", "x"], messages._KEY),
        (["--model.hidden_dim", "x"], messages._VALUE),
        (["--model.hidden_dim", "x"], messages._EXPECTED),
        (["--model.optimization.schedule", "x"], messages._EXPECTED),
        (["--trainer.max_epochs", "x"], messages._VALUE),
    ],
)
def test_the_parsers_text_has_the_forms_that_are_taken_apart(refusal, monkeypatch, arguments, pattern):
    texts = []
    monkeypatch.setattr(parsing, "readable", lambda text, *_: texts.append(text) or "a line")
    refusal(*arguments)
    assert pattern.search(" ".join(texts[0].split()))


def test_the_parsers_text_names_what_is_missing(run, monkeypatch):
    texts = []
    monkeypatch.setattr(parsing, "readable", lambda text, *_: texts.append(text) or "a line")
    run("fit")
    assert messages._MISSING.search(texts[0])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--trainer.logger", "WandbLogger"],
            "WandbLogger: a package is missing; install it with: pip install",
        ),
        (["--trainer.logger", "MLFlowLogger"], "MLFlowLogger: a package is missing"),
        (["--trainer.logger", "CometLogger"], "CometLogger: a package is missing"),
        (
            ["--trainer.callbacks", "Timer", "--trainer.callbacks.duration", "00:01:00:00"],
            "Timer: has settings that a configuration cannot hold; use it in Python",
        ),
        (["--trainer.callbacks", "ThroughputMonitor"], "missing: batch_size_fn"),
    ],
)
def test_a_class_that_cannot_be_made_is_named(run, tmp_path, monkeypatch, arguments, said):
    for package in ("wandb", "mlflow", "comet_ml"):
        if find_spec(package):
            pytest.skip(f"{package} is installed")
    tiny = ["--data.corpus.max_examples", "60", "--runs", str(tmp_path)]
    code, out, error = run("fit", "--config", "conf/sentiment_builtin.yaml", *tiny, *arguments)
    assert (code, out) == (2, "")
    assert said in error.splitlines()[-1]
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("name", "value", "first"),
    [
        ("data.corpus", "builtin", "path"),
        ("data.corpus", "tweets.csv", "path"),
        ("data.corpus", "data/tweets.csv", "path"),
        ("data.batching", "32", "size"),
        ("data.vocabulary", "bpe", "level"),
        ("model.optimization", "adam", "optimizer"),
    ],
)
def test_a_value_for_a_group_of_settings_names_the_settings(refusal, name, value, first):
    said = refusal("--model", "Sentiment", "--data", "SentimentData", f"--{name}", value)
    problem = f"{name}: {value!r} is no value for a group of settings"
    assert said.startswith(f"nlp-rnn: error: {problem}; set {name}.NAME, of {first}, ")


@pytest.mark.parametrize("config", [(), ("--config", "conf/sentiment_builtin.yaml")])
@pytest.mark.parametrize("file", ["tweets.csv", "data/tweets.csv", "tweets"])
def test_a_file_in_the_place_of_the_data_class(refusal, config, file):
    said = refusal("--model", "Sentiment", *config, "--data", file)
    assert said.startswith("nlp-rnn: error: data: ")
    assert repr(file) in said
    assert said.endswith("; a file or folder is given by data.corpus.path\n")
