"""Curves below a cell, and interrupts that leave a model to use."""

import math
import os
import signal
import threading
from unittest.mock import patch

import notebooks
import pytest
import pytorch_lightning as pl
from forked import ForkedPython
from jupyter_client.manager import start_new_kernel
from pytorch_lightning.callbacks import Callback

from nlp_rnn import pipeline, save_pretrained
from nlp_rnn.data import Batching, Corpus, SentimentData
from nlp_rnn.errors import Interrupted, UsageError
from nlp_rnn.tasks import Sentiment
from nlp_rnn.tasks.optimization import Optimization
from nlp_rnn.training.notebook import LiveCurves, StopOnInterrupt, notebook_trainer


class InterruptAt(Callback):
    """Interrupts this process at the start of a step, so many times."""

    def __init__(self, step, times=1):
        self.step, self.times = step, times

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        while trainer.global_step == self.step and self.times:
            self.times -= 1
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def data():
    return SentimentData(Corpus("builtin", max_examples=64), batching=Batching(16))


@pytest.fixture
def task(data):
    return Sentiment(
        data.processor, hidden_dim=8, embedding_dim=8, optimization=Optimization(schedule="one_cycle")
    )


def test_curves_outside_a_notebook(tmp_path, capsys, data, task):
    curves = LiveCurves(tmp_path / "curves.png")
    with pytest.raises(UsageError, match="the log contains no finite value"):
        curves.figure  # noqa: B018
    options = {"logger": False, "enable_checkpointing": False, "enable_model_summary": False}
    trainer = pl.Trainer(max_epochs=2, callbacks=[curves], **options)
    trainer.fit(task, data)
    assert [(row["epoch"], row["step"], "val/loss" in row) for row in curves.rows] == [
        (0, 3, True), (0, 3, False), (1, 7, True), (1, 7, False),
    ]  # fmt: skip
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    panels = {axes.get_title(loc="left"): axes for axes in curves.figure.axes}
    assert [line.get_label() for line in panels["Loss"].lines[:2]] == ["train", "val"]
    assert [line.get_xdata().tolist() for line in panels["Loss"].lines[:2]] == [[1, 2], [1, 2]]
    shown = capsys.readouterr()
    assert shown.err.splitlines()[-1].startswith("2 epochs, 8 steps, ")
    assert "val loss" in shown.err
    assert "it/s" not in shown.err + shown.out


def test_curves_of_another_run_begin_anew(data, task):
    curves = LiveCurves()
    options = {"logger": False, "enable_checkpointing": False, "limit_train_batches": 1}
    for _ in range(2):
        pl.Trainer(max_epochs=1, callbacks=[curves], **options).fit(task, data)
    assert len(curves.rows) == 2


def test_an_interrupt_leaves_a_model_to_use_and_to_train_on(tmp_path, capsys, data, task):
    before = signal.getsignal(signal.SIGINT)
    trainer = notebook_trainer(4, InterruptAt(5))
    trainer.fit(task, data)
    assert (trainer.global_step, trainer.current_epoch) == (6, 2)
    assert "interrupted after 6 steps" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGINT) is before
    assert all(parameter.isfinite().all() for parameter in task.parameters())
    save_pretrained(task, tmp_path / "model")
    texts = ["the food was bad .", "a friendly waiter"]
    loaded = pipeline("sentiment", tmp_path / "model")
    for answer, other in zip(pipeline("sentiment", task)(texts), loaded(texts), strict=True):
        assert math.isclose(answer["scores"]["positive"], other["scores"]["positive"], abs_tol=1e-6)

    rate = {}

    class Watch(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            optimizer = trainer.optimizers[0]
            steps = [int(state["step"]) for state in optimizer.state.values()]
            rate.setdefault("first", (steps[0], trainer.lr_scheduler_configs[0].scheduler.last_epoch))

    trainer.callbacks.append(Watch())
    trainer.fit(task, data)
    assert rate["first"] == (6, 6)  # the optimizer and its schedule are those of before
    assert (trainer.global_step, trainer.current_epoch) == (14, 4)
    assert len(trainer.callbacks[0].rows) == 8


def test_a_second_interrupt_stops_at_once(data, task):
    trainer = notebook_trainer(4, InterruptAt(1, times=2))
    with pytest.raises(Interrupted, match="interrupted twice"):
        trainer.fit(task, data)
    assert trainer.global_step == 1
    assert pipeline("sentiment", task)("bad food")["label"] in ("negative", "positive")
    trainer.fit(task, data)
    assert trainer.global_step > 1


def test_in_another_thread_training_is_not_interrupted(data, task):
    trainer = pl.Trainer(
        max_epochs=1, limit_train_batches=1, logger=False, enable_checkpointing=False,
        callbacks=[StopOnInterrupt()],
    )  # fmt: skip
    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=trainer.fit, args=(task, data))
    thread.start()
    thread.join()
    assert trainer.global_step == 1
    assert signal.getsignal(signal.SIGINT) is before


class Kernel:
    """A kernel, as a notebook has it."""

    def __init__(self, folder):
        environment = notebooks.kernel_environment(folder)
        with patch("jupyter_client.launcher.Popen", ForkedPython):
            self.manager, self.client = start_new_kernel(kernel_name="python3", env=environment, cwd=folder)

    def run(self, code, interrupt_after=None):
        """The outputs of a cell; the kernel is interrupted once an output has this text."""
        request = self.client.execute(code)
        outputs = []
        while True:
            message = self.client.get_iopub_msg(timeout=120)
            content, kind = message["content"], message["msg_type"]
            if message["parent_header"].get("msg_id") != request:
                continue
            if kind == "status" and content["execution_state"] == "idle":
                return outputs
            if kind in ("stream", "display_data", "update_display_data", "execute_result", "error"):
                outputs.append((kind, content))
                if interrupt_after is not None and interrupt_after in str(content):
                    self.manager.interrupt_kernel()
                    interrupt_after = None


@pytest.fixture
def kernel(tmp_path):
    started = Kernel(tmp_path)
    yield started
    started.client.stop_channels()
    started.manager.shutdown_kernel(now=True)


SETUP = """
from nlp_rnn import pipeline, save_pretrained
from nlp_rnn.data import Corpus, SentimentData
from nlp_rnn.tasks import Sentiment
import pytorch_lightning as pl
from nlp_rnn.training.notebook import notebook_trainer

class Say(pl.Callback):
    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == 5:
            print("five steps", flush=True)

data = SentimentData(Corpus("builtin", max_examples=200))
task = Sentiment(data.processor, hidden_dim=8, embedding_dim=8)
"""
OPTIONS = "logger=False, enable_checkpointing=False, enable_progress_bar=False"
USE = """
trainer.fit_loop.max_epochs = trainer.current_epoch + 1
step = trainer.global_step
trainer.fit(task, data)
save_pretrained(task, "model")
answer = pipeline("sentiment", "model")("a bad film")
print(step < trainer.global_step, answer["label"] in data.processor.labels)
"""


def texts(outputs, kind="stream"):
    return "".join(content["text"] for found, content in outputs if found == kind)


@pytest.mark.slow
def test_an_interrupted_kernel(kernel):
    assert not [kind for kind, _ in kernel.run(SETUP) if kind == "error"]
    outputs = kernel.run("trainer = notebook_trainer(10_000, Say()); trainer.fit(task, data)", "five steps")
    kinds = [kind for kind, _ in outputs]
    assert "error" not in kinds
    assert kinds.count("display_data") == 2  # the line and the curves, which are replaced after that
    assert "the model can be used" in texts(outputs)
    assert [c["data"]["image/png"] for _, c in outputs if "image/png" in c.get("data", {})]
    answers = kernel.run('pipeline("sentiment", task)')
    assert answers[-1][1]["data"]["text/plain"].startswith("Pipeline(Sentiment, ")
    assert texts(kernel.run(USE)).splitlines()[-1] == "True True"

    # Lightning's own trainer reports an interrupt as an error; the model can be used too.
    lightning = (
        f"trainer = pl.Trainer(max_epochs=10_000, callbacks=[Say()], {OPTIONS}); trainer.fit(task, data)"
    )
    (error,) = [content for kind, content in kernel.run(lightning, "five steps") if kind == "error"]
    assert error["ename"] == "SystemExit"
    assert texts(kernel.run(USE)).splitlines()[-1] == "True True"
