"""The tasks, each with every cell: they learn, measure exactly, and refuse what makes no sense."""

import copy
import math
from itertools import pairwise

import pytest
import pytorch_lightning as pl
import torch
from datasets import Dataset
from torch.nn import functional as F
from torchmetrics.utilities import dim_zero_sum

from nlp_rnn.data import Batching, Vocabulary, VocabularySettings
from nlp_rnn.data.batching import IGNORED, Rows
from nlp_rnn.data.module import encode
from nlp_rnn.data.vocabulary import BOS, UNK
from nlp_rnn.errors import UsageError
from nlp_rnn.models.layers.cells import CELLS
from nlp_rnn.tasks import TASKS, BeamSettings, Optimization, Sentiment
from nlp_rnn.tasks.captioning.data import CaptioningProcessor
from nlp_rnn.tasks.forecasting.data import ForecastingProcessor
from nlp_rnn.tasks.language_modeling.data import LanguageModelingProcessor
from nlp_rnn.tasks.losses import drop_words
from nlp_rnn.tasks.optimization import make_optimizer
from nlp_rnn.tasks.sentiment.data import SentimentProcessor
from nlp_rnn.tasks.series_tagging.data import SeriesTaggingProcessor
from nlp_rnn.tasks.tagging.data import TaggingProcessor
from nlp_rnn.tasks.translation.data import TranslationProcessor

SENTENCES = [
    "i work here .",
    "the work is good",
    "the film is not good .",
    "good",
    "he works",
    "not the film ?",
]
ROWS = {
    "sentiment": {"text": SENTENCES, "label": ["1", "1", "0", "1", "1", "0"]},
    "tagging": {
        "tokens": [text.split() for text in SENTENCES],
        "upos": [
            ["PRON", "VERB", "ADV", "PUNCT"],
            ["DET", "NOUN", "AUX", "ADJ"],
            ["DET", "NOUN", "AUX", "PART", "ADJ", "PUNCT"],
            ["_"],
            ["PRON", "VERB"],
            ["PART", "DET", "NOUN", "PUNCT"],
        ],
    },
    "translation": {
        "source": SENTENCES,
        "target": [
            "ich arbeite hier .",
            "die arbeit ist gut",
            "der film ist nicht gut .",
            "gut",
            "er geht",
            "a",
        ],
    },
    "language_modeling": {"text": SENTENCES},
}
ROWS["captioning"] = {
    "features": torch.eye(6).tolist(),
    "caption": ROWS["translation"]["target"],
}
SERIES = [[0.1, -0.4], [0.2, 0.9], [0.3, 0.1], [0.5, -0.7], [0.6, 0.2], [0.8, 0.4]]
ROWS["forecasting"] = {
    "steps": [[x for step in SERIES[: 2 + n] for x in step] for n in (0, 3, 1, 4, 2, 0)],
    "following": [[1.0, 30.0], [3.0, -10.0], [2.0, 20.0], [5.0, 0.0], [4.0, 50.0], [1.0, 30.0]],
}
ROWS["series_tagging"] = {
    "steps": ROWS["forecasting"]["steps"],
    "labels": [["up", "down", "up", "still", "down", "up"][: 2 + n] for n in (0, 3, 1, 4, 2, 0)],
}
WRITES = ("translation", "captioning", "language_modeling")
TEXT = ("sentiment", "tagging", *WRITES)  # the tasks that read or write words
CASES = [(name, cell) for name in TASKS for cell in CELLS]


def make_processor(name, words=tuple(SENTENCES)):
    every = VocabularySettings(min_frequency=1)
    scale = {"inputs": ["x", "y"], "means": [0.4, 0.1], "deviations": [0.2, 0.5 + ("book" in str(words))]}
    if name == "forecasting":
        targets = {"targets": ["a"], "target_means": [3.0], "target_deviations": [20.0]}
        return ForecastingProcessor(**scale, **targets, length=4, horizon=2)
    if name == "series_tagging":
        return SeriesTaggingProcessor(**scale, label="label", labels=["down", "still", "up"])
    if name == "sentiment":
        return SentimentProcessor(Vocabulary.train(words, every), ["0", "1"], ["negative", "positive"])
    if name == "tagging":
        tags = sorted({tag for tags in ROWS["tagging"]["upos"] for tag in tags} - {"_"})
        letters = Vocabulary.train(words, VocabularySettings("char", False, 1))
        return TaggingProcessor(
            Vocabulary.train_on_words([text.split() for text in words], every), tags, letters
        )
    if name == "language_modeling":
        return LanguageModelingProcessor(Vocabulary.train(words, every))
    target = Vocabulary.train(ROWS["translation"]["target"], every)
    if name == "captioning":
        scale = 0.5 if words == tuple(SENTENCES) else 0.4  # other words stand for other vectors
        return CaptioningProcessor(target, [0.2] * 6, scale)
    return TranslationProcessor(Vocabulary.train(words, every), target)


def make_task(name, cell="lstm", **options):
    if name in WRITES:
        options = {"num_layers": 1, "decoding": BeamSettings(max_output=8), **options}
    if name in TEXT:
        options = {"embedding_dim": 8, **options}
    options = {"hidden_dim": 12, "dropout": 0.0, "cell": cell, **options}
    return TASKS[name](make_processor(name), **options)


def batches(task, size=6, repeat=1):
    """A loader of the task's rows."""
    rows = {name: column * repeat for name, column in ROWS[task.name].items()}
    return task.processor.loader(Rows(encode(Dataset.from_dict(rows), task.processor)), Batching(size=size))


def one_batch(task):
    (batch,) = batches(task, size=100)
    return batch


def trainer(tmp_path, **options):
    defaults = {
        "accelerator": "cpu",
        "logger": False,
        "enable_progress_bar": False,
        "default_root_dir": tmp_path,
    }
    quiet = {"enable_model_summary": False, "enable_checkpointing": False}
    return pl.Trainer(**{**defaults, **quiet, **options})


# ---------------------------------------------------------------------------------------------- learning


def train(task, steps):
    """(first, last) loss of a few steps on one batch."""
    batch = one_batch(task)
    optimizer = make_optimizer(task.model, task.optimization, lambda: steps)["optimizer"]
    losses = []
    task.train()
    for _ in range(steps):
        loss = task.loss(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses[0], losses[-1]


@pytest.mark.parametrize(("name", "cell"), CASES)
def test_every_task_and_cell_learns_a_tiny_corpus(name, cell):
    task = make_task(name, cell, optimization=Optimization(lr=0.03))
    first, last = train(task, 200 if name == "forecasting" else 40)
    if name != "forecasting":
        assert first == pytest.approx(math.log(classes_of(task)), rel=0.35)  # untrained: nearly a guess
    assert last < (0.2 if name == "language_modeling" else 0.1) * first  # none can know a first word
    task.eval()
    batch = one_batch(task)
    rows, answers = ROWS[name], task.answer(batch)
    for row, answer in zip(batch.rows, answers, strict=True):
        if name == "sentiment":
            assert answer["label"] == {"0": "negative", "1": "positive"}[rows["label"][row]]
        elif name == "tagging" and rows["upos"][row] != ["_"]:
            assert answer["tags"] == rows["upos"][row]
        elif name == "language_modeling":
            assert answer["text"] == ""  # the whole text was given
        elif name in WRITES:
            assert answer["text"] == ROWS["translation"]["target"][row].replace(" .", ".")
        elif name == "forecasting":
            assert answer["values"] == pytest.approx(rows["following"][row], abs=8)
        elif name == "series_tagging":
            assert answer["labels"] == rows["labels"][row]


def classes_of(task):
    if task.name in WRITES:
        return len(getattr(task.processor, "tokens" if task.name == "language_modeling" else "target"))
    return len(task.processor.labels)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_every_optimizer_learns(optimizer):
    lr = 0.3 if optimizer == "sgd" else 0.03
    first, last = train(make_task("tagging", optimization=Optimization(optimizer=optimizer, lr=lr)), 40)
    assert last < 0.3 * first


def test_weight_decay_shrinks_weights():
    norms = {}
    for decay in (0.0, 1.0):
        torch.manual_seed(0)
        task = make_task("sentiment", optimization=Optimization(lr=0.03, weight_decay=decay))
        train(task, 20)
        norms[decay] = task.model.embedding.weight.norm().item()
    assert norms[1.0] < 0.7 * norms[0.0]


def test_scheduled_sampling():
    whole, half, none = (make_task("translation", teacher_forcing=share) for share in (1.0, 0.5, 0.0))
    for task in (half, none):
        task.load_state_dict(whole.state_dict())
    batch = one_batch(whole)
    losses = [task.loss(batch).item() for task in (whole, whole, none, none)]
    assert losses[0] == losses[1] != losses[2] == losses[3]  # neither draws anything
    drawn = {half.loss(batch).item() for _ in range(10)}
    assert len(drawn) > 3
    # In validation the true words are shown, whatever training does.
    figures = []
    for task in (whole, half, none):
        task.eval().update_metrics(batch, task.metrics("val"))
        figures.append(task.compute_metrics(task.metrics("val")))
    assert figures[0] == figures[1] == figures[2]
    assert figures[0]["loss"] == pytest.approx(losses[0])
    first, last = train(make_task("translation", teacher_forcing=0.5, optimization=Optimization(lr=0.03)), 60)
    assert last < 0.3 * first


@pytest.mark.parametrize("name", TEXT)
def test_label_smoothing_is_of_the_training_loss_alone(name):
    plain, smooth = make_task(name), make_task(name, label_smoothing=0.3)
    smooth.load_state_dict(plain.state_dict())
    batch = one_batch(plain)
    loss = smooth.loss(batch)
    if name == "translation":
        logits = smooth.model(batch.source, batch.target, batch.lengths)
    elif name == "captioning":
        logits = smooth.model(batch.vectors, batch.target)
    elif name == "tagging":
        logits = smooth._logits(batch, batch.words)
    elif name == "language_modeling":
        logits, _ = smooth.model(batch.tokens, lengths=batch.lengths)
    else:
        logits = smooth.model(batch.tokens, batch.lengths)
    log_probs = logits.flatten(0, -2).log_softmax(-1)
    labels = batch.labels.flatten()
    log_probs, labels = log_probs[labels != IGNORED], labels[labels != IGNORED]
    share = 0.7 * F.one_hot(labels, log_probs.size(-1)) + 0.3 / log_probs.size(-1)
    assert loss.item() == pytest.approx(-(share * log_probs).sum(-1).mean().item(), rel=1e-4)
    for task in (plain, smooth):
        task.update_metrics(batch, task.metrics("val"))
    results = [task.compute_metrics(task.metrics("val")) for task in (plain, smooth)]
    assert results[0] == results[1]
    assert results[0]["loss"] == pytest.approx(plain.loss(batch).item(), rel=1e-4)


@pytest.mark.parametrize("name", TEXT)
def test_word_dropout_hides_words_from_training_alone(name):
    task = make_task(name, word_dropout=0.5)
    batch = one_batch(task)
    seen = []
    reader = getattr(task.model, "decoder", task.model)
    reader.embedding.register_forward_pre_hook(lambda layer, given: seen.append(given))
    whole = {"tagging": "words", "translation": "target", "captioning": "target"}.get(name, "tokens")
    before = getattr(batch, whole).clone()

    for _ in range(20):
        task.loss(batch)
    dropped = torch.stack([given[0] for given in seen])  # [20, T, B]
    changed = dropped != before
    assert (dropped[changed] == UNK).all()
    text = (before > UNK).expand_as(changed)
    if name in WRITES:
        assert (dropped[:, 0] == BOS).all()
        text = text & (before != BOS)
    assert changed[text].float().mean().item() == pytest.approx(0.5, abs=0.1)
    assert len({tuple(one.flatten().tolist()) for one in dropped}) > 10  # drawn anew each time
    assert torch.equal(getattr(batch, whole), before)

    seen.clear()
    task.eval()
    task.update_metrics(batch, task.metrics("val"))
    if name in WRITES:
        del seen[1:]  # its own words, as it writes
    else:
        task.answer(batch)
    assert seen
    assert all(torch.equal(given[0], before) for given in seen)


def test_drop_words():
    tokens = torch.randint(4, 99, (50, 40))
    assert drop_words(tokens, 0.0, UNK) is tokens
    dropped = drop_words(tokens, 0.2, UNK)
    assert (dropped == UNK).float().mean().item() == pytest.approx(0.2, abs=0.03)
    assert torch.equal(dropped[dropped != UNK], tokens[dropped != UNK])


@pytest.mark.parametrize("name", TASKS)
def test_first_weights(name):
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


# ----------------------------------------------------------------------------------------------- metrics


def merged(halves):
    """The metrics of several devices as torchmetrics puts them together: gather, then reduce."""
    whole = copy.deepcopy(halves[0])
    for name, metric in whole.items():
        for state, reduce in metric._reductions.items():
            assert reduce is dim_zero_sum
            setattr(metric, state, reduce(torch.stack([getattr(half[name], state) for half in halves])))
        metric._computed = None
    return whole


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
@pytest.mark.parametrize("name", TASKS)
def test_metrics_are_of_the_corpus(name):
    task = make_task(name).eval()
    task.update_metrics(one_batch(task), task.metrics("test"))
    whole = task.compute_metrics(task.metrics("test")), task.report_tables(task.metrics("test"))
    assert whole[0]["loss"] > 0
    many = list(batches(task, size=1))
    assert len(many) == 6
    halves = [{key: metric.clone() for key, metric in task.metrics("val").items()} for _ in range(2)]
    for number, batch in enumerate(many):
        task.update_metrics(batch, task.metrics("val"))
        task.update_metrics(batch, halves[0 if number < 4 else 1])
    for metrics in (task.metrics("val"), merged(halves)):
        assert task.compute_metrics(metrics) == pytest.approx(whole[0], rel=1e-5)
        if name == "forecasting":  # sums of floats, which depend on their order a little
            for one, other in zip(task.report_tables(metrics)["steps"], whole[1]["steps"], strict=True):
                assert one.pop("column") == other["column"]
                assert one == pytest.approx({key: other[key] for key in one}, rel=1e-6)
        else:
            assert task.report_tables(metrics) == whole[1]
    # A mean of batches would have been something else.
    losses = []
    for batch in many:
        fresh = task.make_metrics()
        task.update_metrics(batch, fresh)
        losses.append(task.compute_metrics(fresh)["loss"])
    losses = [loss for loss in losses if math.isfinite(loss)]
    if name not in ("sentiment", "forecasting"):  # of which each row weighs the same
        assert sum(losses) / len(losses) != pytest.approx(whole[0]["loss"], rel=1e-3)


@pytest.mark.parametrize("name", TASKS)
def test_stages_log_and_start_anew(name, tmp_path):
    task = make_task(name)
    run = trainer(tmp_path)
    one = run.test(task, batches(task, size=2), verbose=False)
    two = run.test(task, batches(task, size=6), verbose=False)
    assert one[0] == pytest.approx(two[0], rel=1e-5)
    figures = {"tagging": "unknown_accuracy", "forecasting": "r2", "language_modeling": "bits_per_character"}
    shown = figures.get(name, "chrf" if name in WRITES else "accuracy")
    assert f"test/{shown}" in one[0]
    run.fit_loop.max_epochs = 1
    run.fit(task, batches(task, size=2), batches(task, size=2))
    assert {
        "train/loss_epoch",
        "train/padding",
        "val/loss",
        *(f"val/{figure}" for figure in task.progress_bar_metrics),
    } <= set(run.callback_metrics)
    assert 0 <= run.callback_metrics["train/padding"] < 1


def test_padding_is_measured(tmp_path):
    task = make_task("sentiment")
    run = trainer(tmp_path, max_epochs=1)
    run.fit(task, batches(task, size=6))
    lengths = [len(text.split()) for text in SENTENCES]
    expected = 1 - sum(lengths) / (max(lengths) * len(lengths))
    assert run.callback_metrics["train/padding"].item() == pytest.approx(expected)


@pytest.mark.parametrize("name", TASKS)
def test_predictions_name_their_rows(name, tmp_path):
    task = make_task(name)
    found = [row for part in trainer(tmp_path).predict(task, batches(task, size=2)) for row in part]
    assert sorted(answer["row"] for answer in found) == list(range(6))
    task.eval()
    batch = one_batch(task)
    by_row = dict(zip(batch.rows, task.answer(batch), strict=True))
    keys = {"sentiment": "label", "tagging": "tags", "forecasting": "values", "series_tagging": "labels"}
    key = keys.get(name, "text")
    for answer in found:
        expected = by_row[answer["row"]][key]
        assert answer[key] == (pytest.approx(expected, rel=1e-4) if name == "forecasting" else expected)


# ---------------------------------------------------------------------------------------- learning rates


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


def test_constant():
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
def test_schedules_end_with_the_run(schedule, accumulate, tmp_path):
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
def test_schedules_without_an_end_are_refused(schedule, warmup, tmp_path):
    task = make_task("sentiment", optimization=Optimization(schedule=schedule, warmup=warmup))
    with pytest.raises(
        UsageError, match=r"needs the length of the run: set trainer\.max_epochs or"
    ):
        trainer(tmp_path, max_epochs=-1).fit(task, batches(task))


# ---------------------------------------------------------------------------------------------- clipping


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("algorithm", ["norm", "value"])
def test_gradients_are_clipped_under_fused_optimizers(algorithm, precision, tmp_path):
    """One step of gradient descent moves the weights by as much as the gradients are."""
    moved = {}
    for clip in (None, 1e-3):
        torch.manual_seed(0)
        task = make_task("tagging", optimization=Optimization(optimizer="sgd", lr=1.0))
        before = {name: value.clone() for name, value in task.model.state_dict().items()}
        run = trainer(
            tmp_path,
            max_steps=1,
            precision=precision,
            gradient_clip_val=clip,
            gradient_clip_algorithm=algorithm,
        )
        run.fit(task, batches(task))
        assert run.optimizers[0].defaults["fused"]
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


# -------------------------------------------------------------------------------- refused settings (row 26)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("sentiment", {"dropout": math.nan}, "dropout must be between 0 and 0.99, not nan"),
        ("tagging", {"dropout": -0.1}, "dropout must be"),
        ("tagging", {"hidden_dim": 0}, "hidden_dim must be"),
        ("tagging", {"character_embedding_dim": -4}, "character_embedding_dim must be"),
        ("translation", {"embedding_dim": 10**9}, "embedding_dim must be"),
        ("translation", {"num_layers": 0}, "num_layers must be"),
        ("translation", {"teacher_forcing": 1.5}, "teacher_forcing must be"),
        ("translation", {"decoding": {"beam": 0}}, "decoding.beam must be"),
        ("translation", {"decoding": {"length_penalty": math.inf}}, "decoding.length_penalty must be"),
        ("translation", {"decoding": {"max_output": 0}}, "decoding.max_output must be"),
        ("captioning", {"noise": -1.0}, "noise must be"),
        ("sentiment", {"label_smoothing": 1.0}, "label_smoothing must be"),
        ("sentiment", {"word_dropout": math.inf}, "word_dropout must be"),
        ("sentiment", {"optimization": {"lr": math.nan}}, "optimization.lr must be"),
        ("sentiment", {"optimization": {"lr": -1.0}}, "optimization.lr must be"),
        ("sentiment", {"optimization": {"warmup": 1.01}}, "optimization.warmup must be"),
        ("sentiment", {"optimization": {"weight_decay": -1}}, "optimization.weight_decay must be"),
        ("sentiment", {"optimization": {"factor": 0.0}}, "optimization.factor must be"),
    ],
)
def test_settings_without_sense(name, options, message):
    with pytest.raises(UsageError, match=message):
        make_task(name, **options)


@pytest.mark.parametrize("name", TASKS)
def test_unknown_cells(name):
    with pytest.raises(UsageError, match="cell must be one of rnn, gru, lstm, mingru, minlstm, not 'mamba'"):
        make_task(name, "mamba")


def test_unknown_pooling():
    with pytest.raises(UsageError, match="pooling must be one of last, mean, max, not 'sum'"):
        make_task("sentiment", pooling="sum")


# ------------------------------------------------------------------------------------------- checkpoints


@pytest.mark.parametrize("name", TASKS)
def test_training_goes_on_with_the_same_vocabulary_alone(name, tmp_path):
    task = make_task(name)
    run = trainer(tmp_path, max_steps=1)
    run.fit(task, batches(task))
    run.save_checkpoint(tmp_path / "x.ckpt")
    again = make_task(name)
    trainer(tmp_path, max_steps=1).fit(again, batches(again), ckpt_path=tmp_path / "x.ckpt")
    state = again.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in task.state_dict().items())

    # As many words, but others: silently nonsense otherwise.
    others = [text.replace("film", "book") for text in SENTENCES]
    options = {"num_layers": 1} if name in WRITES else {}
    if name in TEXT:
        options["embedding_dim"] = 8
    other = TASKS[name](make_processor(name, others), hidden_dim=12, **options)
    assert other.model.state_dict().keys() == task.model.state_dict().keys()
    with pytest.raises(UsageError, match="another vocabulary or labels") as caught:
        trainer(tmp_path, max_steps=2).fit(other, batches(other), ckpt_path=tmp_path / "x.ckpt")
    assert task.processor.fingerprint in str(caught.value)
    assert other.processor.fingerprint in str(caught.value)


def test_labels_and_foreign_checkpoints_are_looked_at_too():
    task = make_task("sentiment")
    checkpoint = {}
    task.on_save_checkpoint(checkpoint)
    task.on_load_checkpoint(checkpoint)
    swapped = make_processor("sentiment")
    swapped.labels = swapped.labels[::-1]
    with pytest.raises(UsageError, match="another vocabulary or labels"):
        Sentiment(swapped, embedding_dim=8, hidden_dim=12).on_load_checkpoint(checkpoint)
    longer = make_processor("sentiment")
    before, longer.max_length = longer.max_length, 7
    with pytest.raises(UsageError, match=rf"other settings: max_length 7 \(was {before}\); use those"):
        Sentiment(longer, embedding_dim=8, hidden_dim=12).on_load_checkpoint(checkpoint)
    with pytest.raises(UsageError, match="not written by nlp_rnn"):
        task.on_load_checkpoint({"state_dict": {}})


@pytest.mark.parametrize(("name", "cell"), CASES)
def test_stored_is_plain_and_builds_the_same_task(name, cell):
    task = make_task(name, cell, optimization=Optimization(schedule="cosine", lr=0.123))

    def plain(value):
        if isinstance(value, dict):
            return all(isinstance(key, str) and plain(item) for key, item in value.items())
        if isinstance(value, list):
            return all(map(plain, value))
        return value is None or type(value) in (str, int, float, bool)

    assert plain(task.stored())
    again = TASKS[name].from_stored(task.stored())
    assert again.stored() == task.stored()
    assert repr(again.model) == repr(task.model)
    assert again.optimization == task.optimization


@pytest.mark.parametrize("name", ["tagging", *WRITES])
def test_a_batch_in_which_nothing_is_scored_teaches_nothing(name):
    task = make_task(name)
    batch = one_batch(task)
    batch.labels = torch.full_like(batch.labels, IGNORED)
    loss = task.loss(batch)
    loss.backward()
    assert loss == 0
    assert all(not parameter.grad.any() for parameter in task.parameters() if parameter.grad is not None)


@pytest.mark.parametrize(
    ("name", "padded"),
    [
        ("sentiment", {"padding"}),
        ("tagging", {"padding", "padding_character"}),
        ("translation", {"padding", "padding_target"}),
        ("captioning", {"padding", "padding_target"}),
    ],
)
def test_the_training_figures_are_of_all_tokens(name, padded, tmp_path):
    task = make_task(name, optimization=Optimization(lr=1e-12))
    run = trainer(tmp_path, max_epochs=1)
    run.fit(task, batches(task, size=4))
    logged = {key.removeprefix("train/"): value.item() for key, value in run.callback_metrics.items()}
    assert {key for key in logged if key.startswith("padding")} == padded
    whole = one_batch(task)
    assert logged["loss_epoch"] == pytest.approx(task.loss(whole).item(), rel=1e-4)
    tokens = positions = 0
    for batch in batches(task, size=4):
        tokens += int(batch.lengths.sum())
        positions += len(batch) * int(batch.lengths.max())
    assert logged["padding"] == pytest.approx(1 - tokens / positions)


@pytest.mark.parametrize("setting", ["optimizer", "schedule", "init"])
def test_unknown_names_of_optimization_are_refused(setting):
    with pytest.raises(UsageError, match=f"{setting} must be one of .*, not 'nonsense'"):
        Optimization(**{setting: "nonsense"})


def test_plateau_has_no_warmup():
    with pytest.raises(UsageError, match="no effect with schedule plateau"):
        Optimization(schedule="plateau", warmup=0.1)
