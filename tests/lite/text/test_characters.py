"""The tables of characters are those of the tokenizers library."""

import random
import unicodedata

import character_tables
import pytest
import tokenizers
from tokenizers import normalizers

from nlp_rnn.lite.text import characters
from nlp_rnn.lite.text.characters import ClassTable

POINTS = [*range(0x3000), *range(0xFE00, 0x10300), *random.Random(0).sample(range(0x110000), 3000)]
CHARACTERS = [chr(point) for point in POINTS if not 0xD800 <= point < 0xE000]
SETS = ("word", "digit", "space", "punctuation", "composing")


@pytest.fixture(scope="module")
def asked():
    return character_tables.make_tables()


def points_of(written):
    """The code points of a set as it is written."""
    points, place = set(), 0
    numbers = [int(number, 36) for number in written.split(" ")]
    for gap, count in zip(numbers[::2], numbers[1::2], strict=True):
        points |= set(range(place + gap, place + gap + count))
        place += gap + count
    return points


@pytest.mark.parametrize("name", SETS)
def test_sets_are_those_of_the_library(asked, name):
    stored = characters.tables()
    if stored["library"] == tokenizers.__version__:
        assert stored[name] == asked[name], "run python scripts/character_tables.py"
    # Other versions may know other versions of Unicode: they differ in characters that are new.
    differing = points_of(stored[name]) ^ points_of(asked[name])
    assert not [point for point in differing if unicodedata.category(chr(point)) != "Cn"]


def test_lower_case_is_that_of_the_library(asked):
    if characters.tables()["library"] == tokenizers.__version__:
        assert characters.tables()["lower"] == asked["lower"], "run python scripts/character_tables.py"
    normalize = normalizers.Lowercase().normalize_str
    for character in CHARACTERS:
        if unicodedata.category(character) != "Cn":
            lower = characters.lower_case().get(ord(character), character)
            assert lower == normalize(character), ascii(character)


def test_what_stays_as_it_is_in_nfc_is_in_no_run():
    points = points_of(characters.tables()["composing"])
    nfc = normalizers.NFC().normalize_str
    random.seed(0)
    inert = [character for character in CHARACTERS if ord(character) not in points]
    assert 5000 < len(inert) < len(CHARACTERS)
    runs = ["a\u0323\u0301", "\u1100\u1161", "\u0301", "e\u0301"]
    for character in inert:
        before, after = random.choice(runs), random.choice(runs)
        assert nfc(before + character + after) == nfc(before) + character + nfc(after), ascii(character)


def test_a_class_table_marks_each_character_by_the_first_set_that_has_it():
    table = ClassTable({"digit": "0", "word": "a", "space": " "}, "!", {"’": "'"})
    assert "aß1٣_ \u3000’.😀\U0010ffff".translate(table) == "aa00a  '!!!"
    sets = {name: points_of(characters.tables()[name]) for name in ("digit", "word", "space")}
    marks = {"digit": "0", "word": "a", "space": " "}
    for character in CHARACTERS:
        if character != "’":
            expected = next((marks[name] for name in marks if ord(character) in sets[name]), "!")
            assert table[ord(character)] == expected, ascii(character)
    assert max(table) < 0x20000  # rare characters do not fill the memory
