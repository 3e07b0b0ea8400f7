"""Tasks on a device and in a precision."""

import pytest
import torch

from nlp_rnn.errors import UsageError
from nlp_rnn.models.layers.quantization import quantize
from nlp_rnn.tasks.placement import in_precision, on_device


def test_a_device_that_does_not_exist_is_refused_in_one_line(make_task):
    task = make_task("sentiment")
    assert on_device(task, "cpu") is task
    with pytest.raises(UsageError, match=r"^device abacus: cannot be used here \(.*\); try cpu$"):
        on_device(task, "abacus")


def test_bf16_is_a_copy_of_the_model_and_shares_the_rest(make_task):
    task = make_task("sentiment").eval()
    assert in_precision(task, "fp32") is task
    half = in_precision(task, "bf16")
    assert {parameter.dtype for parameter in half.model.parameters()} == {torch.bfloat16}
    assert {parameter.dtype for parameter in task.model.parameters()} == {torch.float32}
    assert half.processor is task.processor
    assert half.stage_metrics is task.stage_metrics


def test_impossible_settings_are_refused(make_task):
    task = make_task("sentiment").eval()
    with pytest.raises(UsageError, match="precision must be one of fp32, bf16, not 'fp16'"):
        in_precision(task, "fp16")
    quantize(task.model)
    with pytest.raises(UsageError, match="int8, which cannot be combined with bf16"):
        in_precision(task, "bf16")


def test_a_device_without_numbers_is_refused(make_task):
    with pytest.raises(
        UsageError, match=r"^device meta: cannot be used here \(it holds shapes, but no numbers\)"
    ):
        on_device(make_task("sentiment"), "meta")
