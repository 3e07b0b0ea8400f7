"""The script that puts every backend and export into one table."""

import json
import shutil
import sys
from pathlib import Path

import backends
import pytest
from benchmarks.backend_processes import Backend, Running, installed_size, tree_size

from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.tasks import Sentiment
from nlp_rnn.tasks.pretrained import save_pretrained
from nlp_rnn.tasks.sentiment.data import SentimentProcessor

FAKE = """
import json, sys, time
held = b"x" * {held}
for line in sys.stdin:
    end = time.process_time() + {seconds}
    while time.process_time() < end:
        pass
    print(json.dumps({{"label": line.strip()[:1], "scores": {{"a": {score}}}}}), flush=True)
"""


def fake(name, seconds=0.0, score=0.5, held=0, bulk=True):
    code = FAKE.format(seconds=seconds, score=score, held=held)
    return Backend(name, [sys.executable, "-c", code], 2_000_000, Path(), bulk)


def test_work_and_memory_are_those_of_the_process():
    idle, busy = Running(fake("idle")), Running(fake("busy", 0.05, held=50_000_000))
    for process in (idle, busy):
        process.ask("start")
        assert [json.loads(answer)["label"] for answer in process.measure(["x", "y"])] == ["x", "y"]
    assert busy.alone[0] > 45 > idle.alone[0]
    assert busy.bulk[0] > 20 > idle.bulk[0]  # one answer for two texts
    assert busy.peak_memory() - idle.peak_memory() == pytest.approx(50e6, rel=0.1)
    for process in (idle, busy):
        process.end()


def test_a_process_that_ends_is_an_error():
    process = Running(Backend("gone", [sys.executable, "-c", "raise SystemExit(3)"], 1))
    with pytest.raises((RuntimeError, BrokenPipeError)):
        process.ask("x")
    process._process.wait()


def test_the_table():
    made = [fake("one"), fake("other", score=0.75), fake("alone", bulk=False)]
    rows = list(backends.table(made, ["ab", "cd"], 1))
    assert [row[0] for row in rows] == ["one", "other", "alone"]
    assert [row[1] for row in rows] == ["2"] * 3
    assert [row[-2] for row in rows] == ["0", "0.2", "0"]
    assert [row[-1] for row in rows] == ["2 of 2"] * 3
    assert [bool(row[5]) for row in rows] == [True, True, False]


def test_answers_are_compared():
    tags = {"words": ["a", "b"], "tags": ["X", "Y"], "scores": [0.5, 0.25]}
    assert backends.brief(tags) == "a/X b/Y" == backends.brief(backends.read_answer("a/X b/Y"))
    assert backends.brief({"text": "so", "score": -1}) == "so"
    assert backends.brief({"label": "x"}) == "x"
    assert list(backends.gaps(tags, {**tags, "scores": [0.5, 1.0]})) == [0, 0.75]
    assert list(backends.gaps(tags, "a/X b/Y")) == []


def test_sizes(tmp_path):
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "x.pyc").write_bytes(b"1234")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "x").write_bytes(b"123")
    assert tree_size([tmp_path]) == 3
    assert installed_size(["numpy"]) == installed_size(["numpy>=1"], with_requirements=False) > 1_000_000
    assert installed_size(["torch"]) > installed_size(["torch"], with_requirements=False)
    assert installed_size(["no-such-distribution"]) == 0


@pytest.mark.nightly
def test_each_backend_answers(tmp_path, capsys):
    words = Vocabulary.train(["a good film"], VocabularySettings(min_frequency=1))
    task = Sentiment(SentimentProcessor(words, ["0", "1"], ["bad", "good"]), 4, 4)
    (tmp_path / "texts.txt").write_text("a good film\na film\n")
    folder = save_pretrained(task, tmp_path / "model")
    backends.main([str(folder), str(tmp_path / "texts.txt"), "--rounds", "1"])
    _, _, *lines = capsys.readouterr().out.splitlines()
    rows = {cells[0]: cells for cells in ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines)}
    expected = ["torch", "torch, int8", "NumPy", "NumPy, int8", "ONNX Runtime", "ONNX Runtime, int8"]
    expected += ["C", "C, int8"] if shutil.which("cc") else []
    expected += ["HTML, int8"] if shutil.which("node") else []
    assert [*rows] == expected
    for name in {"torch", "NumPy", "ONNX Runtime", "C"} & {*rows}:
        assert rows[name][-1] == "2 of 2"
        assert float(rows[name][-2] or 0) < 1e-5
    assert float(rows["torch"][1]) > 5 * float(rows["NumPy"][1])
