"""Lightning's finders: training uses what they find, and nothing of the search is left."""

import pytest
import pytorch_lightning as pl
from pytorch_lightning.callbacks import BatchSizeFinder, LearningRateFinder

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
