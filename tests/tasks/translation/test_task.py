"""Translation: scheduled sampling, and what is particular to its answers and reports."""

import pytest

from nlp_rnn.tasks import Optimization


def test_scheduled_sampling(make_task, one_batch, train):
    whole, half, none = (make_task("translation", teacher_forcing=share) for share in (1.0, 0.5, 0.0))
    for task in (half, none):
        task.load_state_dict(whole.state_dict())
    batch = one_batch(whole)
    losses = [task.loss(batch).item() for task in (whole, whole, none, none)]
    assert losses[0] == losses[1] != losses[2] == losses[3]  # neither draws anything
    drawn = {half.loss(batch).item() for _ in range(10)}
    assert len(drawn) > 3
    # In validation the true words are shown, whatever training does.
    figures = []
    for task in (whole, half, none):
        task.eval().update_metrics(batch, task.metrics("val"))
        figures.append(task.compute_metrics(task.metrics("val")))
    assert figures[0] == figures[1] == figures[2]
    assert figures[0]["loss"] == pytest.approx(losses[0])
    first, last = train(make_task("translation", teacher_forcing=0.5, optimization=Optimization(lr=0.03)), 60)
    assert last < 0.3 * first
