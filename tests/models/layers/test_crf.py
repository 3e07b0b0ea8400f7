"""Linear chains against the enumeration of all sequences of tags."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_rnn.models.layers import crf
from nlp_rnn.models.layers.crf import LinearChain, LinearChainCRF

few = settings(derandomize=True, max_examples=40, deadline=None, database=None)


@st.composite
def chains(draw, max_tags=4, max_steps=5):
    """A layer, emissions [T, B, C] and lengths [B], in float64."""
    tags, steps = draw(st.integers(1, max_tags)), draw(st.integers(0, max_steps))
    lengths = torch.tensor(draw(st.lists(st.integers(0, steps), min_size=1, max_size=4)))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**30)))
    allowed = draw(st.sampled_from([0.6, 1.0]))
    masks = [torch.rand(*shape, generator=generator) < allowed for shape in [(tags,), (tags, tags), (tags,)]]
    masks[0][0] = masks[1][0] = masks[1][:, 0] = masks[2][0] = True  # some sequence is allowed
    layer = draw(st.sampled_from([LinearChain, LinearChainCRF]))(*masks).double()
    scale = draw(st.sampled_from([0.1, 3.0, 200.0]))
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * scale)
    emissions = torch.randn(steps, len(lengths), tags, generator=generator, dtype=torch.float64) * scale
    return layer, emissions, lengths


def enumerate_sequences(layer, emissions):
    """Each allowed sequence of tags of one row [T, C], and its score."""
    start, transitions, end = layer.scores(emissions)
    steps, tags = emissions.shape
    scores = {}
    for sequence in itertools.product(range(tags), repeat=steps):
        pairs = list(itertools.pairwise(sequence))
        forbidden = [layer.forbidden_transitions[pair] for pair in pairs]
        if sequence:
            forbidden += [layer.forbidden_start[sequence[0]], layer.forbidden_end[sequence[-1]]]
        if any(forbidden):
            continue
        score = emissions[range(steps), sequence].sum() + sum(transitions[pair] for pair in pairs)
        scores[sequence] = score + (start[sequence[0]] + end[sequence[-1]] if sequence else 0.0)
    return scores


@few
@given(chain=chains(), data=st.data())
def test_likelihood_equals_enumeration(chain, data):
    layer, emissions, lengths = chain
    tags = torch.full(emissions.shape[:2], -100)
    expected = []
    for row, length in enumerate(lengths.tolist()):
        scores = enumerate_sequences(layer, emissions[:length, row])
        sequence = data.draw(st.sampled_from(sorted(scores)))
        shown = data.draw(st.lists(st.booleans(), min_size=length, max_size=length))
        for step, tag in enumerate(sequence):
            tags[step, row] = tag if shown[step] else -101
        wanted = [(step, tag) for step, tag in enumerate(sequence) if shown[step]]
        same = [s for s in scores if all(s[step] == tag for step, tag in wanted)]
        total = torch.stack(list(scores.values())).logsumexp(0)
        expected.append(torch.stack([scores[s] for s in same]).logsumexp(0) - total)
    likelihood = layer.log_likelihood(emissions, tags, lengths)
    torch.testing.assert_close(likelihood, torch.stack(expected), rtol=1e-9, atol=1e-6)


@few
@given(chain=chains())
def test_best_tags_and_marginals_equal_enumeration(chain):
    layer, emissions, lengths = chain
    best, marginals = layer.best_tags(emissions, lengths), layer.marginals(emissions, lengths).exp()
    for row, length in enumerate(lengths.tolist()):
        scores = enumerate_sequences(layer, emissions[:length, row])
        assert scores[tuple(best[:length, row].tolist())] == max(scores.values())
        assert (best[length:, row] == 0).all()
        assert (marginals[length:, row] == 1).all()
        weights = torch.stack(list(scores.values())).softmax(0)
        expected = torch.zeros(length, emissions.size(-1), dtype=torch.float64)
        for sequence, weight in zip(scores, weights, strict=True):
            expected[range(length), sequence] += weight
        torch.testing.assert_close(marginals[:length, row], expected, rtol=1e-6, atol=1e-6)


def test_what_is_not_allowed_has_no_probability():
    allowed = torch.tensor([[False, False], [True, True]])
    layer = LinearChainCRF(torch.tensor([True, True]), allowed, torch.tensor([True, True]))
    emissions = torch.tensor([[[5.0, 0.0]], [[-50.0, 50.0]]])
    lengths = torch.tensor([2])
    assert layer.best_tags(emissions, lengths)[:, 0].tolist() == [1, 1]
    assert layer.marginals(emissions, lengths).exp()[0, 0, 0] == 0
    assert layer.log_likelihood(emissions, torch.tensor([[0], [1]]), lengths).exp() == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_behind_an_end_and_who_else_is_in_the_batch_does_not_matter(dtype):
    torch.manual_seed(0)
    layer = LinearChainCRF(*(torch.rand(*shape) < 0.8 for shape in [(9,), (9, 9), (9,)]))
    torch.nn.init.normal_(layer.transitions)
    lengths = torch.tensor([4, 0, 9, 7, 1])
    emissions = torch.randn(9, 5, 9).to(dtype)
    tags = torch.randint(9, (9, 5))
    changed = emissions.clone()
    for row, length in enumerate(lengths.tolist()):
        changed[length:, row] = torch.nan
    results = []
    for inputs in (emissions, changed):
        marginals = layer.marginals(inputs, lengths)
        assert marginals.dtype == torch.float32
        likelihood, best = layer.log_likelihood(inputs, tags, lengths), layer.best_tags(inputs, lengths)
        results.append((likelihood, best, marginals))
    for whole, other in zip(*results, strict=True):
        assert torch.equal(whole, other)
    likelihood, best, _ = results[0]
    for row, length in enumerate(lengths.tolist()):
        alone, part = emissions[:length, [row]], lengths[[row]]
        assert torch.equal(layer.best_tags(alone, part)[:, 0], best[:length, row])
        one = layer.log_likelihood(alone, tags[:length, [row]], part)
        torch.testing.assert_close(one[0], likelihood[row])


def test_probabilities_of_long_sequences_sum_to_one():
    every = torch.ones(5, dtype=torch.bool)
    layer = LinearChainCRF(every, every.expand(5, 5), every)
    lengths = torch.tensor([400, 150])
    emissions = 20 * torch.randn(400, 2, 5, generator=torch.Generator().manual_seed(0))
    probabilities = layer.marginals(emissions, lengths).exp()
    inside = torch.arange(400)[:, None] < lengths
    torch.testing.assert_close(probabilities.sum(-1)[inside], torch.ones(550), rtol=0, atol=1e-6)
    exact = layer.double().marginals(emissions.double(), lengths).exp()
    torch.testing.assert_close(probabilities.double(), exact, rtol=0, atol=1e-2)


def test_gradients():
    torch.manual_seed(0)
    allowed = torch.ones(3, 3, dtype=torch.bool)
    allowed[0, 1] = False
    layer = LinearChainCRF(allowed[1], allowed, allowed[2]).double()
    lengths, tags = torch.tensor([3, 1, 0]), torch.tensor([[1, 2, -100], [-101, 0, 0], [2, 0, 0]])
    emissions = torch.randn(3, 3, 3, dtype=torch.float64, requires_grad=True)

    def likelihood(emissions, *scores):
        return torch.func.functional_call(layer, dict(zip(names, scores, strict=True)), (emissions,))

    names = [name for name, _ in layer.named_parameters()]
    layer.forward = lambda emissions: layer.log_likelihood(emissions, tags, lengths)
    scores = [torch.randn_like(parameter, requires_grad=True) for parameter in layer.parameters()]
    assert torch.autograd.gradcheck(likelihood, (emissions, *scores))
    layer.forward = lambda emissions: layer.marginals(emissions, lengths)
    assert torch.autograd.gradcheck(likelihood, (emissions, *scores))


def test_autocast_does_not_lower_the_precision():
    torch.manual_seed(0)
    layer = LinearChainCRF(*(torch.ones(shape, dtype=torch.bool) for shape in [(5,), (5, 5), (5,)]))
    emissions, lengths, tags = (
        torch.randn(6, 2, 5),
        torch.tensor([6, 3]),
        torch.zeros(6, 2, dtype=torch.int64),
    )
    expected = layer.log_likelihood(emissions, tags, lengths)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer.log_likelihood(emissions, tags, lengths), expected)


def test_many_tags_keep_little_for_the_gradients_which_stay_the_same(monkeypatch):
    torch.manual_seed(0)
    steps, rows, size = 12, 3, 20
    every = torch.ones(size, dtype=torch.bool)
    layer = LinearChainCRF(every, every.expand(size, -1), every).double()
    with torch.no_grad():
        layer.transitions.normal_()
    tags, lengths = torch.randint(size, (steps, rows)), torch.tensor([12, 9, 1])
    results, kept = [], []
    for limit in (1 << 28, 0):
        monkeypatch.setattr(crf, "_MAX_KEPT", limit)
        emissions = torch.randn(
            steps, rows, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64
        ).requires_grad_()
        layer.zero_grad()
        storages = {}

        def keep(tensor, storages=storages):
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes() // 8
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            likelihood = layer.log_likelihood(emissions, tags, lengths).sum()
        likelihood.backward()
        results.append([likelihood.detach(), emissions.grad, layer.transitions.grad.clone()])
        kept.append(sum(storages.values()))
    torch.testing.assert_close(*results, rtol=0, atol=0)
    pairs = size**2 * 2 * int((lengths - 1).clamp(min=0).sum())  # the two recursions
    assert kept[0] > pairs > 5 * kept[1]
