"""The script that compares ONNX Runtime with torch."""

import importlib.util
from pathlib import Path

import pytest
import torch

from nlp_rnn.export.onnx.registry import build
from nlp_rnn.models import Classifier

PATH = Path(__file__).parents[2] / "scripts" / "onnx_speed.py"
SPEC = importlib.util.spec_from_file_location("onnx_speed", PATH)
onnx_speed = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(onnx_speed)


@torch.inference_mode()
def test_all_compute_the_same_call():
    (part,) = build(Classifier(30, 4, 16, 24, 1, 0.0).eval())
    calls = onnx_speed.contestants(part, 20)
    scores = [torch.as_tensor(result[0]).flatten() for result in (call() for call in calls.values())]
    assert [*calls] == ["torch", "onnxruntime", "int8"]
    assert scores[1].tolist() == pytest.approx(scores[0].tolist(), abs=1e-5)
    assert scores[2].tolist() == pytest.approx(scores[0].tolist(), abs=0.1)


def test_the_median_of_each_is_measured_in_turns(monkeypatch):
    order, now = [], [0.0]

    def call(name, cost):
        order.append(name)
        now[0] += cost

    monkeypatch.setattr(onnx_speed.time, "perf_counter", lambda: now[0])
    calls = {"slow": lambda: call("slow", 0.002), "fast": lambda: call("fast", 0.001)}
    assert onnx_speed.milliseconds(calls, 3) == pytest.approx({"slow": 2.0, "fast": 1.0})
    assert order == ["slow", "fast"] * (3 + 10)
