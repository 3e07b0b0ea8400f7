"""Long texts are tokenized in pieces, with the tokens of the whole and in bounded memory."""

import resource

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.lite.text import pieces
from nlp_rnn.lite.text.notices import truncate

PARTS = [
    "a",
    "don't",
    "1,000.5",
    "the",
    "film",
    "<br",
    "<br />",
    "/>",
    "é",
    "e\u0301",
    "한",
    "\u0301",
    "Σ",
    "\n",
    ".",
]
# Every stretch of 64 characters has a space with a word before it.
TEXTS = st.lists(
    st.tuples(st.lists(st.sampled_from(PARTS), min_size=1, max_size=3).map("".join), st.integers(1, 9)),
    max_size=40,
).map(lambda words: "".join(word + " " * spaces for word, spaces in words))


@pytest.fixture(scope="module", params=["word", "bpe", "char"])
def vocabulary(request):
    return Vocabulary.train([" ".join(PARTS)] * 2, VocabularySettings(request.param))


@given(text=TEXTS)
@settings(derandomize=True, max_examples=30, deadline=None)
def test_the_tokens_of_the_pieces_are_those_of_the_text(vocabulary, text):
    whole = vocabulary.tokenizer.encode(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "_AT_ONCE", 64)
        parts = list(pieces.pieces(text))
        assert "".join(parts) == text
        assert all(len(part) <= 64 for part in parts)
        assert vocabulary.encode([text, "a", text]) == [whole.ids, vocabulary.encode(["a"])[0], whole.ids]
        for count in range(0, len(whole.ids) + 1, 7):
            ends = [0, *(end for _, end in whole.offsets)]
            assert vocabulary.end(text, count) == ends[count]
            first = vocabulary.encode([text], count)[0]
            last = vocabulary.encode([text], count, from_end=True)[0]
            assert truncate([first], count, "texts") == truncate([whole.ids], count, "texts")
            assert last[len(last) - count :] == whole.ids[len(whole.ids) - count :]
            assert (len(first) > count) == (len(last) > count) == (len(whole.ids) > count)
        unknown = [
            text[start:end] for id, (start, end) in zip(whole.ids, whole.offsets, strict=True) if id == 1
        ]
        assert list(vocabulary.unknown(text)) == unknown
        assert Vocabulary.train([text], VocabularySettings("word")).tokens() == (
            Vocabulary.train(parts, VocabularySettings("word")).tokens()
        )


@pytest.mark.parametrize(
    "text", ["x" * 1000, "한국" * 500, "<br " * 250, "a\u0301" * 500, "ba" + "\u0301a" * 500]
)
def test_a_text_without_a_place_to_cut_is_cut_nevertheless(text, monkeypatch):
    monkeypatch.setattr(pieces, "_AT_ONCE", 100)
    parts = list(pieces.pieces(text))
    assert "".join(parts) == text
    assert all(36 < len(part) <= 100 for part in parts[:-1])
    assert not any(part.startswith("\u0301") for part in parts)


@pytest.mark.parametrize(
    ("characters", "starts"),
    [
        ("a 한<é\u1100\u115f\u1200", True),  # \u1100 is the first letter of a decomposed syllable
        ("\u0301\u0903\u20dd\u1160\u1161\u11a8\u11ff", False),  # accents, vowels and finals
    ],
)
def test_what_may_be_joined_to_the_character_before_it_starts_none(characters, starts):
    assert {pieces.starts_new_character(character) for character in characters} == {starts}
    assert not pieces.starts_new_character("")


@pytest.mark.parametrize("word", ["x", "a b. "], ids=["one word", "many words"])
def test_memory_does_not_grow_with_the_text(vocabulary, word):
    text = word * (4_000_000 // len(word))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (ids,) = vocabulary.encode([text], max_length=100)
    assert len(ids) > 100 or word == "x"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kilobytes
