import json
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_rnn.data import Corpus, SentimentData
from nlp_rnn.data.vocabulary import BOS, EOS, PAD, SPECIALS, UNK, Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError

LEVELS = ("word", "bpe", "char")
TEXTS = [
    "A man is walking, isn't he?",
    "Ein Mann läuft (schnell) über die Straße!",
    "한국어 문장입니다.",
    "The price: 1,000.50 dollars; a well-known rock'n'roll café.",
    "the end, the end.",
    # What looks like a special token, often enough to be learned.
    *["<pad> <unk> <bos> <eos> </s> [PAD] ▁"] * 3,
]
# The last line's sign is how the library itself writes a space, and no example of a faithful round trip.
PLAIN = TEXTS[:5]


def trained(level="word", texts=TEXTS, **settings):
    return Vocabulary.train(texts, VocabularySettings(level, **{"min_frequency": 1} | settings))


VOCABULARIES = {level: trained(level) for level in LEVELS}
WORDS = Vocabulary.train_on_words(
    [["I", "don't", "know", "<pad>", "<PAD>", "<eos>", "\xa0", "", "😀", "e\u0301t\u00e9", "<br>"]] * 2,
    VocabularySettings(),
)

texts_with_specials = st.lists(
    st.one_of(st.text(max_size=8), st.sampled_from([*SPECIALS, "<PAD>", "<Eos>", "▁", " ", "<br>", "\0"])),
    max_size=6,
).map("".join)


# ---------------------------------------------------------------------------------------- there and back


@pytest.mark.parametrize("text", PLAIN)
@pytest.mark.parametrize("level", LEVELS)
def test_memorized_text_is_generated(level, text):
    vocabulary = trained(level, lowercase=False)
    ids = vocabulary.encode([text])[0]
    assert UNK not in ids
    assert vocabulary.decode([BOS, *ids, EOS, PAD, PAD]) == text


@pytest.mark.parametrize("level", LEVELS)
@settings(deadline=None)
@given(text=texts_with_specials)
def test_no_text_is_given_the_ids_of_padding_beginning_or_end(level, text):
    vocabulary = VOCABULARIES[level]
    ids = vocabulary.encode([text])[0]
    assert not {PAD, BOS, EOS} & set(ids)
    assert all(0 <= id < len(vocabulary) for id in ids)


@pytest.mark.parametrize("level", LEVELS)
@given(text=texts_with_specials)
def test_token_strings_are_what_is_encoded_with_what_the_vocabulary_lacks(level, text):
    vocabulary = VOCABULARIES[level]
    ids = {token: id for id, token in enumerate(vocabulary.tokens())}
    tokens = vocabulary.token_strings(text)
    assert [[ids.get(token, UNK) for token in tokens]] == vocabulary.encode([text])
    unknown = [token for token in tokens if ids.get(token, UNK) == UNK]
    assert level == "bpe" or SPECIALS[UNK] not in unknown
    assert WORDS.token_strings(text) == [word for word in WORDS.normalize_words([text]) if word]


@pytest.mark.parametrize("level", LEVELS)
def test_ids_do_not_depend_on_the_other_texts(level):
    vocabulary = VOCABULARIES[level]
    alone = [vocabulary.encode([text])[0] for text in TEXTS]
    assert vocabulary.encode(TEXTS) == alone
    assert vocabulary.encode(TEXTS[::-1]) == alone[::-1]


@pytest.mark.parametrize("level", LEVELS)
def test_text_like_special_tokens_stays_text(level):
    vocabulary = VOCABULARIES[level]
    text = "<pad>" if level != "word" else "< pad >"
    assert vocabulary.decode(vocabulary.encode(["<pad>"])[0]) == text


@pytest.mark.parametrize(
    ("level", "text", "ids"),
    [
        ("word", "", 0),
        ("word", " \t\n\xa0\u3000 ", 0),
        ("word", "a<br />b", 2),
        ("word", "don't well-known 1,000.50", 3),
        ("word", "no.1!", 4),
        ("bpe", "", 0),
        ("char", "", 0),
        ("char", "a b", 3),
        ("char", "a\tb", 3),
    ],
)
def test_number_of_ids(level, text, ids):
    assert len(VOCABULARIES[level].encode([text])[0]) == ids


@pytest.mark.parametrize("level", LEVELS)
def test_empty_input_gives_empty_output(level):
    vocabulary = VOCABULARIES[level]
    assert vocabulary.encode([]) == []
    assert vocabulary.decode([]) == vocabulary.decode([BOS, EOS, PAD]) == ""


@pytest.mark.parametrize("level", LEVELS)
def test_unknown_characters_are_unk(level):
    ids = VOCABULARIES[level].encode(["𓀀"])[0]
    assert UNK in ids
    assert "<unk>" in VOCABULARIES[level].decode(ids)


def test_one_letter_words_are_no_characters():
    vocabulary = trained(texts=["a b c"])
    assert vocabulary.decode(vocabulary.encode(["c a"])[0]) == "c a"


# ------------------------------------------------------------------------------------ Unicode


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("text", ["한국어 문장입니다.", "café über läuft", "Straße"])
def test_composed_and_decomposed_letters_are_the_same(level, text):
    vocabulary = VOCABULARIES[level]
    composed, decomposed = (
        vocabulary.encode([unicodedata.normalize(form, text)])[0] for form in ("NFC", "NFD")
    )
    assert composed == decomposed
    assert UNK not in composed
    assert (
        trained(level, [unicodedata.normalize("NFD", text)] * 2).tokens()
        == trained(level, [text] * 2).tokens()
    )


def test_composed_and_decomposed_words_are_the_same():
    assert WORDS.encode_words(["été", "e\u0301te\u0301"]) == [WORDS.tokens().index("été")] * 2


@pytest.mark.parametrize(("text", "at"), [("\ud800", 0), ("a fine \udcff film", 7), ("ä\udfff", 1)])
def test_lone_surrogates_are_refused(text, at):
    where = rf"lone surrogate .*{text[at]!a}.* at character {at}".replace("\\", r"\\")
    for vocabulary in VOCABULARIES.values():
        with pytest.raises(UsageError, match=where):
            vocabulary.encode(["good", text])
    with pytest.raises(UsageError, match=where):
        WORDS.encode_words([text])


# ------------------------------------------------------------------------------------------ given words


@settings(deadline=None)
@given(st.lists(st.one_of(st.text(max_size=6), st.sampled_from([*SPECIALS, "<PAD>", "<Eos>", "\xa0"]))))
def test_each_word_has_one_id(words):
    ids = WORDS.encode_words(words)
    assert len(ids) == len(words)
    assert not {PAD, BOS, EOS} & set(ids)
    assert all(0 <= id < len(WORDS) for id in ids)


def test_words_are_kept_whole():
    assert set(WORDS.tokens()) == {*SPECIALS, "i", "don't", "know", "\xa0", "😀", "été", "<br>"}
    words = ["DON'T", "\xa0", "😀", "été", "<br>"]
    assert [WORDS.tokens()[id] for id in WORDS.encode_words(words)] == ["don't", "\xa0", "😀", "été", "<br>"]


def test_the_first_10_000_characters_of_a_word_are_read():
    vocabulary = Vocabulary.train_on_words([["x" * 12_000]] * 2, VocabularySettings())
    assert vocabulary.tokens()[4:] == ["x" * 10_000]
    assert vocabulary.encode_words(["x" * 10_000, "x" * 11_000, "x" * 9_999]) == [4, 4, UNK]


@pytest.mark.parametrize("word", ["", "never seen", " ", *SPECIALS, "<PAD>"])
def test_words_without_an_entry_are_unknown(word):
    assert WORDS.encode_words([word]) == [UNK]


@pytest.mark.parametrize("special", ["<pad>", "<PAD>", "<Unk>", "<BOS>", "<eos>"])
@pytest.mark.parametrize("lowercase", [True, False])
def test_words_like_special_tokens_in_train(special, lowercase):
    vocabulary = Vocabulary.train_on_words([[special, "word"]] * 5, VocabularySettings(lowercase=lowercase))
    assert vocabulary.tokens()[:4] == list(SPECIALS)
    assert vocabulary.encode_words([special])[0] not in (PAD, BOS, EOS)


# --------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize("level", ["word", "char"])
def test_min_frequency(level):
    texts = ["x x x y y z"]
    assert set(trained(level, texts, min_frequency=2).tokens()) - {" "} == {*SPECIALS, "x", "y"}
    assert set(trained(level, texts, min_frequency=3).tokens()) - {" "} == {*SPECIALS, "x"}


def test_default_min_frequency_drops_tokens_seen_once():
    assert Vocabulary.train(["a b a"], VocabularySettings()).tokens() == [*SPECIALS, "a"]


@pytest.mark.parametrize("level", LEVELS)
def test_lowercase(level):
    lower, mixed = trained(level), trained(level, lowercase=False)
    assert lower.encode(["THE Man"]) == lower.encode(["the man"])
    assert mixed.encode(["THE Man"]) != mixed.encode(["the man"])
    assert all(token == token.lower() for token in lower.tokens())


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("max_size", [5, 12, 20])
def test_max_size_keeps_the_most_frequent(level, max_size):
    vocabulary = trained(level, ["e e e e e e e e", *PLAIN], max_size=max_size)
    assert len(vocabulary) == max_size
    assert "e" in "".join(vocabulary.tokens()[4:]) or level != "word"


def test_bpe_learns_more_than_letters():
    assert {"▁low", "▁lower", "▁lowest"} <= set(trained("bpe", ["low lower lowest"] * 5).tokens())


def test_a_third_of_the_subwords_may_be_characters():
    """The most frequent ones; of those that are equally frequent, as l, o and w, the first in Unicode."""
    text = "".join(chr(0x4E00 + i) * (3 if i < 9 else 2) for i in range(90))
    vocabulary = trained("bpe", [f"{text} lower low"] * 2, max_size=33)
    characters = {token for token in vocabulary.tokens() if len(token) == 1}
    assert characters == {"▁", "l", *(chr(0x4E00 + i) for i in range(9))}
    assert any(len(token) > 1 for token in vocabulary.tokens()[4:])


def test_spaces_beside_punctuation_are_removed():
    vocabulary = trained(texts=["a . , ! ? ; : ) ] ( [ - '"])
    text = "a . a , a ! a ? a ; a : a ) a ] a ( a [ a - a ' a"
    assert vocabulary.decode(vocabulary.encode([text])[0]) == "a. a, a! a? a; a: a) a] a (a [a - a ' a"


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("texts", [[], [""], ["   ", "\n"]])
def test_nothing_to_train_on(level, texts):
    vocabulary = trained(level, texts, min_frequency=3)
    assert vocabulary.tokens()[:4] == list(SPECIALS)
    assert not {PAD, BOS, EOS} & set(vocabulary.encode(["some text"])[0])


def test_unknown_level():
    with pytest.raises(UsageError, match="level must be one of word, bpe, char, not 'subword'"):
        Vocabulary.train(TEXTS, VocabularySettings(level="subword"))  # type: ignore[arg-type]


@pytest.mark.parametrize("level", LEVELS)
def test_training_twice_gives_the_same(level):
    # All words equally frequent: ties too must fall the same way.
    texts = [f"w{i} v{i % 7} {chr(97 + i % 26)}" for i in range(300)]
    once, again = trained(level, texts, max_size=100), trained(level, texts, max_size=100)
    assert once.to_json() == again.to_json()


# ------------------------------------------------------------------------------------------------- JSON


@pytest.mark.parametrize("vocabulary", [*VOCABULARIES.values(), WORDS], ids=[*LEVELS, "words"])
def test_json_gives_the_same_vocabulary(vocabulary):
    read = Vocabulary.from_json(vocabulary.to_json())
    assert read.to_json() == vocabulary.to_json()
    assert read.tokens() == vocabulary.tokens()
    assert read.fingerprint == vocabulary.fingerprint
    assert read.encode(TEXTS) == vocabulary.encode(TEXTS)
    assert read.encode_words(["I", "<pad>"]) == vocabulary.encode_words(["I", "<pad>"])
    for ids in vocabulary.encode(TEXTS):
        assert read.decode(ids) == vocabulary.decode(ids)


def test_fingerprints_tell_vocabularies_apart():
    texts = [PLAIN, PLAIN[:4], [*PLAIN, "more"]]
    assert len({trained(level, some).fingerprint for some in texts for level in LEVELS}) == 9


def _without_padding():
    stored = json.loads(VOCABULARIES["word"].to_json())
    stored["model"]["vocab"]["<PADDING>"] = stored["model"]["vocab"].pop("<pad>")
    return json.dumps(stored)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a readable tokenizer.json"),
        ("{}", "not a readable tokenizer.json"),
        ("\0\0", "not a readable tokenizer.json"),
        (VOCABULARIES["word"].to_json()[:-100], "not a readable tokenizer.json"),
        (_without_padding(), "ids 0 to 3 must be <pad>, <unk>, <bos>, <eos>"),
    ],
)
def test_other_json_is_refused_as_a_vocabulary(text, message):
    with pytest.raises(UsageError, match=message):
        Vocabulary.from_json(text)


# ---------------------------------------------------------------------------------- large input


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("part", ["a", "a ", ".", "<br", "e\u0301", "1,"])
def test_a_line_of_a_megabyte_takes_bounded_time(level, part):
    text = part * (200_000 // len(part))
    start = time.process_time()
    VOCABULARIES[level].encode([text])
    assert time.process_time() - start < 3


@pytest.mark.parametrize("level", ["word", "bpe", "char"])
def test_a_lone_surrogate_in_training_is_refused(level):
    settings = VocabularySettings(level=level)
    with pytest.raises(UsageError, match=r"lone surrogate .* at character 1"):
        Vocabulary.train(["good", "a\ud800"], settings)
    with pytest.raises(UsageError, match=r"lone surrogate .* at character 1"):
        Vocabulary.train_on_words([["good"], ["a\ud800"]], settings)


@pytest.mark.parametrize("name", ["word", "bpe", "char"])
def test_an_extended_vocabulary_keeps_its_ids(name):
    settings = VocabularySettings(name, min_frequency=1)
    old, new = (Vocabulary.train(texts, settings) for texts in (["a good film"], ["a bad soup"]))
    extended = old.extended(new)
    assert extended.tokens()[: len(old)] == old.tokens()
    assert set(extended.tokens()) == set(old.tokens()) | (set() if name == "bpe" else set(new.tokens()))
    assert extended.encode(["a good film"]) == old.encode(["a good film"])
    if name != "bpe":
        assert UNK not in extended.encode(["a bad soup"])[0]
        assert extended.decode(extended.encode(["a bad soup"])[0]) == "a bad soup"
    assert (extended.level, extended.lowercase) == (name, True)


@pytest.mark.parametrize(
    "settings",
    [
        VocabularySettings("char", min_frequency=1),
        VocabularySettings("bpe", min_frequency=1),
        VocabularySettings("word", lowercase=False, min_frequency=1),
    ],
)
def test_a_vocabulary_of_another_kind_is_not_extended(settings):
    old = Vocabulary.train(["a good film"], VocabularySettings(min_frequency=1))
    new = Vocabulary.train(["A bad soup"], settings)
    assert old.extended(new) is new
    assert (new.level, new.lowercase) == (settings.level, settings.lowercase)


# ---------------------------------------------------------------------------------------- from a sample


@pytest.mark.parametrize("level", LEVELS)
def test_texts_that_can_be_read_once_or_again_give_one_vocabulary(level):
    assert trained(level, iter(TEXTS)).to_json() == trained(level, TEXTS).to_json()


def test_a_vocabulary_from_a_sample_has_the_words_of_some_rows():
    rows = [{"text": f"word{n} again", "label": n % 2} for n in range(100)]
    sizes = []
    for sample in (None, 10, 1000):
        settings = VocabularySettings(min_frequency=1, sample=sample)
        data = SentimentData(Corpus(rows, test_fraction=0), vocabulary=settings)
        sizes.append(len(data.processor.tokens) - len(SPECIALS) - 1)
        assert data.processor.classes == ["0", "1"]  # of all rows
    assert sizes == [90, 10, 90]
