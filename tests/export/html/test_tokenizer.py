"""The tokenizer in JavaScript, against the tokenizers library."""

from itertools import product

import pytest
from page_runtime import needs_node, run_node
from unicode_texts import sample_texts

from nlp_rnn.data.builtin.sentences import generate
from nlp_rnn.data.vocabulary import Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.export.html.vocabularies import describe_characters, describe_vocabulary


def vocabularies(texts):
    for level, lowercase in product(("word", "char", "bpe"), (True, False)):
        most = 2_000 if level == "bpe" else 10**6
        yield Vocabulary.train(
            texts, VocabularySettings(level=level, lowercase=lowercase, min_frequency=1, max_size=most)
        )
    words = [text.split() for text in texts[:2000]]
    yield Vocabulary.train_on_words(words, VocabularySettings(min_frequency=1))


def in_node(folder, vocabularies, body, **given):
    setup = (
        "const tables = readTables(given.characters);"
        "const all = given.vocabularies.map((description) => new Vocabulary(description, tables));"
    )
    described = {
        "vocabularies": [describe_vocabulary(vocabulary) for vocabulary in vocabularies],
        "characters": describe_characters(vocabularies),
    }
    return run_node(folder, setup + body, described | given)


@needs_node
@pytest.mark.nightly
def test_ids_and_texts_are_those_of_the_library(tmp_path):
    corpus = [" ".join(text) for example in generate(500) for text in (example.english, example.german)]
    texts = sample_texts() + corpus
    made = list(vocabularies([*corpus, *texts[::2]]))
    body = (
        "return all.map((one) => given.texts.map((text) => {"
        "const ids = one.encode(text).map(({ id }) => id);"
        "return [ids, one.decode(ids), one.encodeWords([text])]; }));"
    )
    found = in_node(tmp_path, made, body, texts=texts)
    unknown = 0
    for vocabulary, results in zip(made, found, strict=True):
        splits = 'pre_tokenizer":null' not in vocabulary.to_json()
        for text, ids, (found_ids, found_text, found_words) in zip(
            texts, vocabulary.encode(texts), results, strict=True
        ):
            if splits:
                assert found_ids == ids, (vocabulary, text)
                assert found_text == vocabulary.decode(ids), (vocabulary, text)
            assert found_words == vocabulary.encode_words([text])
            unknown += ids.count(1)
    assert unknown > 1000  # the sample has what the vocabularies lack


@needs_node
def test_special_tokens_and_pieces(tmp_path):
    made = list(vocabularies(["a good film, (really)!", "<pad> <eos>"]))[:6]
    body = (
        "return all.map((one) => [one.encode('<pad><eos>').map(({ id }) => id), one.decode([2, 0, 4, 1, 3]),"
        " one.tokens.map((_, id) => one.piece(4, id))]);"
    )
    for vocabulary, (ids, text, pieces) in zip(made, in_node(tmp_path, made, body), strict=True):
        assert ids == vocabulary.encode(["<pad><eos>"])[0]
        assert not set(ids) & {0, 2, 3}
        assert text == vocabulary.decode([2, 0, 4, 1, 3])
        assert pieces == [vocabulary.piece(4, id) for id in range(len(vocabulary))]


@needs_node
@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\udc00\ud800", "😀\ud83d"])
def test_lone_surrogates_are_refused_in_one_line(tmp_path, text):
    (vocabulary,) = [Vocabulary.train(["a"], VocabularySettings(min_frequency=1))]
    body = "try { all[0].encode(given.text); return null; } catch (error) { return error.message; }"
    message = in_node(tmp_path, [vocabulary], body, text=text)
    with pytest.raises(UsageError) as expected:
        vocabulary.encode([text])
    assert message.split(":")[0] == str(expected.value).split(":")[0]
