"""Errors are one line each, with an exit code that says whose they are."""

import io
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nlp_rnn.cli.console import ArgumentParser, prepare_streams, quiet, reporting
from nlp_rnn.errors import RunError, UsageError


def test_an_error_is_one_line(capsys):
    with pytest.raises(SystemExit) as stopped, reporting("program"):
        raise RuntimeError("two\nlines")
    assert stopped.value.code == 1
    assert capsys.readouterr().err == "program: error: RuntimeError: two lines\n"


def test_a_usage_error_is_found_behind_the_exception_of_a_library(capsys):
    error = ValueError("parsing failed")
    error.__cause__ = UsageError("give another")
    with pytest.raises(SystemExit) as stopped, reporting("program"):
        raise error
    assert stopped.value.code == 2
    assert capsys.readouterr().err == "program: error: give another\n"


def test_a_fault_while_running_is_found_behind_the_exception_of_a_library(capsys):
    error = ValueError("parsing failed")
    error.__cause__ = RunError("out of memory")
    with pytest.raises(SystemExit) as stopped, reporting("program"):
        raise error
    assert stopped.value.code == 1
    assert capsys.readouterr().err == "program: error: out of memory\n"


@pytest.mark.parametrize(
    ("error", "code", "shown"),
    [
        (FileNotFoundError(2, "No such file", "x\x1b"), 2, "x\\x1b: No such file"),
        (OSError(28, "No space left on device", "x"), 1, "x: No space left on device"),
        (OSError(5, "Input/output error"), 1, "OSError: [Errno 5] Input/output error"),
    ],
)
def test_an_error_of_the_system_names_its_file(capsys, error, code, shown):
    with pytest.raises(SystemExit) as stopped, reporting("program"):
        raise error
    assert stopped.value.code == code
    assert capsys.readouterr().err == f"program: error: {shown}\n"


def test_the_traceback_is_shown_when_debugging(capsys, monkeypatch):
    monkeypatch.setenv("NLP_RNN_DEBUG", "1")
    with pytest.raises(SystemExit), reporting("program"):
        raise RuntimeError("broken")
    assert "Traceback" in capsys.readouterr().err


def test_the_error_of_a_thread_is_one_line(caplog, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", None)
    quiet()
    thread = threading.Thread(target=lambda: 1 / 0, name="writer")
    thread.start()
    thread.join()
    assert caplog.messages == ["writer ended: ZeroDivisionError: division by zero"]
    thread = threading.Thread(target=sys.exit)
    thread.start()
    thread.join()
    assert len(caplog.messages) == 1


def test_a_parser_exits_with_one_line(capsys):
    with pytest.raises(SystemExit) as stopped:
        ArgumentParser(prog="nlp-rnn verb").parse_args(["--unknown"])
    assert stopped.value.code == 2
    assert capsys.readouterr().err == (
        "nlp-rnn: error: unrecognized arguments: --unknown; nlp-rnn verb --help lists the options\n"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_a_full_disk_behind_standard_output_is_one_line(unbuffered, argument):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "nlp_rnn", argument],
            stdout=full,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            text=True,
        )
    assert done.returncode == 1
    assert done.stderr == ("nlp-rnn: error: standard output: cannot be written (No space left on device)\n")


def test_control_characters_and_long_messages_do_not_reach_the_terminal(capsys):
    with pytest.raises(SystemExit), reporting("program"):
        raise RuntimeError("\x1b[31m" + "x" * 5_000)
    shown = capsys.readouterr().err
    assert shown.startswith(r"program: error: RuntimeError: \x1b[31mxxx")
    assert len(shown) < 1_100
    root = logging.getLogger()
    handlers, root.handlers = root.handlers, []
    try:
        quiet()
        logging.getLogger("nlp_rnn.test").warning("label %s\nand more", "\x1b]0;title\x07")
    finally:
        root.handlers = handlers
    assert capsys.readouterr().err == "WARNING: label \\x1b]0;title\\x07 and more\n"


CLOSED = "nlp-rnn: error: standard output: cannot be written (Bad file descriptor)\n"


@pytest.mark.parametrize(
    ("command", "code", "error"),
    [
        ("--help >&-", 2, CLOSED),
        ("--version >&-", 2, CLOSED),
        ("nothing >&-", 2, "nlp-rnn: error: no verb"),
        ("nothing 2>&-", 2, ""),
        ("nothing <&- >&- 2>&-", 2, ""),
        ("--help | head -1; exit ${PIPESTATUS[0]}", (0, 1), ""),
    ],
)
def test_closed_streams(command, code, error):
    process = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m nlp_rnn {command}"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert process.returncode in (code if isinstance(code, tuple) else (code,))
    assert process.stderr.startswith(error)
    assert process.stderr.count("\n") <= 1
    assert command.startswith("--help |") or process.stdout == ""


def test_output_is_utf8_whatever_the_locale(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    prepare_streams()
    print("긍정 \udcff", end="", flush=True)  # the second stands for a byte of a file's name
    assert written.getvalue() == "긍정 ".encode() + b"\xff"
