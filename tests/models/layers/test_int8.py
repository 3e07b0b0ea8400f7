"""Int8 models: near the ones they were made from, blind to their batch, and folders like any other."""

import copy
import itertools
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
from nlp_rnn.models.layers import int8 as int8_module
from nlp_rnn.models.layers.cells import recurrent_layer
from nlp_rnn.models.layers.int8 import Int8Embedding, Int8Linear
from nlp_rnn.models.layers.quantization import is_quantized, quantize, quantize_layer
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
CASES = list(itertools.product(CELLS, (False, True), (1, 2, 3)))
LENGTHS = torch.tensor([3, 6, 0, 1, 6, 4])


def pair(cell, bidirectional, depth, hidden=32):
    """A layer, and the same in int8; weights large enough for states to move far."""
    layer = recurrent_layer(cell, 16, hidden, depth, 0.0, bidirectional).eval()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-0.4, 0.4)
    return layer, quantize_layer(layer)


def start(layer, batch):
    """A state from -1 to 1, as `h` of every cell is."""
    zeros = layer.initial_state(batch, torch.zeros(1))
    return tuple(torch.rand_like(part) * 2 - 1 for part in zeros)


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


@pytest.mark.parametrize(("cell", "bidirectional", "depth"), CASES)
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["even", "ragged"])
@torch.no_grad()
def test_layers_are_near_the_ones_they_were_made_from(cell, bidirectional, depth, lengths):
    layer, rounded = pair(cell, bidirectional, depth)
    input = torch.randn(6, 6, 16)
    for state in (None, start(layer, 6)):
        output, final = layer(input, state, lengths)
        near, near_final = rounded(input, state, lengths)
        torch.testing.assert_close(rounded.outputs(input, state, lengths), near, atol=0, rtol=0)
        errors = [(output - near).abs()]
        errors += [(one - other).abs() for one, other in zip(final, near_final, strict=True)]
        assert 0 < max(error.max() for error in errors) < 0.1
        assert max(error.mean() for error in errors) < 0.01
        if lengths is not None:
            behind = torch.arange(6)[:, None] >= lengths
            assert near[behind].abs().sum() == 0
            for part, began in zip(near_final, state or layer.initial_state(6, input), strict=True):
                assert torch.equal(part[:, 2], began[:, 2])


@pytest.mark.parametrize(("cell", "bidirectional", "depth"), CASES)
def test_a_sequence_alone_equals_itself_in_any_batch(cell, bidirectional, depth):
    _, layer = pair(cell, bidirectional, depth)
    state = start(layer, 6)
    # The others are far larger: a scale shared with them would show.
    input = torch.randn(6, 6, 16) * torch.tensor([1.0, 1000, 1000, 1, 0.01, 1])[:, None]
    output, final = layer(input, state, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        one = tuple(part[:, row : row + 1] for part in state)
        alone, alone_final = layer(input[:length, row : row + 1], one)
        assert torch.equal(output[:length, row], alone[:, 0])
        for part, alone_part in zip(final, alone_final, strict=True):
            assert torch.equal(part[:, row], alone_part[:, 0])


@pytest.mark.parametrize("cell", CELLS)
def test_steps_equal_the_whole(cell):
    _, layer = pair(cell, False, 2)
    input = torch.randn(5, 3, 16)
    whole, final = layer(input)
    state = layer.initial_state(3, input)
    twin = layer.stepwise()
    for time in range(5):
        output, state = twin(input[time], state)
        assert torch.equal(output, whole[time])
    assert all(torch.equal(one, other) for one, other in zip(state, final, strict=True))


@pytest.mark.parametrize("shape", [(0, 3), (4, 0), (0, 0)])
def test_nothing_gives_nothing(shape):
    _, layer = pair("lstm", True, 2)
    output, state = layer(torch.zeros(*shape, 16), lengths=torch.zeros(shape[1], dtype=torch.long))
    assert output.shape == (*shape, 64)
    assert all(part.shape == (4, shape[1], 32) and not part.any() for part in state)


@pytest.mark.parametrize("lengths", [[1, 2], [1, 2, 7], [-1, 2, 3]])
def test_lengths_that_do_not_fit(lengths):
    _, layer = pair("gru", False, 1)
    with pytest.raises(ValueError, match="lengths"):
        layer(torch.zeros(4, 3, 16), lengths=lengths)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (5, 1), (1, 9), (33, 70), (64, 600)])
@pytest.mark.parametrize("fast", [True, False])
def test_linear_is_off_by_no_more_than_the_rounding(rows, columns, fast, monkeypatch):
    if not fast:
        monkeypatch.setattr(int8_module, "_can_use_int_mm", lambda weight: False)
    plain = nn.Linear(columns, rows)
    layer = Int8Linear(plain.weight, plain.bias)
    for count in (1, 2, 17):
        input = torch.rand(count, columns) * 2 - 1
        sizes = input * torch.logspace(-3, 3, count)[:, None]
        unit = sizes.abs().amax(1, keepdim=True) / 127
        # Half a unit of each of the two factors, times the other.
        bound = columns * (unit * 127 * layer.scale / 2 + unit / 2 * layer.scale * 127)
        assert ((layer(sizes) - plain(sizes)).abs() <= bound + 1e-4 * unit * 127 * columns**0.5).all()
        torch.testing.assert_close(
            layer.bounded(input), layer(input), atol=float((columns * layer.scale).max()), rtol=0
        )
    assert torch.equal(layer(torch.zeros(3, columns)), plain.bias.expand(3, -1))
    assert layer(torch.rand(2, 3, columns)).shape == (2, 3, rows)
    assert layer(torch.rand(0, columns)).shape == (0, rows)


def test_without_the_fast_product_the_answers_are_the_same(monkeypatch):
    plain = nn.Linear(70, 33)
    fast = Int8Linear(plain.weight, plain.bias)
    monkeypatch.setattr(int8_module, "_can_use_int_mm", lambda weight: False)
    slow = Int8Linear(plain.weight, plain.bias)
    input = torch.randn(9, 70)
    torch.testing.assert_close(fast(input), slow(input), atol=1e-5, rtol=0)


def saturating(rows, weight):
    """What 16-bit sums of neighbours make of it, on a processor that has no better ones."""
    pairs = (rows[:, None].int() * weight.t().int()).unflatten(-1, (-1, 2)).sum(-1)
    return pairs.clamp(-32768, 32767).sum(-1, dtype=torch.int32)


def refusing(rows, weight):
    raise RuntimeError("expected scalar type Char but found Byte")


@pytest.mark.parametrize("product", [saturating, refusing])
def test_a_product_that_is_wrong_here_is_not_used(product, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: True, raising=False)
    monkeypatch.setattr(torch, "_int_mm", product)
    plain = nn.Linear(64, 8)
    layer = Int8Linear(plain.weight.abs(), plain.bias)
    input = torch.rand(3, 64)
    expected = input @ plain.weight.abs().t() + plain.bias
    torch.testing.assert_close(layer(input), expected, atol=0.02, rtol=0)


def test_embedding_is_off_by_no_more_than_the_rounding():
    plain = nn.Embedding(11, 6)
    plain.weight.data[3] = 0
    rounded = Int8Embedding(plain.weight)
    ids = torch.arange(11).view(1, 11)
    assert ((rounded(ids) - plain(ids)).abs() <= rounded.scale[:, None] * 0.5001).all()
    assert not rounded(torch.tensor([3])).any()


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
def test_scores_are_near_those_of_the_model_it_was_made_from(name):
    task = tiny(name)
    plain = pipeline(name, copy.deepcopy(task))(TEXTS)
    quantize(task.model)
    for one, other in zip(plain, pipeline(name, task)(TEXTS), strict=True):
        scores = [list(x["scores"].values()) if name == "sentiment" else x["scores"] for x in (one, other)]
        assert torch.tensor(scores).diff(dim=0).abs().sum() < 0.05


def test_translation_scores_are_near_those_of_the_model_it_was_made_from():
    task = tiny("translation")
    source, target = torch.randint(4, 20, (5, 3)), torch.randint(4, 20, (6, 3))
    with torch.no_grad():
        plain = task.model(source, target)
        quantize(task.model)
        assert (task.model(source, target) - plain).abs().max() < 0.1


def test_a_quarter_of_the_size(tmp_path):
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


def test_both_directions_step_by_step_are_refused():
    with pytest.raises(ValueError, match="cannot run step by step"):
        pair("gru", True, 1)[1].stepwise()


@pytest.mark.parametrize("cell", ["mingru", "minlstm"])
@pytest.mark.parametrize("name", TEXT)
def test_cells_without_int8_weights_are_refused_and_left_whole(name, cell):
    task = tiny(name, cell)
    before = repr(task.model)
    with pytest.raises(
        UsageError, match=r"^the cell min(gru|lstm) has no int8 weights: use one of rnn, gru, lstm$"
    ):
        quantize(task.model)
    assert repr(task.model) == before


def test_quantising_twice_is_refused():
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
    "unknown kind": (
        lambda folder: change_config(folder, lambda config: config.update(weights="int4")),
        "config.json: unknown type of weights 'int4'",
    ),
    "kind left out": (
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
    "numbers of another kind": (
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
