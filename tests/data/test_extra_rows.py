"""Extra corpora: trained on beside the main one, never validated on, with a tag before their source."""

import json

import pytest
import torch

from nlp_rnn import from_pretrained, pipeline, save_pretrained
from nlp_rnn.data import Batching, VocabularySettings
from nlp_rnn.data.corpus.extra import ExtraCorpus
from nlp_rnn.data.vocabulary import Vocabulary
from nlp_rnn.errors import UsageError
from nlp_rnn.lite.pipelines import pipeline as lite_pipeline
from nlp_rnn.tasks import (
    LanguageModelingData,
    MultiLabelData,
    Sentiment,
    SentimentData,
    TaggingData,
    TextPairsData,
    TranslationData,
)
from nlp_rnn.tasks.sentiment.data import SentimentProcessor

VOCABULARY = VocabularySettings(min_frequency=1)
MAKE = {  # the rows of each task
    TranslationData: lambda n: {"de": f"ein hund {n}", "en": f"a dog {n}"},
    SentimentData: lambda n: {"text": f"a film {n}", "label": ["bad", "good"][n % 2]},
    TextPairsData: lambda n: {"first": f"a film {n}", "second": "b", "label": ["bad", "good"][n % 2]},
    MultiLabelData: lambda n: {"text": f"a film {n}", "labels": [["bad", "good"][n % 2]]},
    TaggingData: lambda n: {"tokens": ["a", f"film{n}"], "upos": ["DET", ["NOUN", "X"][n % 2]]},
    LanguageModelingData: lambda n: {"text": f"a film {n}"},
}
TAGGED = [TranslationData, SentimentData, TextPairsData, MultiLabelData]


@pytest.fixture
def make(tmp_path):
    """A function that makes data with an extra corpus."""

    def make(data_class, own=range(10), evaluated=range(10, 14), extra=range(20, 26), edit=None, **settings):
        row = MAKE[data_class]
        path = tmp_path / "more.jsonl"
        rows = [row(n) if edit is None else edit(row(n)) for n in extra]
        path.write_text("".join(json.dumps(item) + "\n" for item in rows))
        tag, weight = settings.pop("tag", None), settings.pop("weight", 1.0)
        main = {"train": list(map(row, own)), "validation": list(map(row, evaluated))}
        extras = [{"path": str(path), "tag": tag, "weight": weight}]
        return data_class(main, **{"vocabulary": VOCABULARY, "extra": extras, **settings})

    return make


@pytest.mark.parametrize("data_class", MAKE)
def test_train_alone_gets_the_rows(make, data_class):
    data = make(data_class)
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 16, "validation": 4}
    (vocabulary, *_) = data.processor.vocabularies().values()
    tokens = " ".join(vocabulary.tokens())
    assert "20" in tokens  # of the extra corpus
    assert "extra: more.jsonl 6 rows (weight 1)" in data.summary()


@pytest.mark.parametrize("data_class", TAGGED)
def test_a_tag_is_put_before_the_source_and_before_nothing_else(make, data_class):
    data, plain = make(data_class, tag="<bt>"), make(data_class)
    column = data.processor.length_columns[0]
    vocabulary = data.processor.vocabularies()[data.tagged]
    tag = vocabulary.tokenizer.token_to_id("<bt>")
    assert vocabulary.tokens().index("<bt>") == tag == 4
    assert "<bt>" not in vocabulary.decode(vocabulary.encode(["a <bt> film"])[0])
    assert tag not in vocabulary.encode(["a <bt> film <bt>"])[0]
    for split, rows in data.splits.items():
        numbers = list(range(len(rows)))
        ids, untagged = (some.splits[split][numbers] for some in (data, plain))
        starts = [1 if split == "train" and number >= 10 else 0 for number in numbers]
        for name in data.processor.features:
            for start, with_tag, without in zip(starts, ids[name], untagged[name], strict=True):
                if name == column:
                    assert [tag] * start == [id for id in with_tag if id == tag]
                    assert len(with_tag) == len(without) + start
                    assert not start or with_tag[0] == tag
                elif name.endswith("_ids"):
                    assert len(with_tag) == len(without)


@pytest.mark.parametrize("level", ["word", "bpe", "char"])
def test_no_text_is_encoded_to_a_tag(make, level):
    data = make(SentimentData, tag="<bt>")
    settings = VocabularySettings(level=level, min_frequency=1)
    vocabulary = type(data.processor.tokens).train(["<bt> <bt>a <bt> bt"] * 9, settings, ["<bt>"])
    assert vocabulary.tokens()[4] == "<bt>"
    assert 4 not in vocabulary.encode(["<bt> <bt>a x<bt> bt"])[0]


def test_a_tag_counts_for_the_maximum_length(make):
    data = make(TranslationData, tag="<bt>", max_length=3)
    assert set(data.splits["train"].lengths("source_ids")) == {3}
    assert data.splits["train"][[15]]["source_ids"][0].tolist()[0] == 4


@pytest.mark.parametrize(("data_class", "edit"), [
    *((data_class, None) for data_class in MAKE),
    (TranslationData, lambda row: row | {"de": "anders"}),
    (TranslationData, lambda row: row | {"en": row["en"].upper() + " !"}),
    (SentimentData, lambda row: row | {"text": row["text"].upper() + "!", "label": "good"}),
    (TaggingData, lambda row: row | {"upos": ["X", "X"]}),
])  # fmt: skip
def test_rows_of_validation_are_left_out(make, data_class, edit, caplog):
    data = make(data_class, extra=range(12, 30), edit=edit)  # 12 and 13 are in validation
    assert len(data.splits["train"]) == 10 + 16
    (message,) = [text for text in caplog.messages if "left out of training" in text]
    assert "extra corpus" in message
    assert "2 row(s)" in message
    assert "16 rows" in data.summary()


@pytest.mark.parametrize(("data_class", "settings", "message"), [
    (TaggingData, {"tag": "<bt>"}, "TaggingData has no tags"),
    (LanguageModelingData, {"tag": "<bt>"}, "LanguageModelingData has no tags"),
    (LanguageModelingData, {"window": 5, "weight": 0.5}, "running text has no weights"),
    (SentimentData, {"balance": "sampling", "weight": 2}, "both say how often"),
    (SentimentData, {"tag": "bt"}, "must be a name in angle brackets"),
    (SentimentData, {"tag": "<unk>"}, "must be a name in angle brackets"),
    (SentimentData, {"weight": 0}, "weight must be between"),
    (SentimentData, {"edit": lambda row: row | {"label": "odd"}}, "label 'odd' is not in the main corpus"),
    (SentimentData, {"extra": range(10, 14)}, r"all 4 row\(s\) also stand in validation or test"),
])  # fmt: skip
def test_what_cannot_be_is_refused(make, data_class, settings, message):
    with pytest.raises(UsageError, match=message):
        make(data_class, **settings).processor  # noqa: B018


def test_a_trained_model_without_the_tag_is_refused(make):
    plain, data = make(SentimentData), make(SentimentData, tag="<bt>")
    data.attach_processor(plain.processor)
    with pytest.raises(UsageError, match="has no tag <bt>"):
        data.splits  # noqa: B018


@pytest.mark.parametrize("level", ["word", "bpe", "char"])
def test_a_vocabulary_that_is_taken_over_gets_the_tag_behind_its_tokens(make, level, tmp_path):
    theirs = Vocabulary.train(["a film 1"] * 9, VocabularySettings(level=level, min_frequency=1))
    processor = SentimentProcessor(theirs, ["bad", "good"], ["bad", "good"])
    folder = save_pretrained(Sentiment(processor, 4, 4), tmp_path / "model")
    settings = VocabularySettings(model=str(folder))
    plain = make(SentimentData, vocabulary=settings).processor.tokens
    assert plain.to_json() == theirs.to_json()
    data = make(SentimentData, vocabulary=settings, tag="<bt>")
    tokens = data.processor.tokens
    assert tokens.tokens() == [*theirs.tokens(), "<bt>"]
    texts = ["a film <bt>", "<bt>", "b<bt>a"]
    assert tokens.encode(texts) == theirs.encode(texts)
    assert [data.splits["train"][[row]]["token_ids"][0][0] == len(theirs) for row in (0, 9, 10, 15)] == [
        *(False, False, True, True)
    ]
    assert tokens.with_tags(["<bt>"]).to_json() == tokens.to_json()
    student = save_pretrained(Sentiment(data.processor, 4, 4), tmp_path / "student")
    loaded = from_pretrained(student)
    assert loaded.processor.fingerprint == data.processor.fingerprint
    batch = data.processor.collate(data.splits["train"][[0, 12]])
    torch.testing.assert_close(loaded.eval().logits(batch).softmax(-1).sum(-1), torch.ones(2))
    lite = lite_pipeline("sentiment", student)
    for ours, light in zip(pipeline("sentiment", student)(texts), lite(texts), strict=True):
        assert ours["scores"] == pytest.approx(light["scores"], abs=1e-5)


@pytest.mark.parametrize("level", ["word", "bpe", "char"])
def test_a_model_that_is_trained_on_gets_the_tag(make, level):
    settings = VocabularySettings(level=level, min_frequency=1)
    plain = make(SentimentData, vocabulary=settings).processor
    data = make(SentimentData, vocabulary=settings, tag="<bt>")
    data.extend_processor(plain)
    assert data.processor.tokens.tokens() == [*plain.tokens.tokens(), "<bt>"]


def test_weights_say_how_often_rows_are_seen(make):
    data = make(SentimentData, weight=1.5, batching=Batching(size=4))
    loader = data.train_dataloader()
    rows = [row for batch in loader for row in batch.rows]
    counts = [rows.count(number) for number in range(16)]
    assert counts[:10] == [1] * 10
    assert sorted(counts[10:]) == [1] * 3 + [2] * 3


def test_running_text_has_the_rows_too(make):
    data = make(LanguageModelingData, window=4, batching=Batching(size=2))
    (id,) = data.processor.tokens.encode(["25"])[0]
    assert any((batch.tokens == id).any() for batch in data.train_dataloader())


def test_the_cache_knows_tag_and_content(make):
    first = make(SentimentData)
    keys = [first.cache_key(), make(SentimentData, tag="<bt>").cache_key()]
    keys += [make(SentimentData, extra=range(20, 25)).cache_key()]
    assert len(set(keys)) == 3
    assert make(SentimentData, weight=2).cache_key() == keys[0]


def test_settings_may_be_mappings_or_objects(make):
    data = SentimentData(extra=[ExtraCorpus("x"), {"path": "y"}])
    assert data.extra == [ExtraCorpus("x"), ExtraCorpus("y")]
    with pytest.raises(UsageError, match="extra must be a list"):
        SentimentData(extra="x")
