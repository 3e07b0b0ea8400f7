"""Labels of pairs of texts."""

import pytest
import torch

from nlp_rnn.models import PairClassifier
from nlp_rnn.models.pooling import POOLINGS


@pytest.mark.parametrize("pooling", POOLINGS)
def test_the_scores_compare_both_summaries(pooling):
    torch.manual_seed(0)
    model = PairClassifier(9, 3, 4, 5, 1, 0.0, "gru", True, pooling).eval()
    first, second = torch.tensor([[4, 5], [6, 7], [8, 0]]), torch.tensor([[3], [2]]).repeat(1, 2)
    lengths = torch.tensor([3, 2]), torch.tensor([2, 1])
    logits = model(first, second, *lengths)
    for row in range(2):
        texts = zip((first, second), lengths, strict=True)
        alone = [text[: length[row], row : row + 1] for text, length in texts]
        u, v = (model.summarize(text) for text in alone)
        expected = model.fc_out(torch.cat([u, v, (u - v).abs(), u * v], dim=1))
        torch.testing.assert_close(logits[row], expected[0])
    assert model(first[:0], second, torch.zeros(2, dtype=torch.int64), lengths[1]).isfinite().all()


def test_the_answer_depends_on_both_texts(make_task, one_batch):
    task = make_task("text_pairs").eval()
    batch = one_batch(task)
    before = task.logits(batch)
    batch.second, batch.second_lengths = batch.second.flip(1), batch.second_lengths.flip(0)
    assert not torch.allclose(before, task.logits(batch))


def test_word_dropout_is_for_training(make_task, one_batch):
    task = make_task("text_pairs", word_dropout=0.9)
    batch = one_batch(task)
    assert task.loss(batch).item() != task.loss(batch).item()
    assert torch.equal(task.eval().logits(batch), task.logits(batch))
