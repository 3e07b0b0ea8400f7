"""Fits in processes of their own; here programs that only write what a fit leaves behind."""

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from nlp_rnn.training import processes
from nlp_rnn.training.processes import FitProcess, Signals, has_parent, parent_callbacks, prepare_run


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Starts a Python program in place of a fit."""

    def call(program, **environment):
        monkeypatch.setattr(processes, "fit_command", lambda *_: [sys.executable, "-c", program])
        prepare_run(tmp_path / "run", "nlp-rnn fit", "a: 1\n")
        return FitProcess(tmp_path / "run", (), environment)

    return call


def ended(process):
    while process.code is None:
        time.sleep(0.01)
    return process


@pytest.mark.parametrize(
    ("program", "code", "failure"),
    [
        ("print('a'); print('b')", 0, None),
        ("import sys; sys.exit('first\\nnlp-rnn: error: the loss is nan')", 1, "the loss is nan"),
        ("import sys; sys.exit('nlp-rnn: stopped by SIGTERM; saved')", 1, "stopped by SIGTERM; saved"),
        ("import sys; sys.exit('Segmentation fault')", 1, "Segmentation fault"),
        ("import sys; sys.exit(7)", 7, "exit code 7"),
        ("import os; os.kill(os.getpid(), 9)", -9, "killed by SIGKILL; memory may have run out"),
        ("import os; os.kill(os.getpid(), 15)", -15, "killed by SIGTERM"),
    ],
)
def test_a_failure_is_one_line(start, program, code, failure):
    process = ended(start(program))
    assert process.code == code
    if failure is not None:
        assert process.failure() == failure


def test_a_second_process_in_a_run_directory_has_lines_of_its_own(start):
    first = ended(start("import sys; print('nlp-rnn: error: old', file=sys.stderr)"))
    assert first.new_lines() == ["nlp-rnn: error: old"]
    assert first.new_lines() == []
    second = ended(start("import sys; print('new\\x1b', file=sys.stderr); sys.exit(3)"))
    assert second.new_lines() == ["new\\x1b"]
    assert second.failure() == "new\\x1b"
    assert (second.run_dir / "config.yaml").read_text() == "# nlp-rnn fit\na: 1\n"


def test_a_signal_is_handed_on_and_one_that_came_before_too(start):
    waiting = "import signal, time; signal.signal(2, lambda *_: exit(130)); print(flush=True); time.sleep(60)"
    signals = Signals()
    with signals.handed_on():
        first = start(waiting, PYTHONUNBUFFERED="1")
        signals.started(first)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)  # at once, as a terminal and a program such as `timeout` do
        assert ended(first).code in (130, -2)
        second = start(waiting)
        signals.started(second)
        assert ended(second).code in (130, -2)
        assert {*signals.ended()} == {first, second}
    assert signals.number == signal.SIGINT


def test_an_error_ends_the_processes(start):
    process = start("import time; time.sleep(60)")

    def fail(signals):
        with signals.handed_on():
            signals.started(process)
            raise ValueError("full")

    with pytest.raises(ValueError, match="full"):
        fail(Signals())
    assert ended(process).code == -signal.SIGTERM


@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_validation_batch_end"])
def test_a_run_stops_once_its_parent_is_gone(monkeypatch, hook):
    sent = []
    monkeypatch.setattr(os, "kill", lambda *arguments: sent.append(arguments))
    assert parent_callbacks() == []
    assert not has_parent()
    trainer = SimpleNamespace(is_global_zero=True)
    monkeypatch.setenv("NLP_RNN_PARENT", str(os.getppid()))
    assert has_parent()
    (callback,) = parent_callbacks()
    getattr(callback, hook)(trainer, None)
    assert sent == []
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    monkeypatch.setenv("NLP_RNN_PARENT", str(gone.pid))
    (callback,) = parent_callbacks()
    assert "NLP_RNN_PARENT" not in os.environ
    for _ in range(3):
        getattr(callback, hook)(trainer, None)
    assert sent == [(os.getpid(), signal.SIGTERM)]
