"""Losses: label smoothing, word dropout, and batches in which nothing is scored."""

import pytest
import torch
from torch.nn import functional as F

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.data.vocabulary import BOS, UNK
from nlp_rnn.tasks.losses import drop_words

WRITES = ("translation", "captioning", "language_modeling")
TEXT = ("sentiment", "tagging", *WRITES)  # the tasks that read or write words


@pytest.mark.parametrize("name", TEXT)
def test_label_smoothing_affects_the_training_loss_only(name, make_task, one_batch):
    plain, smooth = make_task(name), make_task(name, label_smoothing=0.3)
    smooth.load_state_dict(plain.state_dict())
    batch = one_batch(plain)
    loss = smooth.loss(batch)
    if name == "translation":
        logits = smooth.model(batch.source, batch.target, batch.lengths)
    elif name == "captioning":
        logits = smooth.model(batch.vectors, batch.target)
    elif name == "tagging":
        logits = smooth.logits(batch)
    elif name == "language_modeling":
        logits, _ = smooth.model(batch.tokens, lengths=batch.lengths)
    else:
        logits = smooth.model(batch.tokens, batch.lengths)
    log_probs = logits.flatten(0, -2).log_softmax(-1)
    labels = batch.labels.flatten()
    log_probs, labels = log_probs[labels != IGNORED], labels[labels != IGNORED]
    share = 0.7 * F.one_hot(labels, log_probs.size(-1)) + 0.3 / log_probs.size(-1)
    assert loss.item() == pytest.approx(-(share * log_probs).sum(-1).mean().item(), rel=1e-4)
    for task in (plain, smooth):
        task.update_metrics(batch, task.metrics("val"))
    results = [task.compute_metrics(task.metrics("val")) for task in (plain, smooth)]
    assert results[0] == pytest.approx(results[1], rel=0, abs=0, nan_ok=True)
    assert results[0]["loss"] == pytest.approx(plain.loss(batch).item(), rel=1e-4)


@pytest.mark.parametrize("name", TEXT)
def test_word_dropout_affects_training_only(name, make_task, one_batch):
    task = make_task(name, word_dropout=0.5)
    batch = one_batch(task)
    seen = []
    reader = getattr(task.model, "decoder", task.model)
    reader.embedding.register_forward_pre_hook(lambda layer, given: seen.append(given))
    whole = {"tagging": "words", "translation": "target", "captioning": "target"}.get(name, "tokens")
    before = getattr(batch, whole).clone()

    for _ in range(20):
        task.loss(batch)
    dropped = torch.stack([given[0] for given in seen])  # [20, T, B]
    changed = dropped != before
    assert (dropped[changed] == UNK).all()
    text = (before > UNK).expand_as(changed)
    if name in WRITES:
        assert (dropped[:, 0] == BOS).all()
        text = text & (before != BOS)
    assert changed[text].float().mean().item() == pytest.approx(0.5, abs=0.1)
    assert len({tuple(one.flatten().tolist()) for one in dropped}) > 10  # drawn anew each time
    assert torch.equal(getattr(batch, whole), before)

    seen.clear()
    task.eval()
    task.update_metrics(batch, task.metrics("val"))
    if name in WRITES:
        del seen[1:]  # its own words, as it writes
    else:
        task.answer(batch)
    assert seen
    assert all(torch.equal(given[0], before) for given in seen)


def test_drop_words():
    tokens = torch.randint(4, 99, (50, 40))
    assert drop_words(tokens, 0.0, UNK) is tokens
    dropped = drop_words(tokens, 0.2, UNK)
    assert (dropped == UNK).float().mean().item() == pytest.approx(0.2, abs=0.03)
    assert torch.equal(dropped[dropped != UNK], tokens[dropped != UNK])


@pytest.mark.parametrize("name", ["tagging", *WRITES])
def test_a_batch_without_targets_has_no_gradient(name, make_task, one_batch):
    task = make_task(name)
    batch = one_batch(task)
    batch.labels = torch.full_like(batch.labels, IGNORED)
    if name in WRITES:
        lengths = getattr(batch, "target_lengths", batch.lengths)
        lengths.zero_()
    loss = task.loss(batch)
    loss.backward()
    assert loss == 0
    assert all(not parameter.grad.any() for parameter in task.parameters() if parameter.grad is not None)
