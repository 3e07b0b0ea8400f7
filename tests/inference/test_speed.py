"""How large a model folder is, and how fast its model answers; no time is compared with a limit."""

import shutil

import torch

from nlp_rnn.inference import speed
from nlp_rnn.inference.speed import measure_speed


def test_size_and_latency_are_measured_without_a_word(models, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(speed, "_ANSWERS", 4)
    threads = torch.get_num_threads()
    for name, folder in models.items():
        copy = tmp_path / name
        shutil.copytree(folder, copy)
        before = measure_speed(copy)
        assert before.latency > 0
        (copy / "more").write_bytes(b"x" * 1000)
        assert measure_speed(copy).size == before.size + 1000
    assert caplog.text == ""
    assert torch.get_num_threads() == threads


def test_the_fastest_answer_counts_after_the_first_ones(models, monkeypatch):
    times = iter([0.0, 0.001, 1.0, 1.002, 2.0, 2.001, *(3.0, 3.009, 4.0, 4.005, 5.0, 5.007)])
    monkeypatch.setattr(speed, "_ANSWERS", 3)
    monkeypatch.setattr(speed.time, "perf_counter", lambda: next(times))
    assert round(measure_speed(models["sentiment"]).latency, 6) == 5
