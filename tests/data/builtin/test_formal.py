"""The formal languages are labeled as defined, and no string is in two splits."""

import pytest

from nlp_rnn.data.builtin.corpora import EXAMPLES
from nlp_rnn.data.builtin.formal import ALL_UP_TO, SAMPLES, brackets, parity


def nested(text):
    """Whether a grammar of three levels makes the text."""
    level = {""}
    for _ in range(3):
        units = [f"({inner})" for inner in level]
        level = {""} | {one for one in units if len(one) <= len(text)}
        while True:
            more = {a + b for a in level for b in units if len(a + b) <= len(text)} - level
            if not more:
                break
            level |= more
    return text in level


@pytest.mark.parametrize(("text", "label"), [("", "even"), ("0", "even"), ("10", "odd"), ("1101", "odd")])
def test_parity(text, label):
    assert parity(text) == label


@pytest.mark.parametrize("text", ["()", "((()))", "(((())))", "(()())()", ")(", "(()", "())(", "()" * 4])
def test_brackets(text):
    assert brackets(text) == ("balanced" if nested(text) else "broken")


@pytest.mark.parametrize(("name", "label"), [("parity", parity), ("brackets", brackets)])
def test_the_splits(name, label):
    splits = {split: table.to_pydict() for split, table in EXAMPLES[name]().items()}
    assert splits.keys() == SAMPLES.keys()
    seen = set()
    for split, (count, low, high) in SAMPLES.items():
        texts = splits[split]["text"]
        longer = [text for text in texts if len(text) > ALL_UP_TO]
        assert len(longer) == count
        assert {low, high} <= {*map(len, longer)} <= {*range(low, high + 1)}
        assert len(texts) - count == (2 ** (ALL_UP_TO + 1) - 2 if split == "train" else 0)
        assert len({*texts}) == len(texts)
        assert not seen & {*texts}
        seen |= {*texts}
        labels = [label(text) for text in longer]
        assert {labels.count(one) for one in {*labels}} == {count // 2}
        for text, one, tokens, tags in zip(*splits[split].values(), strict=True):
            assert (one, list(text)) == (label(text), tokens)
            assert tags == [label(text[:end]) for end in range(1, len(text) + 1)]
