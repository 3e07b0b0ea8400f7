"""Inspection computes what the model computes."""

import itertools
import logging

import pytest
import torch

from nlp_rnn.errors import UsageError
from nlp_rnn.inference.pipelines import pipeline
from nlp_rnn.inspection import inspector as inspection
from nlp_rnn.inspection import reading
from nlp_rnn.inspection.files import write
from nlp_rnn.inspection.inspector import EXPLODING, inspect
from nlp_rnn.models.layers.cells import CELLS
from nlp_rnn.models.layers.quantization import quantize
from nlp_rnn.models.pooling import POOLINGS
from nlp_rnn.tasks import Optimization, Tagging

TEXT = "the work is not good , but the film is"
TOKENS = TEXT.split()
NAMES = ("sentiment", "tagging", "translation", "language_modeling")


def close(found, expected):
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_chrono_initialized_gates_are_compared_with_an_ungated_cell(tiny):
    found = inspect(tiny("sentiment", optimization=Optimization(memory=20)), TEXT)
    assert [gradients.model for gradients in found.gradients][2] == "rnn, untrained"


@pytest.mark.parametrize(("name", "cell"), itertools.product(NAMES, CELLS))
def test_hidden_states_equal_those_of_the_model(name, cell, tiny):
    task = tiny(name, cell)
    rnn = getattr(task.model, "encoder", task.model).rnn
    heard = []
    handle = rnn.register_forward_hook(lambda module, given, said: heard.append(said[0]))
    pipeline(name, task)(TEXT)
    handle.remove()
    found = inspect(task, TEXT)
    read = {"translation": TOKENS[::-1], "language_modeling": ["<bos>", *TOKENS]}
    assert found.tokens == read.get(name, TOKENS)
    top = found.hidden[:, -2 if found.bidirectional else -1 :]  # [T, directions, H]
    said = heard[0][:, 0]
    assert len(said) == len(TOKENS)  # a language model takes the last token as the first step of its answer
    close(top.flatten(1)[: len(said)], said)
    assert len(found.places()) == found.hidden.size(1) == 2 * (1 + found.bidirectional)
    assert (
        found.gates.keys()
        == {
            "rnn": set(),
            "gru": {"reset", "update", "candidate"},
            "lstm": {"input", "forget", "output", "cell", "candidate"},
            "mingru": {"update", "candidate"},
            "minlstm": {"input", "forget", "candidate"},
        }[cell]
    )
    assert all(values.shape == found.hidden.shape for values in found.gates.values())


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_running_sentiment_is_the_answer_to_each_prefix(bidirectional, pooling, monkeypatch, tiny):
    monkeypatch.setattr(reading, "BATCH", 4)
    task = tiny("sentiment", bidirectional=bidirectional, pooling=pooling, temperature=0.2)
    found = inspect(task, TEXT)
    beginnings = [" ".join(TOKENS[:end]) for end in range(1, len(TOKENS) + 1)]
    answers = pipeline("sentiment", task)(beginnings)
    close(found.probabilities, torch.tensor([list(answer["scores"].values()) for answer in answers]))


def test_tag_probabilities_are_the_answer(tiny):
    task = tiny("tagging")
    found = inspect(task, TEXT)
    close(found.probabilities.sum(1), torch.ones(len(TOKENS)))
    answer = pipeline("tagging", task)(TEXT)
    best, tags = found.probabilities.max(1)
    close(best, torch.tensor(answer["scores"]))
    assert [found.labels[tag] for tag in tags] == answer["tags"]
    assert inspect(tiny("translation"), TEXT).probabilities is None


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_at_the_end_follow_from_the_last_layer(cell, tiny):
    """There d loss / d h is W' (p - y), y what the model answers."""
    for name, bidirectional in (("sentiment", False), ("sentiment", True), ("tagging", True)):
        task = tiny(name, cell, bidirectional=bidirectional)
        found = inspect(task, TEXT)
        own = found.gradients[0]
        assert (own.model, own.trained) == (f"{cell}, trained", True)
        p = found.probabilities[-1].double()
        gradient = (p - (p == p.max()).double()) @ task.model.fc_out.weight.double()
        close(own.norms[-1, -2 if bidirectional else -1], gradient[:5].norm())
        assert own.norms.shape == (len(TOKENS), found.hidden.size(1))


def test_gradients_equal_those_of_a_pushed_state(tiny):
    """The norm at a step is the steepest change of the loss when that step's state is moved."""
    task = tiny("sentiment", "gru", bidirectional=False, num_layers=1)
    found = inspect(task, TEXT).gradients[0].norms[:, 0]
    model, rnn = task.model.double(), task.model.rnn
    tokens = torch.tensor(task.processor.tokens.encode([TEXT])).t()
    inputs = model.embedding(tokens).detach()
    label = model(tokens).argmax(-1)
    for step in (0, 4, 9):
        before = rnn(inputs[: step + 1])[1][0].detach().requires_grad_()
        last = rnn(inputs[step + 1 :], (before,))[1][0] if step < 9 else before
        loss = torch.nn.functional.cross_entropy(model.fc_out(last[-1]), label)
        (gradient,) = torch.autograd.grad(loss, before)
        torch.testing.assert_close(found[step], gradient.norm(), rtol=1e-6, atol=0)


def test_untrained_gradients_vanish_and_those_of_large_weights_explode(tiny):
    task = tiny("sentiment", "lstm", hidden_dim=32, bidirectional=False, num_layers=1)
    long = " ".join(TOKENS * 2)
    curves = {each.model: each for each in inspect(task, long).gradients}
    exploding = f"rnn, untrained, spectral radius {EXPLODING:g}"
    untrained = [f"{cell}, untrained" for cell in ("lstm", "rnn", "gru")]
    assert list(curves) == ["lstm, trained", *untrained, exploding]
    assert [each.trained for each in curves.values()] == [True, False, False, False, False]
    for name in untrained:
        assert curves[name].norms[0] < 1e-2 * curves[name].norms[-1]
    assert curves[exploding].norms[0] > 10 * curves[exploding].norms[-1]
    scaled = tiny("sentiment", "rnn").model.rnn
    inspection._scale(scaled, EXPLODING)
    for _, weight, *_ in scaled.all_weights:
        close(torch.linalg.eigvals(weight).abs().max(), torch.tensor(EXPLODING))


def test_the_model_and_the_random_numbers_stay_as_they_were(tiny):
    task = tiny("tagging").train()
    before, kind = {name: value.clone() for name, value in task.state_dict().items()}, str(task.model)
    state = torch.get_rng_state()
    first, second = inspect(task, TEXT), inspect(task, TEXT)
    assert torch.equal(torch.get_rng_state(), state)
    assert task.model.training
    assert str(task.model) == kind
    assert all(torch.equal(value, before[name]) for name, value in task.state_dict().items())
    for one, two in zip(first.gradients, second.gradients, strict=True):
        assert torch.equal(one.norms, two.norms)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ["", "  \n\u00a0"])
def test_text_without_words_is_refused(name, text, tiny):
    with pytest.raises(UsageError, match="no words: give a sentence"):
        inspect(tiny(name), text)


def test_refusals(tmp_path, monkeypatch, tiny):
    with pytest.raises(UsageError, match="is no text: 7"):
        inspect(tiny("sentiment"), 7)
    int8 = tiny("sentiment")
    quantize(int8.model)
    with pytest.raises(UsageError, match="int8: inspect the model that was quantized"):
        inspect(int8, TEXT)
    found = inspect(tiny("sentiment", "rnn"), "film")
    with pytest.raises(UsageError, match="format must be one of csv, parquet, not 'tsv'"):
        write(found, tmp_path / "out", "tsv")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file: cannot be written"):
        write(found, tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    monkeypatch.delattr(Tagging, "probe")
    with pytest.raises(
        UsageError, match="a model for tagging cannot be inspected: give a model that reads text"
    ):
        inspect(tiny("tagging"), TEXT)


def test_a_long_text_is_cut_with_one_warning(caplog, tiny):
    with caplog.at_level(logging.WARNING):
        found = inspect(tiny("sentiment"), " ".join(TOKENS * 5))
    assert len(found.tokens) == 20
    assert [record.message for record in caplog.records] == ["1 texts cut to the maximum length of 20 tokens"]


@pytest.mark.parametrize("name", ["sentiment", "tagging", "translation", "language_modeling"])
def test_unknown_words_are_shown_as_they_are_written(name, tiny):
    tokens = inspect(tiny(name), "the Xyzzy is not plugh").tokens
    expected = ["the", "Xyzzy", "is", "not", "plugh"]
    if name == "translation":  # which reads from the end
        assert tokens == expected[::-1]
    else:
        assert [token for token in tokens if token != "<bos>"] == expected


def test_unknown_words_of_a_text_that_is_cut(tiny):
    words = [f"new{number}" for number in range(30)]
    assert inspect(tiny("sentiment"), " ".join(words)).tokens == words[:20]


def test_an_inspection_prints_what_it_holds_rather_than_the_numbers(tiny):
    found = inspect(tiny("sentiment", "gru", num_layers=1), "the film is good")
    assert repr(found) == (
        f"Inspection({found.model}; hidden, reset, update, candidate, each [4, 2, 5]; gradients of 5 models)"
    )
