"""Each property is that of the words read so far."""

import pytest

from nlp_rnn.data.builtin.properties import PROPERTIES

TEXT = "the rooms were not clean , but the waiter is friendly ."
QUOTED = 'the food is " not bad " and " good " .'

CASES = [
    ("negation", TEXT, "nnnyynnnnnnn"),
    ("tense", TEXT, "??yyyyyyynnn"),
    ("number", TEXT, "?yyyyyyynnnn"),
    ("quotes", QUOTED, "nnnyyynnyynn"),
]


@pytest.mark.parametrize(("name", "text", "expected"), CASES)
def test_properties_are_those_of_what_was_read(name, text, expected):
    found = PROPERTIES[name].values(text.split())
    assert "".join({None: "?", True: "y", False: "n"}[value] for value in found) == expected


@pytest.mark.parametrize("name", PROPERTIES)
def test_texts_have_and_lack_the_property(name):
    asked = PROPERTIES[name]
    texts = asked.texts(40)
    assert len(texts) == 40
    assert texts == asked.texts(40)
    assert {value for words in texts for value in asked.values(words)} >= {True, False}
    assert asked.words & {word for words in texts for word in words}


def test_quotations_are_whole_sentences():
    for words in PROPERTIES["quotes"].texts(40):
        assert words.count('"') % 2 == 0
        parts = " ".join(words).split('"')
        assert all(part.strip().endswith(".") for part in parts if part.strip())
