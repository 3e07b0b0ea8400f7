"""Texts row by row, and as running text: every token is predicted once, whoever shares the work."""

from itertools import chain

import pytest
import torch
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_rnn.data import Batching, Corpus, LanguageModelingData, Vocabulary, VocabularySettings
from nlp_rnn.data.batching import IGNORED
from nlp_rnn.data.encoding import encode
from nlp_rnn.data.rows import Rows
from nlp_rnn.data.vocabulary import BOS, EOS, PAD, UNK
from nlp_rnn.tasks.language_modeling.data import LanguageModelingProcessor

LETTERS = Vocabulary.train(["abcdefghij"], VocabularySettings("char", min_frequency=1))


def rows_of(texts, processor):
    return Rows(encode(Dataset.from_dict({"text": texts}), processor))


def pairs(batch):
    """(token, label) of each step that is scored, stream by stream."""
    inside = batch.labels != IGNORED
    columns = range(batch.tokens.size(1))
    return [
        list(zip(batch.tokens[inside[:, c], c].tolist(), batch.labels[inside[:, c], c].tolist(), strict=True))
        for c in columns
    ]


def expected_pairs(texts):
    found = []
    for ids in LETTERS.encode(texts):
        found += zip([BOS, *ids], [*ids, EOS], strict=True)
    return found


texts_of_letters = st.lists(st.text("abcdefghij", min_size=1, max_size=12), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(
    texts=texts_of_letters,
    size=st.integers(1, 5),
    window=st.integers(1, 9),
    world_size=st.integers(1, 3),
    training=st.booleans(),
    epoch=st.integers(0, 3),
)
def test_every_token_is_predicted_once_in_its_place(texts, size, window, world_size, training, epoch):
    processor = LanguageModelingProcessor(LETTERS, window)
    rows = rows_of(texts, processor)
    streams, characters, counts = [], 0, set()
    for rank in range(world_size):
        loader = processor.loader(rows, Batching(size), training, rank, world_size)
        loader.sampler.set_epoch(epoch)
        batches = list(loader)
        assert len(batches) == len(loader)
        counts.add(len(batches))
        if not any(map(len, batches)):  # there are fewer streams than processes
            continue
        assert [batch.fresh for batch in batches] == [True] + [False] * (len(batches) - 1)
        assert len({batch.tokens.size(1) for batch in batches}) == 1  # the streams go on
        assert all(1 <= batch.tokens.size(0) <= window for batch in batches)
        assert all((batch.tokens.size(0) == window) for batch in batches[:-1])
        parts = [pairs(batch) for batch in batches]
        streams += [
            (rank + world_size * place, list(chain.from_iterable(part[place] for part in parts)))
            for place in range(batches[0].tokens.size(1))
        ]
        characters += sum(int(batch.characters.sum()) for batch in batches)
        for batch in batches:
            outside = torch.arange(batch.tokens.size(0))[:, None] >= batch.lengths
            assert torch.equal(batch.labels == IGNORED, outside)
            assert (batch.tokens[outside] == PAD).all()
    assert len(counts) == 1  # none waits for another
    assert characters == sum(len(text) + 1 for text in texts)
    whole, expected = list(chain.from_iterable(part for _, part in sorted(streams))), expected_pairs(texts)
    starts = range(len(expected)) if training else [0]
    assert whole in [expected[start:] + expected[:start] for start in starts]


@settings(max_examples=30, deadline=None)
@given(texts=texts_of_letters, size=st.integers(1, 5))
def test_an_evaluation_is_the_same_whatever_the_size_of_batches(texts, size):
    processor = LanguageModelingProcessor(LETTERS, 4)
    rows = rows_of(texts, processor)
    one, other = (list(processor.loader(rows, Batching(size))) for size in (size, 1000))
    for left, right in zip(one, other, strict=True):
        assert torch.equal(left.tokens, right.tokens)
        assert torch.equal(left.labels, right.labels)


def test_each_epoch_begins_elsewhere_and_the_same_seed_at_the_same_place():
    processor = LanguageModelingProcessor(LETTERS, 5)
    rows = rows_of(["abcdefghij" * 20], processor)

    def first(epoch, seed=0):
        loader = processor.loader(rows, Batching(4, seed=seed), shuffle=True)
        loader.sampler.set_epoch(epoch)
        return next(iter(loader)).tokens.tolist()

    assert first(0) == first(0)
    assert len({str(first(epoch)) for epoch in range(4)} | {str(first(0, seed=1))}) > 2


def test_rows_by_themselves_are_shifted():
    processor = LanguageModelingProcessor(LETTERS)
    (batch,) = processor.loader(rows_of(["abc", "d"], processor), Batching())
    order = [batch.rows.index(row) for row in (0, 1)]
    ids = LETTERS.encode(["abc", "d"])
    assert batch.tokens.t()[order].tolist() == [[BOS, *ids[0]], [BOS, *ids[1], PAD, PAD]]
    assert batch.labels.t()[order].tolist() == [[*ids[0], EOS], [*ids[1], EOS, IGNORED, IGNORED]]
    assert batch.lengths[order].tolist() == [4, 2]
    assert batch.characters[order].tolist() == [4, 2]
    assert batch.fresh


@pytest.mark.parametrize(
    ("level", "text", "count", "reached"),
    [("word", "Ein  langer Text .", 2, len("Ein  langer")), ("char", "abcdef", 4, 4), ("word", "a b", 2, 3)],
)
def test_truncated_words_have_no_characters(level, text, count, reached):
    vocabulary = Vocabulary.train([text], VocabularySettings(level, min_frequency=1))
    cut = LanguageModelingProcessor(vocabulary, max_length=count).encode({"text": [text]})
    assert [len(ids) for ids in cut["token_ids"]] == [count]
    assert cut["characters"] == [reached + 1]
    running = LanguageModelingProcessor(vocabulary, window=9, max_length=count).encode({"text": [text]})
    assert running["characters"] == [len(text) + 1]
    assert running["token_ids"] == vocabulary.encode([text])


def test_last_window_of_a_prompt_is_read(caplog):
    processor = LanguageModelingProcessor(LETTERS, max_length=3)
    asked = processor.encode(processor.rows(["abcdef", "ab", ""]))
    assert asked == {"token_ids": [LETTERS.encode(["def"])[0], LETTERS.encode(["ab"])[0], []]}
    assert caplog.messages == ["1 prompts cut to the maximum length of 3 tokens"]


@pytest.mark.parametrize("level", ["word", "char", "bpe"])
def test_unknown_tokens_are_named_once(level, caplog):
    vocabulary = Vocabulary.train(["abc abc"], VocabularySettings(level, min_frequency=1))
    processor = LanguageModelingProcessor(vocabulary)
    ids = processor.encode(processor.rows(["abc ü abc"]))["token_ids"][0]
    assert UNK in ids
    (message,) = caplog.messages
    assert message.startswith("1 token(s) not in the model's vocabulary: ")
    assert "ü" in message
    caplog.clear()
    processor.rows(["abc"])
    assert not caplog.messages


def test_lists_of_words_are_texts(tmp_path):
    words = [["a", "quick", "film"], ["it", "'s"]]
    lines = "".join(
        "".join(f"{at}\t{word}\t_\tX\t_\t_\t_\t_\t_\t_\n" for at, word in enumerate(sentence, 1)) + "\n"
        for sentence in words * 9
    )
    (tmp_path / "train.conllu").write_text(lines)
    every = VocabularySettings(min_frequency=1)
    data = LanguageModelingData(Corpus(str(tmp_path)), text="tokens", vocabulary=every)
    (ids,) = data.splits["train"][[0]]["token_ids"]
    assert data.processor.tokens.decode(ids) == "a quick film"


def test_texts_to_be_continued_are_no_running_text():
    data = LanguageModelingData(Corpus(max_examples=40), window=7)
    rows = [row for batch in data.predict_dataloader() for row in batch.rows]
    assert sorted(rows) == list(range(40))
    assert data.test_dataloader().dataset is not data.predict_dataloader().dataset
    assert len(data.test_dataloader()) > 1


def test_prompt_is_encoded_as_in_a_pipeline():
    data = LanguageModelingData(Corpus(max_examples=40), max_length=3)
    texts = data.load()["test"]["text"]
    asked = data.processor.encode(data.processor.rows(texts))["token_ids"]
    (batch,) = data.predict_dataloader()
    assert batch.labels is None
    for row, tokens, length in zip(batch.rows, batch.tokens.T.tolist(), batch.lengths.tolist(), strict=True):
        assert tokens[1:length] == asked[row]
    assert any(len(data.processor.tokens.encode([text])[0]) > 3 for text in texts)


def test_ignored_settings_of_a_trained_model_are_named(caplog):
    data = LanguageModelingData(Corpus("hello"), window=20)
    data.attach_processor(data.processor)
    assert "trained model" not in caplog.text
    data.attach_processor(LanguageModelingData(Corpus("hello"), window=7).processor)
    assert "the trained model's window is used, 7, not 20" in caplog.text
