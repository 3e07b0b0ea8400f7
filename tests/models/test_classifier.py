"""A sequence's classes are the same alone, among longer sequences, in any order and step by step."""

import itertools

import pytest
import torch

from nlp_rnn.models.classifier import POOLINGS, Classifier
from nlp_rnn.models.layers.cells import CELLS

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
    with pytest.raises(ValueError, match="'sum': use one of last, mean, max"):
        Classifier(5, 2, 3, 3, 1, 0.0, pooling="sum")
