"""Search with NumPy finds what search with torch finds, whatever the model."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_rnn.lite.decoding.search import Beam, search
from nlp_rnn.lite.text.tokenizer_format import EOS
from nlp_rnn.models.search import beam_search

FORBIDDEN = (0, 2)


def table_model(table):
    """A model whose logits depend on the last token and the step; both as a step of torch and of NumPy."""

    def torch_step(tokens, state):
        (step,) = state
        place = step[0, :, 0].long() % len(table)
        return torch.from_numpy(table)[place, tokens], (step + 1,)

    def numpy_step(tokens, state):
        (step,) = state
        return table[step[0, :, 0].astype(int) % len(table), tokens], (step + 1,)

    return torch_step, numpy_step


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    vocabulary=st.integers(5, 9),
    rows=st.integers(1, 4),
    beam=st.integers(1, 12),
    n_best=st.integers(1, 12),
    max_output=st.integers(1, 7),
    alpha=st.sampled_from([0.0, 0.6, 1.0, 2.5]),
    eos=st.floats(-3, 3),
)
def test_beam_search(seed, vocabulary, rows, beam, n_best, max_output, alpha, eos):
    table = np.random.default_rng(seed).normal(0, 2, (max_output, vocabulary, vocabulary)).astype(np.float32)
    table[:, :, EOS] += eos
    torch_step, numpy_step = table_model(table)
    n_best = min(n_best, beam)
    first = np.arange(rows) % vocabulary
    start = np.zeros((1, rows, 1), np.float32)
    theirs = beam_search(
        torch_step,
        (torch.from_numpy(start),),
        bos_id=torch.from_numpy(first),
        eos_id=EOS,
        max_length=max_output,
        width=beam,
        length_penalty=alpha,
        n_best=n_best,
        forbidden=FORBIDDEN,
    )
    ours = search(numpy_step, (start,), first, Beam(beam, alpha, n_best, max_output), FORBIDDEN)
    for row, expected in zip(ours, theirs, strict=True):
        assert [hypothesis.tokens for hypothesis in row] == [hypothesis.tokens for hypothesis in expected]
        assert [hypothesis.finished for hypothesis in row] == [one.finished for one in expected]
        for name in ("score", "log_prob"):
            values = [getattr(hypothesis, name) for hypothesis in row]
            assert values == pytest.approx([getattr(one, name) for one in expected], rel=1e-4, abs=1e-5)


def test_logits_that_are_nan_are_refused():
    logits, state = np.full((1, 5), np.nan), (np.zeros((1, 1, 1)),)
    with pytest.raises(ValueError, match="NaN"):
        search(lambda *_: (logits, state), state, np.zeros(1, int), Beam(), ())
