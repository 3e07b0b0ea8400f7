"""BPE-dropout: other subwords of the same text in each epoch of training, by seed, epoch and row alone."""

import json
import random
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from nlp_rnn.data import Batching, VocabularySettings
from nlp_rnn.data.subword_dropout import SubwordDropout, mix
from nlp_rnn.data.vocabulary import UNK, Vocabulary
from nlp_rnn.errors import UsageError
from nlp_rnn.lite.text.subwords import pairs
from nlp_rnn.tasks import (
    CaptioningData,
    ForecastingData,
    LanguageModelingData,
    MultiLabelData,
    SentimentData,
    TextPairsData,
    TranslationData,
)

WORDS = "low lower lowest new newer newest wide wider widest slow slower, slowest! don't (see) it's ab-cd"
TEXTS = [" ".join(random.Random(n).sample(WORDS.split(), 5)) for n in range(40)]
SUBWORDS = VocabularySettings("bpe", min_frequency=1, max_size=80)
VOCABULARY = Vocabulary.train(TEXTS, SUBWORDS).with_tags(["<bt>"])
MAKE = {  # the rows of each task
    SentimentData: lambda n: {"text": TEXTS[n], "label": ["bad", "good"][n % 2]},
    MultiLabelData: lambda n: {"text": TEXTS[n], "labels": [["bad", "good"][n % 2]]},
    TextPairsData: lambda n: {"first": TEXTS[n], "second": TEXTS[n - 1], "label": ["bad", "good"][n % 2]},
    TranslationData: lambda n: {"de": TEXTS[n], "en": TEXTS[n - 1]},
    LanguageModelingData: lambda n: {"text": TEXTS[n]},
    CaptioningData: lambda n: {"features": [n, 1.0], "caption": TEXTS[n]},
}


def encode(texts, vocabulary=VOCABULARY):
    return [np.array(ids, np.int32) for ids in vocabulary.encode(texts)]


def make(data_class, dropout=0.5, size=8, seed=0, vocabulary=SUBWORDS, train=range(30), **settings):
    rows = {"train": list(map(MAKE[data_class], train)), "validation": list(map(MAKE[data_class], range(9)))}
    batching = Batching(size=size, seed=seed, subword_dropout=dropout)
    return data_class(rows, vocabulary=vocabulary, batching=batching, **settings)


def epoch(data, number=0, world_size=1, **batching):
    """The rows of an epoch of training, by their numbers."""
    seen = {}
    for rank in range(world_size):
        settings = replace(data.batching, **batching)
        loader = data.processor.loader(data.splits["train"], settings, True, rank, world_size)
        loader.sampler.set_epoch(number)
        loader.collate_fn = lambda rows: rows
        for rows in loader:
            for place, row in enumerate(rows["row"]):
                seen[row] = [rows[name][place].tolist() for name in data.processor.id_columns]
    return seen


def test_without_dropout_the_subwords_are_those_of_the_vocabulary():
    texts = [*TEXTS, "", "!!", "lower?slow", "ein Hündchen", "a  b", "<bt>", "▁", "l" * 300]
    ids = [*encode(texts), np.array([len(VOCABULARY) - 1, 7, UNK, 9], np.int32)]
    drawn = SubwordDropout(VOCABULARY, 0.0).draw(ids, mix(np.arange(len(ids), dtype=np.uint64)))
    assert [row.tolist() for row in drawn] == [row.tolist() for row in ids]
    assert SubwordDropout(VOCABULARY, 0.5).draw([], np.zeros(0, np.uint64)) == []


def reference(piece, probability, merges, generator):
    """The published algorithm, one piece at a time (Provilkov et al. 2020, algorithm 1)."""
    symbols = list(piece)
    while True:
        possible = [
            (merges[pair], place)
            for place, pair in enumerate(pairwise(symbols))
            if pair in merges and generator.random() >= probability
        ]
        if not possible:
            return tuple(symbols)
        _, place = min(possible)
        symbols[place : place + 2] = [symbols[place] + symbols[place + 1]]


@pytest.mark.parametrize("probability", [0.1, 0.5])
def test_words_are_split_as_often_in_each_way_as_by_the_published_algorithm(probability):
    model = json.loads(VOCABULARY.to_json())["model"]
    merges = {tuple(pair): rank for rank, pair in enumerate(pairs(model["merges"]))}
    generator, number = random.Random(0), 4000
    ids = encode(["slowest"]) * number
    drawn = SubwordDropout(VOCABULARY, probability).draw(ids, mix(np.arange(number, dtype=np.uint64)))
    ours = [tuple(VOCABULARY.token(id) for id in row) for row in drawn]
    theirs = [reference("▁slowest", probability, merges, generator) for _ in range(number)]
    assert all("".join(tokens) == "▁slowest" for tokens in ours)
    for tokens in {*ours, *theirs}:
        assert abs(ours.count(tokens) - theirs.count(tokens)) / number < 0.03
    assert len(set(ours)) > 3


@pytest.mark.parametrize("data_class", MAKE)
def test_every_task_that_reads_subwords_gets_others_in_each_epoch(data_class):
    data, plain = make(data_class), make(data_class, dropout=0.0)
    first, second, fixed = epoch(data), epoch(data, 1), epoch(plain)
    vocabularies = list(data.processor.column_vocabularies().values())
    assert sorted(first) == sorted(fixed) == list(range(30))
    for column, vocabulary in enumerate(vocabularies):
        texts = [
            {row: vocabulary.decode(ids[column]) for row, ids in rows.items()} for rows in (first, fixed)
        ]
        assert texts[0] == texts[1]
        for one, other in ((first, second), (first, fixed)):
            assert sum(one[row][column] != other[row][column] for row in one) > 25
    assert epoch(plain, 1) == fixed
    both = [some.val_dataloader() for some in (data, plain)]
    for ours, theirs in zip(*both, strict=True):
        for name, value in vars(theirs).items():
            assert str(getattr(ours, name)) == str(value)


def test_rows_depend_on_seed_epoch_and_number_alone():
    data = make(TranslationData)
    expected = epoch(data, 3)
    assert epoch(data, 3, world_size=3) == epoch(data, 3, size=5) == expected
    assert epoch(data, 3, num_workers=1) == expected
    assert epoch(data, 3, seed=1) != expected
    assert all(source != target for source, target in epoch(make(TranslationData, seed=9)).values())
    loader = data.train_dataloader()
    loader.sampler.set_epoch(3)
    whole = list(loader)
    resumed = data.train_dataloader()
    resumed.sampler.skip(3, 2)
    for ours, theirs in zip(resumed, whole[2:], strict=True):
        assert ours.rows == theirs.rows
        assert ours.source.equal(theirs.source)
        assert ours.labels.equal(theirs.labels)


def test_rows_are_cut_off_at_the_maximum_length():
    whole, cut = epoch(make(SentimentData)), epoch(make(SentimentData, max_length=7))
    assert {row: [ids[0][:7]] for row, ids in whole.items()} == cut


def test_it_is_refused_where_there_are_no_subwords():
    for level in ("word", "char"):
        data = make(SentimentData, vocabulary=VocabularySettings(level))
        with pytest.raises(UsageError, match=f"for vocabulary.level bpe, not {level}: leave it out"):
            _ = data.processor
    with pytest.raises(UsageError, match="for texts of subwords, which this task does not read"):
        _ = ForecastingData("ramp", batching=Batching(subword_dropout=0.1)).processor
    with pytest.raises(UsageError, match="for texts read by themselves: leave it out, or window"):
        make(LanguageModelingData, window=4)
    with pytest.raises(UsageError, match=r"subword_dropout must be between 0 and 0\.99"):
        Batching(subword_dropout=1.0)
