"""Tasks and models of the user's own: saved and loaded, or refused when they are saved."""

import json
import sys
from types import ModuleType

import pytest
import torch
from torch import nn
from torch.distributed.fsdp import FSDPModule

from nlp_rnn.errors import UsageError
from nlp_rnn.models import Classifier
from nlp_rnn.settings import Configured, DropProbability, LayerSize
from nlp_rnn.tasks import Sentiment
from nlp_rnn.tasks.own_classes import class_name
from nlp_rnn.tasks.pretrained import from_pretrained, save_pretrained


class Bag(nn.Module, Configured):
    """A bag of words in place of a recurrent model."""

    def __init__(self, vocab_size: LayerSize, num_classes: LayerSize, dropout: DropProbability = 0.1) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(vocab_size, num_classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens, lengths):
        """[T, B] int64, [B] -> [B, C]."""
        return self.dropout(self.bag(tokens.t()))


class Unrecorded(nn.Module):
    """As `Bag`, whose arguments are not recorded."""

    def __init__(self):
        super().__init__()
        self.bag = nn.EmbeddingBag(9, 2)


class Wider(Classifier):
    """A model whose class looks as the task's own."""


class Loud(Sentiment):
    """A task that adds to the answers, and has a setting of its own."""

    def __init__(self, processor, hidden_dim: LayerSize = 6, volume: DropProbability = 0.5) -> None:
        super().__init__(processor, embedding_dim=5, hidden_dim=hidden_dim)
        self.volume = volume

    def answer(self, batch):
        return [{**answer, "volume": self.volume} for answer in super().answer(batch)]


class Quiet(Sentiment):
    """A task with the settings of its base."""


@pytest.fixture
def own_task(make_processor):
    def make(kind, **settings):
        torch.manual_seed(0)
        task = kind(make_processor("sentiment"), **settings)
        return task.eval()

    return make


def replace_model(task):
    task.model = Bag(len(task.processor.tokens), len(task.labels), dropout=0.3).eval()
    return task


@pytest.mark.parametrize(
    ("kind", "settings"), [(Loud, {"hidden_dim": 7, "volume": 0.25}), (Quiet, {"hidden_dim": 7})]
)
def test_a_subclass_is_saved_and_loaded(kind, settings, own_task, one_batch, batches, trainer, tmp_path):
    task = own_task(kind, **settings)
    run = trainer(tmp_path, max_steps=1)
    run.fit(task, batches(task))
    run.save_checkpoint(tmp_path / "a.ckpt")
    for source in (save_pretrained(task, tmp_path / "model"), tmp_path / "a.ckpt"):
        loaded = from_pretrained(source)
        assert type(loaded) is kind
        assert {name: loaded.settings[name] for name in settings} == settings
        assert loaded.answer(one_batch(loaded)) == task.eval().answer(one_batch(task))
        assert kind.load_from_checkpoint(source).settings == task.settings
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert (config["task"], config["class"]) == ("sentiment", f"{__name__}:{kind.__name__}")


@pytest.mark.parametrize("kind", [Sentiment, Loud])
def test_a_replaced_model_is_saved_and_loaded(kind, own_task, one_batch, batches, trainer, tmp_path):
    task = replace_model(own_task(kind))
    run = trainer(tmp_path, max_steps=1)
    run.fit(task, batches(task))
    run.save_checkpoint(tmp_path / "a.ckpt")
    for source in (save_pretrained(task, tmp_path / "model"), tmp_path / "a.ckpt"):
        loaded = from_pretrained(source)
        assert type(loaded.model) is Bag
        assert loaded.model.dropout.p == 0.3
        assert loaded.answer(one_batch(loaded)) == task.eval().answer(one_batch(task))


def test_what_no_other_program_could_load_is_not_saved(own_task, tmp_path, monkeypatch):
    class Local(Sentiment):
        pass

    with pytest.raises(UsageError, match=r"could find its class .*Local; define it at the top level"):
        save_pretrained(own_task(Local), tmp_path / "model")
    monkeypatch.setattr(Quiet, "__module__", "__main__")
    with pytest.raises(UsageError, match="could find its class Quiet"):
        save_pretrained(own_task(Quiet), tmp_path / "model")
    task = own_task(Sentiment)
    for module, message in (
        (Unrecorded(), "Unrecorded took the place of the task's own model, and its arguments are not known"),
        (Wider(len(task.processor.tokens), 2, 128, 128, 1, 0.5), "Wider took the place"),
    ):
        task.model = module
        with pytest.raises(UsageError, match=f"the model cannot be saved: {message}"):
            save_pretrained(task, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_class_of_a_notebook_is_loaded_from_its_checkpoint_there(own_task, batches, trainer, tmp_path):
    class Local(Sentiment):
        pass

    task = own_task(Local)
    run = trainer(tmp_path, max_steps=1)
    run.fit(task, batches(task))
    run.save_checkpoint(tmp_path / "a.ckpt")
    assert type(Local.load_from_checkpoint(tmp_path / "a.ckpt")) is Local
    with pytest.raises(
        UsageError, match=r"its class '.*Local' is not known here: import it first, or --trust"
    ):
        from_pretrained(tmp_path / "a.ckpt")


FOREIGN = {
    "not imported": (
        {"class": "own_module_of_a_test:Loud"},
        "not known here: import it first, or --trust own_mod",
    ),
    "no task": ({"class": "json:JSONDecoder"}, "is no Sentiment"),
    "another task": ({"class": "nlp_rnn.tasks.tagging.task:Tagging"}, "is no Sentiment"),
    "a function": ({"class": "os:system"}, "not known here"),
    "a module": ({"class": "os"}, "not known here"),
    "a number": ({"class": 3}, "not known here"),
    "a model that is no module": ({"model": {"class": "json:JSONDecoder", "settings": {}}}, "is no Module"),
    "a model without settings": (
        {"model": {"class": f"{__name__}:Bag"}},
        "not described by a class and settings",
    ),
    "a model as text": ({"model": "Bag"}, "not described by a class and settings"),
    "a model that records nothing": (
        {"model": {"class": "torch.nn:Linear", "settings": {}}},
        "is no Configured",
    ),
    "an unknown setting": (
        {"model": {"class": f"{__name__}:Bag", "settings": {"path": "/etc"}}},
        "Bag has no setting 'path'",
    ),
    "a setting out of range": (
        {"model": {"class": f"{__name__}:Bag", "settings": {"vocab_size": 10**12, "num_classes": 2}}},
        "vocab_size must be between",
    ),
    "a missing setting": (
        {"model": {"class": f"{__name__}:Bag", "settings": {}}},
        "its settings fit no model",
    ),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_folders_that_name_other_classes_are_refused(case, own_task, tmp_path):
    change, message = FOREIGN[case]
    folder = save_pretrained(own_task(Sentiment), tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(UsageError) as error:
        from_pretrained(folder)
    assert message in str(error.value)
    assert str(folder) in str(error.value)


def test_another_class_is_noticed(own_task, tmp_path):
    folder = save_pretrained(own_task(Quiet), tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    del config["class"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match="the settings were altered after the model was saved"):
        from_pretrained(folder)


def test_nothing_is_imported_because_a_folder_names_it(own_task, tmp_path, monkeypatch):
    (tmp_path / "own_module_of_a_test.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = save_pretrained(own_task(Quiet), tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    assert config.pop("checksums")["settings"]
    (folder / "config.json").write_text(json.dumps(config | {"class": "own_module_of_a_test:Quiet"}))
    with pytest.raises(UsageError, match="--trust own_module_of_a_test"):
        from_pretrained(folder)
    module = ModuleType("own_module_of_a_test")
    module.Quiet = Quiet
    monkeypatch.setitem(sys.modules, "own_module_of_a_test", module)
    assert type(from_pretrained(folder)) is Quiet
    assert class_name(Quiet) == f"{__name__}:Quiet"


def test_a_task_that_is_divided_among_devices_is_stored_as_its_own_class(make_task):
    task = make_task("sentiment")
    stored = task.stored()
    task.__class__ = type("FSDPSentiment", (FSDPModule, type(task)), {})  # as `fully_shard` does
    assert task.stored() == stored
