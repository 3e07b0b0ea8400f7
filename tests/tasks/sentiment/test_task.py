"""Sentiment: its pooling and its answers."""

import pytest

from nlp_rnn.errors import UsageError


def test_unknown_pooling(make_task):
    with pytest.raises(UsageError, match="pooling must be one of last, mean, max, not 'sum'"):
        make_task("sentiment", pooling="sum")
