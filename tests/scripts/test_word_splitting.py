"""The script that measures how raw text is split into words."""

import importlib.util
from pathlib import Path

import pytest

from nlp_rnn.data.corpus.conllu import conllu_block
from nlp_rnn.lite.text.splitting import Token
from nlp_rnn.tasks.tagging.splitting import WordSplitter

PATH = Path(__file__).parents[2] / "scripts" / "word_splitting.py"
SPEC = importlib.util.spec_from_file_location("word_splitting", PATH)
word_splitting = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(word_splitting)


def test_f1_counts_words_at_their_places():
    sentences = [("Il va du lac.", ["Il", "va", "de", "le", "lac", "."]), ("a", ["b"])]
    # Of 4 chunks, "Il" and "va" are words; there are 6.
    assert word_splitting.f1(word_splitting.at_white_space, sentences) == pytest.approx(2 * 2 / (4 + 6))
    # Of "du", both words have another text.
    assert word_splitting.f1(WordSplitter().split, sentences) == pytest.approx(2 * 4 / (5 + 6))
    assert word_splitting.f1(WordSplitter(contractions=["du de le"]).split, sentences) == 1


def test_three_ways_are_printed(tmp_path, capsys):
    tokens = [Token(0, 3, ("Ann",)), Token(3, 5, ("'s",)), Token(6, 9, ("dog",)), Token(9, 10, (".",))]
    (tmp_path / "a.conllu").write_text(conllu_block("Ann's dog.", tokens) * 3)
    word_splitting.main(*[str(tmp_path / "a.conllu")] * 2)
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["white space: 0.00", "general rules: 57.14", "learned: 100.00"]
