"""A table answered in shards: whatever interrupts the run, the same command ends with the same files."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

import nlp_rnn.lite.files
from nlp_rnn.errors import UsageError
from nlp_rnn.inference.prediction import predict

TEXTS = ["i work at google .", "the film is not good", "", "good\nfilm", "!"]


CALLS = ("replace", "fsync", "write_table")
"""What a run does while it writes; it is killed at the n-th time."""


class Killed(BaseException):
    pass


def write(path, count=23):
    rows = [
        json.dumps({"n": number, "text": f"{TEXTS[number % 5]} {'good ' * (number % 3)}"})
        for number in range(count)
    ]
    path.write_text("\n".join(rows) + "\n")
    return str(path)


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


@pytest.fixture(scope="module")
def undisturbed(models, tmp_path_factory):
    """A source, and the folder of its answers."""
    home = tmp_path_factory.mktemp("shards")
    predict(models["sentiment"], write(home / "in.jsonl"), f"{home}/out/", shard_rows=5)
    return home / "in.jsonl", home / "out"


def test_shards_are_the_table(models, undisturbed, tmp_path):
    source, folder = undisturbed
    predict(models["sentiment"], str(source), str(tmp_path / "one.parquet"))
    shard_rows, rows = pq.read_table(folder), pq.read_table(tmp_path / "one.parquet")
    # The last bits of a number may depend on the batch.
    assert shard_rows["probability"].to_pylist() == pytest.approx(rows["probability"].to_pylist())
    assert shard_rows.drop_columns(["probability"]).equals(rows.drop_columns(["probability"]))
    shards = [f"part-0000{number}.parquet" for number in range(5)]
    assert sorted(content(folder)) == ["_SUCCESS", "_manifest.json", *shards]
    assert [pq.read_metadata(folder / name).num_rows for name in shards] == [5, 5, 5, 5, 3]


@settings(max_examples=15, deadline=None)
@given(
    points=st.lists(
        st.tuples(st.sampled_from(["replace", "fsync", "write_table"]), st.integers(0, 12)), max_size=3
    )
)
def test_runs_killed_anywhere_end_with_the_same_files(models, undisturbed, tmp_path_factory, points):
    source, folder = undisturbed
    output = tmp_path_factory.mktemp("out")
    for name, calls in points:
        owner = pq.ParquetWriter if name == "write_table" else os
        original, left = getattr(owner, name), [calls]

        def dying(*arguments, original=original, left=left, **options):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return original(*arguments, **options)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, name, dying)
            # What a killed process leaves behind is not removed.
            patch.setattr(nlp_rnn.lite.files, "_remove", lambda path: None)
            with contextlib.suppress(Killed):
                predict(models["sentiment"], str(source), str(output), shard_rows=5)
    predict(models["sentiment"], str(source), str(output), shard_rows=5)
    whole = {name: data for name, data in content(output).items() if not name.startswith(".")}
    assert whole == content(folder)


def test_a_damaged_or_missing_shard_is_written_again(models, undisturbed, tmp_path):
    source, folder = undisturbed
    output = tmp_path / "out"
    for damage in (lambda path: path.write_bytes(b"PAR1"), lambda path: path.unlink()):
        predict(models["sentiment"], str(source), f"{output}/", shard_rows=5)
        (output / "_SUCCESS").unlink()
        damage(output / "part-00002.parquet")
        predict(models["sentiment"], str(source), f"{output}/", shard_rows=5)
        assert content(output) == content(folder)


def test_a_complete_folder_is_left_as_it_is(models, undisturbed, caplog, monkeypatch):
    source, folder = undisturbed
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if path.name != ".lock"}
    predict(models["sentiment"], str(source), str(folder), shard_rows=5)
    assert {name: (folder / name).stat().st_mtime_ns for name in before} == before
    assert caplog.messages == [f"{folder}: is complete already"]


@pytest.mark.parametrize("rows", [0, 4, 10])
def test_any_number_of_rows(models, tmp_path, rows):
    source = write(tmp_path / "in.jsonl", rows) if rows else str(tmp_path / "in.csv")
    if not rows:
        (tmp_path / "in.csv").write_text("n,text\n")
    predict(models["sentiment"], source, f"{tmp_path}/out/", shard_rows=5)
    table = pq.read_table(tmp_path / "out")
    assert table.num_rows == rows
    assert table.column_names == ["n", "text", "prediction", "probability", "unknown"]
    assert len(list((tmp_path / "out").glob("part-*"))) == max(1, -(-rows // 5))


def test_what_differs_is_refused(models, undisturbed, tmp_path):
    source, _ = undisturbed
    same = {"shard_rows": 5, "batch_size": 3}
    output = f"{tmp_path}/out/"
    predict(models["sentiment"], str(source), output, **same)
    (tmp_path / "out" / "_SUCCESS").unlink()
    before = content(tmp_path / "out")
    other = write(tmp_path / "other.jsonl", 24)
    for arguments, options, what in (
        ((models["sentiment"], other), same, "table"),
        ((models["sentiment"], str(source)), {**same, "shard_rows": 6}, "setting"),
        ((models["sentiment"], str(source)), {**same, "scores": True}, "setting"),
        ((models["sentiment"], str(source)), {**same, "precision": "bf16"}, "model"),
        ((models["language_modeling"], str(source)), same, "model"),
    ):
        with pytest.raises(
            UsageError, match=f"was begun with another {what}; give the same, or a new folder"
        ):
            predict(*arguments, output, **options)
    assert content(tmp_path / "out") == before
    with (
        FileLock(tmp_path / "out" / ".lock"),
        pytest.raises(UsageError, match="another process is writing to it"),
    ):
        predict(models["sentiment"], str(source), output, **same)


def test_other_folders_and_inputs_are_refused(models, undisturbed, tmp_path):
    source, _ = undisturbed
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "in.txt").write_text("good\n")
    (tmp_path / "twice.csv").write_text("text,n,n\ngood,1,2\n")
    for arguments, message in (
        ((str(source), str(tmp_path / "full")), "holds other files; give a new folder"),
        ((str(tmp_path / "twice.csv"), f"{tmp_path}/new/"), "several columns are called 'n'"),
        ((str(source), str(tmp_path / "in.txt") + "/"), "cannot be written"),
        ((str(tmp_path / "in.txt"), f"{tmp_path}/new/"), "is a directory; give a file"),
    ):
        with pytest.raises(UsageError, match=message):
            predict(models["sentiment"], *arguments)
    with pytest.raises(UsageError, match="--shard-rows must be between 1"):
        predict(models["sentiment"], str(source), f"{tmp_path}/new/", shard_rows=0)
    assert not (tmp_path / "new").exists()
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_processes_that_are_killed(models, tmp_path, number):
    source = write(tmp_path / "in.jsonl", 20_000)
    command = [
        sys.executable,
        "-m",
        "nlp_rnn",
        "predict",
        str(models["sentiment"]),
        source,
        "--shard-rows",
        "500",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for shards in (1, 3, 8):
        process = subprocess.Popen([*command, "--output", f"{tmp_path}/out/"], env=environment)
        while process.poll() is None and len(list(tmp_path.glob("out/part-*"))) < shards:
            time.sleep(0.001)
        process.send_signal(number)
        assert process.wait(60) == (-number if number == signal.SIGKILL else 128 + number)
        assert not (tmp_path / "out" / "_SUCCESS").exists()
    subprocess.run([*command, "--output", f"{tmp_path}/out/"], env=environment, check=True)
    subprocess.run([*command, "--output", f"{tmp_path}/whole/"], env=environment, check=True)
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    assert pq.read_table(tmp_path / "out")["n"].equals(pa.chunked_array([pa.array(range(20_000))]))
