"""A sequence's tags are the same alone, among longer sequences and step by step."""

import itertools

import pytest
import torch

from nlp_rnn.models.layers.cells import CELLS
from nlp_rnn.models.tagger import SeriesTagger, Tagger

LENGTHS = torch.tensor([4, 0, 7, 1, 7])
CASES = list(itertools.product(CELLS, (False, True), (1, 2)))


@pytest.mark.parametrize("characters", [False, True])
@pytest.mark.parametrize(("cell", "bidirectional", "depth"), CASES)
def test_a_sequence_alone_equals_itself_in_a_batch(cell, bidirectional, depth, characters):
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


@pytest.mark.parametrize(("cell", "bidirectional", "depth"), CASES)
def test_a_series_alone_equals_itself_in_a_batch(cell, bidirectional, depth):
    model = SeriesTagger(6, 4, 5, depth, 0.5, cell, bidirectional).eval()
    vectors = torch.randn(7, 5, 6, dtype=torch.float64)  # not the dtype of the weights
    together = model(vectors, LENGTHS)
    assert together.shape == (7, 5, 4)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = model(vectors[:length, row : row + 1])
        torch.testing.assert_close(together[:length, row], alone[:, 0], atol=1e-6, rtol=0)


@pytest.mark.parametrize(("cell", "depth", "characters"), itertools.product(CELLS, (1, 2), (False, True)))
def test_steps_equal_the_whole_sequence(cell, depth, characters):
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


def test_a_bidirectional_tagger_cannot_run_step_by_step():
    model = Tagger(20, 3, 6, 5, 1, 0.5)
    with pytest.raises(ValueError, match="cannot run step by step"):
        model.step(torch.tensor([3]), model.initial_state(1))


@pytest.mark.parametrize("missing", ["characters", "character_lengths", "spelling"])
def test_a_tagger_of_characters_needs_them(missing):
    model = Tagger(5, 2, 3, 3, 1, 0.0, character_vocab_size=4)
    words = torch.zeros(2, 1, dtype=torch.long)
    letters = {"characters": words, "character_lengths": torch.tensor([2]), "spelling": words}
    assert model(words, **letters).shape == (2, 1, 2)
    with pytest.raises(ValueError, match="reads characters"):
        model(words, **{**letters, missing: None})


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_nan_behind_an_end_reaches_no_gradient(cell, bidirectional):
    model = SeriesTagger(3, 4, 5, 2, 0.0, cell, bidirectional)
    vectors = torch.randn(6, 2, 3)
    vectors[2:, 0] = vectors[1:, 1] = torch.nan
    scores = model(vectors, torch.tensor([2, 1]))
    (scores[:2, 0].sum() + scores[0, 1].sum()).backward()
    assert all(weight.grad.isfinite().all() for weight in model.parameters())


@pytest.mark.parametrize("locked", [False, True])
def test_locked_dropout_drops_the_same_features_of_all_words(locked):
    torch.manual_seed(0)
    model = Tagger(20, 4, 40, 30, 2, 0.5, locked=locked)
    read = []
    for layer in (model.rnn, model.fc_out):
        layer.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0] == 0))
    model(torch.randint(20, (7, 5)), LENGTHS)
    for dropped in read:  # [T, B, F]
        whole = dropped[:, LENGTHS == 7]
        assert 0.3 < whole.float().mean() < 0.7
        assert bool((whole == whole[:1]).all()) == locked
        assert not (whole[:, 0] == whole[:, 1]).all()
    assert len(read) == 2
    plain = Tagger(20, 4, 40, 30, 2, 0.5)
    plain.load_state_dict(model.state_dict())
    words = torch.randint(20, (7, 5))
    assert torch.equal(model.eval()(words, LENGTHS), plain.eval()(words, LENGTHS))


def test_affixes_are_added_and_needed():
    torch.manual_seed(0)
    model = Tagger(20, 4, 6, 5, 1, 0.0, num_affixes=2, affix_buckets=7).eval()
    words, affixes = torch.randint(20, (7, 5)), torch.randint(7, (7, 2, 5)) + torch.tensor([[0], [7]])
    plain = Tagger(20, 4, 6, 5, 1, 0.0).eval()
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if "affix" not in k})
    assert torch.equal(model(words, LENGTHS, affixes=affixes), plain(words, LENGTHS))  # zeros at first
    torch.nn.init.normal_(model.affix_embedding.weight)
    read = []
    model.rnn.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    model(words, LENGTHS, affixes=affixes)
    vectors = model.affix_embedding.weight[affixes]  # [T, A, B, E]
    torch.testing.assert_close(read[0], model.embedding.weight[words] + vectors.sum(1))
    with pytest.raises(ValueError, match="reads affixes"):
        model(words, LENGTHS)
