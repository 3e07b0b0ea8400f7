"""Regularization: terms that are added to the training loss."""

import pytest
import torch
from torch.distributions import Bernoulli, Categorical, kl_divergence

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.errors import UsageError
from nlp_rnn.tasks import Regularization
from nlp_rnn.tasks.regularization import LabelSetTargets, LabelTargets

TASKS = ("sentiment", "tagging", "text_pairs", "multi_label")


def _logits(task, batch):
    return task.training_logits(batch, *([task.character_features(batch)] if task.name == "tagging" else []))


def _targets(name, batch):
    return LabelSetTargets(batch.labels[:, :-1]) if name == "multi_label" else LabelTargets(batch.labels)


@pytest.mark.parametrize("name", TASKS)
def test_consistency_is_the_divergence_of_two_passes(name, make_task, one_batch):
    task = make_task(name, dropout=0.5, word_dropout=0.2, regularization={"consistency": 2.0})
    batch = one_batch(task)
    torch.manual_seed(0)
    loss = task.loss(batch)
    torch.manual_seed(0)
    passes = [_logits(task, batch) for _ in range(2)]
    kind = (lambda x: Bernoulli(logits=x)) if name == "multi_label" else (lambda x: Categorical(logits=x))
    scored = batch.labels != IGNORED if name == "tagging" else slice(None)
    first, second = (kind(logits[scored]) for logits in passes)
    divergence = kl_divergence(first, second).mean() + kl_divergence(second, first).mean()
    losses = [_targets(name, batch).loss(logits) for logits in passes]
    assert divergence > 1e-4
    assert loss.item() == pytest.approx((sum(losses) / 2 + 2.0 * divergence / 2).item(), rel=1e-4)
    loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in task.model.parameters())


@pytest.mark.parametrize("name", TASKS)
def test_the_loss_is_plain_without_terms_and_without_training(name, make_task, one_batch):
    task = make_task(name, dropout=0.5)
    batch = one_batch(task)
    torch.manual_seed(0)
    plain = _targets(name, batch).loss(_logits(task, batch))
    torch.manual_seed(0)
    assert torch.equal(task.loss(batch), plain)
    other = make_task(name, dropout=0.5, regularization=Regularization(consistency=2.0)).eval()
    assert torch.equal(other.loss(batch), _targets(name, batch).loss(other.logits(batch)))


def test_labels_that_are_not_scored_have_no_divergence():
    torch.manual_seed(0)
    logits, others = torch.randn(2, 5, 4, 3)
    labels = torch.randint(0, 3, (5, 4))
    labels[2:] = IGNORED
    expected = kl_divergence(Categorical(logits=logits[:2]), Categorical(logits=others[:2])).mean()
    targets = LabelTargets(labels)
    torch.testing.assert_close(targets.divergence(logits, others), expected)
    assert targets.divergence(logits, logits) == 0
    assert LabelTargets(torch.full((5, 4), IGNORED)).divergence(logits, others) == 0


def test_divergence_of_scores_beyond_what_a_probability_can_tell():
    logits = torch.tensor([[500.0, -500.0]])
    for targets in (LabelTargets(torch.tensor([0])), LabelSetTargets(torch.tensor([[1, 0]]))):
        assert targets.divergence(logits, logits) == 0
        assert targets.divergence(logits, -logits).isfinite()


def test_weights_out_of_range_are_refused(make_task):
    with pytest.raises(UsageError, match=r"regularization.consistency must be between 0 and 1000, not -1"):
        make_task("sentiment", regularization={"consistency": -1.0})


@pytest.mark.parametrize("name", TASKS)
def test_consistency_without_any_dropout_is_refused(name, make_task):
    for options in ({"dropout": 0.1}, {"word_dropout": 0.1}):
        make_task(
            name, **{"dropout": 0.0, "word_dropout": 0.0, **options}, regularization={"consistency": 1.0}
        )
    with pytest.raises(UsageError, match="consistency needs different dropout in both passes"):
        make_task(name, dropout=0.0, word_dropout=0.0, regularization={"consistency": 1.0})


def test_settings_without_effect_are_refused(make_task):
    for term in ("adversarial", "virtual_adversarial"):
        Regularization(**{term: 1.0, "perturbation": 2.0})
    with pytest.raises(UsageError, match=r"regularization\.perturbation has no effect alone"):
        Regularization(consistency=1.0, perturbation=2.0)
    for name in (*TASKS, "language_modeling"):
        make_task(name, dropout=0.1, locked=True)
        with pytest.raises(UsageError, match="locked has no effect without dropout"):
            make_task(name, dropout=0.0, locked=True)
