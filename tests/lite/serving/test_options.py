"""The options of `serve`."""

import argparse
import os
from dataclasses import fields
from pathlib import Path

import pytest

from nlp_rnn.errors import UsageError
from nlp_rnn.lite.serving import options as serving
from nlp_rnn.lite.serving import process
from nlp_rnn.lite.serving.problems import PROBLEMS
from nlp_rnn.lite.serving.settings import RANGES, ServeSettings


@pytest.fixture
def plan(monkeypatch):
    """The plan that arguments make; nothing is served."""
    plans = []
    monkeypatch.setattr(process, "serve", plans.append)
    monkeypatch.delenv(serving.TOKEN_VARIABLE, raising=False)
    for name in (*serving._THREADS, "TOKENIZERS_PARALLELISM"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(name, "")  # restored after the test
        del os.environ[name]

    def make(*arguments):
        parser = argparse.ArgumentParser()
        serving.add_arguments(parser)
        serving.serve_with(parser.parse_args(arguments), str, lambda cores: 7)
        return plans.pop()

    return make


@pytest.mark.parametrize(
    ("models", "named"),
    [
        (["runs/a", "b/"], {"a": "runs/a", "b": "b/"}),
        (["x=runs/a", "y=runs/a"], {"x": "runs/a", "y": "runs/a"}),
        (["x=y=z"], {"x": "y=z"}),
    ],
)
def test_models_have_names(plan, models, named):
    assert plan(*models).models == named


def test_a_folder_may_have_an_equals_sign_in_its_name(plan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lr=1").mkdir()
    assert plan("x=lr=1").models == {"x": "lr=1"}
    with pytest.raises(UsageError, match="'lr=1' cannot be part of an address"):
        plan("lr=1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a/model", "b/model"], "two models are called 'model': give NAME=FOLDER"),
        (["a b"], "'a b' cannot be part of an address"),
        (["a/b=c"], "'a/b' cannot be part of an address"),
        (["=c"], "'' cannot be part of an address"),
        (["a="], "names no folder"),
        (["m", "--port", "65536"], "--port must be between 0 and 65535, not 65536"),
        (["m", "--workers", "0"], "--workers must be between 1 and 256, not 0"),
        (["m", "--window-ms", "nan"], "--window-ms must be between 0 and 1000, not nan"),
        (["m", "--timeout", "0"], "--timeout must be between 0.01 and 86400, not 0"),
        (["m", "--threads", "0"], "--threads must be between 1 and 1024, not 0"),
        (["m", "--max-inputs", "2000"], "--max-inputs 2000 is more than --max-queue 1024"),
        (["m", "--token-file", "none.txt"], "none.txt: no such file"),
    ],
)
def test_what_is_refused(plan, arguments, message):
    with pytest.raises(UsageError) as error:
        plan(*arguments)
    assert message in str(error.value)


def test_the_token_is_read_and_never_shown(plan, tmp_path, monkeypatch):
    assert plan("m").settings.token == ""
    monkeypatch.setenv(serving.TOKEN_VARIABLE, "of-variable")
    assert plan("m").settings.token == "of-variable"
    file = tmp_path / "token"
    file.write_text("of-file\n")
    made = plan("m", "--token-file", str(file))
    assert made.settings.token == "of-file"
    assert "of-file" not in repr(made)


@pytest.mark.parametrize("content", ["", "\n", "two words", "p\u00e4ss", "a\0b"])
def test_what_is_no_token_is_refused_without_showing_it(plan, tmp_path, content):
    file = tmp_path / "token"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=r"token: holds no token") as error:
        plan("m", "--token-file", str(file))
    assert not content.strip() or content.strip() not in str(error.value)


def test_threads_are_limited_before_anything_computes(plan, monkeypatch):
    plan("m")
    assert {os.environ[name] for name in serving._THREADS} == {"7"}
    monkeypatch.setenv("OMP_NUM_THREADS", "3")  # of the user
    plan("m")
    assert os.environ["OMP_NUM_THREADS"] == "3"
    plan("m", "--threads", "2")
    assert {os.environ[name] for name in serving._THREADS} == {"2"}
    assert os.environ["TOKENIZERS_PARALLELISM"] == "false"


def test_workers_share_the_cores(plan, monkeypatch):
    monkeypatch.setattr(serving, "_cores", lambda: 8)
    parser = argparse.ArgumentParser()
    serving.add_arguments(parser)
    for workers, cores in ((1, 8), (3, 2), (9, 1)):
        os.environ.pop("OMP_NUM_THREADS", None)
        serving.serve_with(parser.parse_args(["m", "--workers", str(workers)]), str, lambda cores: cores)
        assert os.environ["OMP_NUM_THREADS"] == str(cores)


def test_every_number_has_a_range_and_help():
    numbers = {field.name for field in fields(ServeSettings)} - {"host", "token"}
    assert numbers == set(RANGES) == set(serving._HELP)


def test_the_guide_has_all_errors():
    guide = (Path(__file__).parents[3] / "docs/guides/serve.md").read_text(encoding="utf-8")
    for code, kind in PROBLEMS.items():
        assert f"| {kind.status} | `{code}` | {kind.meaning} |" in guide
