"""The language model answers step by step as at once, from any state, with tied and with dropped weights."""

import copy

import pytest
import torch
from torch.nn import functional as F

from nlp_rnn.models.language_model import LanguageModel
from nlp_rnn.models.layers.cells import CELLS
from nlp_rnn.models.layers.loss import linear_cross_entropy
from nlp_rnn.models.layers.quantization import quantize

CASES = [(cell, tied) for cell in CELLS for tied in (False, True)]


def model(cell="lstm", tied=False, **options):
    made = LanguageModel(11, 6, 6, 2, 0.5, cell, tied, **options).eval()
    for weight in made.parameters():
        torch.nn.init.uniform_(weight, -1, 1)
    return made


@pytest.mark.parametrize(("cell", "tied"), CASES)
@torch.no_grad()
def test_steps_and_pieces_equal_the_whole_sequence(cell, tied):
    reader, tokens = model(cell, tied), torch.randint(11, (9, 3))
    whole, final = reader(tokens)
    assert whole.shape == (9, 3, 11)
    assert isinstance(final, tuple)
    state = reader.rnn.initial_state(3, torch.zeros(1))
    steps = []
    for row in tokens:
        logits, state = reader.step(row, state)
        steps.append(logits)
    parts, between = reader(tokens[:4])
    rest, end = reader(tokens[4:], between)
    for found, last in ((torch.stack(steps), state), (torch.cat([parts, rest]), end)):
        assert torch.allclose(found, whole, atol=1e-6)
        assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(last, final, strict=True))


@pytest.mark.parametrize(("cell", "tied"), CASES)
@torch.no_grad()
def test_each_sequence_stops_at_its_length(cell, tied):
    reader, tokens, lengths = model(cell, tied), torch.randint(11, (7, 3)), torch.tensor([7, 0, 3])
    together, state = reader(tokens, lengths=lengths)
    features = reader.features(tokens, lengths)
    for column, length in enumerate(lengths.tolist()):
        alone, final = reader(tokens[:length, column : column + 1])
        assert torch.allclose(together[:length, column], alone[:, 0], atol=1e-6)
        assert torch.allclose(reader.logits(features)[:length, column], alone[:, 0], atol=1e-6)
        for ours, theirs in zip(state, final, strict=True):
            assert torch.allclose(ours[:, column], theirs[:, 0], atol=1e-6)


def test_tied_weights_are_one_parameter_with_gradients_from_both_uses():
    tied, plain = model(tied=True), model()
    names = set(dict(tied.named_parameters()))
    assert names == set(tied.state_dict())
    assert names == set(dict(plain.named_parameters())) - {"fc_out.weight", "fc_out.bias"} | {"bias"}
    shared = tied.state_dict()
    bias = shared.pop("bias")
    plain.load_state_dict({**shared, "fc_out.weight": tied.embedding.weight.detach(), "fc_out.bias": bias})
    tokens, labels = torch.randint(11, (5, 2)), torch.randint(11, (10,))
    for one in (tied, plain):
        linear_cross_entropy(one.read(tokens)[0].flatten(0, 1), *one.output, labels).backward()
    expected = plain.embedding.weight.grad + plain.fc_out.weight.grad
    assert plain.fc_out.weight.grad.abs().max() > 1e-3
    assert torch.allclose(tied.embedding.weight.grad, expected, atol=1e-6)
    assert torch.allclose(tied.bias.grad, plain.fc_out.bias.grad, atol=1e-6)
    F.cross_entropy(tied(tokens)[0].flatten(0, 1), labels).backward()
    assert torch.allclose(tied.embedding.weight.grad, 2 * expected, atol=1e-5)


def test_tied_weights_need_equal_sizes():
    with pytest.raises(ValueError, match="embedding_dim and hidden_dim to be equal, not 4 and 6"):
        LanguageModel(11, 4, 6, 1, 0.0, tie_weights=True)


@torch.no_grad()
def test_tied_weights_are_quantized_together():
    plain = model(tied=True)
    rounded, tokens = quantize(copy.deepcopy(plain)), torch.randint(11, (5, 2))
    assert (rounded(tokens)[0] - plain(tokens)[0]).abs().max() < 0.2
    again = quantize(model(tied=True))
    again.load_state_dict(rounded.state_dict())
    assert torch.equal(again(tokens)[0], rounded(tokens)[0])


@pytest.mark.parametrize("option", [{"locked": True}, {"weight_dropout": 0.5}])
def test_regularization_acts_in_training_only(option):
    plain, other, tokens = model(), model(**option), torch.randint(11, (6, 2))
    other.load_state_dict(plain.state_dict())
    assert torch.equal(other(tokens)[0], plain(tokens)[0])
    other.train()
    assert not torch.equal(other(tokens)[0], other(tokens)[0])


def test_locked_dropout_has_one_mask_for_all_steps():
    locked = model(locked=True).train()
    embedded = locked.dropout(torch.ones(8, 2, 6))
    assert torch.equal(embedded, embedded[:1].expand_as(embedded))
    assert {0.0, 2.0} == set(embedded.unique().tolist())


def test_tied_embeddings_start_small_and_spread():
    torch.manual_seed(0)
    weight = LanguageModel(500, 20, 20, 1, 0.0, tie_weights=True).embedding.weight.detach()
    assert weight.abs().max() <= 0.1
    assert abs(weight.mean()) < 0.005
    assert weight.std() == pytest.approx(0.2 / 12**0.5, rel=0.05)  # of a uniform distribution
