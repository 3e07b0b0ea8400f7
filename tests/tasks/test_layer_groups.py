"""Groups of layers: learning rates that fall from the output down, and layers that are trained one by one."""

import pytest
import pytorch_lightning as pl
import torch

from nlp_rnn.errors import UsageError
from nlp_rnn.tasks import TASKS, Optimization
from nlp_rnn.tasks.layer_groups import layer_groups
from nlp_rnn.tasks.optimization import make_optimizer

NAMES = {
    "sentiment": [{"fc_out"}, {"rnn_l2"}, {"rnn_l1"}, {"rnn_l0"}, {"embedding"}],
    "tagging": [
        {"fc_out"},
        {"rnn_l2"},
        {"rnn_l1"},
        {"rnn_l0", "word_encoder_l0"},
        {"embedding", "word_encoder_embedding"},
    ],
    "forecasting": [{"fc_out"}, {"rnn_l2"}, {"rnn_l1"}, {"rnn_l0"}],
}


def part(name):
    """A part of a model and its layer: "rnn.weight_ih_l1_reverse" -> "rnn_l1"."""
    first, _, last = name.partition(".")
    if "_l" in last:
        return f"{first}_l{last.rpartition('_l')[2][0]}"
    return f"{first}_embedding" if "embedding." in last else first


@pytest.mark.parametrize("name", NAMES)
def test_groups_follow_the_layers(name, make_task):
    model = make_task(name, num_layers=3).model
    names = {parameter: name for name, parameter in model.named_parameters()}
    assert [{part(names[p]) for p in group} for group in layer_groups(model)] == NAMES[name]


@pytest.mark.parametrize("name", TASKS)
def test_each_trained_weight_is_in_one_group(name, make_task):
    model = make_task(name).model
    frozen = next(iter(model.parameters())).requires_grad_(False)
    grouped = [parameter for group in layer_groups(model) for parameter in group]
    assert len(grouped) == len({*grouped}) == len([*model.parameters()]) - 1
    assert frozen not in {*grouped}
    assert all(layer_groups(model))


def test_a_shared_weight_is_the_embedding(make_task):
    model = make_task("language_modeling", embedding_dim=8, hidden_dim=8, tie_weights=True).model
    first, *_, last = layer_groups(model)
    assert first == [model.bias]
    assert last == [model.embedding.weight]


@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle", "plateau"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_rates_fall_by_a_constant_factor_in_every_step(schedule, optimizer, make_task):
    model = make_task("sentiment", num_layers=2).model
    made = {}
    for decay in (1.0, 0.5):
        settings = Optimization(optimizer, 0.8, schedule=schedule, patience=0, layer_decay=decay)
        made[decay] = make_optimizer(model, settings, lambda: 6)
    for _ in range(6):
        (plain,), groups = (made[decay]["optimizer"].param_groups for decay in (1.0, 0.5))
        assert [group["lr"] for group in groups] == pytest.approx([plain["lr"] * 0.5**n for n in range(4)])
        for each in made.values():
            each["optimizer"].step()
            if "lr_scheduler" in each:
                each["lr_scheduler"]["scheduler"].step(*([1.0] if schedule == "plateau" else []))


class Changes(pl.Callback):
    """Notes after each batch which parts it has changed."""

    def __init__(self, task):
        self.task, self.seen = task, []

    def on_train_batch_start(self, *_):
        self.before = {name: weight.clone() for name, weight in self.task.model.named_parameters()}

    def on_train_batch_end(self, *_):
        changed = self.task.model.named_parameters()
        self.seen.append(
            {part(name) for name, weight in changed if not torch.equal(weight, self.before[name])}
        )


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize(("unfreeze", "first"), [(1, [0, 6, 12]), (0.5, [0, 3, 6]), (0, [0, 0, 0])])
def test_layers_are_trained_one_group_after_the_other(
    unfreeze, first, optimizer, tmp_path, batches, make_task, trainer
):
    options = Optimization(optimizer, 0.1, weight_decay=0.5, unfreeze=unfreeze)
    task = make_task("sentiment", optimization=options)
    changes = Changes(task)
    run = trainer(tmp_path, max_epochs=3, gradient_clip_val=0.1, callbacks=[changes], limit_val_batches=0)
    run.fit(task, batches(task, size=1))
    parts = ["fc_out", "rnn_l0", "embedding"]
    assert len(changes.seen) == 18
    for batch, changed in enumerate(changes.seen):
        assert changed == {name for name, start in zip(parts, first, strict=True) if batch >= start}


@pytest.mark.parametrize(("limits", "message"), [
    ({"max_epochs": 2}, "max_epochs 2 ends the run after 2"),
    ({"max_epochs": -1, "max_steps": 12}, "max_steps 12 ends the run after 2"),
    ({"max_epochs": 9, "max_steps": 11}, r"max_steps 11 ends the run after 1\.83"),
    ({"max_epochs": 9, "max_steps": 6, "accumulate_grad_batches": 2}, "max_steps 6 ends the run after 2"),
    ({"max_epochs": 9, "max_steps": 13}, None),
])  # fmt: skip
def test_a_run_too_short_for_all_groups_is_refused(limits, message, tmp_path, batches, make_task, trainer):
    task = make_task("sentiment", optimization=Optimization(unfreeze=1))
    run = trainer(tmp_path, **limits, limit_val_batches=0)
    if message is None:
        run.fit(task, batches(task, size=1))
        return
    with pytest.raises(UsageError, match=f"3 groups of layers is trained after 2 epochs, but .*{message}"):
        run.fit(task, batches(task, size=1))


def test_frozen_parts_are_no_group(tmp_path, batches, make_task, trainer):
    """So nobody waits for them."""
    task = make_task("sentiment", optimization=Optimization(lr=0.1, unfreeze=1, freeze="rnn"))
    changes = Changes(task)
    trainer(tmp_path, max_epochs=2, callbacks=[changes], limit_val_batches=0).fit(task, batches(task, size=1))
    assert changes.seen == [{"fc_out"}] * 6 + [{"fc_out", "embedding"}] * 6


@pytest.mark.parametrize("wrong", [{"layer_decay": 0}, {"layer_decay": 1.1}, {"unfreeze": -1}])
def test_values_out_of_range(wrong):
    with pytest.raises(UsageError, match=f"{next(iter(wrong))} must be between"):
        Optimization(**wrong)
