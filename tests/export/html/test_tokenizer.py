"""The tokenizer in JavaScript, against the tokenizers library."""

import random
import unicodedata
from itertools import product

import pytest
from page_runtime import needs_node, run_node

from nlp_rnn.data.builtin.sentences import generate
from nlp_rnn.data.vocabulary import Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.export.html.vocabularies import describe_characters, describe_vocabulary

ASSIGNED = [
    chr(point)
    for point in range(0x110000)
    if not 0xD800 <= point < 0xE000 and unicodedata.category(chr(point)) not in ("Cn", "Co")
]
LOW = ASSIGNED[:3000]
MARKS = [character for character in ASSIGNED if unicodedata.category(character)[0] == "M"]
HANGUL = [chr(point) for point in (*range(0x1100, 0x1200), *range(0xAC00, 0xAC00 + 1000))]
EMOJI = ["👨‍👩‍👧‍👦", "🇩🇪🇫", "👍🏽", "❤️", "🏳️‍🌈"]
MIXED = [
    *EMOJI,
    " ",
    "\t",
    "a",
    "1",
    ".",
    ",",
    "'",
    "’",
    "-",
    "<br>",
    "<br />",
    "▁",
    "é",
    "<pad>",
    "<unk>",
    "שלום",
]
HARD = [
    "", " ", "<pad>", "<br/>a<br \t />b", "<BR>", "İstanbul ΣΑΣ ς ẞ", "1,000.50 1..2 3, don't 'x’ a-b- -c",
    "▁a ▁ b▁▁", "a\u0301\u0323", "\ufeff\u0085\x1c\u2028", "\u1112\u1161\u11ab 한", "中文，日本語。",
    "\x00\ud7ff\U0010ffff", *EMOJI,
]  # fmt: skip
UNASSIGNED = "".join(chr(point) for point in range(0x40000) if unicodedata.category(chr(point)) == "Cn")


def sample_texts():
    rng = random.Random(0)

    def pick(pool, count):
        return "".join(rng.choice(pool) for _ in range(count))

    texts = list(HARD)
    for _ in range(300):
        texts += [
            pick(ASSIGNED, 30),
            pick(LOW, 20),
            pick(LOW, 3) + pick(MARKS, 8) + pick("aα가", 1),
            pick(HANGUL, 12),
            pick(MIXED, 15),
            "".join(rng.choice("aAeEİıßΣſǅ") + pick(MARKS, 2) for _ in range(8)),
            pick("aA\u0345\u0301" + UNASSIGNED, 10),
        ]
    for glue in ("", " ", "a"):  # every character, alone and next to others
        texts += [glue.join(ASSIGNED[start : start + 60]) for start in range(0, len(ASSIGNED), 60)]
    return texts


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
