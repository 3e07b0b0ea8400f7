"""Texts to ids and places without the tokenizers library, against the library."""

import json
import random
import unicodedata
from functools import cache
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unicode_texts import sample_texts

from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.data.builtin.sentences import generate
from nlp_rnn.errors import UsageError
from nlp_rnn.lite.text import subwords, vocabulary
from nlp_rnn.lite.text.normalizing import Normalizer
from nlp_rnn.lite.text.tokenizer import Tokenizer

KINDS = [
    *product(("word", "char"), (True, False), [2_000]),
    *product(["bpe"], (True, False), (60, 300, 2_000)),
    ("words", True, 10**6),
]
SPECIAL = [
    "straße STRASSE ẞ", "İstanbul Iğdır ıI", "ΣΑΣ ὈΔΥΣΣΕΎΣ ς", "한국어 \u1112\u1161\u11ab\u1100\u1161\u11a8",
    "\u1100\uac00\u11a8\u11a8",
    "👨‍👩‍👧‍👦 👍🏽 🏳️‍🌈 ❤️", "a\u0344b \u0f73\u0f72 \u0301\u0f73", "\u0958\u09dc\ufb1d\u2126Å",
    "x<br>y<br\t/ >z<br                />q", "<br <br>>", "▁▁a ▁", "\ufffd\ufffe\U0010ffff",
    "1٣,٤.5 1,.2 a’b' d''e-f -g_ _h", "\x00\x1c\x1f\x85\xa0\u180e\u200b\u2028\u3000", "ﬁ ǅ ŉ",
    "e\u0323\u0301\u0323\u0307 ά\u0323\u0345\u0301",
]  # fmt: skip


@cache
def corpus():
    return [" ".join(text) for row in generate(300) for text in (row.english, row.german)]


@cache
def pairs():
    """Vocabularies of the library and those without it, with a name."""
    texts = [*corpus(), *SPECIAL, *sample_texts()[::5]]
    made = {}
    for level, lowercase, size in KINDS:
        options = VocabularySettings(
            level=level.rstrip("s"), lowercase=lowercase, min_frequency=1, max_size=size
        )
        if level == "words":
            theirs = Vocabulary.train_on_words([text.split() for text in texts], options)
        else:
            theirs = Vocabulary.train(texts, options)
        made[f"{level}-{lowercase}-{size}"] = theirs, vocabulary.Vocabulary.from_json(theirs.to_json())
    return made


def check_encoding(ours, text, expected):
    assert ours.encode([text]) == [expected.ids], (ours, text)
    tokens = [(id, *span) for id, span in zip(expected.ids, expected.offsets, strict=True)]
    assert ours._encoder.tokens(text) == tokens, (ours, text)


def check_equal(text):
    for theirs, ours in pairs().values():
        expected = theirs.tokenizer.encode(text)
        check_encoding(ours, text, expected)
        assert ours.encode_words([text]) == theirs.encode_words([text]), (ours, text)
        if ours.level == "bpe":
            assert ours.decode(expected.ids) == theirs.tokenizer.decode(expected.ids), (ours, text)


@pytest.mark.parametrize("text", SPECIAL)
def test_hard_texts(text):
    check_equal(text)


def test_what_a_vocabulary_is():
    for theirs, ours in pairs().values():
        assert ours.tokens() == theirs.tokens()
        assert (len(ours), ours.level, ours.lowercase, ours.fingerprint) == (
            len(theirs), theirs.level, theirs.lowercase, theirs.fingerprint,
        )  # fmt: skip
        assert ours.level != "bpe" or ours.decode(
            [4, 1, 5, 1], ["x▁", "y"]
        ) == theirs.tokenizer.decoder.decode([ours.token(4), "x▁", ours.token(5), "y"])


@pytest.mark.nightly
@pytest.mark.parametrize("name", ["word-True-2000", "char-False-2000", "bpe-True-2000", "bpe-False-300"])
def test_all_assigned_characters_alone_and_beside_others(name):
    theirs, ours = pairs()[name]
    texts = [*corpus()[:100], *sample_texts()]
    for text, expected in zip(texts, theirs.tokenizer.encode_batch(texts), strict=True):
        check_encoding(ours, text, expected)
        assert ours.encode_words([text]) == theirs.encode_words([text]), text


MARKS = [chr(point) for point in range(0x20000) if unicodedata.combining(chr(point))]
LETTERS = [*"aeAΣςİIıſßé가각\u1100\u1161\u11a8한ङ\u0f71", *" .,'’-_19▁", "<br>", "<br />", "👍🏽", "\u200d"]
TEXTS = st.lists(
    st.one_of(
        st.sampled_from(LETTERS), st.sampled_from(MARKS), st.characters(exclude_categories=["Cs", "Cn"])
    ),
    max_size=30,
).map("".join)


@given(text=TEXTS)
@settings(derandomize=True, max_examples=60, deadline=None)
def test_any_text(text):
    check_equal(text)


@pytest.mark.parametrize("lowercase", [True, False])
def test_characters_that_python_does_not_know_as_the_library_does(lowercase):
    """Each code point behind and before characters that it might be joined with."""
    rng = random.Random(0)
    normalizer = Normalizer(line_breaks=False, lowercase=lowercase)
    theirs = Vocabulary.train(["a"], VocabularySettings("char", lowercase, 1)).tokenizer.normalizer
    points = [point for point in range(1, 0x20000) if not 0xD800 <= point < 0xE000]
    for start in range(0, len(points), 500):
        text = "".join(rng.choice("aAs가\u0323\u0301\u0345ά") + chr(p) for p in points[start : start + 500])
        assert normalizer.apply(text) == theirs.normalize_str(text), ascii(text)
        assert normalizer.align(text)[0] == normalizer.apply(text)


def test_the_tokenizers_of_folders(make_folder):
    """Those of every level and task, from the folder as it is written."""
    for name in ("sentiment", "tagging", "translation"):
        for path in Path(make_folder(name)).glob("tokenizer*.json"):
            text = path.read_text(encoding="utf-8")
            theirs, ours = Vocabulary.from_json(text), vocabulary.Vocabulary.from_json(text)
            assert ours.encode(corpus()) == theirs.encode(corpus())


def bpe_state(merges):
    letters = ["▁", "a", "b", "c", "ab", "bc", "abc", "bcabc", "aa", "aaaa"]
    vocab = {token: id for id, token in enumerate(["<pad>", "<unk>", "<bos>", "<eos>", *letters])}
    state = json.loads(Vocabulary.train(["a"], VocabularySettings("bpe", True, 1)).to_json())
    state["model"] |= {"vocab": vocab, "merges": merges}
    return state


MERGES = [
    ["a b", "b c", "ab c", "a bc", "bc abc"],
    ["a bc", "b c", "a b"],
    ["ab c", "b c", "a a", "aa aa", "a b"],
    ["b c", "a a", "b c"],
    [],
]


@pytest.mark.parametrize("merges", MERGES)
@given(text=st.text("abcx ▁", max_size=25))
@settings(derandomize=True, max_examples=60, deadline=None)
def test_merges_of_any_order(merges, text):
    written = json.dumps(bpe_state(merges))
    theirs, ours = Vocabulary.from_json(written), vocabulary.Vocabulary.from_json(written)
    assert ours.encode([text]) == theirs.encode([text])
    assert list(ours.parts(text)) == list(theirs.parts(text))


def test_pieces_that_are_kept_are_bounded(monkeypatch):
    monkeypatch.setattr(subwords, "_MAX_KEPT", 10)
    encoder = Tokenizer(bpe_state(["a b"]))
    texts = ["a" * size for size in range(1, 40)] + ["x" * 200]
    once = encoder.encode(texts)
    assert len(encoder._subwords._kept) <= 10
    assert encoder.encode(texts) == once


def test_a_long_word_takes_linear_time():
    ours = pairs()["bpe-True-2000"][1]
    (ids,) = ours.encode(["the" * 100_000])
    assert len(ids) > 10_000


def test_a_lone_surrogate_is_refused():
    for _, ours in pairs().values():
        with pytest.raises(UsageError, match="lone surrogate"):
            ours.encode(["a\ud800"])
