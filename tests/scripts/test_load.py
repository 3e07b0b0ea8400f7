"""scripts/load.py, with few clients for a short time."""

import json
import os
import subprocess
import sys

import pytest

from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.tasks import Sentiment
from nlp_rnn.tasks.pretrained import save_pretrained
from nlp_rnn.tasks.sentiment.data import SentimentProcessor


@pytest.mark.nightly
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_nothing_is_lost_under_load(tmp_path):
    words = Vocabulary.train(["a good film is not bad"], VocabularySettings(min_frequency=1))
    task = Sentiment(SentimentProcessor(words, ["0", "1"], ["bad", "good"]), 4, 4, cell="gru")
    folder = save_pretrained(task, tmp_path / "model")
    command = [sys.executable, "scripts/load.py", f"numpy={folder}", "--clients", "8", "--seconds", "3"]
    done = subprocess.run(command, env={**os.environ}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr + done.stdout
    found = json.loads(done.stdout)
    counts = found["counts"]
    assert min(counts[name] for name in ("good", "bad, refused", "left", "at the end: answered")) > 0
    assert counts["exit code 143"] == 1
    assert 0 < found["p50_ms"] <= found["p99_ms"]
    assert found["memory_mib"]["largest"] < 300
