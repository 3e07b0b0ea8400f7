"""Int8 weights are off by no more than the rounding, whichever product multiplies them."""

import pytest
import torch
from torch import nn

from nlp_rnn.errors import UsageError
from nlp_rnn.models.layers import int8 as int8_module
from nlp_rnn.models.layers.int8 import Int8Embedding, Int8Linear


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (5, 1), (1, 9), (33, 70), (64, 600)])
@pytest.mark.parametrize("fast", [True, False])
def test_linear_is_off_by_no_more_than_the_rounding(rows, columns, fast, monkeypatch):
    if not fast:
        monkeypatch.setattr(int8_module, "_can_use_int_mm", lambda weight: False)
    plain = nn.Linear(columns, rows)
    layer = Int8Linear(plain.weight, plain.bias)
    for count in (1, 2, 17):
        input = torch.rand(count, columns) * 2 - 1
        sizes = input * torch.logspace(-3, 3, count)[:, None]
        unit = sizes.abs().amax(1, keepdim=True) / 127
        # Half a unit of each of the two factors, times the other.
        bound = columns * (unit * 127 * layer.scale / 2 + unit / 2 * layer.scale * 127)
        assert ((layer(sizes) - plain(sizes)).abs() <= bound + 1e-4 * unit * 127 * columns**0.5).all()
        torch.testing.assert_close(
            layer.bounded(input), layer(input), atol=float((columns * layer.scale).max()), rtol=0
        )
    assert torch.equal(layer(torch.zeros(3, columns)), plain.bias.expand(3, -1))
    assert layer(torch.rand(2, 3, columns)).shape == (2, 3, rows)
    assert layer(torch.rand(0, columns)).shape == (0, rows)


def test_without_the_fast_product_the_answers_are_the_same(monkeypatch):
    plain = nn.Linear(70, 33)
    fast = Int8Linear(plain.weight, plain.bias)
    monkeypatch.setattr(int8_module, "_can_use_int_mm", lambda weight: False)
    slow = Int8Linear(plain.weight, plain.bias)
    input = torch.randn(9, 70)
    torch.testing.assert_close(fast(input), slow(input), atol=1e-5, rtol=0)


def saturating(rows, weight):
    """The product with 16-bit sums of neighbors, as on a processor without VNNI instructions."""
    pairs = (rows[:, None].int() * weight.t().int()).unflatten(-1, (-1, 2)).sum(-1)
    return pairs.clamp(-32768, 32767).sum(-1, dtype=torch.int32)


def refusing(rows, weight):
    raise RuntimeError("expected scalar type Char but found Byte")


@pytest.mark.parametrize("product", [saturating, refusing])
def test_wrong_fast_matmul_is_not_used(product, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: True, raising=False)
    monkeypatch.setattr(torch, "_int_mm", product)
    plain = nn.Linear(64, 8)
    layer = Int8Linear(plain.weight.abs(), plain.bias)
    input = torch.rand(3, 64)
    expected = input @ plain.weight.abs().t() + plain.bias
    torch.testing.assert_close(layer(input), expected, atol=0.02, rtol=0)


@pytest.mark.parametrize("supported", [False, True])
def test_fast_matmul_is_used_where_it_is_right_and_fast(supported, monkeypatch):
    shapes = []

    def product(rows, weight):
        shapes.append((tuple(rows.shape), tuple(weight.shape)))
        return rows.int() @ weight.int()

    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: supported, raising=False)
    monkeypatch.setattr(torch, "_int_mm", product)
    plain = nn.Linear(64, 8)
    layer = Int8Linear(plain.weight, plain.bias)
    shapes.clear()
    input = torch.rand(3, 64)
    for answer in (layer(input), layer.bounded(input)):
        torch.testing.assert_close(answer, plain(input), atol=0.02, rtol=0)
    assert shapes == [((3, 64), (64, 8))] * 2 * supported


def test_embedding_is_off_by_no_more_than_the_rounding():
    plain = nn.Embedding(11, 6)
    plain.weight.data[3] = 0
    rounded = Int8Embedding(plain.weight)
    ids = torch.arange(11).view(1, 11)
    assert ((rounded(ids) - plain(ids)).abs() <= rounded.scale[:, None] * 0.5001).all()
    assert not rounded(torch.tensor([3])).any()


@pytest.mark.parametrize(
    "layer",
    [Int8Linear(torch.randn(4, 3), None), Int8Embedding(torch.randn(4, 3))],
    ids=["linear", "embedding"],
)
def test_gradients_and_training_are_refused(layer):
    with pytest.raises(UsageError, match="int8 weights cannot be trained"):
        layer.weight.sum().backward()
    with pytest.raises(UsageError, match="int8 weights cannot be trained"):
        layer.train()
    assert not layer.training


def test_gradients_through_a_linear_layer_are_refused():
    layer, input = Int8Linear(torch.randn(4, 3), None), torch.randn(2, 3)
    with pytest.raises(UsageError, match="int8 weights cannot be trained"):
        layer(input).sum().backward()
    with torch.no_grad():
        assert not layer(input).requires_grad


def test_loaded_weights_are_used():
    source = Int8Linear(torch.randn(4, 3), torch.randn(4))
    layer, input = Int8Linear(torch.randn(4, 3), None), torch.rand(2, 3)
    layer.load_state_dict(source.state_dict())
    assert torch.equal(layer(input), source(input))
    assert torch.equal(layer.bounded(input), source.bounded(input))


def test_all_that_a_linear_layer_computes_with_moves_with_it():
    layer = Int8Linear(torch.randn(4, 3), None)
    assert set(dict(layer.named_buffers())) >= {"base", "_bounded_scale", "_zero_point_offset"}
    assert not {name for name in layer.state_dict() if name.startswith("_")}
