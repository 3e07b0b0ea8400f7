"""How a run ends when one of its processes is gone, and how long they wait for each other."""

import os
import signal
import time
from datetime import timedelta

import pytest
import torch
import torch.distributed as dist
from pytorch_lightning import LightningModule, Trainer
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

from nlp_rnn.data.processor import Processor
from nlp_rnn.errors import Interrupted, RunError, UsageError
from nlp_rnn.training import devices
from nlp_rnn.training.devices import SeedEachDevice, check_same_start, ending_together, set_timeout

TINY = [
    *("--data.corpus.max_examples", "120", "--data.batching.size", "20"),
    *("--model.embedding_dim", "8", "--model.hidden_dim", "8", "--trainer.max_epochs", "1"),
]


@pytest.fixture
def trainer():
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return Trainer(accelerator="cpu", devices=2, strategy="ddp", **quiet)


@pytest.mark.parametrize("seconds", [None, 7.5])
def test_the_timeout_is_the_one_that_processes_connect_with(seconds, trainer, monkeypatch):
    set_timeout(trainer, seconds)
    seen = []
    monkeypatch.setattr(
        "pytorch_lightning.strategies.ddp._init_dist_connection", lambda *_, **options: seen.append(options)
    )
    trainer.strategy.setup_distributed()
    assert [options["timeout"] for options in seen] == [timedelta(seconds=7.5 if seconds else 1800)]


def test_each_device_draws_its_own_and_the_first_as_one_device_does(trainer, monkeypatch):
    draws = []
    for rank in (0, 1, 0):
        torch.manual_seed(3)
        monkeypatch.setattr(Trainer, "global_rank", rank)
        SeedEachDevice().on_fit_start(trainer, LightningModule())
        draws.append(torch.rand(3))
    torch.manual_seed(3)
    alone = torch.rand(3)
    assert draws[0].equal(alone)
    assert draws[2].equal(alone)
    assert not draws[1].equal(alone)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("[/gloo/transport/tcp/unbound_buffer.cc:129] Timed out waiting 4000ms", "not answered for 9 s"),
        ("Application timeout caused pair closure", "not answered for 9 s"),
        ("[/gloo/gloo/transport/tcp/pair.cc:537] Read error: Connection reset by peer", "ended"),
        (dist.DistNetworkError("The client socket has timed out after 4000ms"), "not answered for 9 s"),
        (dist.DistBackendError("NCCL error: remote process exited"), "ended"),
        (dist.DistBackendError("NCCL error: a call of the CUDA runtime failed"), "ended"),
    ],
)
def test_a_lost_process_is_one_line_and_the_started_ones_are_killed(error, reason, trainer):
    set_timeout(trainer, 9)
    sent = []
    trainer.strategy._configure_launcher()
    trainer.strategy.launcher.procs = [type("Process", (), {"pid": 1, "send_signal": sent.append})]
    with pytest.raises(RunError) as raised, ending_together(trainer):
        raise error if isinstance(error, RuntimeError) else RuntimeError(error)
    message = str(raised.value)
    assert message.startswith(f"process 0 of 2: another process has {reason}")
    assert "\n" not in message
    assert sent == [signal.SIGKILL]


def test_other_errors_stay_as_they_are(trainer):
    with pytest.raises(RuntimeError, match=r"^shapes differ$"), ending_together(trainer):
        raise RuntimeError("shapes differ")


@pytest.mark.parametrize(
    ("last_line", "error", "message"),
    [
        ("OSError: disk full", RunError, "process 1: OSError: disk full"),
        ("nlp_rnn.lite.errors.UsageError: row 3: no label", UsageError, "row 3: no label"),
        ("nlp_rnn.lite.errors.RunError: step 3: NaN", RunError, "step 3: NaN"),
        (
            "RuntimeError: [/gloo/unbound_buffer.cc:129] Timed out waiting 9000ms",
            RunError,
            "process 1 of 2: another process has not answered for 9 s (--timeout), or is cut off; "
            "resume from the last checkpoint",
        ),
    ],
)
def test_the_error_of_a_spawned_process_is_its_last_line(last_line, error, message, trainer):
    set_timeout(trainer, 9)
    traceback = f"\n\n-- Process 1 terminated with the following error:\nTraceback ...\n{last_line}\n"
    with pytest.raises(error) as raised, ending_together(trainer):
        raise ProcessRaisedException(traceback, 1, 123)
    assert (type(raised.value), str(raised.value)) == (error, message)


def test_a_spawned_process_that_a_signal_stopped_stops_the_run(trainer):
    with pytest.raises(Interrupted) as stopped, ending_together(trainer):
        raise ProcessExitedException("process 1 terminated with exit code 143", 1, 123, 143)
    assert stopped.value.number == signal.SIGTERM


def test_a_spawned_process_that_was_killed_is_one_line(trainer):
    with (
        pytest.raises(RunError, match=r"^process 1 of 2 has ended: signal SIGKILL$"),
        ending_together(trainer),
    ):
        raise ProcessExitedException("process 1 terminated with signal SIGKILL", 1, 123, -9, "SIGKILL")


@pytest.mark.parametrize("again", [False, True])
def test_a_signal_is_passed_on_to_spawned_processes_which_are_waited_for(again):
    trainer = Trainer(accelerator="cpu", devices=2, strategy="ddp_spawn", logger=False)
    launcher = trainer.strategy.launcher
    done = []

    def wait(_):
        done.append("waited")
        if again:
            raise Interrupted(signal.SIGINT)

    launcher.procs = [type("Process", (), {"join": wait})()]
    launcher.kill = done.append
    with pytest.raises(Interrupted), ending_together(trainer):
        raise Interrupted(signal.SIGINT)
    assert done == [signal.SIGINT, "waited", *([signal.SIGKILL] if again else [])]


@pytest.mark.parametrize(
    ("error", "starter", "killed"),
    [("gloo: Timed out", True, True), ("gloo: Timed out", False, False), ("gloo: reset", True, False)],
)
def test_the_process_that_has_started_this_one_is_killed_if_it_hangs(error, starter, killed, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")  # as its children have it
    trainer = Trainer(accelerator="cpu", devices=2, strategy="ddp", logger=False)
    monkeypatch.setenv("NLP_RNN_STARTER", "123" if starter else "")
    monkeypatch.setattr(devices, "_GRACE_SECONDS", 0)
    monkeypatch.setattr("os.getppid", lambda: 123)
    sent = []
    monkeypatch.setattr("os.kill", lambda *arguments: sent.append(arguments))
    with pytest.raises(RunError), ending_together(trainer):
        raise RuntimeError(error)
    assert sent == ([(123, signal.SIGKILL)] if killed else [])


@pytest.mark.parametrize("path", [None, "other/runs/name/2/checkpoints/last.ckpt"])
def test_processes_start_from_one_checkpoint(path, trainer, monkeypatch):
    monkeypatch.setattr(trainer.strategy, "broadcast", lambda _: "2/checkpoints/last.ckpt")
    monkeypatch.setattr(trainer.strategy, "reduce_boolean_decision", lambda decision: decision)
    trainer.ckpt_path = path
    if path:
        check_same_start(trainer)
        return
    with pytest.raises(UsageError, match="process 0 starts from no checkpoint, but not all others do"):
        check_same_start(trainer)


class Dying:
    """Makes the second of two data workers end at its first batch."""

    def __init__(self, collate, ending):
        self.collate, self.ending = collate, ending

    def __call__(self, processor, rows):
        worker = torch.utils.data.get_worker_info()
        if worker is not None and worker.id == 1:
            time.sleep(0.2)  # until both have been started
            self.ending()
        return self.collate(processor, rows)


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def exit_silently():
    os._exit(3)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [kill, exit_silently])
@pytest.mark.parametrize("verb", ["fit", "predict"])
def test_a_data_worker_that_dies_ends_the_run_with_one_line(
    trained, run, tmp_path, monkeypatch, verb, ending
):
    dying = Dying(Processor._collate, ending)
    monkeypatch.setattr(Processor, "_collate", lambda *arguments: dying(*arguments))
    rest = ["--runs", str(tmp_path / "runs")]
    if verb == "predict":
        rest = ["--ckpt_path", str(trained / "model"), "--output", str(tmp_path / "answers")]
    arguments = [verb, "--config", "conf/sentiment_builtin.yaml", *TINY, "--data.batching.num_workers", "2"]
    code, out, error = run(*arguments, *rest)
    assert (code, out) == (1, "")
    line = error.splitlines()[-1]
    assert line.startswith(
        "nlp-rnn: error: a process that prepares batches has ended (DataLoader worker (pid"
    )
    assert line.endswith("if memory ran out, lower data.batching.num_workers or data.batching.size")
    assert "Traceback" not in error
    assert not list(tmp_path.glob("*answers*"))
    assert not list(tmp_path.rglob("model"))
