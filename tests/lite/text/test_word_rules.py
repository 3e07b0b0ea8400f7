from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_rnn.lite.text.word_rules import character_class, classes, general_ends, inside_literals


@pytest.mark.parametrize(
    ("chunk", "words"),
    [
        ("barks.", "barks ."),
        ("Parfümeur.", "Parfümeur ."),
        ('"Yes,"', '" Yes , "'),
        ("„Ja!“", "„ Ja ! “"),
        ("(hello)", "( hello )"),
        ("wait...what?!", "wait ... what ? !"),
        ("—well—", "— well —"),
        ("don't", "don't"),
        ("l’homme", "l’homme"),
        ("'s", "'s"),
        ("'hello'", "' hello '"),
        ("''", "''"),
        ("e-mail,", "e-mail ,"),
        ("and/or", "and / or"),
        ("1,000.50", "1,000.50"),
        ("$5.", "$ 5 ."),
        ("50%", "50 %"),
        ("10:30,", "10:30 ,"),
        ("2024-01-05.", "2024-01-05 ."),
        ("24.12.2024)", "24.12.2024 )"),
        ("1st", "1st"),
        ("U.S.", "U.S."),
        ("e.g.,", "e.g. ,"),
        ("z.B.", "z.B."),
        ("end.Then", "end . Then"),
        ("google.com.", "google.com ."),
        ("http://x.org/a?b=1,", "http://x.org/a?b=1 ,"),
        ("(https://x.org/a_(b)", "( https://x.org/a_(b )"),
        ("www.x.org!", "www.x.org !"),
        ("<me.too@x.org>.", "< me.too@x.org > ."),
        ("@joe:", "@joe :"),
        ("#tag!", "#tag !"),
        (":-)", ":-)"),
        ("nice:)", "nice :)"),
        ("<3", "<3"),
        ("👍🏽!", "👍🏽 !"),
        ("👩\u200d👩\u200d👧❤\ufe0flove", "👩\u200d👩\u200d👧 ❤\ufe0f love"),
        ("🇩🇪🇫🇷", "🇩🇪 🇫🇷"),
        ("안녕하세요.", "안녕하세요 ."),
        ("你好，世界。", "你好 ， 世界 。"),
        ("これは「本」です。", "これは 「 本 」 です 。"),
        ("किताब।", "किताब ।"),
        ("cafe\u0301.", "cafe\u0301 ."),
        ("مرحبا،", "مرحبا ،"),
    ],
)
def test_words_of_a_chunk(chunk, words):
    ends = general_ends(chunk)
    assert " ".join(chunk[start:end] for start, end in pairwise([0, *ends])) == words


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Zs", "Cc"]), min_size=1, max_size=40))
def test_the_words_are_all_of_the_chunk(chunk):
    ends = general_ends(chunk)
    assert ends == sorted(set(ends))
    assert ends[0] > 0
    assert ends[-1] == len(chunk) == len(classes(chunk))


@pytest.mark.parametrize(
    "unit", ["a", "a.", "a-", "1,", "@a", "a@", "www.", "a://", "'", "(", ":", "m\u0301"]
)
def test_a_long_chunk_is_read_in_one_pass(unit):
    text = unit * (200_000 // len(unit))
    assert general_ends(text)[-1] == len(text)
    assert inside_literals(text) <= set(range(len(text)))


def test_what_is_inside_addresses():
    assert inside_literals("see:www.x.org.") == set(range(5, 13))
    assert inside_literals("see.") == set()


def test_classes():
    assert "".join(map(character_class, "aÉ漢5_'\u0301\u200d🏽🇩")) == "aAa0_'mzmR"
