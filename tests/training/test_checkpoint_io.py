"""The checkpoints of a run: two good ones at any time, none through the folder of temporary files."""

import os

import pytest
import torch

from nlp_rnn.errors import RunError
from nlp_rnn.storage.checkpoint import DamagedCheckpointError, read_checkpoint
from nlp_rnn.training.checkpoint_io import SafeCheckpointIO


@pytest.fixture(params=["links", "no links"])
def save(request, tmp_path, monkeypatch):
    """Writes the number of a step as `last.ckpt`, on file systems with and without hard links."""
    if request.param == "no links":

        def refuse(*_):
            raise OSError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)

    def call(step, name="last.ckpt"):
        SafeCheckpointIO().save_checkpoint(
            {"global_step": step, "w": torch.full((9,), step)}, tmp_path / name
        )

    return call


def steps(folder):
    return {path.name: read_checkpoint(path)["global_step"] for path in folder.iterdir()}


def test_the_last_but_one_is_kept(save, tmp_path):
    save(1)
    assert steps(tmp_path) == {"last.ckpt": 1}
    save(2)
    assert steps(tmp_path) == {"last.ckpt": 2, "previous.ckpt": 1}
    save(7, "best.ckpt")
    save(3)
    assert steps(tmp_path) == {"last.ckpt": 3, "previous.ckpt": 2, "best.ckpt": 7}
    save(8, "best.ckpt")
    assert steps(tmp_path) == {"last.ckpt": 3, "previous.ckpt": 2, "best.ckpt": 8}


def test_a_damaged_checkpoint_does_not_replace_a_good_one(save, tmp_path):
    save(1)
    save(2)
    with (tmp_path / "last.ckpt").open("r+b") as file:
        file.truncate(1000)
    save(3)
    assert steps(tmp_path) == {"last.ckpt": 3, "previous.ckpt": 1}


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_there_are_two_good_ones_at_any_time(save, tmp_path, monkeypatch, call):
    """Looks at each call that changes names, or waits for the disk."""
    save(1)
    save(2)
    original, seen = getattr(os, call), []

    def look(*arguments, **options):
        for _ in range(2):
            good = {}
            for path in tmp_path.glob("[!.]*.ckpt"):
                good[path.name] = read_checkpoint(path)["global_step"]
            seen.append(good)
            if len(seen) % 2:
                done = original(*arguments, **options)
        return done

    monkeypatch.setattr(os, call, look)
    for step in (3, 4, 5):
        save(step)
    assert len(seen) >= 12
    assert all(len(set(good.values())) == 2 for good in seen), seen


def test_a_save_that_fails_keeps_both(save, tmp_path, monkeypatch):
    save(1)
    save(2)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(RunError, match=r"last\.ckpt: cannot be written \(No space left on device\)"):
        save(3)
    assert steps(tmp_path) == {"last.ckpt": 2, "previous.ckpt": 1}


def test_leftovers_of_killed_processes_are_removed(save, tmp_path):
    save(1)
    (tmp_path / ".last.ckpt.0123abcd.tmp").write_text("half")
    (tmp_path / ".previous.ckpt.tmp").write_text("half")
    save(2)
    assert steps(tmp_path) == {"last.ckpt": 2, "previous.ckpt": 1}


def test_a_damaged_checkpoint_is_not_loaded(save, tmp_path):
    save(1)
    with (tmp_path / "last.ckpt").open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(DamagedCheckpointError):
        SafeCheckpointIO().load_checkpoint(tmp_path / "last.ckpt")


def test_a_fit_writes_nothing_where_temporary_files_go(run, tmp_path, monkeypatch):
    """So that it needs no space there, and renames within one file system."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    before = elsewhere.stat().st_mtime_ns
    arguments = ["--config", "conf/hello.yaml", "--trainer.max_epochs", "2", "--runs", str(tmp_path)]
    code, _, error = run("fit", *arguments)
    assert code == 0, error
    assert elsewhere.stat().st_mtime_ns == before
    found = steps(tmp_path / "hello" / "1" / "checkpoints")
    assert {"last.ckpt", "previous.ckpt"} <= set(found)
    assert found["previous.ckpt"] < found["last.ckpt"]


def test_a_link_to_another_checkpoint_is_replaced(save, tmp_path):
    save(1, "best.ckpt")
    (tmp_path / "last.ckpt").symlink_to("best.ckpt")  # as Lightning makes it
    save(2)
    assert steps(tmp_path) == {"best.ckpt": 1, "last.ckpt": 2}
