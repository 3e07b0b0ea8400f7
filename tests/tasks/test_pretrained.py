"""Saving and loading tasks, and continuing from their checkpoints."""

import pytest
import torch

from nlp_rnn.errors import UsageError
from nlp_rnn.models.layers.quantization import quantize
from nlp_rnn.tasks import TASKS, Sentiment
from nlp_rnn.tasks.pretrained import check_same_processor, from_pretrained, save_pretrained


@pytest.mark.parametrize("name", TASKS)
def test_every_task_is_loaded_as_it_was_saved(name, tmp_path, make_task, one_batch):
    task = make_task(name).eval()
    loaded = from_pretrained(save_pretrained(task, tmp_path / "model"))
    assert type(loaded) is type(task)
    assert not loaded.training
    assert loaded.stored() == task.stored()
    assert loaded.answer(one_batch(loaded)) == task.answer(one_batch(task))


def test_int8_weights_are_loaded_as_int8(tmp_path, make_task):
    task = make_task("sentiment").eval()
    quantize(task.model)
    loaded = from_pretrained(save_pretrained(task, tmp_path / "model"))
    state = loaded.model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in task.model.state_dict().items())


def test_a_checkpoint_is_loaded_as_its_own_task_only(tmp_path, make_task, batches, trainer):
    task = make_task("sentiment")
    run = trainer(tmp_path, max_steps=1)
    run.fit(task, batches(task))
    run.save_checkpoint(tmp_path / "x.ckpt")
    loaded = Sentiment.load_from_checkpoint(tmp_path / "x.ckpt")
    assert isinstance(loaded, Sentiment)
    assert torch.equal(loaded.model.embedding.weight, task.model.embedding.weight)
    with pytest.raises(UsageError, match=r"x\.ckpt holds a model for sentiment, not for translation"):
        TASKS["translation"].load_from_checkpoint(tmp_path / "x.ckpt")


@pytest.mark.parametrize("name", TASKS)
def test_equal_processors_may_continue_and_others_are_refused(name, make_processor, sentences):
    check_same_processor(make_processor(name), make_processor(name))
    others = [text.replace("film", "book") for text in sentences]
    with pytest.raises(UsageError, match="another vocabulary or labels"):
        check_same_processor(make_processor(name), make_processor(name, others))
