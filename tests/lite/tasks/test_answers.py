"""Answers of taggers: what is known of the words decides what an answer holds."""

from nlp_rnn.lite.tasks.answers import TagAnswer, scores_key, tag_answers
from nlp_rnn.lite.text.word_reader import RawText
from nlp_rnn.tasks.tagging.columns import restore_column

NER = restore_column("ner", ["B-PER", "I-PER", "O"], "iob2")
UPOS = restore_column("upos", ["NOUN", "VERB"], "")


def test_each_sentence_has_what_is_known_of_it():
    first = [[0, 1, 2], [2, 2, 0], [0, 2, 2]], [[0.5] * 3] * 3
    second = [[0, 1, 0], [1, 1, 0], [0, 1, 0]], [[0.25] * 3] * 3
    columns = [TagAnswer("tags", NER.decode, *first), TagAnswer("upos", UPOS.decode, *second)]
    raw = RawText("Ann  Lee sang", [(0, 3), (5, 8), (9, 13)])
    words = [["Ann", "Lee", "sang"], ["it", "is"], None]
    split, listed, unknown = tag_answers(columns, [3, 2, 0], words, [raw, None, None], True)
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
    ids = [[0, 1]], [[1.0, 1.0]]
    columns = [TagAnswer("tags", UPOS.decode, *ids), TagAnswer("ner", NER.decode, *ids)]
    (answer,) = tag_answers(columns, [2], [["a", "b"]], [None], False)
    assert "entities" not in answer
    assert answer["ner"] == ["B-PER", "I-PER"]
    assert scores_key("ner") == "ner_scores" in answer
