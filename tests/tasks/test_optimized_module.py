"""Gradients are clipped in every precision; training uses what Lightning's finders find."""

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import BatchSizeFinder, LearningRateFinder
from pytorch_lightning.plugins.precision import MixedPrecision
from torch.nn import functional as F

from nlp_rnn import from_pretrained
from nlp_rnn.errors import UsageError
from nlp_rnn.storage.checkpoint import read_checkpoint
from nlp_rnn.tasks.optimization import Optimization

TINY = [
    *("fit", "--config", "conf/sentiment_builtin.yaml", "--data.corpus.max_examples", "120"),
    *("--data.batching.size", "10", "--model.embedding_dim", "8", "--model.hidden_dim", "8"),
    *("--trainer.limit_val_batches", "2", "--trainer.max_epochs", "2"),
]
FINDERS = [
    ("lr", "model.optimization.lr", ["LearningRateFinder", "--trainer.callbacks.num_training_steps", "20"]),
    ("batch_size", "data.batching.size", ["BatchSizeFinder", "--trainer.callbacks.max_trials", "3"]),
]


@pytest.mark.parametrize(("name", "setting", "finder"), FINDERS)
def test_training_is_as_with_the_value_that_is_found(run, tmp_path, name, setting, finder):
    code, _, error = run(*TINY, "--trainer.callbacks", *finder, "--runs", str(tmp_path), "--name", "found")
    assert code == 0, error
    searched = tmp_path / "found" / "1"
    found = read_checkpoint(searched / "checkpoints" / "last.ckpt")["found"]
    assert list(found) == [name]
    assert found[name] not in (0.002, 10)
    if name == "lr":
        assert from_pretrained(searched / "model").optimization.lr == found[name]
    given = ["--runs", str(tmp_path), "--name", "given"]
    assert run(*TINY, f"--{setting}", str(found[name]), *given)[0] == 0
    metrics = [(run_dir / "metrics.csv").read_text() for run_dir in (searched, tmp_path / "given" / "1")]
    assert metrics[0] == metrics[1]
    assert not list(tmp_path.rglob(".lr_find*")) + list(tmp_path.rglob(".scale_batch_size*"))


def test_a_finder_is_left_out_where_there_is_nothing_to_search_from(run, tmp_path):
    assert run(*TINY, "--trainer.max_epochs", "1", "--runs", str(tmp_path))[0] == 0
    run_dir = tmp_path / "sentiment_builtin" / "1"
    code, _, error = run(
        *("fit", "--resume", str(run_dir), "--trainer.max_epochs", "2"),
        *("--trainer.callbacks", "LearningRateFinder"),
    )
    assert code == 2
    assert "the checkpoint has no lr that was found" in error


class _Data(pl.LightningDataModule):
    """The rows of a task, in batches of a size that can be set."""

    batch_size = 3

    def __init__(self, task, batches):
        super().__init__()
        self.task, self.batches = task, batches

    def train_dataloader(self):
        return self.batches(self.task, self.batch_size, repeat=8)

    val_dataloader = train_dataloader


def test_in_python_the_schedule_has_the_rate_and_the_length_that_are_found(
    make_task, batches, trainer, tmp_path
):
    task = make_task("sentiment", optimization=Optimization(schedule="one_cycle"))
    data = _Data(task, batches)
    finders = [BatchSizeFinder(max_trials=2), LearningRateFinder(num_training_steps=20)]
    run = trainer(tmp_path, max_epochs=2, callbacks=finders)
    run.fit(task, data)
    assert data.batch_size == 4
    assert task.lr == finders[1].optimal_lr.suggestion() != 1e-3
    (config,) = run.lr_scheduler_configs
    assert config.scheduler.total_steps == 24
    assert run.optimizers[0].param_groups[0]["max_lr"] == task.lr
    assert task.settings["optimization"]["lr"] == task.lr


@pytest.mark.parametrize("options", [{"limit_val_batches": 0}, {"check_val_every_n_epoch": None}])
def test_the_schedule_plateau_needs_validations(make_task, batches, trainer, tmp_path, options):
    task = make_task("sentiment", optimization=Optimization(schedule="plateau"))
    with pytest.raises(UsageError, match="plateau follows the validation at the end of epochs"):
        trainer(tmp_path, max_epochs=1, val_check_interval=1, **options).fit(
            task, batches(task), batches(task)
        )


def test_the_schedule_plateau_counts_validations(make_task, batches, trainer, tmp_path):
    task = make_task("sentiment", optimization=Optimization(schedule="plateau", patience=0, lr=1e-12))
    run = trainer(tmp_path, max_epochs=5, check_val_every_n_epoch=2)
    run.fit(task, batches(task), batches(task))
    (config,) = run.lr_scheduler_configs
    assert config.scheduler.last_epoch == 2


PRECISIONS = {
    "32-true": lambda: {"precision": "32-true"},
    "bf16-mixed": lambda: {"precision": "bf16-mixed"},
    # Lightning offers it on GPUs only.
    "16-mixed": lambda: {
        "plugins": MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=1024.0))
    },
}


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("algorithm", ["norm", "value"])
def test_gradients_are_clipped_in_every_precision(
    algorithm, precision, tmp_path, batches, make_task, trainer
):
    """One step of gradient descent moves the weights by as much as the gradients are."""
    moved = {}
    for clip in (None, 1e-3):
        torch.manual_seed(0)
        task = make_task("tagging", optimization=Optimization(optimizer="sgd", lr=1.0))
        before = {name: value.clone() for name, value in task.model.state_dict().items()}
        run = trainer(
            tmp_path,
            max_steps=1,
            **PRECISIONS[precision](),
            gradient_clip_val=clip,
            gradient_clip_algorithm=algorithm,
        )
        run.fit(task, batches(task))
        assert run.optimizers[0].defaults["fused"] == (precision != "16-mixed")
        moved[clip] = torch.cat(
            [(value - before[name]).flatten() for name, value in task.model.state_dict().items()]
        )
    if algorithm == "norm":
        assert moved[None].norm() > 0.1
        assert moved[1e-3].norm().item() == pytest.approx(1e-3, rel=0.01)
        assert F.cosine_similarity(moved[None], moved[1e-3], dim=0) > 0.999
    else:
        assert moved[None].abs().max() > 0.01
        assert moved[1e-3].abs().max().item() == pytest.approx(1e-3, rel=0.01)
        assert torch.equal(moved[None].sign(), moved[1e-3].sign())


def test_a_loop_without_a_trainer_gets_an_optimizer(make_task):
    task = make_task("sentiment")
    optimizer = task.configure_optimizers()["optimizer"]
    assert {id(p) for group in optimizer.param_groups for p in group["params"]} == {
        id(p) for p in task.model.parameters()
    }
