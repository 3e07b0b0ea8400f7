"""Samples follow the model's distribution, as temperature, top-k and top-p change it."""

import itertools
import math

import pytest
import torch

from nlp_rnn.models.sampling import sample, stream
from nlp_rnn.models.search import greedy

EOS, BOS = 0, 1

# Tokens: 0 EOS, 1 BOS, 2 a, 3 b, 4 c; the probabilities of the next token, one row per last token.
TABLE = [
    [1.0, 0.0, 0.0, 0.0, 0.0],
    [0.05, 0.0, 0.5, 0.4, 0.05],
    [0.3, 0.0, 0.2, 0.25, 0.25],
    [0.9, 0.0, 0.05, 0.0, 0.05],
    [0.2, 0.0, 0.3, 0.3, 0.2],
]
LOG_TABLE = torch.tensor(TABLE).log()
OPTIONS = {"bos_id": BOS, "eos_id": EOS}


def chain(tokens, state):
    """A step function whose logits depend on the last token only."""
    return LOG_TABLE[tokens], state


def start(rows=1):
    return (torch.zeros(1, rows, 1),)


def first_tokens(rows=4000, **options):
    """The first tokens of many samples after BOS, as frequencies [vocab]."""
    generator = torch.Generator().manual_seed(0)
    hypotheses = sample(chain, start(rows), max_length=1, generator=generator, **OPTIONS, **options)
    tokens = torch.tensor([h.tokens[0] if h.tokens else EOS for h in hypotheses])
    return torch.bincount(tokens, minlength=5) / rows


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0.05, 0, 0.5, 0.4, 0.05]),
        ({"top_p": 0.49}, [0, 0, 1, 0, 0]),  # a alone reaches it
        ({"top_p": 0.51}, [0, 0, 5 / 9, 4 / 9, 0]),
        ({"top_p": 1.0}, [0.05, 0, 0.5, 0.4, 0.05]),
        ({"top_p": 1e-9}, [0, 0, 1, 0, 0]),
        ({"top_k": 2}, [0, 0, 5 / 9, 4 / 9, 0]),
        ({"top_k": 99}, [0.05, 0, 0.5, 0.4, 0.05]),
        ({"top_k": 2, "top_p": 0.5}, [0, 0, 1, 0, 0]),  # 5/9 of the mass that top_k leaves
        ({"temperature": 1e-4}, [0, 0, 1, 0, 0]),
        ({"temperature": 1e-60}, [0, 0, 1, 0, 0]),
        ({"temperature": 1e6}, [0.25, 0, 0.25, 0.25, 0.25]),
        ({"temperature": 0.5}, [0.0060, 0, 0.6024, 0.3855, 0.0060]),  # squares, renormalized
        ({"forbidden": [2]}, [0.1, 0, 0, 0.8, 0.1]),
    ],
)
def test_frequencies_of_samples(options, expected):
    torch.testing.assert_close(
        first_tokens(**options), torch.tensor(expected, dtype=torch.float), atol=0.025, rtol=0
    )


@pytest.mark.parametrize(("top_p", "kept"), [(0.25, 1), (0.5, 2), (0.51, 3), (0.75, 3)])
def test_top_p_keeps_no_token_more_than_its_sum_needs(top_p, kept):
    """Four tokens of probability 1/4, whose sums are exact."""
    samples = sample(
        lambda tokens, state: (torch.zeros(len(tokens), 4), state),
        start(200),
        max_length=1,
        top_p=top_p,
        **OPTIONS,
    )
    assert len({tuple(hypothesis.tokens) for hypothesis in samples}) == kept


def test_samples_depend_on_the_generator_only():
    runs = []
    for global_seed, seed in ((0, 7), (1, 7), (0, 8)):
        torch.manual_seed(global_seed)
        generator = torch.Generator().manual_seed(seed)
        runs.append(sample(chain, start(20), max_length=9, generator=generator, **OPTIONS))
    assert runs[0] == runs[1] != runs[2]


def test_a_sample_is_scored_by_the_model_without_temperature_and_top_p():
    hypotheses = sample(chain, start(30), max_length=5, temperature=3.0, top_p=0.9, **OPTIONS)
    assert {h.finished for h in hypotheses} == {True, False}
    for hypothesis in hypotheses:
        path = [BOS, *hypothesis.tokens, *([EOS] if hypothesis.finished else [])]
        expected = sum(LOG_TABLE[last, token].item() for last, token in itertools.pairwise(path))
        assert hypothesis.log_prob == hypothesis.score == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("temperature", [None, 0.8])
def test_a_stream_yields_the_tokens_of_the_whole_sequence(temperature):
    options = {"max_length": 9, **OPTIONS}
    if temperature is None:
        (whole,) = greedy(chain, start(), **options)
        streamed = list(stream(chain, start(), **options))
    else:
        whole, streamed = (
            function(
                chain,
                start(),
                temperature=temperature,
                top_k=3,
                generator=torch.Generator().manual_seed(4),
                **options,
            )
            for function in (sample, stream)
        )
        (whole,), streamed = whole, list(streamed)
    tokens, log_probs = zip(*streamed, strict=True)
    assert list(tokens) == whole.tokens + [EOS] * whole.finished
    assert sum(log_probs) == pytest.approx(whole.log_prob)


def test_stream_computes_steps_lazily():
    calls = []

    def step(tokens, state):
        calls.append(tokens)
        return chain(tokens, state)

    tokens = stream(step, start(), max_length=9, **OPTIONS)
    assert not calls
    next(tokens)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"temperature": math.nan}, "temperature must be above 0"),
        ({"top_k": 0}, "top_k must be at least 1"),
        ({"top_p": 0.0}, "top_p must be above 0"),
        ({"top_p": 1.1}, "top_p must be above 0 and at most 1"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        sample(chain, start(2), max_length=5, **OPTIONS, **changes)
    assert "\n" not in str(caught.value)
