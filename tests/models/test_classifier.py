"""A sequence's classes are the same alone, among longer sequences, in any order and step by step."""

import itertools

import pytest
import torch

from nlp_rnn.models.classifier import Classifier
from nlp_rnn.models.layers.cells import CELLS
from nlp_rnn.models.pooling import POOLINGS

LENGTHS = torch.tensor([4, 0, 7, 1, 7])
CASES = list(itertools.product(CELLS, (False, True), (1, 2)))


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize(("cell", "bidirectional", "depth"), CASES)
def test_a_sequence_alone_equals_itself_in_a_batch(cell, bidirectional, depth, pooling):
    torch.manual_seed(0)
    model = Classifier(20, 3, 6, 5, depth, 0.5, cell, bidirectional, pooling).eval()
    tokens = torch.randint(20, (7, 5))
    together = model(tokens, LENGTHS)
    assert together.shape == (5, 3)
    assert together.isfinite().all()
    for row, length in enumerate(LENGTHS.tolist()):
        alone = model(tokens[:length, row : row + 1])
        torch.testing.assert_close(together[row], alone[0], atol=1e-6, rtol=0)
    order = torch.tensor([3, 1, 4, 0, 2])
    torch.testing.assert_close(model(tokens[:, order], LENGTHS[order]), together[order], atol=1e-6, rtol=0)


@pytest.mark.parametrize(("cell", "depth", "pooling"), itertools.product(CELLS, (1, 2), POOLINGS))
def test_steps_equal_the_whole_sequence(cell, depth, pooling):
    torch.manual_seed(0)
    model = Classifier(20, 3, 6, 5, depth, 0.5, cell, False, pooling).eval()
    tokens = torch.randint(20, (7, 4))
    state = model.initial_state(4)
    sizes = [part.shape for part in state]
    with torch.no_grad():
        for time in range(7):
            logits, state = model.step(tokens[time], state)
            torch.testing.assert_close(logits, model(tokens[: time + 1]), atol=1e-6, rtol=0)
            assert [part.shape for part in state] == sizes


def test_a_bidirectional_classifier_cannot_run_step_by_step():
    model = Classifier(20, 3, 6, 5, 1, 0.5)
    with pytest.raises(ValueError, match="cannot run step by step"):
        model.step(torch.tensor([3]), model.initial_state(1))


def test_unknown_pooling_is_refused():
    with pytest.raises(ValueError, match="'sum': use one of last, mean, max, concat, attention"):
        Classifier(5, 2, 3, 3, 1, 0.0, pooling="sum")


def test_attention_weighs_outputs_by_their_products_with_the_query():
    torch.manual_seed(0)
    model = Classifier(20, 3, 6, 5, 1, 0.0, pooling="attention")
    tokens = torch.randint(20, (7, 5))
    outputs, _ = model.rnn(model.embedding(tokens), lengths=LENGTHS)
    summary = model.summarize(tokens, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        states = outputs[:length, row]
        torch.testing.assert_close(summary[row], (states @ model.query).softmax(0) @ states)
    with torch.no_grad():
        model.query.mul_(1e6)  # then the output with the largest product is all
    (states,) = outputs[:, 4:].unbind(1)
    best = states[(states @ model.query).argmax()]
    torch.testing.assert_close(model.summarize(tokens, LENGTHS)[4], best, atol=1e-4, rtol=0)
    model.train()(tokens, LENGTHS).sum().backward()
    assert model.query.grad.isfinite().all()


def test_attention_streams_with_scores_of_any_size():
    torch.manual_seed(0)
    model = Classifier(20, 3, 6, 5, 1, 0.0, "gru", False, "attention").eval()
    with torch.no_grad():
        model.query.mul_(1e4)
        tokens = torch.randint(20, (30, 4))
        state = model.initial_state(4)
        for time in range(30):
            logits, state = model.step(tokens[time], state)
            torch.testing.assert_close(logits, model(tokens[: time + 1]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("pooling", ["last", "mean"])
@pytest.mark.parametrize("locked", [False, True])
def test_locked_dropout_drops_the_same_features_of_all_steps(locked, pooling):
    torch.manual_seed(0)
    model = Classifier(20, 4, 40, 30, 2, 0.5, pooling=pooling, locked=locked)
    read = {}
    for layer in (model.rnn, model.fc_out):
        layer.register_forward_pre_hook(lambda layer, inputs: read.update({layer: inputs[0] == 0}))
    model(torch.randint(20, (7, 5)), LENGTHS)
    embedded, features = (read[layer] for layer in (model.rnn, model.fc_out))
    whole = embedded[:, LENGTHS == 7]
    assert 0.3 < whole.float().mean() < 0.7
    assert bool((whole == whole[:1]).all()) == locked
    assert not (whole[:, 0] == whole[:, 1]).all()
    assert not (features[2] == features[4]).all()  # each text has a mask of its own
