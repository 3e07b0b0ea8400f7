"""What all decoding functions share: rows that have ended are dropped, and bad arguments are refused."""

import math

import pytest
import torch

from nlp_rnn.lite.decoding.hypotheses import gnmt_length_penalty, make_hypothesis
from nlp_rnn.models.sampling import sample, stream
from nlp_rnn.models.search import beam_search, greedy

EOS, BOS = 0, 1
OPTIONS = {"bos_id": BOS, "eos_id": EOS, "max_length": 5}
DECODERS = {"greedy": greedy, "beam": beam_search, "sample": sample}


def flat(tokens, state):
    """A step function for which all of five tokens are equally probable."""
    return torch.zeros(len(tokens), 5), state


def start(rows=1):
    return (torch.zeros(1, rows, 1),)


def test_the_score_is_the_log_probability_over_the_length_penalty():
    assert gnmt_length_penalty(7, 0.0) == gnmt_length_penalty(1, 3.0) == 1.0
    assert gnmt_length_penalty(7, 2.0) == pytest.approx(4.0)
    finished = make_hypothesis([2, 3, 2, 3, 2, 3, EOS], -8.0, eos_id=EOS, alpha=2.0)
    assert (finished.tokens, finished.finished) == ([2, 3, 2, 3, 2, 3], True)
    assert (finished.log_prob, finished.score) == (-8.0, pytest.approx(-2.0))
    cut_off = make_hypothesis([2], -1.0, eos_id=EOS, alpha=2.0)
    assert (cut_off.tokens, cut_off.finished, cut_off.score) == ([2], False, -1.0)


def test_finished_rows_are_not_computed():
    table = torch.full((6, 6), -torch.inf)  # a chain: 5 -> 4 -> 3 -> 2 -> EOS
    table[5, 4] = table[4, 3] = table[3, 2] = table[2, EOS] = table[1, EOS] = table[0, EOS] = 0.0
    rows = []

    def step(tokens, state):
        rows.append(len(tokens))
        assert state[0].shape[1] == len(tokens)
        return table[tokens], state

    hypotheses = greedy(step, start(5), bos_id=[2, 5, 3, 5, 4], eos_id=EOS, max_length=[9, 9, 9, 2, 9])
    assert [h.tokens for h in hypotheses] == [[], [4, 3, 2], [2], [4, 3], [3, 2]]
    assert [h.finished for h in hypotheses] == [True, True, True, False, True]
    assert rows == [5, 4, 2, 1]


@pytest.mark.parametrize("decode", DECODERS.values(), ids=DECODERS)
def test_no_rows(decode):
    assert decode(flat, start(0), **OPTIONS) == []


def nan_step(tokens, state):
    logits, state = flat(tokens, state)
    logits[-1, 2] = math.nan
    return logits, state


def step_without_rows(tokens, state):
    return torch.zeros(5), state


@pytest.mark.parametrize("decode", DECODERS.values(), ids=DECODERS)
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_length": 0}, "max_length must be whole numbers of at least 1"),
        ({"max_length": [3]}, "max_length must be one number or 2, one per row"),
        ({"max_length": 2.5}, "max_length must be whole numbers"),
        ({"bos_id": -1}, "bos_id must be whole numbers of at least 0"),
        ({"eos_id": -1}, "ids must not be negative"),
        ({"eos_id": 5}, "names id 5, outside the vocabulary of 5"),
        ({"forbidden": [2, 9]}, "names id 9, outside the vocabulary of 5"),
        ({"forbidden": range(5)}, "leave no token possible"),
        ({"state": ()}, "state must be tensors"),
        ({"state": (torch.zeros(1, 2, 3), torch.zeros(1, 3, 3))}, "equal rows"),
        ({"step": step_without_rows}, r"step must give logits \[2, vocab\]"),
        ({"step": nan_step}, "NaN"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(decode, changes, message):
    arguments = {"step": flat, "state": start(2), **OPTIONS, **changes}
    with pytest.raises(ValueError, match=message) as caught:
        decode(arguments.pop("step"), arguments.pop("state"), **arguments)
    assert "\n" not in str(caught.value)


def test_gradients_are_not_kept():
    weights = torch.zeros(5, 5, requires_grad=True)
    kept = []

    def step(tokens, state):
        kept.append(weights[tokens])
        return kept[-1], state

    for decode in DECODERS.values():
        decode(step, start(2), **OPTIONS)
    list(stream(step, start(), **OPTIONS))
    assert kept
    assert not any(logits.requires_grad for logits in kept)
