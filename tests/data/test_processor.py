"""Processors: the same ids for the same text, alone or in a batch, stored or not, for every task."""

import json
import os
import signal
from dataclasses import fields

import datasets
import pytest
import torch

from nlp_rnn.data import Batching, Vocabulary, VocabularySettings
from nlp_rnn.data.batching import IGNORED
from nlp_rnn.data.encoding import encode
from nlp_rnn.data.rows import Rows
from nlp_rnn.data.vocabulary import PAD
from nlp_rnn.errors import UsageError
from nlp_rnn.lite.text.notices import collect_warnings, truncate, warn_unknown
from nlp_rnn.tasks.sentiment.data import SentimentProcessor


def row_of(batch, at):
    """What a batch says of one of its rows, padding cut off."""
    length = int(batch.lengths[at])
    said = {}
    for field in fields(batch):
        value = getattr(batch, field.name)
        if field.name == "spelling" and value is not None:  # the words' letters, wherever they stand
            words = value[:length, at].tolist()
            ends = batch.character_lengths.tolist()
            said["letters"] = [batch.characters[: ends[word], word].tolist() for word in words]
        elif isinstance(value, list):
            said[field.name] = value[at]
        elif torch.is_tensor(value) and not field.name.startswith("character"):
            column = value[..., at].tolist()
            if isinstance(column, list):
                ignored = IGNORED if field.name.endswith("labels") else PAD
                column = column[: max((i + 1 for i, id in enumerate(column) if id != ignored), default=0)]
            said[field.name] = column
    return said


def test_processor_survives_as_json(case, make):
    processor = make().processor
    read = type(processor).from_state(json.loads(json.dumps(processor.state())))
    assert read.state() == processor.state()
    assert read.fingerprint == processor.fingerprint
    rows = processor.rows([case.text(["quick", "Film", "<pad>", "never"])])
    assert read.encode(rows) == processor.encode(rows)


def test_ids_do_not_depend_on_what_else_is_in_the_batch(case, make):
    """Row 50: batch size, order and composition."""
    data = make()
    rows, processor = data.splits["train"], data.processor
    alone = {row: row_of(processor.collate(rows[[row]]), 0) for row in range(case.sizes["train"])}
    everything = list(range(case.sizes["train"]))
    for chosen in (everything, everything[::-1], [3, 20, 3], [8, 0, 17]):
        batch = processor.collate(rows[chosen])
        assert [row_of(batch, at) for at in range(len(chosen))] == [alone[row] for row in chosen]
    for size in (1, 5, 24):
        for batch in processor.loader(rows, Batching(size=size), shuffle=True):
            for at, row in enumerate(batch.rows):
                assert row_of(batch, at) == alone[row]


def test_prediction_uses_the_same_ids_as_training(case, make, write):
    data = make()
    texts = [case.sentence(number, "test") for number in range(case.sizes["test"])]
    if case.name == "translation":
        texts = [[f"D{word}" for word in words] for words in texts]
    asked = data.processor.rows([case.text(words) for words in texts])
    asked.update(data.processor.encode(asked))
    numbers = list(range(len(texts)))
    batch = data.processor.collate({"row": numbers, **asked})
    known = data.processor.collate(data.splits["test"][numbers])
    assert torch.equal(getattr(batch, case.tensor), getattr(known, case.tensor))
    assert torch.equal(batch.lengths, known.lengths)
    assert batch.labels is None
    assert known.labels is not None


@pytest.mark.parametrize("text", ["", " \t \xa0 "])
def test_empty_texts_have_no_ids(case, text, make):
    processor = make().processor
    rows = processor.rows([text])
    batch = processor.collate({"row": [0], **rows, **processor.encode(rows)})
    marks = case.marks
    assert getattr(batch, case.tensor).shape == (marks, 1)
    assert batch.lengths.tolist() == [marks]
    rows = processor.rows([text, "quick film"])
    batch = processor.collate({"row": [0, 1], **rows, **processor.encode(rows)})
    assert getattr(batch, case.tensor).shape == (2 + marks, 2)
    assert batch.lengths.tolist() == [marks, 2 + marks]


def test_a_lone_surrogate_is_refused(case, make):
    processor = make().processor
    with pytest.raises(UsageError, match=r"lone surrogate .* at character 0"):
        processor.encode(processor.rows(["\ud800 film"]))


def test_long_texts_are_cut_with_one_warning(case, make, caplog):
    data = make(max_length=4)
    assert max(int(batch.lengths.max()) for batch in data.train_dataloader()) == 4 + case.marks
    messages = [record.message for record in caplog.records if "cut to" in record.message]
    long = sum(len(case.sentence(number, "train")) > 4 for number in range(case.sizes["train"]))
    assert f"{long} " in messages[0]
    assert "maximum length of 4 tokens" in messages[0]
    assert len(messages) == 3 * (2 if case.name == "translation" else 1)  # a split and side


def test_many_rows_make_one_warning(caplog):
    """More rows than are encoded at once."""
    tokens = Vocabulary.train(["a quick film"], VocabularySettings(min_frequency=1))
    processor = SentimentProcessor(tokens, ["0", "1"], ["bad", "good"], max_length=2)
    encode(datasets.Dataset.from_dict({"text": ["a quick film", "a film"] * 1200}), processor)
    assert caplog.messages == ["1200 texts cut to the maximum length of 2 tokens"]
    processor.encode({"text": ["a quick film"]})
    assert len(caplog.records) == 2


def test_nested_warnings_are_logged_once_at_the_end(caplog):
    with collect_warnings():
        assert truncate([[1, 2, 3], [4]], 2, "texts") == [[1, 2], [4]]
        with collect_warnings():
            truncate([[1, 2, 3]], 2, "texts")
            warn_unknown([*"abcdef", "a"])
        assert not caplog.messages
    assert caplog.messages == [
        "2 texts cut to the maximum length of 2 tokens",
        "7 token(s) not in the model's vocabulary: 'a', 'b', 'c', 'd', 'e', ...",
    ]


def test_at_most_five_unknown_tokens_are_named(caplog):
    warn_unknown("abcde")
    warn_unknown("abcdef")
    assert caplog.messages == [
        "5 token(s) not in the model's vocabulary: 'a', 'b', 'c', 'd', 'e'",
        "6 token(s) not in the model's vocabulary: 'a', 'b', 'c', 'd', 'e', ...",
    ]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_draws_none_of_the_random_numbers_of_training(case, make, workers):
    loader = make(batching=Batching(size=4, num_workers=workers)).train_dataloader()
    before = torch.get_rng_state()
    iter(loader)
    assert torch.equal(torch.get_rng_state(), before)
    assert (loader.num_workers, loader.persistent_workers) == (workers, workers > 0)


@pytest.mark.parametrize("part", ["film ", "film"])
def test_a_line_of_a_megabyte(case, part, make, caplog):
    processor = make().processor
    caplog.clear()
    rows = processor.rows([part * (1_000_000 // len(part))])
    batch = processor.collate({"row": [0], **rows, **processor.encode(rows)})
    many = part.endswith(" ")
    assert batch.lengths.tolist() == [(processor.max_length if many else 1) + case.marks]
    assert len(caplog.records) == (many or case.name == "language_modeling")  # warns of unknown words too
    assert all(len(record.getMessage()) < 100 for record in caplog.records)
    if case.name == "tagging":
        assert len(batch.characters) <= processor.max_word_length


class DyingProcessor(SentimentProcessor):
    def collate(self, rows):
        if torch.utils.data.get_worker_info() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().collate(rows)


def test_a_worker_that_dies_is_an_error():
    tokens = Vocabulary.train(["a film"], VocabularySettings(min_frequency=1))
    processor = DyingProcessor(tokens, ["0", "1"], ["bad", "good"])
    rows = Rows(encode(datasets.Dataset.from_dict({"text": ["a film"] * 9}), processor))
    with pytest.raises(RuntimeError, match=r"DataLoader worker \(pid"):
        list(processor.loader(rows, Batching(size=4, num_workers=1)))
