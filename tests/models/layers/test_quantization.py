"""Quantized models: near the float ones, not trainable, and stored in folders like any other."""

import copy
import json
import runpy
import sys
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from nlp_rnn.data import Corpus, Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.inference.pipelines import pipeline
from nlp_rnn.models.layers.cells import recurrent_layer
from nlp_rnn.models.layers.quantization import is_quantized, quantize
from nlp_rnn.tasks import TASKS as EVERY_TASK
from nlp_rnn.tasks.language_modeling.data import LanguageModelingProcessor
from nlp_rnn.tasks.pretrained import from_pretrained, save_pretrained
from nlp_rnn.tasks.registry import data_classes
from nlp_rnn.tasks.sentiment.data import SentimentProcessor
from nlp_rnn.tasks.tagging.data import TaggingProcessor
from nlp_rnn.tasks.translation.data import TranslationProcessor

TASKS = {name: task for name, task in EVERY_TASK.items() if task.processor_class.input_description == "text"}
SCRIPT = Path(__file__).parents[3] / "scripts" / "quantize.py"
TEXT = ("sentiment", "tagging", "translation")  # the tasks that are asked about text
TEXTS = ["i work at google .", "the work is not good , but the film is .", "good", "", "a b c d e f g h i"]
CELLS = ("rnn", "gru", "lstm")  # those that have int8 weights


def tiny(name, cell="lstm"):
    words = Vocabulary.train(TEXTS, VocabularySettings(min_frequency=1))
    letters = Vocabulary.train(TEXTS, VocabularySettings("char", False, 1))
    processor = {
        "sentiment": lambda: SentimentProcessor(words, ["0", "1"], ["negative", "positive"], 20),
        "tagging": lambda: TaggingProcessor(words, ["ADJ", "NOUN", "VERB"], letters, 20, 8),
        "translation": lambda: TranslationProcessor(words, words, True, 20),
        "language_modeling": lambda: LanguageModelingProcessor(words, max_length=20),
    }[name]()
    task = TASKS[name](processor, embedding_dim=16, hidden_dim=32, cell=cell).eval()
    with torch.no_grad():
        for parameter in task.parameters():
            parameter.mul_(1.5)
    return task


def int8(name, cell="lstm"):
    task = tiny(name, cell)
    quantize(task.model)
    return task


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", TEXT)
def test_saved_equals_loaded(name, cell, tmp_path):
    task = int8(name, cell)
    folder = save_pretrained(task, tmp_path / "model")
    assert json.loads((folder / "config.json").read_text())["weights"] == "int8"
    tensors = load_file(folder / "model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.int8, torch.float32}
    loaded = from_pretrained(folder)
    assert is_quantized(loaded.model)
    assert not any(isinstance(module, (nn.Linear, nn.Embedding, nn.RNNBase)) for module in loaded.modules())
    answers = pipeline(name, task)(TEXTS)
    assert pipeline(name, loaded)(TEXTS) == answers
    assert [pipeline(name, loaded)(text) for text in TEXTS] == answers
    again = save_pretrained(loaded, tmp_path / "again")
    for file in folder.iterdir():
        assert (again / file.name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize("name", ["sentiment", "tagging"])
def test_scores_are_near_those_of_the_float_model(name):
    task = tiny(name)
    plain = pipeline(name, copy.deepcopy(task))(TEXTS)
    quantize(task.model)
    for one, other in zip(plain, pipeline(name, task)(TEXTS), strict=True):
        scores = [list(x["scores"].values()) if name == "sentiment" else x["scores"] for x in (one, other)]
        assert torch.tensor(scores).diff(dim=0).abs().sum() < 0.05


def test_translation_scores_are_near_those_of_the_float_model():
    task = tiny("translation")
    source, target = torch.randint(4, 20, (5, 3)), torch.randint(4, 20, (6, 3))
    with torch.no_grad():
        plain = task.model(source, target)
        quantize(task.model)
        assert (task.model(source, target) - plain).abs().max() < 0.1


def test_int8_weights_take_a_quarter_of_the_size(tmp_path):
    model = nn.Sequential(nn.Embedding(500, 64), recurrent_layer("lstm", 64, 64, 2, 0.0), nn.Linear(64, 500))
    sizes = []
    for part in (model, quantize(copy.deepcopy(model))):
        save_file(part.state_dict(), tmp_path / "weights")
        sizes.append((tmp_path / "weights").stat().st_size)
    assert sizes[1] < 0.3 * sizes[0]


@pytest.mark.parametrize("name", TEXT)
def test_training_is_refused(name, tmp_path):
    data = data_classes(name)[0](Corpus(max_examples=8))
    task = TASKS[name](data.processor, embedding_dim=8, hidden_dim=8)
    quantize(task.model)
    trainer = pl.Trainer(
        max_steps=1, accelerator="cpu", logger=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, enable_checkpointing=False,
    )  # fmt: skip
    with pytest.raises(UsageError, match="int8 weights cannot be trained"):
        trainer.fit(task, data)
    with pytest.raises(UsageError, match="int8 weights cannot be trained"):
        task.train()


@pytest.mark.parametrize("cell", ["mingru", "minlstm"])
@pytest.mark.parametrize("name", TEXT)
def test_cells_without_int8_weights_are_refused_and_left_unchanged(name, cell):
    task = tiny(name, cell)
    before = repr(task.model)
    with pytest.raises(
        UsageError, match=r"^the cell min(gru|lstm) has no int8 weights: use one of rnn, gru, lstm$"
    ):
        quantize(task.model)
    assert repr(task.model) == before


def test_torchs_own_layers_are_refused():
    with pytest.raises(UsageError, match=r"^GRU is torch's own layer: make it with `recurrent_layer`$"):
        quantize(nn.Sequential(nn.Linear(2, 3), nn.GRU(3, 4)))


def test_quantizing_twice_is_refused():
    task = int8("sentiment")
    with pytest.raises(UsageError, match="int8 already"):
        quantize(task.model)


def change_config(folder, change):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))


def change_weights(folder, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def truncate_weights(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-9])


DAMAGE = {
    "unknown value": (
        lambda folder: change_config(folder, lambda config: config.update(weights="int4")),
        "config.json: unknown type of weights 'int4'",
    ),
    "value left out": (
        lambda folder: change_config(folder, lambda config: config.pop("weights")),
        "tensor embedding.int8 is not part of this model",
    ),
    "truncated": (truncate_weights, "damaged or not a safetensors file"),
    "missing scale": (
        lambda folder: change_weights(folder, lambda tensors: tensors.pop("fc_out.scale")),
        "tensor fc_out.scale is missing",
    ),
    "wrong shape": (
        lambda folder: change_weights(
            folder, lambda tensors: tensors.update({"fc_out.int8": torch.zeros(3, 4, dtype=torch.int8)})
        ),
        "tensor fc_out.int8 has shape [3, 4]",
    ),
    "numbers of another dtype": (
        lambda folder: change_weights(
            folder, lambda tensors: tensors.update({"fc_out.int8": tensors["fc_out.int8"].float()})
        ),
        "fc_out.int8 is not a tensor of 8-bit integers",
    ),
    "whole scale": (
        lambda folder: change_weights(
            folder, lambda tensors: tensors.update({"fc_out.scale": tensors["fc_out.scale"].char()})
        ),
        "fc_out.scale is not a tensor of floating-point numbers",
    ),
    "NaN scale": (
        lambda folder: change_weights(folder, lambda tensors: tensors["fc_out.scale"].fill_(torch.nan)),
        "fc_out.scale contains NaN",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_folders_are_refused_in_one_line(case, tmp_path):
    damage, message = DAMAGE[case]
    folder = save_pretrained(int8("sentiment"), tmp_path / "model")
    damage(folder)
    with pytest.raises(UsageError) as error:
        from_pretrained(folder)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_int8_settings_with_plain_weights_are_refused(tmp_path):
    folder = save_pretrained(tiny("sentiment"), tmp_path / "model")
    change_config(folder, lambda config: config.update(weights="int8"))
    with pytest.raises(UsageError, match=r"tensor embedding\.int8 is missing"):
        from_pretrained(folder)


def test_the_script(tmp_path, monkeypatch, capsys):
    plain = save_pretrained(tiny("tagging"), tmp_path / "plain")
    monkeypatch.setattr(sys, "argv", ["quantize", str(plain), str(tmp_path / "small")])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert capsys.readouterr().out == f"{tmp_path / 'small'}\n"
    assert is_quantized(from_pretrained(tmp_path / "small").model)
    for source, place, message in (
        ("small", "smaller", "the weights are int8 already"),
        ("plain", "small", f"{tmp_path / 'small'} exists: give another folder, or remove it first"),
    ):
        monkeypatch.setattr(sys, "argv", ["quantize", str(tmp_path / source), str(tmp_path / place)])
        with pytest.raises(SystemExit, match="2"):
            runpy.run_path(str(SCRIPT), run_name="__main__")
        assert capsys.readouterr().err == f"nlp-rnn: error: {message}\n"
    assert not (tmp_path / "smaller").exists()
