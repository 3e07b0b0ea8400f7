import errno
import logging
import multiprocessing
import os
import shutil
import time
from pathlib import Path

import pytest

from nlp_rnn.data.cache import cache_root, cached_folder
from nlp_rnn.errors import RunError, UsageError


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("NLP_RNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Build:
    """Writes two files, and counts how often it was asked to."""

    def __init__(self):
        self.calls = 0

    def __call__(self, folder):
        self.calls += 1
        (folder / "inner").mkdir()
        (folder / "inner" / "data.bin").write_bytes(bytes(1000))
        (folder / "settings.json").write_text("{}")


def _replace_by_a_file(folder):
    shutil.rmtree(folder)
    folder.write_text("")


def forbidden(folder):
    raise AssertionError("built again")


def content(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }


WHOLE = {"inner/data.bin": bytes(1000), "settings.json": b"{}"}


def test_the_second_use_does_not_build(caplog):
    folder = cached_folder("key", Build())
    assert content(folder) == WHOLE
    assert cached_folder("key", forbidden) == folder
    assert not caplog.records


def test_each_key_has_its_folder():
    build = Build()
    assert cached_folder("one", build) != cached_folder("two", build)
    assert build.calls == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: os.truncate(folder / "inner" / "data.bin", 500),
        lambda folder: (folder / "inner" / "data.bin").write_bytes(bytes(999) + b"x"),
        lambda folder: (folder / "settings.json").unlink(),
        lambda folder: (folder / "inner" / "extra.bin").write_bytes(b""),
        lambda folder: (folder / "manifest.json").unlink(),
        lambda folder: (folder / "manifest.json").write_text('{"inner'),
        lambda folder: (folder / "manifest.json").write_bytes(b"\xff"),
        lambda folder: (folder / "manifest.json").write_text("[]"),
        _replace_by_a_file,
    ],
    ids=[
        "truncated",
        "changed",
        "missing",
        "extra",
        "no list",
        "cut list",
        "no UTF-8",
        "other list",
        "a file",
    ],
)
def test_what_is_damaged_is_built_anew(damage, caplog):
    build = Build()
    folder = cached_folder("key", build)
    damage(folder)
    assert cached_folder("key", build) == folder
    assert build.calls == 2
    assert content(folder) == WHOLE
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert str(folder) in record.message
    cached_folder("key", forbidden)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_failed_build_leaves_no_files(root, error):
    def fail(folder):
        Build()(folder)
        raise error("in the middle")

    with pytest.raises(error, match="in the middle"):
        cached_folder("key", fail)
    assert [path for path in root.iterdir() if path.suffix != ".lock"] == []
    assert content(cached_folder("key", Build())) == WHOLE


def _build_slowly(folder, log):
    with log.open("a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(0.5)
    Build()(folder)


def _ask(log, barrier):
    barrier.wait()
    assert content(cached_folder("key", lambda folder: _build_slowly(folder, log))) == WHOLE


def test_one_of_several_processes_builds(tmp_path):
    log = tmp_path / "builds"
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(4)
    processes = [context.Process(target=_ask, args=(log, barrier)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0] * 4
    assert len(log.read_text().split()) == 1


def _die(folder):
    Build()(folder)
    os._exit(9)


def test_files_of_a_killed_build_are_removed(root):
    process = multiprocessing.get_context("fork").Process(target=cached_folder, args=("key", _die))
    process.start()
    process.join(30)
    assert process.exitcode == 9
    assert not (root / "key").exists()
    assert content(cached_folder("key", Build())) == WHOLE
    assert sorted(path.name for path in root.iterdir() if path.suffix != ".lock") == ["key"]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"NLP_RNN_CACHE": "/some/where", "XDG_CACHE_HOME": "/xdg"}, "/some/where"),
        ({"NLP_RNN_CACHE": "~/mine"}, "HOME/mine"),
        ({"XDG_CACHE_HOME": "/xdg"}, "/xdg/nlp_rnn"),
        ({}, "HOME/.cache/nlp_rnn"),
        ({"NLP_RNN_CACHE": "", "XDG_CACHE_HOME": ""}, "HOME/.cache/nlp_rnn"),
    ],
)
def test_location_of_the_cache(monkeypatch, variables, expected):
    for name in ("NLP_RNN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_root() == Path(expected.replace("HOME", str(Path.home())))


def test_a_cache_that_is_a_file(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NLP_RNN_CACHE", str(tmp_path / "file"))
    with pytest.raises(UsageError, match=r"cache folder .*file: cannot be written \(File exists\)"):
        cached_folder("key", Build())


def test_a_full_disk_is_named_with_the_cache(root):
    def fill(folder):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(RunError, match=rf"{root}: cannot be written \(No space left on device\)"):
        cached_folder("key", fill)
    assert [path for path in root.iterdir() if path.suffix != ".lock"] == []


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NLP_RNN_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(UsageError, match=r"file/cache: cannot be written .*; set NLP_RNN_CACHE"):
        cached_folder("key", Build())
