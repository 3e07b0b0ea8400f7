"""Initialization, optimizers and schedules."""

import copy
import math
import pickle
from itertools import pairwise

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import GradientAccumulationScheduler

from nlp_rnn.data import Batching
from nlp_rnn.errors import UsageError
from nlp_rnn.tasks import TASKS, Optimization
from nlp_rnn.tasks.optimization import make_optimizer, mean_rate
from nlp_rnn.tasks.pretrained import from_pretrained, save_pretrained

WRITES = ("translation", "captioning", "language_modeling")
TEXT = ("sentiment", "tagging", *WRITES)  # the tasks that read or write words


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_every_optimizer_learns(optimizer, make_task, train):
    lr = 0.3 if optimizer == "sgd" else 0.03
    first, last = train(make_task("tagging", optimization=Optimization(optimizer=optimizer, lr=lr)), 40)
    assert last < 0.3 * first


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_an_optimizer_gets_its_settings(name, fused):
    settings = Optimization(optimizer=name, lr=0.3, weight_decay=0.25)
    model = torch.nn.Linear(2, 2)
    made = make_optimizer(model, settings, lambda: 1, fused=fused)
    assert made.keys() == {"optimizer"}
    optimizer = made["optimizer"]
    assert type(optimizer).__name__.lower() == name
    assert optimizer.param_groups[0]["params"] == list(model.parameters())
    options = {
        "lr": 0.3,
        "weight_decay": 0.25,
        "fused": fused,
        **({"momentum": 0.9} if name == "sgd" else {}),
    }
    assert {key: optimizer.defaults[key] for key in options} == options


@pytest.mark.parametrize(
    ("schedule", "options"),
    [
        ("cosine", {"interval": "step"}),
        ("one_cycle", {"interval": "step"}),
        ("plateau", {"monitor": "val/loss", "frequency": 1}),
    ],
)
def test_the_trainer_learns_when_to_move_a_schedule(schedule, options):
    made = make_optimizer(torch.nn.Linear(2, 2), Optimization(schedule=schedule), lambda: 9)
    scheduler = made["lr_scheduler"].pop("scheduler")
    assert made["lr_scheduler"] == options
    assert scheduler.optimizer is made["optimizer"]


@pytest.mark.parametrize("options", [{}, {"max_steps": 3}])
def test_a_schedule_is_as_long_as_a_run_that_accumulates_more_and_more(
    options, make_task, task_rows, trainer, tmp_path
):
    task = make_task("sentiment", optimization=Optimization(schedule="one_cycle"))
    callbacks = [GradientAccumulationScheduler({1: 2})]
    run = trainer(tmp_path, max_epochs=2, limit_val_batches=0, callbacks=callbacks, **options)
    loader = task.processor.loader(task_rows(task, 2), Batching(size=3), True)
    run.fit(task, loader)
    assert len(loader) > 2
    assert run.lr_scheduler_configs[0].scheduler.total_steps == run.global_step


def test_accumulation_by_a_callback_is_that_of_the_trainer(make_task, task_rows, trainer, tmp_path):
    weights = []
    for options in (
        {"accumulate_grad_batches": 3},
        {"callbacks": [GradientAccumulationScheduler({0: 3})]},
    ):
        pl.seed_everything(1, verbose=False)
        task = make_task("tagging", optimization=Optimization(schedule="one_cycle"))
        loader = task.processor.loader(task_rows(task, 2), Batching(size=3), True)
        trainer(tmp_path, max_epochs=2, limit_val_batches=0, **options).fit(task, loader)
        weights.append(torch.cat([parameter.flatten() for parameter in task.model.parameters()]))
    assert weights[0].equal(weights[1])


def test_weight_decay_shrinks_weights(make_task, train):
    norms = {}
    for decay in (0.0, 1.0):
        torch.manual_seed(0)
        task = make_task("sentiment", optimization=Optimization(lr=0.03, weight_decay=decay))
        train(task, 20)
        norms[decay] = task.model.embedding.weight.norm().item()
    assert norms[1.0] < 0.7 * norms[0.0]


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("part", ["embedding", "rnn", "word_encoder.rnn", "fc_out.bias"])
def test_frozen_parts_stay_as_they_are(part, optimizer, make_task, train):
    options = Optimization(optimizer=optimizer, lr=0.1, weight_decay=0.5, freeze=[part])
    task = make_task("tagging", optimization=options)
    before = {name: weight.clone() for name, weight in task.model.named_parameters()}
    train(task, 3)
    for name, weight in task.model.named_parameters():
        assert torch.equal(weight, before[name]) == f"{name}.".startswith(f"{part}.")
    assert any(torch.equal(weight, before[name]) for name, weight in task.model.named_parameters())


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (["embeddings"], "no part 'embeddings'; it has embedding, word_encoder, word_encoder.embedding, "),
        (["emb"], "no part 'emb'"),
        ([""], "no part ''"),
        (["embedding", "word_encoder", "rnn", "fc_out"], "fc_out leave nothing to train"),
    ],
)
def test_parts_that_cannot_be_frozen(parts, message, make_task):
    with pytest.raises(UsageError, match=message):
        make_task("tagging", optimization=Optimization(freeze=parts))


def test_frozen_models_load(make_task, tmp_path):
    task = make_task("sentiment", optimization=Optimization(freeze="embedding"))
    loaded = from_pretrained(save_pretrained(task, tmp_path / "model"))
    assert loaded.optimization.freeze == ("embedding",)
    assert not loaded.model.embedding.weight.requires_grad


@pytest.mark.parametrize("name", TASKS)
def test_initialization(name, make_task):
    uniform = [
        p.detach() for p in make_task(name, optimization=Optimization(init="uniform")).model.parameters()
    ]
    values = torch.cat([parameter.flatten() for parameter in uniform])
    assert values.abs().max() <= 0.08
    assert values.min() < -0.07
    assert values.max() > 0.07
    assert values.std().item() == pytest.approx(0.08 / math.sqrt(3), rel=0.05)
    if name not in TEXT:
        return
    torchs = make_task(name).model.parameters()
    assert max(parameter.abs().max().item() for parameter in torchs) > 1  # embeddings are N(0, 1)


def rates(settings, steps, losses=()):
    """The learning rate in each step."""
    made = make_optimizer(torch.nn.Linear(2, 2), settings, lambda: steps)
    optimizer, seen = made["optimizer"], []
    scheduler = made.get("lr_scheduler", {}).get("scheduler")
    for step in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if losses:
            scheduler.step(losses[step])
        elif scheduler is not None:  # after the last step too, as Lightning does
            scheduler.step()
    return seen


def test_constant_schedule():
    assert rates(Optimization(lr=0.5), 7) == [0.5] * 7


@pytest.mark.parametrize("warmup", [0.0, 0.2])
def test_cosine(warmup):
    found = rates(Optimization(lr=0.5, schedule="cosine", warmup=warmup), 100)
    rising = round(100 * warmup)
    assert found[:rising] == pytest.approx([0.5 * (step + 1) / 20 for step in range(rising)])
    falling = found[rising:]
    assert falling[0] == 0.5
    assert all(a > b for a, b in pairwise(falling))
    assert falling[len(falling) // 2] == pytest.approx(0.25)
    assert falling[-1] < 0.001


def test_a_cosine_of_few_steps():
    assert rates(Optimization(lr=0.5, schedule="cosine"), 2) == pytest.approx([0.5, 0.25])
    assert rates(Optimization(lr=0.5, schedule="cosine"), 3) == pytest.approx([0.5, 0.375, 0.125])


def test_warm_up_to_a_constant():
    found = rates(Optimization(lr=0.5, warmup=0.5), 8)
    assert found == pytest.approx([0.125, 0.25, 0.375, 0.5, 0.5, 0.5, 0.5, 0.5])
    assert rates(Optimization(lr=0.5, warmup=1.0), 4) == pytest.approx([0.125, 0.25, 0.375, 0.5])


@pytest.mark.parametrize(("warmup", "top"), [(0.0, 0.3), (0.1, 0.1)])
def test_one_cycle(warmup, top):
    found = rates(Optimization(lr=0.5, schedule="one_cycle", warmup=warmup), 100)
    highest = found.index(max(found))
    assert max(found) == pytest.approx(0.5)
    assert highest == pytest.approx(100 * top, abs=1)
    assert found[0] == pytest.approx(0.5 / 25)
    assert found[-1] < 1e-4
    assert found[: highest + 1] == sorted(found[: highest + 1])
    assert found[highest:] == sorted(found[highest:], reverse=True)


def test_one_cycle_moves_the_rate_alone():
    settings = Optimization(optimizer="sgd", schedule="one_cycle")
    optimizer = make_optimizer(torch.nn.Linear(2, 2), settings, lambda: 9)["optimizer"]
    assert optimizer.param_groups[0]["momentum"] == 0.9


def test_plateau():
    settings = Optimization(lr=0.8, schedule="plateau", factor=0.25, patience=1)
    losses = [5, 4, 4, 4, 3, 3, 3, 2]  # epochs; it has not sunk for more than one: twice
    assert rates(settings, 8, losses) == pytest.approx([0.8, 0.8, 0.8, 0.8, 0.2, 0.2, 0.2, 0.05])


@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle"])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 3, 10])
def test_very_short_runs(schedule, warmup, steps):
    found = rates(Optimization(lr=0.5, schedule=schedule, warmup=warmup), steps)
    assert all(0 <= rate <= 0.5 for rate in found)


class Recorder(pl.Callback):
    def __init__(self):
        self.rates = []

    def on_train_batch_start(self, trainer, *_):
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("schedule", ["cosine", "one_cycle", "plateau"])
def test_schedules_end_with_the_run(schedule, accumulate, tmp_path, batches, make_task, trainer):
    """Over 4 epochs of 6 batches; with gradients put together, of half as many steps."""
    task = make_task(
        "sentiment", optimization=Optimization(lr=0.5, schedule=schedule, patience=0, factor=0.1)
    )
    recorder = Recorder()
    run = trainer(tmp_path, max_epochs=4, callbacks=[recorder], accumulate_grad_batches=accumulate)
    run.fit(task, batches(task, size=1), batches(task))
    assert run.global_step == 24 // accumulate
    assert len(recorder.rates) == 24
    if schedule == "plateau":
        assert set(recorder.rates[:6]) == {0.5}
        assert all(
            rate == pytest.approx(0.5 * 0.1 ** round(math.log10(0.5 / rate))) for rate in recorder.rates
        )
    else:
        assert recorder.rates[-1] < 0.01
        assert min(recorder.rates[:-accumulate]) > recorder.rates[-1]
        assert len(set(recorder.rates)) == 24 // accumulate


@pytest.mark.parametrize(("schedule", "warmup"), [("cosine", 0.0), ("one_cycle", 0.0), ("constant", 0.1)])
def test_schedules_without_an_end_are_refused(schedule, warmup, tmp_path, batches, make_task, trainer):
    task = make_task("sentiment", optimization=Optimization(schedule=schedule, warmup=warmup))
    with pytest.raises(UsageError, match=r"needs the length of the run: set trainer\.max_epochs or"):
        trainer(tmp_path, max_epochs=-1).fit(task, batches(task))


@pytest.mark.parametrize("setting", ["optimizer", "schedule", "init"])
def test_unknown_names_of_optimization_are_refused(setting):
    with pytest.raises(UsageError, match=f"{setting} must be one of .*, not 'nonsense'"):
        Optimization(**{setting: "nonsense"})


def test_plateau_has_no_warmup():
    with pytest.raises(UsageError, match="no effect with schedule plateau"):
        Optimization(schedule="plateau", warmup=0.1)


def test_says_how_a_setting_is_changed(make_task):
    task = make_task("sentiment")
    with pytest.raises(UsageError, match=r"optimization.lr is changed by task.lr = 0.5$"):
        task.optimization.lr = 0.5
    with pytest.raises(
        UsageError, match=r"by task.optimization = dataclasses.replace\(task.optimization, warmup"
    ):
        task.optimization.warmup = 0.5
    assert (
        pickle.loads(pickle.dumps(task.optimization)) == copy.deepcopy(task.optimization) == task.optimization
    )


@pytest.mark.parametrize("options", [
    {}, {"warmup": 0.5}, {"schedule": "cosine"}, {"schedule": "cosine", "warmup": 0.2},
    {"schedule": "one_cycle"}, {"schedule": "one_cycle", "warmup": 0.1},
])  # fmt: skip
def test_the_mean_rate_is_that_of_the_schedule(options):
    settings = Optimization(lr=0.3, **options)
    made = make_optimizer(torch.nn.Linear(1, 1), settings, lambda: 1000)
    optimizer, rates = made["optimizer"], []
    for _ in range(1000):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if "lr_scheduler" in made:
            made["lr_scheduler"]["scheduler"].step()
    assert mean_rate(settings) == pytest.approx(sum(rates) / 1000, rel=0.005)
