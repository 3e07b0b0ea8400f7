"""A tokenizer of other components than this package's is refused before the library sees it."""

import json
import time

import pytest
from tokenizers import Tokenizer

from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.lite.text.tokenizer_format import check_tokenizer

TEXTS = ["a good film <br /> b", "A film", "it's 1,000.5"] * 3


def made(level="word", lowercase=True):
    return json.loads(Vocabulary.train(TEXTS, VocabularySettings(level, lowercase)).to_json())


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("level", ["word", "bpe", "char", "words"])
def test_all_vocabularies_of_this_package_are_read_as_they_were_written(level, lowercase):
    if level == "words":
        settings = VocabularySettings(lowercase=lowercase)
        vocabulary = Vocabulary.train_on_words([text.split() for text in TEXTS], settings)
    else:
        vocabulary = Vocabulary.train(TEXTS, VocabularySettings(level, lowercase))
    again = Vocabulary.from_json(vocabulary.to_json())
    assert again.to_json() == vocabulary.to_json()
    assert again.encode(TEXTS) == vocabulary.encode(TEXTS)


def vocab(**ids):
    return lambda state: state["model"]["vocab"].update(ids)


BOMB = {"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": "b"}
DOUBLE = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
PADDING = {
    "strategy": {"Fixed": 10**9},
    "direction": "Right",
    "pad_to_multiple_of": None,
    "pad_id": 0,
    "pad_type_id": 0,
    "pad_token": "<pad>",
}
TRUNCATION = {"max_length": 0, "strategy": "LongestFirst", "stride": 5, "direction": "Right"}
HOSTILE = {
    "regular expression": (lambda s: s["normalizer"].update(normalizers=[BOMB]), "normalizer"),
    "nested repetitions": (
        lambda s: s["pre_tokenizer"]["pattern"].update(Regex="((((a{1000}){1000}){1000}){1000})"),
        "pre_tokenizer",
    ),
    "replacement chain": (lambda s: s["normalizer"].update(normalizers=[DOUBLE] * 60), "normalizer"),
    "normalizer null": (lambda s: s.update(normalizer=None), "normalizer"),
    "another pre-tokenizer": (lambda s: s.update(pre_tokenizer={"type": "Whitespace"}), "pre_tokenizer"),
    "pre-tokenizer of subwords": (lambda s: s.update(pre_tokenizer=made("bpe")["pre_tokenizer"]), "pre_tok"),
    "decoder of subwords": (lambda s: s.update(decoder=made("bpe")["decoder"]), "decoder"),
    "no pre-tokenizer key": (lambda s: s["pre_tokenizer"].pop("invert"), "pre_tokenizer"),
    "padding": (lambda s: s.update(padding=PADDING), "padding"),
    "truncation": (lambda s: s.update(truncation=TRUNCATION), "truncation"),
    "post-processor": (lambda s: s.update(post_processor={"type": "ByteLevel"}), "post_processor"),
    "another model": (lambda s: s["model"].update(type="Unigram"), "model"),
    "random merges": (lambda s: s["model"].update(type="BPE", merges=[], dropout=0.5), "model"),
    "no unknown token": (lambda s: s["model"].pop("unk_token"), "model"),
    "no unknown token in the vocabulary": (lambda s: s["model"]["vocab"].pop("<unk>"), "ids 0 to 3 must be"),
    "another unknown token": (lambda s: s["model"].update(unk_token="film"), "model"),
    "model of another kind": (lambda s: s.update(model=[1]), "no vocabulary"),
    "vocabulary of another kind": (lambda s: s["model"].update(vocab=[["a", 1]]), "no vocabulary"),
    "negative id": (vocab(film=-1), "not the numbers 0 to"),
    "id out of range": (vocab(film=2**31), "not the numbers 0 to"),
    "huge id": (vocab(film=10**30), "not the numbers 0 to"),
    "duplicate id": (vocab(film=4, a=4), "not the numbers 0 to"),
    "id that is a text": (vocab(film="4"), "not the numbers 0 to"),
    "special token moved": (lambda s: s["model"]["vocab"].update({"<pad>": 4}), "ids 0 to 3 must be"),
    "lone surrogate": (vocab(**{"\ud800": len(made()["model"]["vocab"])}), "not a readable tokenizer.json"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_tokenizer_is_refused_at_once(case):
    change, message = HOSTILE[case]
    state = made()
    change(state)
    start = time.monotonic()
    with pytest.raises(UsageError, match=message):
        Vocabulary.from_json(json.dumps(state))
    assert time.monotonic() - start < 1


@pytest.mark.parametrize("merges", [[["a", "zz"]], [["a"]], 3, [["", ""]], ["f i", "x"]])
def test_damaged_merges_are_refused(merges):
    state = made("bpe")
    state["model"]["merges"] = merges
    with pytest.raises(UsageError, match=r"not a readable tokenizer\.json"):
        Vocabulary.from_json(json.dumps(state))


def test_components_may_be_left_out_that_are_null():
    whole = made("word")
    whole["pre_tokenizer"] = None  # as in a vocabulary of words that are given as lists
    short = {name: whole[name] for name in ("model", "normalizer")}
    vocabularies = [Vocabulary.from_json(json.dumps(state)) for state in (whole, short)]
    assert vocabularies[0].to_json() == vocabularies[1].to_json()


@pytest.mark.parametrize("merge", [["f", "b"], ["zz", "f"], ["f", "zz"]])
def test_merges_of_or_into_tokens_outside_the_vocabulary_are_refused(merge):
    state = made("bpe")
    vocab = state["model"]["vocab"]
    assert {"f", "b"} < set(vocab)
    assert not {"fb", "zz", "zzf", "fzz"} & set(vocab)
    state["model"]["merges"].append(merge)
    with pytest.raises(UsageError, match="out of vocabulary"):
        Vocabulary.from_json(json.dumps(state))


@pytest.mark.parametrize("text", ["", "null", "[]", '"x"', "{}", "[" * 100_000, '{"model": {}}', "1" * 5000])
def test_other_texts_are_refused(text):
    with pytest.raises(UsageError, match=r"not a readable tokenizer\.json"):
        Vocabulary.from_json(text)


def test_added_tokens_have_no_effect():
    state = made()
    token = {"id": 10**9, "content": "film", "special": True, "single_word": False}
    state["added_tokens"] = [{**token, "lstrip": False, "rstrip": False, "normalized": False}]
    vocabulary = Vocabulary.from_json(json.dumps(state))
    assert vocabulary.to_json() == Vocabulary.from_json(json.dumps(made())).to_json()


def test_a_tokenizer_that_could_not_be_loaded_makes_no_vocabulary():
    state = made()
    state["pre_tokenizer"] = {"type": "Whitespace"}
    with pytest.raises(UsageError, match="its pre_tokenizer is not one that this package makes"):
        Vocabulary(Tokenizer.from_str(json.dumps(state)))
    check_tokenizer(made())
