"""Training in a process of its own stops at signals, and ends in the same run as if nothing had happened."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from forked import ForkedPython

from nlp_rnn.cli.main import main
from nlp_rnn.storage.checkpoint import read_checkpoint

pytestmark = pytest.mark.slow

FIT = [
    *("fit", "--config", "conf/sentiment_builtin.yaml", "--name", "run"),
    *("--data.corpus.max_examples", "80", "--data.batching.size", "8", "--model.dropout", "0.3"),
    *("--model.embedding_dim", "8", "--model.hidden_dim", "8", "--trainer.max_epochs", "15"),
    *("--trainer.enable_progress_bar", "false"),
]
DDP = ["--trainer.strategy", "ddp", "--trainer.devices", "2", "--trainer.accelerator", "cpu"]


def start(*arguments):
    """A process of the command line, in a process group of its own."""
    return ForkedPython(
        [sys.executable, "-m", "nlp_rnn", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )


def interrupt(runs, number, *options, send=os.kill):
    """Start training, send a signal after its second epoch; give its exit code and its last line."""
    process = start(*FIT, "--runs", str(runs), *options)
    while process.poll() is None and not (runs / "run/1/checkpoints/previous.ckpt").exists():
        time.sleep(0.001)
    send(process.pid, number)
    error = process.communicate(timeout=100)[1]
    return process.returncode, error.splitlines()[-1]


def result(runs):
    """The files of a finished run that must not depend on interruptions, and its weights."""
    run = runs / "run" / "1"
    weights = read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"]
    files = (run / "model" / "model.safetensors", run / "metrics.csv")
    return [path.read_bytes() for path in files], {name: value.tolist() for name, value in weights.items()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of the runs of an undisturbed training."""
    runs = tmp_path_factory.mktemp("whole")
    main([*FIT, "--runs", str(runs)])
    return runs


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGKILL"])
def test_a_run_that_was_stopped_ends_like_an_undisturbed_one(whole, tmp_path, name):
    number = signal.Signals[name]
    code, line = interrupt(tmp_path, number)
    go_on = f"nlp-rnn fit --resume {tmp_path / 'run' / '1'}"
    if name == "SIGKILL":
        assert code == -number
    else:
        assert (code, line) == (128 + number, f"nlp-rnn: stopped by {name}; saved; go on with: {go_on}")
    assert not (tmp_path / "run" / "1" / "model").exists()
    main(go_on.split()[1:])
    assert result(tmp_path) == result(whole)


def test_a_run_that_was_trained_to_its_end_gets_its_model_folder(whole, tmp_path):
    shutil.copytree(whole / "run" / "1", tmp_path / "run" / "1")
    shutil.rmtree(tmp_path / "run" / "1" / "model")
    main(["fit", "--resume", str(tmp_path / "run" / "1")])
    assert result(tmp_path) == result(whole)


def to_second(process, number):
    """Send a signal to the second of two processes alone, which the first has started."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    (second,) = [int(child) for child in children if "nlp_rnn" in Path(f"/proc/{child}/cmdline").read_text()]
    os.kill(second, number)


@pytest.fixture(scope="module")
def whole_of_two(tmp_path_factory):
    """The folder of the runs of an undisturbed training on two devices."""
    runs = tmp_path_factory.mktemp("two")
    assert start(*FIT, *DDP, "--runs", str(runs)).wait(100) == 0
    return runs


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("strategy", "name", "send"),
    [("ddp", "SIGTERM", to_second), ("ddp", "SIGINT", os.kill), ("ddp_spawn", "SIGTERM", os.kill)],
)
def test_two_processes_stop_together_and_end_like_undisturbed_ones(
    whole_of_two, tmp_path, strategy, name, send
):
    number = signal.Signals[name]
    code, line = interrupt(tmp_path, number, *DDP, "--trainer.strategy", strategy, send=send)
    go_on = f"nlp-rnn fit --resume {tmp_path / 'run' / '1'}"
    assert (code, line) == (128 + number, f"nlp-rnn: stopped by {name}; saved; go on with: {go_on}")
    folder = tmp_path / "run" / "1" / "checkpoints"
    last, previous = (
        read_checkpoint(folder / f"{which}.ckpt")["global_step"] for which in ("last", "previous")
    )
    end = read_checkpoint(whole_of_two / "run" / "1" / "checkpoints" / "last.ckpt")["global_step"]
    assert last - previous != end / 15  # saved at the signal, not only after the epoch
    assert start(*go_on.split()[1:]).wait(100) == 0
    assert result(tmp_path) == result(whole_of_two)
