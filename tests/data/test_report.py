"""The summary and the warnings that are printed before training, the first time and from the cache."""

import pandas as pd
import pytest

from nlp_rnn.data import (
    Corpus,
    LanguageModelingData,
    SentimentData,
    TaggingData,
    TranslationData,
    VocabularySettings,
)

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
    assert "unknown tokens: train 100.0%, validation 100.0%, test 100.0%" in data.summary()
    message, _ = [message for message in caplog.messages if "unknown" in message]
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


def test_the_summary_names_what_was_drawn_and_what_is_cut(cached, tmp_path):
    rows = [
        {"text": "a " * (row % 5), "de": f"{row} b", "en": f"{row} c " * (row % 2 + 1)} for row in range(100)
    ]
    data = LanguageModelingData([row for row in rows if row["text"]] + rows[1:5], max_length=3)
    counts = {
        name: sum(len(text.split()) > 3 for text in split["text"]) for name, split in data.load().items()
    }
    cut = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
    for again in (data, LanguageModelingData(data.corpus, max_length=3)):  # made, and from the cache
        assert "; rows: train 68, validation 8 (drawn), test 8 (drawn); " in again.summary()
        assert again.summary().endswith(f"; texts cut to the maximum length: {cut}")
    pd.DataFrame(rows).to_csv(tmp_path / "train.csv")
    pd.DataFrame(rows[:9]).to_csv(tmp_path / "test.csv")
    summary = TranslationData(tmp_path, max_length=3).summary()
    assert "; rows: train 90, validation 10 (drawn), test 9; " in summary
    assert "target sentences cut to the maximum length: train 47, validation 3, test 4" in summary


def test_a_label_per_row_is_warned_of(cached, caplog):
    _ = SentimentData([{"text": f"a {i}", "label": f"text {min(i, 30)}"} for i in range(50)]).splits
    assert "31 different labels in 50 rows of train, which are hardly labels" in caplog.text
