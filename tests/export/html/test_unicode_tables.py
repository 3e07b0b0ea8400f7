"""The tables of characters, against the classes of one character at a time."""

import random

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


def test_classes_of_words():
    points = {name: read(written) for name, written in unicode_tables.letter_classes().items()}
    assert list(points) == list("Aa0m")  # no character stands for a class that has no table
    for character in CHARACTERS:
        names = [name for name in points if ord(character) in points[name]]
        expected = character_class(character)
        assert names == ([expected] if expected in points else []), ascii(character)
