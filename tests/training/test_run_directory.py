"""Run directories: their numbers, and the link to the latest."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from nlp_rnn.errors import UsageError
from nlp_rnn.training import run_directory
from nlp_rnn.training.run_directory import (
    find_group,
    find_run,
    locked,
    new_run_dir,
    newest_run,
    point_latest,
    save_config,
)


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


def test_a_link_that_a_killed_process_left_is_no_obstacle(tmp_path):
    run_dir = new_run_dir(tmp_path, "a")
    (tmp_path / "a" / ".latest.1").symlink_to("1")
    point_latest(run_dir)
    assert {path.name for path in run_dir.parent.iterdir()} == {"1", "latest"}


def test_one_process_at_a_time_trains_in_a_run_directory(tmp_path, monkeypatch):
    monkeypatch.setattr(run_directory, "_LOCK_SECONDS", 0.1)
    program = (
        "import sys, time; from pathlib import Path; from nlp_rnn.training.run_directory import locked\n"
        "with locked(Path(sys.argv[1])):\n"
        "    print('locked', flush=True)\n"
        "    time.sleep(100)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"locked\n"
        with pytest.raises(UsageError, match="another process is training in this run"), locked(tmp_path):
            pass
        threading.Timer(0.5, other.kill).start()  # a killed process keeps no lock
        with locked(tmp_path, patient=True):
            assert other.wait() == -signal.SIGKILL


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


def test_a_requeued_job_finds_its_own_run_among_those_of_others(tmp_path, monkeypatch):
    for number, job in enumerate(("7", "8", "9"), 1):
        monkeypatch.setenv("SLURM_JOB_ID", job)
        run = tmp_path / str(number)
        (run / "checkpoints").mkdir(parents=True)
        (run / "checkpoints" / "last.ckpt").touch()
        save_config(run, "nlp-rnn fit", "")
    monkeypatch.setenv("SLURM_JOB_ID", "8")
    assert newest_run(tmp_path, of_this_job=True) is None  # it was not requeued
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert newest_run(tmp_path, with_checkpoint=True, of_this_job=True) == tmp_path / "2"
    assert newest_run(tmp_path) == tmp_path / "3"


def test_what_is_no_run_is_named_with_its_reason(tmp_path):
    with pytest.raises(UsageError, match=r"none: no such folder; give runs/NAME/NUMBER"):
        find_run(str(tmp_path / "none"))
    with pytest.raises(UsageError, match=r"no run directory, which has a config\.yaml; give"):
        find_run(str(tmp_path))


def test_a_group_is_found_as_a_run_is(tmp_path):
    for folder in ("1", "2/seed-0", "2/seed-1", "3"):
        (tmp_path / folder).mkdir(parents=True)
    for folder in ("1", "2/seed-0", "2/seed-1"):  # the third one has ended before it began
        (tmp_path / folder / "config.yaml").touch()
    (tmp_path / "latest").symlink_to("2/seed-1")
    for path in ("", "latest", "2"):
        assert find_group(str(tmp_path / path)) == tmp_path / "2"
    assert [find_group(str(tmp_path / path)) for path in ("1", "2/seed-0", "none")] == [None] * 3
    (tmp_path / "3" / "config.yaml").touch()
    assert find_group(str(tmp_path)) is None
    (tmp_path / "1" / "seed-x").mkdir()
    (tmp_path / "1" / "seed-x" / "config.yaml").touch()
    assert find_group(str(tmp_path / "1")) is None
