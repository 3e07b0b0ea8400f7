"""The summary and the warnings that are printed before training, the first time and from the cache."""

import pytest

from nlp_rnn.data import Corpus, SentimentData, TaggingData, TranslationData, VocabularySettings

CHINESE = [
    {"text": text, "label": i % 2}
    for i, text in enumerate(["味道很好", "送餐太慢", "饭都凉了", "很快好吃"] * 5)
]


@pytest.fixture
def cached(tmp_path, monkeypatch):
    monkeypatch.setenv("NLP_RNN_CACHE", str(tmp_path / "cache"))


def test_many_unknown_tokens_are_warned_of_with_a_remedy(cached, caplog):
    data = SentimentData(
        [{"text": f"{row['text']}{i}", "label": row["label"]} for i, row in enumerate(CHINESE)]
    )
    assert data.summary().endswith("unknown tokens: train 100.0%, validation 100.0%")
    (message,) = [message for message in caplog.messages if "unknown" in message]
    assert message.startswith(
        "100 % of the tokens of validation (token) are unknown; set vocabulary.level to char"
    )
    caplog.clear()
    data = SentimentData(CHINESE, vocabulary=VocabularySettings(level="char"))
    assert "unknown" not in data.summary() + caplog.text


@pytest.mark.parametrize(
    ("data_class", "rows", "said"),
    [
        (TranslationData, [{"de": f"a{i}", "en": "b"} for i in range(20)], "validation (source) are unknown"),
        (
            TaggingData,
            [{"tokens": [f"a{i}", f"b{i}"], "upos": ["X", "Y"]} for i in range(20)],
            "(word) are unknown; set characters",
        ),
    ],
)
def test_each_column_of_tokens_counts(cached, caplog, data_class, rows, said):
    data_class(rows, **({"source": "de", "target": "en"} if data_class is TranslationData else {})).summary()
    assert said in caplog.text


def test_warnings_are_repeated_when_the_data_comes_from_the_cache(cached, caplog):
    rows = [*CHINESE, {"text": " ", "label": 1}]
    warnings = []
    for _ in range(2):
        caplog.clear()
        _ = SentimentData(Corpus(rows)).splits
        warnings.append(sorted(caplog.messages))
    assert warnings[0] == warnings[1]
    assert any("left out 1 of 21 row(s)" in message for message in warnings[0])


def test_a_label_per_row_is_warned_of(cached, caplog):
    _ = SentimentData([{"text": f"a {i}", "label": f"text {min(i, 30)}"} for i in range(50)]).splits
    assert "31 different labels in 50 rows of train, which are hardly labels" in caplog.text
