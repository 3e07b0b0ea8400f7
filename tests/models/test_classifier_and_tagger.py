"""A sequence's answer is the same alone, among longer ones and in any order, for every model."""

import itertools

import pytest
import torch

from nlp_rnn.models.classifier import POOLINGS, Classifier
from nlp_rnn.models.layers.cells import CELLS
from nlp_rnn.models.tagger import Tagger

LENGTHS = torch.tensor([4, 0, 7, 1, 7])
CASES = list(itertools.product(CELLS, (False, True), (1, 2)))


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize(("cell", "bidirectional", "depth"), CASES)
def test_classifier_alone_equals_batched(cell, bidirectional, depth, pooling):
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


@pytest.mark.parametrize("characters", [False, True])
@pytest.mark.parametrize(("cell", "bidirectional", "depth"), CASES)
def test_tagger_alone_equals_batched(cell, bidirectional, depth, characters):
    torch.manual_seed(0)
    model = Tagger(20, 4, 6, 5, depth, 0.5, cell, bidirectional, 9 if characters else 0, 3, 4).eval()
    words = torch.randint(20, (7, 5))
    spelled = torch.randint(9, (6, 8))
    spelled_lengths = torch.tensor([1, 2, 3, 4, 5, 6, 0, 2])
    spelling = torch.randint(8, (7, 5))
    letters = (spelled, spelled_lengths, spelling) if characters else ()
    together = model(words, LENGTHS, *letters)
    assert together.shape == (7, 5, 4)
    for row, length in enumerate(LENGTHS.tolist()):
        one = slice(row, row + 1)
        if characters:
            letters = (spelled, spelled_lengths, spelling[:length, one])
        alone = model(words[:length, one], None, *letters)
        torch.testing.assert_close(together[:length, row], alone[:, 0], atol=1e-6, rtol=0)


@pytest.mark.parametrize(("cell", "depth", "pooling"), itertools.product(CELLS, (1, 2), POOLINGS))
def test_classifier_steps_equal_the_whole(cell, depth, pooling):
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


@pytest.mark.parametrize(("cell", "depth", "characters"), itertools.product(CELLS, (1, 2), (False, True)))
def test_tagger_steps_equal_the_whole(cell, depth, characters):
    torch.manual_seed(0)
    model = Tagger(20, 4, 6, 5, depth, 0.5, cell, False, 9 if characters else 0, 3, 4).eval()
    words, spelling = torch.randint(20, (7, 5)), torch.randint(8, (7, 5))
    letters = (torch.randint(9, (6, 8)), torch.tensor([1, 2, 3, 4, 5, 6, 0, 2])) if characters else ()
    whole = model(words, None, *letters, *([spelling] if characters else []))
    state = model.initial_state(5)
    with torch.no_grad():
        for time in range(7):
            logits, state = model.step(
                words[time], state, *letters, *([spelling[time]] if characters else [])
            )
            torch.testing.assert_close(logits, whole[time], atol=1e-6, rtol=0)


@pytest.mark.parametrize("make", [Classifier, Tagger])
def test_models_that_read_from_both_ends_have_no_steps(make):
    model = make(20, 3, 6, 5, 1, 0.5)
    with pytest.raises(ValueError, match="cannot run step by step"):
        model.step(torch.tensor([3]), model.initial_state(1))


def test_unknown_pooling_is_refused():
    with pytest.raises(ValueError, match="'sum': use one of last, mean, max"):
        Classifier(5, 2, 3, 3, 1, 0.0, pooling="sum")


def test_a_tagger_of_characters_needs_them():
    model = Tagger(5, 2, 3, 3, 1, 0.0, character_vocab_size=4)
    with pytest.raises(ValueError, match="reads characters"):
        model(torch.zeros(2, 1, dtype=torch.long))
