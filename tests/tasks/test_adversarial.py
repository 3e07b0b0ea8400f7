"""Embedded inputs that are moved so that the answer changes the most."""

from dataclasses import replace

import pytest
import torch

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.data.vocabulary import PAD, UNK
from nlp_rnn.tasks.adversarial import perturbed, recorded, replaced
from nlp_rnn.tasks.regularization import LabelSetTargets, LabelTargets

TASKS = ("sentiment", "tagging", "text_pairs", "multi_label")
SIZE = 0.5


def _targets(name, batch):
    return LabelSetTargets(batch.labels[:, :-1]) if name == "multi_label" else LabelTargets(batch.labels)


def _direction(targets, logits, kind):
    if kind == "divergence":
        return targets.divergence_gradient(logits.detach(), torch.randn_like(logits))
    scores = logits.detach().requires_grad_()
    return torch.autograd.grad(targets.loss(scores), scores)[0]


def _measured(targets, kind, logits, moved):
    return targets.loss(moved) if kind == "loss" else targets.divergence(logits, moved)


@pytest.mark.parametrize("kind", ["loss", "divergence"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "mingru"])
@pytest.mark.parametrize("name", TASKS)
def test_the_answer_changes_more_than_by_a_random_step_as_long(name, cell, kind, make_task, one_batch):
    torch.manual_seed(0)
    task = make_task(name, cell=cell)
    batch, embedding = one_batch(task), task.model.embedding
    targets = _targets(name, batch)
    with recorded(embedding) as calls:
        logits = task.logits(batch)
    assert len(calls) == (2 if name == "text_pairs" else 1)
    moved = perturbed(calls, logits, _direction(targets, logits, kind), SIZE)
    # A sentence without any tag has nothing to move for.
    size = SIZE * (batch.labels != IGNORED).any(0) if name == "tagging" else SIZE
    random_steps = []
    for call, vectors in zip(calls, moved, strict=True):
        step, inside = (vectors - call.vectors).detach(), call.ids != PAD
        assert not step[~inside].any()
        counts = inside.sum(0) * step.size(-1)
        rms = (call.vectors.square() * inside[..., None]).sum((0, 2)).div(counts).sqrt()
        norms = step.square().sum((0, 2)).sqrt()
        torch.testing.assert_close(norms, size * rms)
        noise = torch.randn_like(step) * inside[..., None]
        random_steps.append(
            call.vectors + noise / noise.square().sum((0, 2)).sqrt()[:, None] * norms[:, None]
        )
    with torch.no_grad():
        results = []
        for inputs in (random_steps, moved):
            with replaced(embedding, inputs):
                results.append(_measured(targets, kind, logits, task.logits(batch)).item())
        plain = _measured(targets, kind, logits, logits).item()
    assert results[1] - plain > 1.5 * (results[0] - plain)
    assert results[1] > plain


@pytest.mark.parametrize("name", TASKS)
def test_steps_do_not_depend_on_the_batch(name, make_task, one_batch, batches):
    task = make_task(name)

    def steps(batch):
        with recorded(task.model.embedding) as calls:
            logits = task.logits(batch)
        moved = perturbed(calls, logits, _direction(_targets(name, batch), logits, "loss"), SIZE)
        return [after - call.vectors for call, after in zip(calls, moved, strict=True)]

    batch = one_batch(task)
    together, rows = steps(batch), {row: place for place, row in enumerate(batch.rows)}
    assert len(rows) == 6
    for single in batches(task, size=1):
        place = rows[single.rows[0]]
        for whole, alone in zip(together, steps(single), strict=True):
            torch.testing.assert_close(whole[: len(alone), place], alone[:, 0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("term", ["adversarial", "virtual_adversarial"])
@pytest.mark.parametrize("name", TASKS)
def test_terms_reach_all_weights(name, term, make_task, one_batch):
    options = {"dropout": 0.3, "word_dropout": 0.3}
    plain = make_task(name, **options)
    task = make_task(name, **options, regularization={term: 1.0, "perturbation": SIZE})
    task.load_state_dict(plain.state_dict())
    batch = one_batch(task)
    torch.manual_seed(0)
    with_term = task.loss(batch)
    torch.manual_seed(0)
    without = plain.loss(batch)
    assert with_term > without
    for loss in (with_term, without):
        loss.backward()
    for parameter, other in zip(task.model.parameters(), plain.model.parameters(), strict=True):
        assert parameter.grad.isfinite().all()
        assert not torch.equal(parameter.grad, other.grad)
    assert not task.model.embedding._forward_hooks


def test_the_moved_inputs_have_the_same_dropped_words(make_task, one_batch):
    task = make_task("sentiment", word_dropout=0.5, regularization={"adversarial": 1.0})
    read = []
    task.model.rnn.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0].detach()))
    task.model.embedding.weight.data[UNK] = 100.0
    task.loss(one_batch(task))
    first, second = ((vectors > 50).all(-1) for vectors in read)
    assert 0 < first.float().mean() < 1
    assert torch.equal(first, second)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_bfloat16_moves_inputs_in_about_the_same_direction(cell, make_task, one_batch):
    task = make_task("sentiment", cell=cell, num_layers=2)
    batch = one_batch(task)
    steps = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled), recorded(task.model.embedding) as calls:
            logits = task.logits(batch)
            direction = _direction(LabelTargets(batch.labels), logits.float(), "loss")
            (moved,) = perturbed(calls, logits, direction, SIZE)
        steps.append((moved - calls[0].vectors).flatten())
    assert torch.cosine_similarity(*steps, dim=0) > 0.98


def test_a_frozen_embedding_and_empty_texts(make_task, one_batch):
    terms = {"adversarial": 1.0, "virtual_adversarial": 1.0, "consistency": 1.0}
    task = make_task("sentiment", dropout=0.3, regularization=terms, optimization={"freeze": "embedding"})
    batch = one_batch(task)
    task.loss(batch).backward()
    assert task.model.embedding.weight.grad is None
    assert all(p.grad.isfinite().all() for p in task.model.parameters() if p.requires_grad)
    empty = replace(batch, tokens=batch.tokens[:0], lengths=torch.zeros_like(batch.lengths))
    assert task.loss(empty).isfinite()


def test_sentences_without_words(make_task, one_batch):
    terms = {"adversarial": 1.0, "virtual_adversarial": 1.0, "consistency": 1.0}
    task = make_task("tagging", dropout=0.3, regularization=terms)
    batch = one_batch(task)
    nothing = {name: getattr(batch, name)[:0] for name in ("words", "spelling", "labels")}
    empty = replace(batch, **nothing, lengths=torch.zeros_like(batch.lengths))
    assert task.loss(empty) == 0


def test_training_with_all_terms_learns_and_repeats(make_task, one_batch, train):
    terms = {"adversarial": 0.5, "virtual_adversarial": 0.5, "consistency": 0.5, "perturbation": SIZE}
    runs = []
    for _ in range(2):
        torch.manual_seed(0)
        task = make_task("sentiment", dropout=0.2, optimization={"lr": 1e-2}, regularization=terms)
        torch.manual_seed(1)
        runs.append(train(task, 60))
    assert runs[0] == runs[1]
    assert runs[0][1] < runs[0][0] / 2
