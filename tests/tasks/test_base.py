"""What all tasks share: they learn, measure exactly, log, predict, and are stored."""

import copy
import math

import pytest
import torch

from nlp_rnn.errors import UsageError
from nlp_rnn.models.layers.cells import CELLS
from nlp_rnn.tasks import TASKS, Optimization, Sentiment

WRITES = ("translation", "captioning", "language_modeling")
TEXT = ("sentiment", "tagging", *WRITES)  # the tasks that read or write words
CASES = [(name, cell) for name in TASKS for cell in CELLS]


@pytest.mark.parametrize(("name", "cell"), CASES)
def test_every_task_and_cell_learns_a_tiny_corpus(name, cell, corpus_rows, make_task, one_batch, train):
    task = make_task(name, cell, optimization=Optimization(lr=0.03))
    first, last = train(task, 200 if name == "forecasting" else 40)
    if name != "forecasting":
        assert first == pytest.approx(math.log(classes_of(task)), rel=0.35)  # untrained: nearly a guess
    assert last < (0.2 if name == "language_modeling" else 0.1) * first  # none can know a first word
    task.eval()
    batch = one_batch(task)
    rows, answers = corpus_rows[name], task.answer(batch)
    for row, answer in zip(batch.rows, answers, strict=True):
        if name == "sentiment":
            assert answer["label"] == {"0": "negative", "1": "positive"}[rows["label"][row]]
        elif name == "tagging" and rows["upos"][row] != ["_"]:
            assert answer["tags"] == rows["upos"][row]
        elif name == "language_modeling":
            assert answer["text"] == ""  # the whole text was given
        elif name in WRITES:
            assert answer["text"] == corpus_rows["translation"]["target"][row].replace(" .", ".")
        elif name == "forecasting":
            assert answer["values"] == pytest.approx(rows["following"][row], abs=8)
        elif name in ("series_tagging", "multi_label"):
            given = sorted if name == "multi_label" else list
            assert given(answer["labels"]) == given(rows["labels"][row])
        elif name == "text_pairs":
            assert answer["label"] == rows["label"][row]


def classes_of(task):
    if task.name == "multi_label":
        return 2  # each label by itself
    if task.name in WRITES:
        return len(getattr(task.processor, "tokens" if task.name == "language_modeling" else "target"))
    return len(task.processor.labels)


def merged(halves):
    """The metrics of several devices as torchmetrics puts them together: gather, then reduce."""
    whole = copy.deepcopy(halves[0])
    for name, metric in whole.items():
        for state, reduce in metric._reductions.items():
            setattr(metric, state, reduce(torch.stack([getattr(half[name], state) for half in halves])))
        metric._computed = None
    return whole


def assert_close(one, other):
    """Tables are equal, but for sums of floats, which depend on their order a little."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_close(one[key], other[key])
    elif isinstance(one, list):
        for pair in zip(one, other, strict=True):
            assert_close(*pair)
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-6, nan_ok=True)
    else:
        assert one == other


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
@pytest.mark.parametrize("name", TASKS)
def test_metrics_are_of_the_corpus(name, batches, make_task, one_batch):
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
        assert task.compute_metrics(metrics) == pytest.approx(whole[0], rel=1e-5, nan_ok=True)
        assert_close(task.report_tables(metrics), whole[1])
    # A mean of batches would have been something else.
    losses = []
    for batch in many:
        fresh = task.make_metrics()
        task.update_metrics(batch, fresh)
        losses.append(task.compute_metrics(fresh)["loss"])
    losses = [loss for loss in losses if math.isfinite(loss)]
    if name not in (
        "sentiment",
        "forecasting",
        "text_pairs",
        "multi_label",
    ):  # of which each row weighs the same
        assert sum(losses) / len(losses) != pytest.approx(whole[0]["loss"], rel=1e-3)


@pytest.mark.parametrize("name", TASKS)
def test_stages_log_and_reset_their_metrics(name, tmp_path, batches, make_task, trainer):
    task = make_task(name)
    run = trainer(tmp_path)
    one = run.test(task, batches(task, size=2), verbose=False)
    two = run.test(task, batches(task, size=6), verbose=False)
    assert one[0] == pytest.approx(two[0], rel=1e-5, nan_ok=True)
    figures = {"tagging": "unknown_accuracy", "forecasting": "r2", "language_modeling": "bits_per_character"}
    figures["multi_label"] = "exact_match"
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


def test_padding_is_measured(tmp_path, batches, make_task, sentences, trainer):
    task = make_task("sentiment")
    run = trainer(tmp_path, max_epochs=1)
    run.fit(task, batches(task, size=6))
    lengths = [len(text.split()) for text in sentences]
    expected = 1 - sum(lengths) / (max(lengths) * len(lengths))
    assert run.callback_metrics["train/padding"].item() == pytest.approx(expected)


@pytest.mark.parametrize("name", TASKS)
def test_predictions_name_their_rows(name, tmp_path, batches, make_task, one_batch, trainer):
    task = make_task(name)
    found = [row for part in trainer(tmp_path).predict(task, batches(task, size=2)) for row in part]
    assert sorted(answer["row"] for answer in found) == list(range(6))
    task.eval()
    batch = one_batch(task)
    by_row = dict(zip(batch.rows, task.answer(batch), strict=True))
    keys = {"sentiment": "label", "tagging": "tags", "forecasting": "values", "series_tagging": "labels"}
    keys |= {"text_pairs": "label", "multi_label": "labels"}
    key = keys.get(name, "text")
    for answer in found:
        expected = by_row[answer["row"]][key]
        assert answer[key] == (pytest.approx(expected, rel=1e-4) if name == "forecasting" else expected)


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
def test_settings_out_of_range_are_refused(name, options, message, make_task):
    with pytest.raises(UsageError, match=message):
        make_task(name, **options)


@pytest.mark.parametrize("name", TASKS)
def test_unknown_cells(name, make_task):
    with pytest.raises(UsageError, match="cell must be one of rnn, gru, lstm, mingru, minlstm, not 'mamba'"):
        make_task(name, "mamba")


@pytest.mark.parametrize("name", TASKS)
def test_training_continues_only_with_the_same_vocabulary(
    name, tmp_path, batches, make_processor, make_task, sentences, trainer
):
    task = make_task(name)
    run = trainer(tmp_path, max_steps=1)
    run.fit(task, batches(task))
    run.save_checkpoint(tmp_path / "x.ckpt")
    again = make_task(name)
    trainer(tmp_path, max_steps=1).fit(again, batches(again), ckpt_path=tmp_path / "x.ckpt")
    state = again.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in task.state_dict().items())

    # As many words, but others: silently nonsense otherwise.
    others = [text.replace("film", "book") for text in sentences]
    options = {"num_layers": 1} if name in WRITES else {}
    if name in TEXT:
        options["embedding_dim"] = 8
    other = TASKS[name](make_processor(name, others), hidden_dim=12, **options)
    assert other.model.state_dict().keys() == task.model.state_dict().keys()
    with pytest.raises(UsageError, match="another vocabulary or labels") as caught:
        trainer(tmp_path, max_steps=2).fit(other, batches(other), ckpt_path=tmp_path / "x.ckpt")
    assert task.processor.fingerprint in str(caught.value)
    assert other.processor.fingerprint in str(caught.value)


def test_the_summary_has_the_sizes_of_the_model(make_task):
    task = make_task("sentiment")
    count = sum(parameter.numel() for parameter in task.model.parameters())
    assert count > 1000
    words = len(task.processor.tokens)
    assert task.summary() == f"Sentiment, {count:,} parameters, tokens vocabulary {words}, classes 2"
    target = len(make_task("captioning").processor.target)
    assert make_task("captioning").summary().endswith(f" parameters, target vocabulary {target}")


def test_labels_and_foreign_checkpoints_are_checked_too(make_processor, make_task):
    task = make_task("sentiment")
    checkpoint = {"state_dict": task.state_dict()}
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
def test_stored_is_plain_and_builds_the_same_task(name, cell, make_task):
    task = make_task(name, cell, optimization=Optimization(schedule="cosine", lr=0.123))

    def plain(value):
        if isinstance(value, dict):
            return all(isinstance(key, str) and plain(item) for key, item in value.items())
        if isinstance(value, list):
            return all(map(plain, value))
        return value is None or type(value) in (str, int, float, bool)

    assert plain(task.stored())
    processor = task.processor_class.from_state(task.stored()["processor"])
    again = TASKS[name].from_settings(processor, task.settings)
    assert again.stored() == task.stored()
    assert repr(again.model) == repr(task.model)
    assert again.optimization == task.optimization


@pytest.mark.parametrize(
    ("name", "padded"),
    [
        ("sentiment", {"padding"}),
        ("tagging", {"padding", "padding_character"}),
        ("translation", {"padding", "padding_target"}),
        ("captioning", {"padding", "padding_target"}),
    ],
)
def test_training_metrics_are_over_all_tokens(name, padded, tmp_path, batches, make_task, one_batch, trainer):
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


def test_a_subclass_that_inherits_its_constructor_has_its_settings(make_task):
    class Named(TASKS["sentiment"]):
        name = "named"

    task = Named(make_task("sentiment").processor, hidden_dim=12)
    assert task.settings["hidden_dim"] == 12


@pytest.mark.parametrize("name", TASKS)
def test_a_task_says_what_it_holds(name, make_task):
    task = make_task(name)
    assert repr(task) == f"{task.summary()}\n{task.model}"
