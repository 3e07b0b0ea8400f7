"""The loss in chunks against torch's cross-entropy over all logits."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from nlp_rnn.models.layers import loss
from nlp_rnn.models.layers.loss import linear_cross_entropy


def make(rows, classes, seed=0, width=6):
    torch.manual_seed(seed)
    sizes = ((rows, width), (classes, width), (classes,))
    leaves = [torch.randn(size, requires_grad=True) for size in sizes]
    return leaves, torch.randint(classes, (rows,))


def gradients(value, leaves):
    return torch.autograd.grad(value, leaves)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 20),
    classes=st.integers(1, 30),
    smoothing=st.sampled_from([0.0, 0.1, 1.0]),
    held=st.sampled_from([1, 25, 1 << 24]),
)
def test_value_and_gradients_equal_torchs_with_any_number_of_chunks(rows, classes, smoothing, held):
    leaves, labels = make(rows, classes)
    before, loss._MAX_LOGITS = loss._MAX_LOGITS, held
    try:
        ours = linear_cross_entropy(*leaves, labels, smoothing)
    finally:
        loss._MAX_LOGITS = before
    theirs = F.cross_entropy(F.linear(*leaves), labels, label_smoothing=smoothing)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    for our, their in zip(gradients(3 * ours, leaves), gradients(3 * theirs, leaves), strict=True):
        torch.testing.assert_close(our, their, atol=1e-5, rtol=1e-4)


def test_under_autocast_it_is_as_exact_as_torchs():
    leaves, labels = make(64, 500, width=32)
    exact = F.cross_entropy(F.linear(*leaves), labels, label_smoothing=0.1)
    with torch.autocast("cpu", torch.bfloat16):
        ours = linear_cross_entropy(*leaves, labels, 0.1)
        theirs = F.cross_entropy(F.linear(*leaves).float(), labels, label_smoothing=0.1)
    assert ours.dtype == torch.float32
    assert ours.item() == pytest.approx(exact.item(), rel=2e-3)
    sets = zip(*(gradients(value, leaves) for value in (ours, theirs, exact)), strict=True)
    for our, their, true in sets:
        assert our.dtype == true.dtype
        assert (our - true).norm() <= 1.5 * (their - true).norm() + 1e-3 * true.norm()


def test_large_logits_do_not_overflow():
    leaves, labels = make(4, 5)
    value = linear_cross_entropy(leaves[0] * 1e4, *leaves[1:], labels)
    assert value.isfinite()
    assert all(part.isfinite().all() for part in gradients(value, leaves))


def test_no_rows_cost_nothing():
    leaves, labels = make(0, 5)
    value = linear_cross_entropy(*leaves, labels)
    assert value.item() == 0
    assert all(not part.any() for part in gradients(value, leaves))


def test_logits_are_never_all_in_memory(monkeypatch):
    leaves, labels = make(1000, 100)
    monkeypatch.setattr(loss, "_MAX_LOGITS", 25_600)
    shapes = []
    plain = torch.addmm
    monkeypatch.setattr(torch, "addmm", lambda *given: shapes.append(plain(*given).shape) or plain(*given))
    linear_cross_entropy(*leaves, labels).backward()
    assert [tuple(shape) for shape in shapes] == [(256, 100)] * 4


def test_without_gradients_none_are_computed(monkeypatch):
    leaves, labels = make(9, 5)
    expected = linear_cross_entropy(*leaves, labels)
    monkeypatch.setattr(torch, "mm", None)  # no product but that of the logits
    monkeypatch.setattr(torch.Tensor, "addmm_", None)
    with torch.no_grad():
        assert torch.equal(linear_cross_entropy(*leaves, labels), expected)


def test_float64_is_kept(monkeypatch):
    monkeypatch.setattr(loss, "_MAX_LOGITS", 20)
    leaves, labels = make(9, 5)
    leaves = [leaf.detach().double().requires_grad_() for leaf in leaves]
    ours = linear_cross_entropy(*leaves, labels, 0.1)
    theirs = F.cross_entropy(F.linear(*leaves), labels, label_smoothing=0.1)
    torch.testing.assert_close(ours, theirs, atol=1e-14, rtol=0)
    assert torch.autograd.gradcheck(lambda *leaves: linear_cross_entropy(*leaves, labels, 0.1), leaves)


def test_second_derivatives_are_refused():
    leaves, labels = make(4, 5)
    value = linear_cross_entropy(*leaves, labels)
    with pytest.raises(RuntimeError, match="no second derivative here; use torch's cross_entropy"):
        torch.autograd.grad(value, leaves, create_graph=True)
