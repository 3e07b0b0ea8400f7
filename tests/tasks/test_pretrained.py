"""Saving and loading tasks, and continuing from their checkpoints."""

import copy
import json
import pickle
import re

import pytest
import torch

from nlp_rnn.data import Corpus, SentimentData, VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.models.layers.quantization import quantize
from nlp_rnn.tasks import TASKS, Optimization, Sentiment
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


def _narrower(task):
    task.model = type(task.model)(len(task.processor.tokens), 2, 8, 7, 1, 0.0)


REPLACED = {
    "compiled": (lambda task: setattr(task, "model", torch.compile(task.model)), "task.model.compile()"),
    "part compiled": (lambda task: setattr(task.model, "rnn", torch.compile(task.model.rnn)), "compile()"),
    "replaced": (lambda task: setattr(task, "model", torch.nn.Linear(2, 2)), "Linear took the place"),
    "another size": (_narrower, "tensor rnn.weight_ih_l0 has shape [28, 8], but settings"),
    "additional": (
        lambda task: setattr(task.model, "more", torch.nn.Linear(1, 1)),
        "tensor more.bias is not",
    ),
    "another layer": (
        lambda task: setattr(task.model, "fc_out", torch.nn.Identity()),
        "fc_out.bias is missing",
    ),
    "a setting": (lambda task: setattr(task, "label_smoothing", 3.0), "label_smoothing must be between"),
}


@pytest.mark.parametrize("case", REPLACED)
def test_what_could_not_be_loaded_is_not_saved(case, tmp_path, make_task, batches, trainer):
    task = make_task("sentiment")
    run = trainer(tmp_path, max_steps=1)
    run.fit(task, batches(task))
    change, message = REPLACED[case]
    change(task)
    for save in (
        lambda: save_pretrained(task, tmp_path / "model"),
        lambda: run.save_checkpoint(tmp_path / "x"),
    ):
        with pytest.raises(UsageError, match="the model cannot be saved") as caught:
            save()
        assert message in str(caught.value)
    assert not (tmp_path / "model").exists()
    assert not (tmp_path / "x").exists()


def test_nan_weights_are_not_saved(tmp_path, make_task):
    task = make_task("sentiment")
    task.model.fc_out.bias.data[0] = torch.nan
    with pytest.raises(UsageError, match=r"tensor fc_out\.bias contains NaN"):
        save_pretrained(task, tmp_path / "model")


def test_a_model_compiled_in_place_is_saved(tmp_path, make_task, one_batch):
    task = make_task("sentiment").eval()
    before = task.answer(one_batch(task))
    task.model.compile(backend="eager")
    assert from_pretrained(save_pretrained(task, tmp_path / "model")).answer(one_batch(task)) == before


def test_saving_draws_no_random_numbers(tmp_path, make_task):
    task = make_task("translation")
    before = torch.get_rng_state()
    save_pretrained(task, tmp_path / "model")
    assert torch.equal(torch.get_rng_state(), before)


def test_settings_that_change_after_construction_are_stored(tmp_path, make_task):
    task = make_task("translation")
    task.optimization = Optimization(lr=0.07)
    task.label_smoothing = 0.2
    loaded = from_pretrained(save_pretrained(task, tmp_path / "model"))
    assert loaded.optimization.lr == 0.07
    assert loaded.settings["optimization"]["lr"] == 0.07
    assert loaded.settings["label_smoothing"] == 0.2
    assert task.with_decoding(beam=3).settings["decoding"]["beam"] == 3


@pytest.mark.parametrize("name", TASKS)
def test_every_task_is_copied_and_pickled(name, make_task, one_batch):
    task = make_task(name).eval()
    answers = task.answer(one_batch(task))
    for copied in (copy.deepcopy(task), pickle.loads(pickle.dumps(task))):
        assert copied.answer(one_batch(copied)) == answers
        assert copied.stored() == task.stored()
        assert copied.model.state_dict().keys() == task.model.state_dict().keys()
        assert next(copied.parameters()) is not next(task.parameters())


def test_load_from_checkpoint_takes_a_device_and_refuses_what_it_cannot_do(
    make_task, batches, trainer, tmp_path
):
    task = make_task("sentiment")
    run = trainer(tmp_path, max_steps=1)
    run.fit(task, batches(task))
    path = tmp_path / "a.ckpt"
    run.save_checkpoint(path)
    assert type(task).load_from_checkpoint(path, map_location="cpu", strict=True).device.type == "cpu"
    for place, reason in (("nope", "Expected one of cpu"), ("meta", "no numbers"), ({"cuda": "cpu"}, "dict")):
        with pytest.raises(UsageError, match=f"^device .*: cannot be used here .*{reason}"):
            type(task).load_from_checkpoint(path, map_location=place)
    for refused in ({"hparams_file": "hparams.yaml"}, {"strict": False}, {"weights_only": False}):
        with pytest.raises(UsageError, match="leave out hparams_file, strict=False and weights_only=False"):
            type(task).load_from_checkpoint(path, **refused)


STATED = {"columns": ["stars", "review"], "encoding": "cp1252"}
COLUMNS = {"text": "review", "label": "stars", "corpus": STATED}


def test_the_columns_of_the_training_data_are_stored(make_task, trainer, tmp_path):
    file = tmp_path / "reviews.csv"
    file.write_bytes("".join(f"{n % 2},schön {n % 2}\n" for n in range(20)).encode("cp1252"))
    corpus = Corpus(str(file), **STATED)
    data = SentimentData(corpus, text="review", label="stars")
    task = Sentiment(data.processor, hidden_dim=12)
    assert task.data_columns == {}
    run = trainer(tmp_path, max_steps=1)
    run.fit(task, data)
    run.save_checkpoint(tmp_path / "a.ckpt")
    for path in (tmp_path / "a.ckpt", save_pretrained(task, tmp_path / "model")):
        assert from_pretrained(path).data_columns == COLUMNS
    assert save_pretrained(from_pretrained(tmp_path / "model"), tmp_path / "again")
    assert from_pretrained(tmp_path / "again").data_columns == COLUMNS


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("text", "data_columns must be names of columns"),
        ({"corpus": ["a"]}, "data_columns must be names of columns"),
        ({"max_length": 3}, "'max_length' is none of text, label"),
        ({"corpus": {"path": "/etc/passwd"}}, "'path' is none of columns, encoding"),
        ({"label": 3}, "data_columns.label must be text, not 3"),
        ({"text": [["a"]]}, "data_columns.text must be"),
        ({"corpus": {"columns": "text"}}, "data_columns.corpus.columns must be"),
        ({"corpus": {"encoding": 8}}, "data_columns.corpus.encoding must be text"),
    ],
)
def test_columns_in_a_folder_of_a_stranger_are_checked(make_task, tmp_path, columns, message):
    folder = save_pretrained(make_task("sentiment"), tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    assert "data_columns" not in config  # as in folders of earlier versions
    (folder / "config.json").write_text(json.dumps({**config, "data_columns": columns}))
    with pytest.raises(UsageError, match=f"config.json: .*{re.escape(message)}"):
        from_pretrained(folder)


REVIEWS = [{"text": f"film {row} is {'good' if row % 2 else 'bad'}", "label": row % 2} for row in range(60)]


@pytest.fixture
def trained(tmp_path, trainer):
    """A task that was trained on data with drawn splits, with its trainer and that data."""
    data = SentimentData(REVIEWS, vocabulary=VocabularySettings(level="char"))
    task = Sentiment(data.processor, embedding_dim=8, hidden_dim=8)
    run = trainer(tmp_path, max_epochs=1)
    run.fit(task, data)
    run.save_checkpoint(tmp_path / "a.ckpt")
    return task, data


def test_the_drawn_splits_are_stored(trained, tmp_path):
    task, data = trained
    assert task.drawn == data.drawn
    assert {name: len(rows) for name, rows in task.drawn.split_rows().items()} == {
        "train": 48,
        "validation": 6,
        "test": 6,
    }
    for path in (tmp_path / "a.ckpt", save_pretrained(task, tmp_path / "model")):
        assert from_pretrained(path).drawn == data.drawn
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    for damaged in ([], {**config["drawn"], "rows": "60"}):
        (tmp_path / "model" / "config.json").write_text(json.dumps({**config, "drawn": damaged}))
        with pytest.raises(UsageError, match=r"config\.json: drawn must be source, content, rows and codes"):
            from_pretrained(tmp_path / "model")


def test_training_goes_on_with_the_same_rows_only(trained, tmp_path, trainer, caplog):
    def data_of(rows=REVIEWS, **settings):
        return SentimentData(Corpus(rows, **settings), vocabulary=VocabularySettings(level="char"))

    task, _ = trained
    other = data_of(seed=1)
    other.attach_processor(task.processor)
    for settings in ({"seed": 1}, {"test_fraction": 0.2}, {"max_examples": 20}):
        data = data_of(**settings)
        data.attach_processor(task.processor)
        with pytest.raises(UsageError, match="the checkpoint was trained on other rows of data in memory"):
            trainer(tmp_path, max_epochs=2).fit(task, data, ckpt_path=tmp_path / "a.ckpt")
    for data in (data_of(), data_of([*REVIEWS, *REVIEWS[:10]])):
        data.attach_processor(task.processor)
        trainer(tmp_path, max_epochs=2).fit(task, data, ckpt_path=tmp_path / "a.ckpt")
    loaded = from_pretrained(tmp_path / "a.ckpt")
    caplog.clear()
    trainer(tmp_path).test(loaded, data_of(), verbose=False)
    assert "drawn" not in caplog.text
    trainer(tmp_path).test(loaded, other, verbose=False)
    assert "data in memory (60 rows): the splits are not those that were drawn in training" in caplog.text


def test_a_checkpoint_of_a_version_that_drew_no_test_split_says_how_to_go_on(trained, tmp_path, trainer):
    checkpoint = torch.load(tmp_path / "a.ckpt", weights_only=True)
    del checkpoint["nlp_rnn"]["drawn"]
    torch.save(checkpoint, tmp_path / "old.ckpt")
    task, data = trained
    with pytest.raises(UsageError, match=r"without a test split, .*: set data\.corpus\.test_fraction to 0"):
        trainer(tmp_path, max_epochs=2).fit(task, data, ckpt_path=tmp_path / "old.ckpt")
    data = SentimentData(Corpus(REVIEWS, test_fraction=0))
    data.attach_processor(task.processor)
    trainer(tmp_path, max_epochs=2).fit(task, data, ckpt_path=tmp_path / "old.ckpt")
