"""The hash of affixes is the published one, and each kind of affix has ids of its own."""

import pytest

from nlp_rnn.lite.text.affixes import affix_ids, fnv1a


@pytest.mark.parametrize(
    ("text", "value"),
    # From the test vectors of the hash's authors, and UTF-8 of several bytes by the definition.
    [("", 0x811C9DC5), ("a", 0xE40C292C), ("foobar", 0xBF9CF968), ("ß", 0x309E0517)],
)
def test_the_hash_is_fnv1a(text, value):
    assert fnv1a(text) == value


def test_an_affix_has_the_ids_of_its_kind():
    walking, king = affix_ids("walking", [-2, -3, 3], 10_000), affix_ids("king", [-2, -3, 3], 10_000)
    assert walking[:2] == king[:2] == [fnv1a("ng") % 10_000, 10_000 + fnv1a("ing") % 10_000]
    assert [walking[2], king[2]] == [20_000 + fnv1a(text) % 10_000 for text in ("wal", "kin")]


@pytest.mark.parametrize("word", ["", "a", "né", "🎈b"])
def test_a_word_shorter_than_an_affix_is_the_affix(word):
    assert affix_ids(word, [-5, 5], 7) == [fnv1a(word) % 7, 7 + fnv1a(word) % 7]
    assert affix_ids(f"x{word}y", [-1, 1], 7) == [fnv1a("y") % 7, 7 + fnv1a("x") % 7]
