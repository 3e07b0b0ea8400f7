"""A forked stream answers as the pipeline does to the other text."""

import pytest

from nlp_rnn.errors import UsageError
from nlp_rnn.inference.pipelines import pipeline
from nlp_rnn.inspection.counterfactual import fork, turns

TEXT = "the work is not good , but the film is"
WORDS = TEXT.split()


@pytest.mark.parametrize("replacement", ["film", ""])
def test_both_texts_are_answered_after_each_word(tiny, replacement):
    task = tiny("sentiment", bidirectional=False)
    forked = fork(task, " ".join(WORDS), "good", replacement)
    assert (forked.words, forked.place, forked.replacement) == (WORDS, 4, replacement)
    answer = pipeline("sentiment", task)
    for words, answers in ((WORDS, forked.answers), ([*WORDS[:4], replacement, *WORDS[5:]], forked.others)):
        assert len(answers) == len(words)
        for end, found in enumerate(answers, 1):
            assert found["scores"] == pytest.approx(answer(" ".join(words[:end]))["scores"], abs=1e-6)
    assert forked.answers[:4] == forked.others[:4]
    assert forked.answers[-1] != forked.others[-1]


def test_turns_are_the_words_at_which_the_label_changes():
    assert turns([{"label": label} for label in "aabba"]) == [2, 4]
    assert turns([]) == []


def test_refusals(tiny):
    forward = tiny("sentiment", bidirectional=False)
    for task, text, message in (
        (forward, "the film", "the word 'good' is not in the text: give one of its words"),
        (tiny("sentiment", bidirectional=True), "good", r"bidirectional, .* --model\.bidirectional false"),
        (tiny("tagging"), "good", "tagging does not predict a label per text: give one that does"),
    ):
        with pytest.raises(UsageError, match=message):
            fork(task, text, "good", "film")
