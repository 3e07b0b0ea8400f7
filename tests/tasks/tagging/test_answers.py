"""Answers of taggers: what is known of the words decides what an answer holds."""

import torch

from nlp_rnn.lite.word_reader import RawText
from nlp_rnn.tasks.tagging.answers import make_answers, scores_key
from nlp_rnn.tasks.tagging.columns import restore_column

NER = restore_column("ner", ["B-PER", "I-PER", "O"], "iob2")
UPOS = restore_column("upos", ["NOUN", "VERB"], "")


def test_each_sentence_has_what_is_known_of_it():
    first = torch.tensor([[0, 2, 0], [1, 2, 2], [2, 0, 2]]), torch.full((3, 3), 0.5)
    second = torch.tensor([[0, 1, 0], [1, 1, 1], [0, 0, 0]]), torch.full((3, 3), 0.25)
    predicted = [("tags", NER, first), ("upos", UPOS, second)]
    raw = RawText("Ann  Lee sang", [(0, 3), (5, 8), (9, 13)])
    words = [["Ann", "Lee", "sang"], ["it", "is"], None]
    split, listed, unknown = make_answers(predicted, [3, 2, 0], words, [raw, None, None])
    span = {"type": "PER", "start": 0, "end": 2, "text": "Ann  Lee", "offsets": [0, 8]}
    assert split == {
        "words": ["Ann", "Lee", "sang"],
        "tags": ["B-PER", "I-PER", "O"],
        "scores": [0.5] * 3,
        "upos": ["NOUN", "VERB", "NOUN"],
        "upos_scores": [0.25] * 3,
        "entities": [span],
        "offsets": [[0, 3], [5, 8], [9, 13]],
    }
    assert (listed["words"], listed["tags"], listed["entities"]) == (["it", "is"], ["O", "O"], [])
    assert "offsets" not in listed
    assert unknown == {"tags": [], "scores": [], "upos": [], "upos_scores": [], "entities": []}


def test_spans_are_of_the_first_column_alone():
    ids = torch.tensor([[0], [1]]), torch.ones(2, 1)
    (answer,) = make_answers([("tags", UPOS, ids), ("ner", NER, ids)], [2], [["a", "b"]], [None])
    assert "entities" not in answer
    assert answer["ner"] == ["B-PER", "I-PER"]
    assert scores_key("ner") == "ner_scores" in answer
