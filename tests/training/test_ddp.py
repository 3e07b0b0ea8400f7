"""Several processes train, measure and answer exactly as one does, however they are started."""

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from functools import partial

import pytest
from forked import ForkedPython

from nlp_rnn.cli.main import main

pytestmark = pytest.mark.slow

RUN_ALL = """
import json, os, sys
import torch.distributed as dist
from nlp_rnn.cli.main import main
for environment, arguments in json.loads(sys.argv[1]):
    os.environ.update(environment)
    try:
        main(arguments)
    except SystemExit as stopped:
        if stopped.code != 143:
            raise
    if dist.is_initialized():
        dist.destroy_process_group()
    for name in environment:
        del os.environ[name]
"""
INTERRUPTING = """
import os, signal
from pytorch_lightning.callbacks import Callback

class SignalAt(Callback):
    '''Sends SIGTERM to one process of a run before a batch, counted over all epochs.'''

    def __init__(self, batch: int, rank: int):
        self.place = batch, rank

    def on_train_batch_start(self, trainer, *_):
        if (trainer.fit_loop.total_batch_idx, trainer.global_rank) == self.place:
            os.kill(os.getpid(), signal.SIGTERM)
"""
TWO = ["--trainer.devices", "2", "--trainer.accelerator", "cpu"]
DDP = ["--config", "conf/trainer/ddp.yaml", "--trainer.accelerator", "cpu"]
FSDP = ["--config", "conf/trainer/fsdp.yaml", "--trainer.accelerator", "cpu"]
NODES = ["--config", "conf/trainer/nodes.yaml", "--trainer.accelerator", "cpu", "--trainer.devices", "1"]
ENDLESS = ["--trainer.max_epochs", "100000"]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def torchrun(rank, size=2):
    """What torchrun sets in the environment of each process."""
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "GROUP_RANK": 0}
    return place | {"TORCHELASTIC_RUN_ID": "test"}


def slurm(rank):
    """What srun sets on two nodes with one task each."""
    place = {"SLURM_PROCID": rank, "SLURM_LOCALID": 0, "SLURM_NODEID": rank, "SLURM_NTASKS": 2}
    job = {"SLURM_JOB_ID": 7, "SLURM_JOB_NAME": "train", "SLURM_NTASKS_PER_NODE": 1, "SLURM_NNODES": 2}
    return place | job | {"SLURM_NODELIST": "127.0.0.1", "SLURM_CPU_BIND": "quiet"}


@contextmanager
def started(*arguments):
    """A process of this interpreter, killed at the end."""
    process = ForkedPython(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def commands_of(rank, commands):
    """Commands with the environment that their launcher gives to a process, as JSON."""
    return json.dumps(
        [
            ({name: str(value) for name, value in {**launcher(rank), **where}.items()}, arguments)
            for launcher, where, arguments in commands
        ]
    )


def placed(commands):
    """Commands with a place to meet for each: (launcher, environment, arguments)."""
    return [
        (launcher, {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}, run)
        for launcher, run in commands
    ]


def run_all(commands, launchers):
    """Run commands in a process per launcher; give the standard output of the first."""
    commands = placed([(None, run) for run in commands])
    with ExitStack() as running:
        processes = [
            running.enter_context(
                started("-c", RUN_ALL, commands_of(rank, [(launcher, *rest) for _, *rest in commands]))
            )
            for rank, launcher in enumerate(launchers)
        ]
        ended = [process.communicate(timeout=500) for process in processes]
    for process, (_, error) in zip(processes, ended, strict=True):
        assert process.returncode == 0, error
    return ended[0][0]


def wait_for_training(process):
    """Standard error up to the end of the first epoch of an endless run."""
    lines = []
    for line in iter(process.stderr.readline, ""):
        lines.append(line)
        if line.startswith("epoch 1/100000"):
            return "".join(lines)
    return pytest.fail("".join(lines))


def assert_ends(process, reason):
    """Assert that the first process of a run ends in time with one line."""
    out, error = process.communicate(timeout=60)
    assert process.returncode == 1, error
    (line,) = re.findall("^nlp-rnn: error: .*$", error, re.MULTILINE)
    assert line.startswith(f"nlp-rnn: error: process 0 of 2: another process {reason}, or is cut off; ")
    assert "Traceback" not in error
    return out


def settings(config, folder, size, *more):
    return [
        *("--config", f"conf/{config}.yaml", "--data.corpus.path", "builtin", "--name", config),
        *("--data.corpus.max_examples", "101", "--data.batching.size", str(size)),
        *("--model.embedding_dim", "8", "--model.hidden_dim", "8", "--model.dropout", "0"),
        *("--trainer.max_epochs", "2", "--trainer.enable_progress_bar", "false", "--runs", str(folder)),
        *("--trainer.log_every_n_steps", "1", "--trainer.precision", "32-true", *more),
    ]


def curve(run):
    """The loss of every step that was logged, and the losses of each epoch."""
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    steps = {int(row["step"]): float(row["train/loss_step"]) for row in rows if row["train/loss_step"]}
    epochs = {
        f"{name} {row['epoch']}": float(row[name])
        for row in rows
        for name in ("train/loss_epoch", "val/loss", "val/accuracy")
        if row[name]
    }
    return steps, epochs


def assert_same_curve(run, other):
    (steps, epochs), (other_steps, other_epochs) = curve(run), curve(other)
    assert len(steps) >= 14
    assert len(epochs) == 6
    assert steps == pytest.approx(other_steps, rel=2e-3)
    assert epochs == pytest.approx(other_epochs, rel=2e-3)


@pytest.fixture(scope="module")
def sentiment(tmp_path_factory):
    """The run of one process, with batches of 16."""
    runs = tmp_path_factory.mktemp("one")
    main(["fit", *settings("sentiment_builtin", runs, 16)])
    return runs / "sentiment_builtin" / "1"


def test_two_devices_train_measure_and_answer_as_one(sentiment, tmp_path, capfd):
    quick = ["--trainer.max_epochs", "1", "--trainer.limit_val_batches", "1"]
    tests = [[*settings("sentiment_builtin", tmp_path, 8), "--ckpt_path", str(sentiment / "model")]]
    for config, more in (("translation_builtin", ()), ("language_modeling_imdb", ("--data.window", "20"))):
        arguments = settings(config, tmp_path, 8, *more)
        main(["fit", *arguments, *quick])
        tests.append([*arguments, "--ckpt_path", str(tmp_path / config / "1" / "model")])
    answers = [["predict", *tests[0], "--output", str(tmp_path / name)] for name in ("one", "two")]
    fit = ["fit", *settings("sentiment_builtin", tmp_path, 8)]
    commands = [
        (torchrun, [*fit, *DDP]),
        *((torchrun, ["test", *test, *DDP]) for test in tests),
        (torchrun, [*answers[1], *DDP]),
        (torchrun, [*fit, *FSDP]),
        (torchrun, ["test", *tests[0], *FSDP]),
        (slurm, [*fit, *NODES]),
        (torchrun, [*fit, *DDP, *ENDLESS, "--timeout", "10"]),
    ]
    commands = placed(commands)
    with (
        started("-c", RUN_ALL, commands_of(0, commands)) as first,
        started("-c", RUN_ALL, commands_of(1, commands)) as second,
    ):
        error = wait_for_training(first)
        second.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        out = assert_ends(first, "has not answered for 10 s (--timeout)")
        assert time.monotonic() - began > 5
        second.kill()
        assert second.communicate()[0] == ""
    for run in ("1", "2", "3"):  # of DDP, FSDP and SLURM
        assert_same_curve(tmp_path / "sentiment_builtin" / run, sentiment)
        assert (tmp_path / "sentiment_builtin" / run / "curves.png").is_file()
        assert (tmp_path / "sentiment_builtin" / run / "model" / "model.safetensors").is_file()
    for line in ("model: Sentiment", "data: builtin"):
        assert error.count(line) == 4  # of each fit once: the first process alone prints
    assert error.count("epoch 2/2: ") == 3
    printed = [json.loads(line) for line in out.splitlines()]
    two = [results for results in printed if "metrics" not in results]  # those of fit have them
    for test, result in zip([*tests, tests[0]], two, strict=True):
        capfd.readouterr()
        main(["test", *test])
        one = json.loads(capfd.readouterr().out)
        assert len(one) >= 3
        assert result == pytest.approx(one, rel=1e-5)
    main(answers[0])
    one, two = ([json.loads(line) for line in (tmp_path / name).open()] for name in ("one", "two"))
    assert [answer["row"] for answer in two] == list(range(101))
    assert [answer["label"] for answer in two] == [answer["label"] for answer in one]
    assert not list(tmp_path.glob(".*"))


def test_accumulated_batches_train_as_one(sentiment, tmp_path):
    arguments = settings("sentiment_builtin", tmp_path, 4, "--trainer.accumulate_grad_batches", "4")
    main(["fit", *arguments])
    assert_same_curve(tmp_path / "sentiment_builtin" / "1", sentiment)


@pytest.mark.nightly
def test_spawned_processes_train_as_one(sentiment, tmp_path, monkeypatch):
    monkeypatch.setenv("MASTER_PORT", free_port())
    main(["fit", *settings("sentiment_builtin", tmp_path, 8), *TWO, "--trainer.strategy", "ddp_spawn"])
    assert_same_curve(tmp_path / "sentiment_builtin" / "1", sentiment)


def test_a_dead_process_ends_the_run_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("MASTER_PORT", free_port())
    with started("-m", "nlp_rnn", "fit", *settings("sentiment_builtin", tmp_path, 8), *DDP, *ENDLESS) as run:
        wait_for_training(run)
        with open(f"/proc/{run.pid}/task/{run.pid}/children") as file:
            (child,) = map(int, file.read().split())
        os.kill(child, signal.SIGKILL)
        assert_ends(run, "has ended")


@pytest.mark.nightly
def test_three_devices_train_measure_and_answer_as_one(tmp_path, capfd):
    """101 rows in steps of 15: some devices get fewer rows than others, and some none."""
    main(["fit", *settings("sentiment_builtin", tmp_path / "one", 15)])
    one = tmp_path / "one" / "sentiment_builtin" / "1"
    arguments = settings("sentiment_builtin", tmp_path / "three", 5)
    model = ["--ckpt_path", str(one / "model"), "--output"]
    three = [*DDP, "--trainer.devices", "3"]
    commands = [
        ["fit", *arguments, *three],
        ["test", *arguments, *three, *model[:2]],
        ["predict", *arguments, *three, *model, str(tmp_path / "answers")],
    ]
    out = run_all(commands, [partial(torchrun, size=3)] * 3)
    run = tmp_path / "three" / "sentiment_builtin" / "1"
    assert_same_curve(run, one)
    with (run / "metrics.csv").open() as file:
        waiting = [float(row["train/imbalance"]) for row in csv.DictReader(file) if row["train/imbalance"]]
    assert len(waiting) == 2
    assert all(0 < fraction < 0.2 for fraction in waiting)
    capfd.readouterr()
    main(["test", *arguments, *model[:2]])
    assert json.loads(out) == pytest.approx(json.loads(capfd.readouterr().out), rel=1e-5)
    answers = [json.loads(line) for line in (tmp_path / "answers").open()]
    assert [answer["row"] for answer in answers] == list(range(101))


@pytest.mark.nightly
def test_two_interrupted_devices_end_as_undisturbed_ones(tmp_path, monkeypatch):
    """Each is stopped amid an epoch and amid accumulation, with all that is random turned on."""
    (tmp_path / "interrupting.py").write_text(INTERRUPTING)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    trust = ["--trust", "interrupting"]
    random = [
        "--model.dropout",
        "0.3",
        "--model.word_dropout",
        "0.2",
        "--trainer.accumulate_grad_batches",
        "3",
    ]
    commands, pairs = [], []
    for config, strategy, flags, stops in (
        ("sentiment_builtin", "ddp", DDP, [(6, 1), (19, 0)]),
        ("sentiment_builtin", "fsdp", FSDP, [(6, 1)]),
        ("translation_builtin", "ddp", [*DDP, "--model.teacher_forcing", "0.6"], [(6, 0), (19, 1)]),
    ):
        whole = tmp_path / strategy
        commands.append(["fit", *settings(config, whole, 4, *random), *flags])
        for batch, rank in stops:
            folder = tmp_path / f"{strategy}-{batch}"
            stop = ["--trainer.callbacks", "interrupting.SignalAt", "--trainer.callbacks.batch", str(batch)]
            stop += ["--trainer.callbacks.rank", str(rank)]
            commands.append(["fit", *trust, *settings(config, folder, 4, *random), *flags, *stop])
            run = folder / config / "1"
            commands.append(["fit", "--resume", str(run), *trust, "--trainer.callbacks", "null"])
            pairs.append((run, whole / config / "1"))
    run_all(commands, [torchrun, torchrun])
    for run, whole in pairs:
        for name in ("metrics.csv", "model/model.safetensors"):
            assert (run / name).read_bytes() == (whole / name).read_bytes(), (run, name)
        assert len((run / "config.yaml").read_text().split("--resume")) == 2  # it was interrupted


@pytest.mark.parametrize("flags", [DDP, FSDP], ids=["ddp", "fsdp"])
def test_two_devices_move_embedded_inputs_as_one(flags, tmp_path):
    terms = [f"--model.regularization.{name}" for name in ("adversarial", "perturbation")]
    terms = [terms[0], "1", terms[1], "0.5"]
    main(["fit", *settings("sentiment_builtin", tmp_path / "one", 16, *terms)])
    run_all([["fit", *settings("sentiment_builtin", tmp_path / "two", 8, *terms), *flags]], [torchrun] * 2)
    assert_same_curve(*(tmp_path / name / "sentiment_builtin" / "1" for name in ("one", "two")))
