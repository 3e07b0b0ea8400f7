import unicodedata
from dataclasses import asdict
from timeit import timeit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_rnn.errors import UsageError
from nlp_rnn.tasks.tagging.split_learning import align, learn_splitter
from nlp_rnn.tasks.tagging.splitting import WordSplitter

# Texts, and their words with spaces between them.
ENGLISH = {
    "I don't know.": "I do n't know .",
    "We didn't go.": "We did n't go .",
    "They won't, I think.": "They wo n't , I think .",
    "John's dog barks.": "John 's dog barks .",
    "Anna's cat and Jim's bird see the town's end.": "Anna 's cat and Jim 's bird see the town 's end .",
    "The dogs' bowl isn't new.": "The dogs ' bowl is n't new .",
    "I cannot see Mr. Smith.": "I can not see Mr. Smith .",
    "Mr. Jones lives in the U.S. today.": "Mr. Jones lives in the U.S. today .",
    '"Yes," she said.': '" Yes , " she said .',
    "Time-consuming work costs $5.": "Time - consuming work costs $ 5 .",
    "I'm here (with you).": "I 'm here ( with you ) .",
}
FRENCH = {
    "L'homme va au marché.": "L' homme va à le marché .",
    "Il parle du chien.": "Il parle de le chien .",
    "Les rois des îles.": "Les rois de les îles .",
    "Aujourd'hui, l'eau coule.": "Aujourd'hui , l' eau coule .",
    "Qu'il vienne !": "Qu' il vienne !",
}
CHINESE = {
    "我喜欢狗。": "我 喜欢 狗 。",
    "你喜欢猫。": "你 喜欢 猫 。",
    "我有狗。": "我 有 狗 。",
    "你有猫吗？": "你 有 猫 吗 ？",
}


def learn(corpus):
    return learn_splitter(list(corpus), [words.split() for words in corpus.values()])


def words_of(splitter, text):
    return [word for token in splitter.split(text) for word in token.words]


SPLITTERS = {
    "rules": WordSplitter(),
    "words": learn_splitter([None] * len(ENGLISH), [words.split() for words in ENGLISH.values()]),
    "english": learn(ENGLISH),
    "french": learn(FRENCH),
    "chinese": learn(CHINESE),
}


@pytest.mark.parametrize(
    ("corpus", "name"), [(ENGLISH, "english"), (FRENCH, "french"), (CHINESE, "chinese")], ids=lambda x: x
)
def test_texts_of_train_are_split_as_there(corpus, name):
    for text, words in corpus.items():
        assert words_of(SPLITTERS[name], text) == words.split()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("rules", "The dog barks.", "The dog barks ."),
        ("rules", "don't", "don't"),
        ("words", "They don't.", "They do n't ."),
        ("words", "Mary's cat, Mr. Hill's!", "Mary 's cat , Mr. Hill 's !"),
        ("words", "(Mr. Hill)", "( Mr. Hill )"),
        ("english", "They don't bark.", "They do n't bark ."),
        ("english", "Mary's cat isn't here.", "Mary 's cat is n't here ."),
        ("english", "See www.x.org/don't, please.", "See www.x.org/don't , please ."),
        ("french", "L'eau du marché.", "L' eau de le marché ."),
        ("french", "Du marché, DU MARCHÉ", "De le marché , DE LE MARCHÉ"),
        ("chinese", "你喜欢狗。", "你 喜欢 狗 。"),
    ],
)
def test_other_texts(name, text, words):
    assert words_of(SPLITTERS[name], text) == words.split()


def test_places_are_those_in_the_text():
    tokens = list(SPLITTERS["french"].split("  Il va\tau marché."))
    assert [token[:2] for token in tokens] == [(2, 4), (5, 7), (8, 10), (11, 17), (17, 18)]
    assert tokens[2].words == ("à", "le")


@pytest.mark.parametrize("name", ["words", "english", "chinese"])
def test_words_with_spaces_between_them_stay_the_same(name):
    corpus = CHINESE if name == "chinese" else ENGLISH
    for words in corpus.values():
        assert words_of(SPLITTERS[name], words) == words.split()


TEXTS = st.text(
    st.sampled_from("abN é\u0301.,'’-/@:#1$()…狗我喜\u1112\u1161\u11ab한👍🏽\u200d\t\u00a0_İ"), max_size=30
)


@pytest.mark.parametrize("name", SPLITTERS)
@settings(deadline=None)
@given(text=TEXTS | st.text(max_size=30))
def test_words_are_all_of_the_text_but_white_space(name, text):
    tokens = list(SPLITTERS[name].split(text))
    assert "".join(text[token.start : token.end] for token in tokens) == "".join(text.split())
    for token in tokens:
        assert len(token.words) > 1 or token.words == (text[token.start : token.end],)
        assert token.start < token.end


@pytest.mark.parametrize("name", SPLITTERS)
@settings(deadline=None)
@given(first=TEXTS, second=TEXTS)
def test_a_text_in_pieces_is_split_as_the_whole(name, first, second):
    splitter = SPLITTERS[name]
    assert words_of(splitter, first + " " + second) == words_of(splitter, first) + words_of(splitter, second)


@pytest.mark.parametrize("name", SPLITTERS)
@settings(deadline=None)
@given(text=TEXTS)
def test_accents_may_be_characters_of_their_own(name, text):
    forms = [
        [unicodedata.normalize("NFC", word) for word in words_of(SPLITTERS[name], form)]
        for form in (unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text))
    ]
    assert forms[0] == forms[1]


@pytest.mark.parametrize(
    ("name", "repeated"),
    [("words", "don't-"), ("words", "a'"), ("rules", "e\u0301."), ("english", "e\u0301.")],
)
def test_a_long_chunk_is_split_in_linear_time(name, repeated):
    split = SPLITTERS[name].split
    seconds = [timeit(lambda n=n: list(split(repeated * n)), number=1) for n in (2_000, 20_000)]
    assert seconds[1] < 40 * seconds[0] + 0.5


def test_what_is_learned_is_the_same_each_time_and_can_be_stored():
    for corpus in (ENGLISH, FRENCH, CHINESE):
        first, second = learn(corpus), learn(corpus)
        assert first == second == WordSplitter(**asdict(first))
    assert SPLITTERS["chinese"].dense
    assert not SPLITTERS["english"].dense
    assert list(SPLITTERS["french"].contractions) == ["au à le", "des de les", "du de le"]


@pytest.mark.parametrize("values", [{"weights": ["a"]}, {"weights": {"a": "b"}}, {"chunks": [1]}])
def test_other_values_are_refused(values):
    with pytest.raises(UsageError):
        WordSplitter(**values)


def test_without_texts_nothing_is_learned_but_words():
    for texts in ([None] * len(ENGLISH), list(ENGLISH.values())):
        splitter = learn_splitter(texts, [words.split() for words in ENGLISH.values()])
        assert not splitter.weights
        assert {"n't", "'s", "Mr."} <= set(splitter.chunks)
    assert not learn_splitter([], []).weights


@pytest.mark.parametrize(
    ("text", "words", "places"),
    [
        ("a b.", ["a", "b", "."], [(0, 1, 1), (2, 3, 1), (3, 4, 1)]),
        ("1 000 ans", ["1 000", "ans"], [(0, 5, 1), (6, 9, 1)]),
        ("Rois des îles", ["Rois", "de", "les", "îles"], [(0, 4, 1), (5, 8, 2), (9, 13, 1)]),
        ("dárselo.", ["dar", "se", "lo", "."], [(0, 7, 3), (7, 8, 1)]),
        ("zum", ["zu", "dem"], [(0, 3, 2)]),
        ("dell'uomo", ["di", "l'", "uomo"], [(0, 5, 2), (5, 9, 1)]),
        ("all’uomo", ["a", "l’", "uomo"], [(0, 4, 2), (4, 8, 1)]),
        ("torná-lo!", ["torná", "lo", "!"], [(0, 8, 2), (8, 9, 1)]),
        ("geht's gut", ["geht", "es", "gut"], [(0, 6, 2), (7, 10, 1)]),
        ("நாட்டிலும்", ["நாட்டில்", "உம்"], [(0, 10, 2)]),
        ("c'est-à-dire du", ["c'", "est", "-à-", "dire", "de", "le"], None),
        ("", [], []),
        ("another text", ["a", "b"], []),
        ("a!", ["a", "?"], []),
    ],
)
def test_words_are_found_in_their_text(text, words, places):
    tokens = align(text, words)
    if places is not None:
        assert [(token.start, token.end, len(token.words)) for token in tokens] == places
    assert [word for token in tokens for word in token.words] == ([] if places == [] else words)


def test_few_words_without_white_space_between_them_do_not_tell_how_to_split():
    corpus = {"the dog barks .": "the dog barks .", "he likes it .": "he likes it ."}
    texts, words = [*list(corpus) * 100, "i cannot"], [*list(corpus.values()) * 100, "i can not"]
    splitter = learn_splitter(texts, [sentence.split() for sentence in words])
    assert words_of(splitter, "He cannot bark, I cannot.") == [
        "He",
        "can",
        "not",
        "bark",
        ",",
        "I",
        "cannot",
        ".",
    ]


def test_a_word_with_white_space_tells_nothing_of_its_chunks():
    splitter = learn_splitter(["il a 1 000 ans."], [["il", "a", "1 000", "ans", "."]])
    assert words_of(splitter, "1 000 ans.") == ["1", "000", "ans", "."]
    assert not splitter.contractions
