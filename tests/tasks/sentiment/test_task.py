"""Sentiment: its pooling and its answers."""

import pytest
import torch

from nlp_rnn.errors import UsageError
from nlp_rnn.models.pooling import POOLINGS
from nlp_rnn.tasks import Sentiment


def test_unknown_pooling(make_task):
    with pytest.raises(UsageError, match=r"pooling must be one of last, mean, max, .*, not 'sum'"):
        make_task("sentiment", pooling="sum")


@pytest.mark.parametrize("pooling", POOLINGS)
def test_the_label_is_the_one_with_the_highest_probability(pooling, make_task, one_batch):
    task = make_task("sentiment", pooling=pooling).eval()
    batch = one_batch(task)
    probabilities = task.model(batch.tokens, batch.lengths).softmax(-1)
    for answer, row in zip(task.answer(batch), probabilities, strict=True):
        assert list(answer["scores"].values()) == pytest.approx(row.tolist())
        assert answer["label"] == max(answer["scores"], key=answer["scores"].get)
        assert answer["score"] == answer["scores"][answer["label"]]
        assert Sentiment.format_answer(answer) == answer["label"]


def test_a_stream_without_tokens_is_unchanged(make_task):
    task = make_task("sentiment", bidirectional=False).eval()
    with torch.inference_mode():
        start = task.start_stream()
        assert task.read_stream("  ", start) is start
        assert task.read_stream("good", start).answer != start.answer
