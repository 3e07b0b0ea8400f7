"""Models written by version 0.1 load, and answer as they did then."""

import json
from pathlib import Path

import pytest

from nlp_rnn import from_pretrained, pipeline

MODELS = Path(__file__).parents[1] / "fixtures" / "v0_1"
ANSWERS = json.loads((MODELS / "answers.json").read_text(encoding="utf-8"))


def close(one, other):
    """Equal, but for the rounding of another machine's arithmetic."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(close(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(close, one, other))
    return one == pytest.approx(other, abs=1e-5) if isinstance(one, float) else one == other


@pytest.mark.parametrize(
    ("task", "file"),
    [("sentiment", "sentiment"), ("translation", "translation"), ("tagging", "tagging.ckpt")],
)
def test_it_answers_as_before(task, file):
    inputs, old = ANSWERS[task]["inputs"], ANSWERS[task]["answers"]
    for given, before, answer in zip(inputs, old, pipeline(task, MODELS / file)(inputs), strict=True):
        kept = {key: answer[key] for key in before}
        if given == "" and task != "language_modeling":  # whose answers depended on the model alone
            assert not any(kept.get(key) for key in ("label", "text", "tags"))
        else:
            assert close(kept, before)


def test_its_settings_are_read():
    task = from_pretrained(MODELS / "translation")
    assert task.settings["decoding"] == {"beam": 3, "length_penalty": 1.0, "n_best": 1, "max_output": 20}
    assert task.processor.reverse_source is True
    assert from_pretrained(MODELS / "sentiment").settings["optimization"]["memory"] == 20
