"""Sentence pairs: targets are shifted by one, and sources may be read from their end."""

import pytest
import torch

from nlp_rnn import from_pretrained, save_pretrained
from nlp_rnn.data import Batching, Corpus, VocabularySettings
from nlp_rnn.data.batching import IGNORED
from nlp_rnn.data.vocabulary import BOS, EOS, PAD, UNK
from nlp_rnn.errors import UsageError
from nlp_rnn.tasks import Translation
from nlp_rnn.tasks.language_modeling.data import LanguageModelingProcessor
from nlp_rnn.tasks.language_modeling.task import LanguageModeling
from nlp_rnn.tasks.translation.data import TranslationData, TranslationProcessor


@pytest.fixture
def make(tmp_path):
    """A function that makes the data of pairs of 1 to 9 words."""
    words = ["this", "quick", "film", "is", "not", "very", "good", "at", "all"]
    english = [" ".join(words[: 1 + number % 9]) for number in range(24)]
    for split in ("train", "val"):
        (tmp_path / f"{split}.en").write_text("\n".join(english) + "\n")
        (tmp_path / f"{split}.de").write_text("\n".join(text.upper() for text in english) + "\n")

    def make(**arguments):
        settings = {"vocabulary": VocabularySettings(min_frequency=1), "batching": Batching(size=4)}
        return TranslationData(Corpus(str(tmp_path)), **settings, **arguments)

    return make


def test_targets_are_shifted(make):
    data = make()
    rows = data.splits["train"]
    batch = data.processor.collate(rows[[8, 1]])
    long, short = ([int(id) for id in ids] for ids in rows[[8, 1]]["target_ids"])
    rest = [PAD] * (len(long) - len(short))
    assert batch.target.t().tolist() == [[BOS, *long], [BOS, *short, *rest]]
    rest = [IGNORED] * (len(long) - len(short))
    assert batch.labels.t().tolist() == [[*long, EOS], [*short, EOS, *rest]]
    assert batch.target.dtype == batch.labels.dtype == batch.source.dtype == torch.int64
    assert batch.references == ["this quick film is not very good at all", "this quick"]


def test_sources_are_read_from_their_end(make):
    forward, backward = (make(reverse_source=reverse).train_dataloader() for reverse in (False, True))
    for batch, reversed_batch in zip(forward, backward, strict=True):
        for at, length in enumerate(batch.lengths.tolist()):
            ids = batch.source[:length, at].tolist()
            assert reversed_batch.source[:length, at].tolist() == ids[::-1]
            assert not reversed_batch.source[length:, at].any()
        assert torch.equal(batch.target, reversed_batch.target)


def test_an_empty_target_still_ends(make):
    processor = make().processor
    rows = {"source": ["quick", ""], "target": ["", "quick"]}
    batch = processor.collate({"row": [0, 1], **rows, **processor.encode(rows)})
    (quick,) = processor.target.encode(["quick"])[0]
    assert batch.target.t().tolist() == [[BOS, PAD], [BOS, quick]]
    assert batch.labels.t().tolist() == [[EOS, IGNORED], [quick, EOS]]
    assert batch.lengths.tolist() == [1, 0]


def test_a_shared_vocabulary_knows_the_words_of_either_language():
    rows = [{"de": "ein hund", "en": "a dog"}] * 20
    settings = {"vocabulary": VocabularySettings(min_frequency=1), "shared_vocabulary": True}
    processor = TranslationData(rows, **settings).processor
    assert processor.source.tokens()[4:] == processor.target.tokens()[4:] == ["a", "dog", "ein", "hund"]
    assert processor.encode(processor.rows(["a hund"]))["source_ids"] == [[4, 7]]
    assert TranslationProcessor.from_state(processor.state()).fingerprint == processor.fingerprint


ROWS = [{"de": "ein hund", "en": "a dog"}, {"de": "ein film", "en": "a film"}] * 6


@pytest.mark.parametrize("shared", [False, True])
def test_both_vocabularies_of_a_trained_model_are_taken_over(shared, tmp_path, cache_home):
    every = VocabularySettings(min_frequency=1)
    first = TranslationData(ROWS, vocabulary=every, shared_vocabulary=shared).processor
    folder = save_pretrained(Translation(first, 4, 6), tmp_path / "model")
    settings = VocabularySettings(model=str(folder))
    others = [{"de": "eine katze", "en": "the cat"}] * 12
    second = TranslationData(others, vocabulary=settings, shared_vocabulary=shared).processor
    assert second.source.to_json() == first.source.to_json()
    assert second.target.to_json() == first.target.to_json()
    extra = tmp_path / "extra.jsonl"
    extra.write_text('{"de": "ein hund", "en": "a film"}\n')
    extras = [{"path": str(extra), "tag": "<bt>"}]
    data = TranslationData(others, vocabulary=settings, shared_vocabulary=shared, extra=extras)
    student = from_pretrained(save_pretrained(Translation(data.processor, 4, 6), tmp_path / "student"))
    own = student.processor
    assert own.source.tokens() == [*first.source.tokens(), "<bt>"]
    assert own.target.tokens() == [*first.target.tokens(), *(["<bt>"] if shared else [])]
    assert set(own.never_written()) - {PAD, UNK, BOS} == ({len(first.target)} if shared else set())
    if not shared:
        with pytest.raises(UsageError, match="its model has two vocabularies"):
            _ = TranslationData(others, vocabulary=settings, shared_vocabulary=True).processor


def test_a_model_that_writes_in_no_vocabulary_of_its_own_has_none_for_targets(tmp_path, cache_home):
    tokens = TranslationData(ROWS).processor.source
    folder = save_pretrained(LanguageModeling(LanguageModelingProcessor(tokens), 4, 6), tmp_path / "lm")
    with pytest.raises(UsageError, match=r"vocabulary\.model: .*: its model writes no text with a vocab"):
        _ = TranslationData(ROWS, vocabulary=VocabularySettings(model=str(folder))).processor
