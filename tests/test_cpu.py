"""Faster products on a CPU: the same numbers, and the setting of before afterwards."""

import os
import subprocess
import sys

import pytest
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


FORKED = """
import multiprocessing, torch
from nlp_rnn.models import Classifier

torch.set_num_threads(2)
model = Classifier(50, 2, 64, 128, 1, 0.0).eval()

def answer(number):
    with torch.no_grad():
        return model(torch.full((20, 64), number), torch.full((64,), 20)).sum().item()

before = answer(3)
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert abs(pool.apply_async(answer, [3]).get(timeout=30) - before) < 1e-4
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_model_answers_in_a_process_that_was_forked_after_its_first_use():
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", FORKED], env=environment, check=True)
