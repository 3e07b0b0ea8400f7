"""The tables of characters, against the library asked one character at a time."""

import random

import pytest
from tokenizers import Regex, normalizers, pre_tokenizers

from nlp_rnn.export.html import unicode_tables
from nlp_rnn.lite.text.word_rules import character_class

POINTS = [*range(0x3000), *range(0xFE00, 0x10300), *random.Random(0).sample(range(0x110000), 3000)]
CHARACTERS = [chr(point) for point in POINTS if not 0xD800 <= point < 0xE000]


def read(written):
    """The code points of a set as it is written."""
    points, place = set(), 0
    numbers = [int(number, 36) for number in written.split(" ")]
    for gap, count in zip(numbers[::2], numbers[1::2], strict=True):
        points |= set(range(place + gap, place + gap + count))
        place += gap + count
    return points


@pytest.mark.parametrize("regex", [r"\w", r"\d", r"\s"])
def test_classes_of_regular_expressions(regex):
    points = read(unicode_tables.regex_class(regex))
    split = pre_tokenizers.Split(Regex(regex), "removed", invert=True)
    for character in CHARACTERS:
        assert (ord(character) in points) == bool(split.pre_tokenize_str(character)), ascii(character)


def test_punctuation():
    points = read(unicode_tables.punctuation())
    split = pre_tokenizers.Punctuation("removed")
    for character in CHARACTERS:
        assert (ord(character) in points) == (not split.pre_tokenize_str(character)), ascii(character)


def test_what_stays_as_it_is_in_nfc_is_in_no_run():
    points = read(unicode_tables.composing())
    nfc = normalizers.NFC().normalize_str
    random.seed(0)
    inert = [character for character in CHARACTERS if ord(character) not in points]
    assert 5000 < len(inert) < len(CHARACTERS)
    runs = ["a\u0323\u0301", "\u1100\u1161", "\u0301", "e\u0301"]
    for character in inert:
        before, after = random.choice(runs), random.choice(runs)
        assert nfc(before + character + after) == nfc(before) + character + nfc(after), ascii(character)


def test_lower_case():
    table = unicode_tables.lower_case()
    lower = dict(table["others"])
    for first, count, step, difference in table["runs"]:
        for point in range(first, first + count * step, step):
            assert chr(point) not in lower
            lower[chr(point)] = chr(point + difference)
    normalize = normalizers.Lowercase().normalize_str
    for character in CHARACTERS:
        assert lower.get(character, character) == normalize(character), ascii(character)


def test_classes_of_words():
    points = {name: read(written) for name, written in unicode_tables.letter_classes().items()}
    assert list(points) == list("Aa0m")  # no character stands for a class that has no table
    for character in CHARACTERS:
        names = [name for name in points if ord(character) in points[name]]
        expected = character_class(character)
        assert names == ([expected] if expected in points else []), ascii(character)
