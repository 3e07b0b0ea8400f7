"""What is asked of devices that the tests have not; `tests/tasks/test_devices.py` runs all tasks on one."""

from unittest.mock import Mock

import pytest
import torch

from nlp_rnn.models.layers.devices import autocast_is_right, has_float64, to_device


@pytest.mark.parametrize(("device", "expected"), [("cpu", True), ("cuda:1", True), ("mps", False)])
def test_has_float64(device, expected):
    assert has_float64(torch.device(device)) is expected


@pytest.mark.parametrize(
    ("device", "dtype", "expected"),
    [("cuda", torch.float16, True), ("cuda", torch.bfloat16, False), ("mps", torch.float16, False)],
)
def test_autocast_is_right_for_float16_with_cuda_alone(device, dtype, expected, monkeypatch):
    monkeypatch.setattr(torch, "get_autocast_dtype", {device: dtype}.get)
    assert autocast_is_right(torch.device(device)) is expected


@pytest.mark.parametrize("available", [False, True])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("supported", [torch.float16, torch.bfloat16])
def test_on_a_cpu_autocast_is_right_for_what_its_kernels_support(dtype, supported, available, monkeypatch):
    monkeypatch.setattr(torch, "get_autocast_dtype", {"cpu": dtype}.get)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: available)
    for name, kind in (("fp16", torch.float16), ("bf16", torch.bfloat16)):
        monkeypatch.setattr(
            torch.ops.mkldnn, f"_is_mkldnn_{name}_supported", lambda kind=kind: kind == supported
        )
    is_right = autocast_is_right(torch.device("cpu"))
    assert is_right is (not available or dtype == supported == torch.bfloat16)  # float16 cannot be trained


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_only_a_copy_to_cuda_is_not_waited_for(device):
    tensor = Mock()
    assert to_device(tensor, torch.device(device)) is tensor.to.return_value
    tensor.to.assert_called_once_with(torch.device(device), non_blocking=device == "cuda")
