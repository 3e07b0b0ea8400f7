"""Words of word vectors in a vocabulary."""

import pytest

from nlp_rnn.data import Corpus, SentimentData
from nlp_rnn.data.vocabulary import EOS, SPECIALS, UNK, Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError

VECTORS = """film 0.1 0.8
Zyzzyva 0.9 0.1
well-made 0 1
two words 0 2
<unk> 0 3
film! 0 4
e\u0301t\u00e9 0 5
last 0 6
"""


@pytest.fixture
def vectors(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text(VECTORS, encoding="utf-8")
    return path


@pytest.mark.parametrize("size", [32_000, 8])
def test_words_of_vectors_follow_those_of_train_as_texts_are_encoded_to_them(vectors, size):
    texts = ["a film", "a film about words"]
    plain = Vocabulary.train(texts, VocabularySettings())
    made = Vocabulary.train(texts, VocabularySettings(vectors=str(vectors), max_size=size))
    words = ["zyzzyva", "well-made", "\u00e9t\u00e9", "last"]
    assert made.tokens() == [*plain.tokens(), *words][:size]
    assert Vocabulary.from_json(made.to_json()).tokens() == made.tokens()
    if size > 8:
        (ids,) = made.encode(["Zyzzyva, LAST"])
        assert [made.tokens()[id] for id in ids] == ["zyzzyva", SPECIALS[UNK], "last"]


def test_a_full_vocabulary_gets_no_words_of_vectors(vectors, caplog):
    made = Vocabulary.train(["a film"] * 2, VocabularySettings(vectors=str(vectors), max_size=6))
    assert made.tokens() == [*SPECIALS, "a", "film"]
    assert "no word is added to the 6 of train; vocabulary.max_size is 6" in caplog.text


def test_words_of_vectors_join_words_that_are_not_split(vectors):
    made = Vocabulary.train_on_words([["a", "film"]] * 2, VocabularySettings(vectors=str(vectors)))
    assert made.tokens()[EOS + 1 :] == [
        "a", "film", "zyzzyva", "well-made", "two words", "film!", "\u00e9t\u00e9", "last",
    ]  # fmt: skip


def test_words_of_vectors_need_a_vocabulary_of_words_that_is_made(tmp_path):
    for level in ("bpe", "char"):
        with pytest.raises(UsageError, match=f"for vocabularies of words, not of level {level}"):
            VocabularySettings(level, vectors="vectors.txt")
    with pytest.raises(UsageError, match="the value is empty"):
        VocabularySettings(vectors="")
    with pytest.raises(UsageError, match="nothing is added to a vocabulary that is taken over"):
        VocabularySettings(model="model", vectors="vectors.txt")
    with pytest.raises(UsageError, match=r"none\.txt: no such file"):
        Vocabulary.train(["a"], VocabularySettings(vectors=str(tmp_path / "none.txt")))


def test_a_vocabulary_is_made_anew_when_its_vectors_have_changed(vectors):
    def tokens():
        settings = VocabularySettings(vectors=str(vectors), max_size=100_000)
        data = SentimentData(Corpus(max_examples=20), vocabulary=settings)
        return data.processor.tokens.tokens()

    assert tokens()[-1] == "last"
    vectors.write_text(f"{VECTORS}newest 0 7\n", encoding="utf-8")
    assert tokens()[-1] == "newest"
