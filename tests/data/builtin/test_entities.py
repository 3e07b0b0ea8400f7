"""The bundled sentences with named entities."""

import random

import pytest

from nlp_rnn.data.builtin.corpora import EXAMPLES
from nlp_rnn.data.builtin.entities import SPLIT_SIZES, entity_splits
from nlp_rnn.lite.text.spans import find_scheme, read_spans, write_spans

# The only words of names that several splits share.
SHARED = {"dr.", "van", "motors", "&", "bank", "of", "university", "foods", "new", "port", "upon"}
SHARED |= {"paul", "peter", "max", "anna", "maria", "laura", "berlin", "london", "paris", "google"}


@pytest.fixture(scope="module")
def splits():
    return entity_splits()


def words_of_names(rows):
    return {word for row in rows for word, tag in zip(row.words, row.ner, strict=True) if tag != "O"} - SHARED


def test_every_word_has_its_tags(splits):
    assert {name: len(rows) for name, rows in splits.items()} == SPLIT_SIZES
    for rows in splits.values():
        assert find_scheme(row.ner for row in rows) == "iob2"
        assert {span.type for row in rows for span in read_spans(row.ner)} == {"PER", "ORG", "LOC"}
        for row in rows:
            assert len(row.words) == len(row.upos) == len(row.ner)
            assert row.words[-1] == "."
            assert write_spans(read_spans(row.ner), len(row.ner), "iob2") == row.ner
            for tag, entity in zip(row.upos, row.ner, strict=True):
                assert tag.isupper()
                assert (tag == "PROPN") <= (entity != "O")


def test_names_of_one_split_are_in_no_other(splits):
    names = {name: words_of_names(rows) for name, rows in splits.items()}
    assert all(len(words) > 150 for words in names.values())
    assert not names["train"] & (names["validation"] | names["test"])
    assert not names["validation"] & names["test"]
    train = {tuple(row.words) for row in splits["train"]}
    assert sum(tuple(row.words) in train for row in splits["test"]) < 0.01 * len(splits["test"])


def test_a_word_may_be_part_of_names_of_any_type(splits):
    types = {}
    for row in splits["train"]:
        for span in read_spans(row.ner):
            for word in row.words[span.start : span.end]:
                types.setdefault(word, set()).add(span.type)
    several = sum(len(found) > 1 for word, found in types.items() if word not in SHARED)
    assert several > 0.2 * len(types)


def test_the_same_seed_gives_the_same_sentences(splits):
    random.seed(5)
    assert entity_splits()["test"][:20] == splits["test"][:20]
    table = EXAMPLES["entities"]()["test"].to_pydict()
    assert table["tokens"][:20] == [row.words for row in splits["test"][:20]]
    assert table["ner"][:20] == [row.ner for row in splits["test"][:20]]
    assert table["upos"][:20] == [row.upos for row in splits["test"][:20]]
