"""On a CUDA device: every task in every precision against the CPU. `pytest -m gpu` runs these tests alone."""

import subprocess
import sys

import pytest
import torch
from pytorch_lightning import seed_everything

from nlp_rnn.models.layers.cells import CELLS, recurrent_layer
from nlp_rnn.tasks import TASKS
from nlp_rnn.tasks.calibration import Reliability
from nlp_rnn.tasks.optimization import make_optimizer

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
TOLERANCES = {"32-true": 1e-3, "bf16-mixed": 0.05, "16-mixed": 0.05}  # relative, of the losses
LENGTHS = torch.tensor([3, 6, 0, 1, 6, 4])


@pytest.fixture(autouse=True)
def full_precision(monkeypatch):
    """In cuDNN, where float32 products would be rounded to 10 bits."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.fixture
def fit(tmp_path, batches, make_task, trainer):
    """Trains a task; gives it and what was logged."""

    def call(name, **options):
        seed_everything(0)
        task = make_task(name)
        run = trainer(tmp_path, max_epochs=5, gradient_clip_val=1.0, **options)
        run.fit(task, batches(task, size=3), batches(task))
        return task, {key: float(value) for key, value in run.callback_metrics.items()}

    return call


@pytest.mark.parametrize("precision", TOLERANCES)
@pytest.mark.parametrize("name", TASKS)
def test_losses_are_those_of_the_cpu(name, precision, fit):
    _, expected = fit(name)
    task, logged = fit(name, accelerator="gpu", devices=1, precision=precision)
    for key in ("train/loss_epoch", "val/loss"):
        assert logged[key] == pytest.approx(expected[key], rel=TOLERANCES[precision]), key
    assert all(parameter.isfinite().all() for parameter in task.parameters())


def test_probabilities_are_counted_where_only_deterministic_algorithms_are_allowed():
    metric = Reliability().cuda()
    torch.use_deterministic_algorithms(True)
    try:
        metric.update(torch.tensor([0.5, 0.5], device="cuda"), torch.tensor([True, False], device="cuda"))
    finally:
        torch.use_deterministic_algorithms(False)
    assert metric.compute().item() == 0


@pytest.mark.parametrize(
    ("dtype", "expected"), [(torch.bfloat16, torch.float32), (torch.float16, torch.float16)]
)
@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_float16_is_used_only_where_the_loss_is_scaled(cell, lengths, dtype, expected):
    layer = recurrent_layer(cell, 5, 7, 2, dropout=0.0).cuda()
    with torch.autocast("cuda", dtype):
        output, _ = layer(torch.randn(6, 6, 5, device="cuda"), lengths=lengths)
    assert output.dtype == expected


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_layers_compute_what_they_compute_on_the_cpu(cell, bidirectional, lengths, masks):
    """With masks that drop nothing, layers are run one at a time, as with weight dropout."""
    options = {"locked": True, "weight_dropout": 0.0 if cell.startswith("min") else 1e-9} if masks else {}
    results = {}
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        layer = recurrent_layer(cell, 5, 7, 2, 1e-9 if masks else 0.0, bidirectional, **options)
        batch = torch.randn(6, 6, 5)
        start = tuple(torch.randn_like(part).to(device) for part in layer.initial_state(6, batch))
        layer = layer.to(device)
        output, final = layer(batch.to(device), start, lengths)
        (output.square().sum() + sum(part.sum() for part in final)).backward()
        gradients = [parameter.grad for parameter in layer.parameters()]
        results[device] = [tensor.cpu() for tensor in (output, *final, *gradients)]
    for one, other in zip(*results.values(), strict=True):
        # cuDNN's gradients of the weights differ by up to 7e-5 where the sequences are not packed (H200).
        torch.testing.assert_close(one, other, atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize("name", TASKS)
def test_no_training_step_waits_for_the_device(name, make_task, one_batch):
    task = make_task(name, dropout=0.3).cuda().train()
    optimizer = make_optimizer(task.model, task.optimization, lambda: 3)["optimizer"]
    batch = one_batch(task).pin_memory()
    for step in range(3):
        torch.cuda.set_sync_debug_mode("error" if step else "default")  # the first step sets cuDNN up
        try:
            loss = task.loss(batch.to("cuda"))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("name", TASKS)
def test_runs_are_repeated_bit_for_bit(name, fit):
    one, other = (fit(name, accelerator="gpu", devices=1, deterministic=True)[0] for _ in range(2))
    for key, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key


TWO_PROCESSES = """
import sys
import pytorch_lightning as pl, torch
from pytorch_lightning.strategies import DDPStrategy
from nlp_rnn.data import Batching, Corpus
from nlp_rnn.tasks import TASKS

class OneCard(DDPStrategy):
    root_device = property(lambda self: torch.device(sys.argv[1]))

data = TASKS["sentiment"].data_classes()[0](Corpus("builtin", max_examples=200), batching=Batching(size=20))
pl.seed_everything(0)
task = TASKS["sentiment"](data.processor, embedding_dim=8, hidden_dim=8)
trainer = pl.Trainer(
    accelerator="cpu" if sys.argv[1] == "cpu" else "gpu", devices=1, num_nodes=2, max_epochs=1, logger=False,
    strategy=OneCard(process_group_backend="gloo"), enable_checkpointing=False, enable_progress_bar=False,
)
trainer.fit(task, datamodule=data)
print("val loss", float(trainer.callback_metrics["val/loss"]))
"""


def test_two_processes_share_a_card(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(TWO_PROCESSES)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run([*command, script, "cuda:0"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    losses = [line for line in done.stdout.splitlines() if line.startswith("val loss")]
    assert len(losses) == 2
    assert len(set(losses)) == 1
