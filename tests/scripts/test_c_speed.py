"""The script that compares a C program with torch."""

import importlib.util
import shutil
from pathlib import Path

import pytest

from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.tasks import Sentiment
from nlp_rnn.tasks.pretrained import save_pretrained
from nlp_rnn.tasks.sentiment.data import SentimentProcessor

PATH = Path(__file__).parents[2] / "scripts" / "c_speed.py"
SPEC = importlib.util.spec_from_file_location("c_speed", PATH)
c_speed = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(c_speed)


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_both_answer_all_texts(tmp_path, capsys):
    words = Vocabulary.train(["a good film"], VocabularySettings(min_frequency=1))
    folder = save_pretrained(
        Sentiment(SentimentProcessor(words, ["0", "1"], ["bad", "good"]), 4, 4), tmp_path / "model"
    )
    (tmp_path / "texts.txt").write_text("a good film\na film\n")
    c_speed.main([str(folder), str(tmp_path / "texts.txt"), "--rounds", "1", "--int8"])
    assert " ms, ratio " in capsys.readouterr().out
