"""The command line: its verbs, its help and its errors."""

import re
import signal
import subprocess
import sys
from importlib import import_module

import pytest

from nlp_rnn import save_pretrained
from nlp_rnn.cli import main as command_line
from nlp_rnn.cli.console import verb_parser
from nlp_rnn.cli.verbs import VERBS
from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.tasks import Sentiment
from nlp_rnn.tasks.registry import ROWS
from nlp_rnn.tasks.sentiment.data import SentimentProcessor
from nlp_rnn.training import cli as training

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


def test_help_names_every_verb_with_an_example(run):
    code, out, error = run("--help")
    assert (code, error) == (0, "")
    lines = [line.strip() for line in out.splitlines()]
    for name, verb in VERBS.items():
        assert f"{name:<12} {verb.summary}" in lines
        assert f"nlp-rnn {name} {verb.example}" in lines


def test_version_is_fast():
    program = (
        "import sys; from nlp_rnn.cli.main import main; main(['--version']); "
        "assert 'torch' not in sys.modules"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"nlp-rnn \d+\.\d+\.\d+\n", found.stdout)


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        (RuntimeError("it\nbroke"), 1, "RuntimeError: it broke"),
        (UsageError("your fault"), 2, "your fault"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_a_fault_while_running_is_one_line(run, monkeypatch, fault, code, said):
    def break_down(*_):
        raise fault

    monkeypatch.setattr(training, "_CLI", break_down)
    assert run("fit") == (code, "", f"nlp-rnn: error: {said}\n")


def test_interrupted_run_prints_a_message(tmp_path, run, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Sentiment, "loss", interrupt)
    before = signal.getsignal(signal.SIGINT)
    try:
        code, _, error = run("fit", "--config", CONFIG, *TINY, "--runs", str(tmp_path))
    finally:
        signal.signal(signal.SIGINT, before)  # which Lightning has switched off
    assert code == 130
    assert error.endswith("nlp-rnn: error: interrupted\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "{fit,validate,test,predict,sweep,evaluate"),
        (["fitt"], "choose from"),
        (["fit"], "missing: data, model; give --config conf/NAME.yaml"),
        (["fit", "--config", CONFIG, "stray"], "unrecognized arguments: stray"),
    ],
)
def test_an_incomplete_command_is_one_line(run, arguments, said):
    code, out, error = run(*arguments)
    assert (code, out) == (2, "")
    assert said in one_line(error)


@pytest.mark.parametrize(
    ("arguments", "answered"),
    [
        (["MODEL"], "module"),
        (["MODEL", "INPUT", "--json"], "module"),
        (["--json", "MODEL", "--output", "x"], "module"),
        (["MODEL", "config.txt", "--n-best", "2", "--conllu"], "module"),
        (["--help"], "module"),
        (["--config", "conf/sentiment_builtin.yaml"], "configuration"),
        (["--config=conf/sentiment_builtin.yaml", "--help"], "configuration"),
        (["-c", "conf/sentiment_builtin.yaml"], "configuration"),
        (["-c=conf/sentiment_builtin.yaml"], "configuration"),
        (["--ckpt_path=x", "--output", "y"], "configuration"),
        (["--output", "y", "--trainer.devices", "1"], "configuration"),
        (["--model.help", "Sentiment"], "configuration"),
    ],
)
def test_the_flags_tell_the_two_forms_of_predict_apart(monkeypatch, arguments, answered):
    called = []
    monkeypatch.setattr(command_line, "_run_verb", lambda *_: called.append("module"))
    monkeypatch.setattr(command_line, "_run_configuration", lambda *_: called.append("configuration"))
    command_line.main(["predict", *arguments])
    assert called == [answered]


@pytest.mark.parametrize(
    "option",
    [["--unsure_below", "some_value"], ["--unsure-below", "some_value"], ["--unsure_below=some_value"]],
)
def test_options_may_have_underscores_as_those_of_fit_have(run, tmp_path, option):
    code, _, error = run("predict", str(tmp_path), *option)
    assert code == 2
    assert "argument --unsure-below: invalid float value: 'some_value'" in one_line(error)


def test_the_help_of_predict_explains_both_forms(run):
    code, out, _ = run("predict", "--help")
    assert code == 0
    assert "nlp-rnn predict runs/sentiment_builtin/latest/model reviews.csv" in out
    assert "nlp-rnn predict --config conf/sentiment_builtin.yaml" in out
    assert "--ckpt_path" in out


@pytest.mark.parametrize("name", [name for name, verb in VERBS.items() if verb.module])
def test_the_help_of_each_verb_has_its_example_and_a_text_for_every_option(run, name):
    code, out, _ = run(name, "--help")
    assert code == 0
    assert f"nlp-rnn {name} {VERBS[name].example}" in out
    parser = verb_parser(name, VERBS[name])
    import_module(VERBS[name].module).add_arguments(parser)
    assert not [action.dest for action in parser._actions if not action.help]


def test_ctrl_c_amid_the_first_imports_ends_without_a_traceback():
    program = """
import os, runpy, signal, sys
class Interrupt:
    def find_spec(self, name, *_):
        if name == "nlp_rnn.cli.main":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
runpy.run_module("nlp_rnn", run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", ""],
        ["predict", "MODEL", ""],
        ["predict", "MODEL", "--output", ""],
        ["predict", "--config", CONFIG, "--ckpt_path", ""],
        ["predict", "--config", CONFIG, "--ckpt_path", "MODEL", "--output="],
        ["evaluate", "MODEL", "--data", ""],
        ["evaluate", "MODEL", "--output", ""],
        ["generate", ""],
        ["inspect", "MODEL", "text", "--output", ""],
        ["quantize", "MODEL", ""],
        ["vectors", "MODEL", ""],
        ["long-memory", "--output", ""],
        ["fit", "--config", CONFIG, "--name", ""],
        ["fit", "--config", CONFIG, "--runs="],
        ["fit", "--config", CONFIG, "--data.corpus.path", ""],
        ["fit", "--config", CONFIG, "--model.dropout", ""],
    ],
)
def test_an_empty_value_is_refused(run, arguments):
    code, out, error = run(*arguments)
    assert (code, out) == (2, "")
    assert "empty" in one_line(error)


def test_an_empty_value_in_a_file_is_refused(run, tmp_path):
    path = tmp_path / "empty.yaml"
    path.write_text("name: ''\n")
    code, _, error = run("fit", "--config", CONFIG, "--config", str(path))
    assert code == 2
    assert "name: the value is empty" in one_line(error)


def no_memory(*_, **__):
    raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory")


@pytest.mark.parametrize(
    ("place", "remedy"),
    [("__init__", "model.hidden_dim, model.embedding_dim"), ("loss", "data.batching.size, ")],
)
def test_a_lack_of_memory_in_a_fit_names_the_settings(run, tmp_path, monkeypatch, place, remedy):
    monkeypatch.setattr(Sentiment, place, no_memory)
    code, _, error = run("fit", "--config", CONFIG, *TINY, "--runs", str(tmp_path))
    assert code == 1
    assert error.splitlines()[-1].startswith(f"nlp-rnn: error: out of memory; lower {remedy}")
    assert not list(tmp_path.rglob("model"))


@pytest.mark.parametrize("verb", ["predict", "evaluate", "generate", "inspect", "quantize"])
def test_a_lack_of_memory_in_other_verbs_names_their_options(run, tmp_path, monkeypatch, verb):
    monkeypatch.setattr("nlp_rnn.tasks.pretrained.read_model", no_memory)
    rest = {"inspect": ["text", "--output", str(tmp_path / "out")], "quantize": [str(tmp_path / "out")]}
    code, out, error = run(verb, "MODEL", *rest.get(verb, []))
    assert (code, out) == (1, "")
    assert one_line(error) == f"nlp-rnn: error: out of memory; lower {VERBS[verb].memory}\n"
    assert list(tmp_path.iterdir()) == []


def test_a_closed_pipe_is_no_error():
    command = f"{sys.executable} -m nlp_rnn --help | head -1"
    found = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert (found.stdout, found.stderr) == ("usage: nlp-rnn VERB ...\n", "")


OWN = """\
from nlp_rnn.data import SentimentData
from nlp_rnn.tasks import Sentiment
from nlp_rnn.tasks.registry import ROWS, TaskRow


class Own(Sentiment):
    name = "own_task"


class OwnData(SentimentData):
    pass


ROWS["own_task"] = TaskRow("text -> one label", "Own", ("OwnData",), __name__)
"""


@pytest.fixture
def own_model(tmp_path, monkeypatch):
    """A package that registers a task, which is not imported, and the folder of a model for this task."""
    package = tmp_path / "packages" / "own_package_of_a_test"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(package.parent))

    def forget():
        ROWS.pop("own_task", None)
        sys.modules.pop(package.name, None)

    vocabulary = Vocabulary.train(["a good film"], VocabularySettings(min_frequency=1))
    processor = SentimentProcessor(vocabulary, ["bad", "good"], ["bad", "good"])
    task = import_module(package.name).Own(processor, embedding_dim=4, hidden_dim=4)
    folder = save_pretrained(task, tmp_path / "model")
    forget()
    yield package.name, folder
    forget()


@pytest.mark.parametrize(
    "verb",
    [
        ("evaluate", "MODEL", "--data", "DATA"),
        ("predict", "MODEL", "TEXT"),
        ("inspect", "MODEL", "a film", "--output", "OUT"),
        ("quantize", "MODEL", "OUT"),
        ("vectors", "MODEL", "OUT"),
    ],
)
def test_a_model_of_a_packages_own_task_is_read_where_the_package_is_trusted(run, tmp_path, own_model, verb):
    package, folder = own_model
    (tmp_path / "data.csv").write_text("text,label\na good film,good\na bad film,bad\n")
    (tmp_path / "text.txt").write_text("a film\n")
    places = {"MODEL": folder, "DATA": tmp_path / "data.csv", "TEXT": tmp_path / "text.txt"}
    arguments = [str({**places, "OUT": tmp_path / "out"}.get(argument, argument)) for argument in verb]
    code, out, error = run(*arguments)
    assert (code, out) == (2, "")
    assert "unknown task 'own_task'" in error
    assert "--trust PACKAGE" in error
    assert package not in sys.modules
    code, _, error = run(*arguments, "--trust", package)
    assert code == 0, error


def test_generate_imports_a_trusted_package_too(run, own_model):
    package, folder = own_model
    code, out, error = run("generate", str(folder), f"--trust={package}")
    assert (code, out) == (2, "")
    assert "this model is for own_task" in error
    assert (
        "--trust 'a b': give the name of an installed package"
        in run("generate", str(folder), "--trust", "a b")[2]
    )


def test_a_deleted_working_directory_is_named(tmp_path, monkeypatch, run):
    monkeypatch.chdir(tmp_path)
    tmp_path.rmdir()
    message = "nlp-rnn: error: the working directory has been deleted; change to another one\n"
    assert run("predict", "/model") == (2, "", message)
