"""Faster products on a CPU: the same numbers, and the setting of before afterwards."""

import torch

from nlp_rnn.cpu import fast_matmul, retain_freed_memory


def test_products_are_the_same_and_the_setting_is_restored():
    matmul = getattr(torch.backends.mkldnn, "matmul", None)
    before = getattr(matmul, "fp32_precision", None)
    a, b = torch.randn(64, 300, dtype=torch.float64), torch.randn(300, 48, dtype=torch.float64)
    with fast_matmul():
        product = a.float() @ b.float()
    torch.testing.assert_close(product.double(), a @ b, rtol=1e-5, atol=1e-4)  # not bfloat16
    assert getattr(matmul, "fp32_precision", None) == before


def test_freed_memory_can_be_retained_more_than_once():
    for _ in range(2):
        retain_freed_memory()
