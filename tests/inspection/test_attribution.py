"""Attributions add up to what they explain."""

import pytest
import torch

from nlp_rnn.errors import UsageError
from nlp_rnn.inference.pipelines import pipeline
from nlp_rnn.inspection.attribution import TOLERANCE, attribute
from nlp_rnn.models.layers.cells import CELLS
from nlp_rnn.models.layers.quantization import quantize
from nlp_rnn.models.pooling import POOLINGS

TEXT = "the work is not good , but the film is"
TOKENS = TEXT.split()


def sharpened(task):
    """A model whose answers differ much from text to text."""
    with torch.no_grad():
        for parameter in task.parameters():
            parameter.mul_(1.5)
    return task


@pytest.mark.parametrize("name", ["sentiment", "language_modeling"])
@pytest.mark.parametrize("cell", CELLS)
def test_integrated_gradients_sum_to_the_difference_of_outputs(name, cell, tiny):
    explained = attribute(sharpened(tiny(name, cell)), TEXT)
    assert explained.tokens == [*["<bos>"] * (name == "language_modeling"), *TOKENS]
    difference = explained.log_odds - explained.baseline
    assert abs(difference) > 100 * TOLERANCE
    assert float(explained.gradients.sum()) == pytest.approx(difference, abs=TOLERANCE)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_they_do_for_each_pooling_and_direction(pooling, bidirectional, tiny):
    explained = attribute(sharpened(tiny("sentiment", pooling=pooling, bidirectional=bidirectional)), TEXT)
    difference = explained.log_odds - explained.baseline
    assert float(explained.gradients.sum()) == pytest.approx(difference, abs=TOLERANCE)


def test_of_a_linear_model_they_are_the_terms_of_its_sum(tiny):
    """With a mean of outputs of layers that copy their input, each token adds its own share."""
    task = tiny("sentiment", "mingru", num_layers=1, bidirectional=False, pooling="mean")
    layer = task.model.rnn
    with torch.no_grad():  # the update gate is open, so that the state is the candidate, which is linear
        for parameter in layer.parameters():
            parameter[: layer.hidden_size] = 0
        dict(layer.named_parameters())["bias_ih_l0"][: layer.hidden_size] = 30
    explained = attribute(task, TEXT)
    ids = torch.tensor(task.processor.tokens.encode([TEXT]))[0]
    candidate = layer.all_weights[0][0][layer.hidden_size :]
    weights = task.model.fc_out.weight[0] - task.model.fc_out.weight[1]
    terms = task.model.embedding(ids) @ candidate.t() @ weights / len(ids)
    sign = 1 if explained.answer == "negative" else -1
    torch.testing.assert_close(explained.gradients, (sign * terms).double().detach(), atol=1e-5, rtol=1e-4)


def test_words_left_out_are_asked_of_the_model(tiny):
    task = sharpened(tiny("sentiment"))
    task.temperature = 0.5
    explained = attribute(task, TEXT)
    answer = pipeline("sentiment", task)
    assert explained.answer == answer(TEXT)["label"]
    for place in range(len(TOKENS)):
        for other, found in (([], explained.undone), (["unseen"], explained.replaced)):
            scores = answer(" ".join([*TOKENS[:place], *other, *TOKENS[place + 1 :]]))["scores"]
            p = torch.tensor(scores[explained.answer], dtype=torch.float64)
            assert float(found[place]) == pytest.approx(explained.log_odds - float(p.logit()), abs=1e-3)
        without = answer(" ".join([*TOKENS[:place], *TOKENS[place + 1 :]]))["label"]
        assert explained.answers_without[place] == without
        assert (place in explained.turning()) == (without != explained.answer)


def test_bos_cannot_be_left_out(tiny):
    explained = attribute(tiny("language_modeling"), TEXT)
    assert explained.undone[0].isnan()
    assert explained.answers_without[0] is None
    assert not explained.undone[1:].isnan().any()


def test_the_model_stays_as_it_was(tiny):
    task = tiny("sentiment").train()
    before, printed = {name: value.clone() for name, value in task.state_dict().items()}, str(task.model)
    attribute(task, TEXT)
    assert task.model.training
    assert str(task.model) == printed
    assert all(torch.equal(value, before[name]) for name, value in task.state_dict().items())


def test_refusals(tiny):
    with pytest.raises(UsageError, match="tagging has not one answer per text to explain"):
        attribute(tiny("tagging"), TEXT)
    with pytest.raises(UsageError, match="no words: give a sentence"):
        attribute(tiny("sentiment"), "  ")
    int8 = tiny("sentiment")
    quantize(int8.model)
    with pytest.raises(UsageError, match="int8: inspect the model that was quantized"):
        attribute(int8, TEXT)
