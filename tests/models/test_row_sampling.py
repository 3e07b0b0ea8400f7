"""Samples follow the model's distribution, and depend on a row's own numbers alone."""

import pytest
import torch

from nlp_rnn.models.row_sampling import row_uniforms, sample_rows

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


def draw(keys, max_length=8, seed=0, **options):
    state = (torch.zeros(1, len(keys), 1),)
    return sample_rows(
        chain, state, row_uniforms(keys, max_length, seed), max_length=max_length, **OPTIONS, **options
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0.05, 0, 0.5, 0.4, 0.05]),
        ({"top_k": 2}, [0, 0, 5 / 9, 4 / 9, 0]),
        ({"top_k": 99}, [0.05, 0, 0.5, 0.4, 0.05]),
        ({"temperature": 1e-3}, [0, 0, 1, 0, 0]),
        ({"temperature": 1e3}, [0.25, 0, 0.25, 0.25, 0.25]),
        ({"temperature": 0.5}, [0.0060, 0, 0.6024, 0.3855, 0.0060]),  # squares, renormalized
        ({"forbidden": [2]}, [0.1, 0, 0, 0.8, 0.1]),
        ({"forbidden": [4, 3]}, [1 / 11, 0, 10 / 11, 0, 0]),
    ],
)
def test_tokens_are_as_frequent_as_they_are_probable(options, expected):
    samples = draw([[number] for number in range(4000)], max_length=1, **options)
    tokens = torch.tensor([sample.tokens[0] if sample.tokens else EOS for sample in samples])
    frequencies = torch.bincount(tokens, minlength=5) / len(samples)
    torch.testing.assert_close(frequencies, torch.tensor(expected, dtype=torch.float32), atol=0.03, rtol=0)
    assert not frequencies[torch.tensor(expected) == 0].any()


def test_a_row_does_not_depend_on_those_beside_it():
    keys = [[number, 3] for number in range(20)]
    together = draw(keys)
    assert [draw([key])[0] for key in keys] == together
    assert draw(keys[::-1])[::-1] == together


def test_keys_and_seeds_give_other_samples():
    keys = [[number] for number in range(50)]
    first = [sample.tokens for sample in draw(keys)]
    assert [sample.tokens for sample in draw(keys)] == first
    assert [sample.tokens for sample in draw(keys, seed=1)] != first
    assert len(set(map(tuple, first))) > 10
    assert not torch.equal(row_uniforms([[1, 2]], 5, 0), row_uniforms([[12]], 5, 0))


def test_the_largest_number_chooses_no_impossible_token():
    ones = torch.full((1, 1), 1 - 2**-24)
    (sample,) = sample_rows(chain, (torch.zeros(1, 1, 1),), ones, max_length=1, forbidden=[4], **OPTIONS)
    assert sample.tokens == [3]


def test_scores_are_the_model_s():
    (sample,) = draw([[5]], temperature=0.1)
    total, last = 0.0, BOS
    for token in [*sample.tokens, *([EOS] if sample.finished else [])]:
        total, last = total + LOG_TABLE[last, token].item(), token
    assert sample.log_prob == pytest.approx(total)
