"""What the trainer would do in silence: train on another vocabulary, or in evaluation mode."""

import pytest
import pytorch_lightning as pl
import torch
from datasets import Dataset, DatasetDict
from pytorch_lightning.callbacks import EMAWeightAveraging, StochasticWeightAveraging

from nlp_rnn import from_pretrained, pipeline, save_pretrained
from nlp_rnn.data.batching import Batching
from nlp_rnn.data.module import DataModule
from nlp_rnn.errors import UsageError
from nlp_rnn.models.layers.quantization import quantize
from nlp_rnn.tasks.optimization import Optimization

VERBS = ("fit", "validate", "test", "predict")


class _Data(DataModule):
    """The rows of a task of the tests, with a processor of their own."""

    description = "rows of a test"

    def __init__(self, processor, rows) -> None:
        super().__init__(Batching())
        self.made, self.rows = processor, rows
        self.processor_class = type(processor)

    def load(self):
        rows = Dataset.from_dict(self.rows)
        return DatasetDict({"train": rows, "validation": rows, "test": rows})

    def cache_key(self):
        return f"{type(self.made).__name__} {self.made.fingerprint}"

    def make_processor(self, train):
        return self.made


@pytest.fixture
def data(make_processor, corpus_rows, sentences):
    """Rows whose vocabulary is that of the tests' tasks, or has as many words yet one other."""

    def make(name, other=False):
        words = tuple(text.replace("film", "book") for text in sentences) if other else tuple(sentences)
        return _Data(make_processor(name, words), corpus_rows[name])

    return make


@pytest.mark.parametrize("verb", VERBS)
def test_another_vocabulary_is_refused_by_every_verb(verb, data, make_task, trainer, tmp_path):
    task = make_task("tagging")
    with pytest.raises(UsageError, match=r"not the data's \(hash \w+\): make the model from data.processor"):
        getattr(trainer(tmp_path, max_steps=1), verb)(task, datamodule=data("tagging", other=True))
    getattr(trainer(tmp_path, max_steps=1), verb)(task, datamodule=data("tagging"))


def test_reversed_labels_are_another_processor(data, make_task, trainer, tmp_path):
    module = data("sentiment")
    module.made.labels.reverse()
    with pytest.raises(UsageError, match="vocabulary, labels or processor settings"):
        trainer(tmp_path, max_steps=1).fit(make_task("sentiment"), module)


def test_attached_data_and_data_of_another_task(data, make_task, trainer, tmp_path):
    task, other = make_task("tagging"), data("tagging", other=True)
    other.attach_processor(task.processor)
    trainer(tmp_path, max_steps=1).fit(task, other)
    with pytest.raises(UsageError, match="a Tagging model does not read _Data"):
        trainer(tmp_path, max_steps=1).fit(task, data("sentiment"))


def test_a_loaded_model_answers_in_evaluation_mode_and_trains_in_training_mode(
    make_task, data, trainer, tmp_path
):
    task = from_pretrained(save_pretrained(make_task("sentiment", dropout=0.5), tmp_path / "model"))
    assert not any(module.training for module in task.modules())
    pipeline("sentiment", task)("good")
    modes = []
    task.model.register_forward_hook(
        lambda model, inputs, output: modes.append(torch.is_grad_enabled() and model.dropout.training)
    )
    trainer(tmp_path, max_steps=2, limit_val_batches=0).fit(task, data("sentiment"))
    assert modes == [True, True]


def test_frozen_parts_of_a_model_in_training_mode_stay_frozen(make_task, data, trainer, tmp_path):
    task = make_task("sentiment")
    task.model.embedding.eval()
    trainer(tmp_path, max_steps=1).fit(task, data("sentiment"))
    assert task.training
    assert not task.model.embedding.training


def test_int8_weights_are_not_trained(make_task, data, trainer, tmp_path):
    task = make_task("sentiment")
    quantize(task.model)
    with pytest.raises(UsageError, match="int8 weights cannot be trained"):
        trainer(tmp_path, max_steps=1).fit(task, data("sentiment"))


def test_a_replaced_model_is_refused_before_training(make_task, data, tmp_path):
    task = make_task("sentiment")
    task.model.fc_out = torch.nn.Sequential(task.model.fc_out)
    settings = {"max_steps": 1, "accelerator": "cpu", "logger": False, "default_root_dir": tmp_path}
    with pytest.raises(UsageError, match="cannot be saved"):
        pl.Trainer(**settings).fit(task, data("sentiment"))
    assert not list(tmp_path.rglob("*.ckpt"))
    trainer = pl.Trainer(**settings, enable_checkpointing=False)
    trainer.fit(task, data("sentiment"))
    assert trainer.global_step == 1


def test_averages_that_no_checkpoint_holds_are_refused(make_task, data, trainer, tmp_path):
    run = trainer(tmp_path, max_epochs=2, callbacks=StochasticWeightAveraging(0.1))
    with pytest.raises(UsageError, match="use EMAWeightAveraging, which averages in each step"):
        run.fit(make_task("sentiment"), data("sentiment"))


def test_averaged_weights_are_those_of_their_own_model_only(make_task, data, trainer, tmp_path):
    task, module = make_task("sentiment", optimization=Optimization(lr=0.1)), data("sentiment")
    before = make_task("sentiment")
    before.load_state_dict(task.state_dict())
    run = trainer(tmp_path, max_epochs=3, callbacks=EMAWeightAveraging(decay=0.5))
    run.fit(task, module)
    averaged = run.validate(task, module, verbose=False)
    assert averaged == trainer(tmp_path).validate(task, module, verbose=False)
    after_fit = run.validate(before, module, verbose=False)
    assert after_fit == trainer(tmp_path).validate(before, module, verbose=False) != averaged

    checkpoint = tmp_path / "averaged.ckpt"
    run.fit(task, module)
    run.save_checkpoint(checkpoint)
    saved = from_pretrained(checkpoint).model.state_dict()
    assert all(value.equal(saved[name]) for name, value in task.model.state_dict().items())
