"""The answers of a tagger: words, their tags, and the spans of these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from nlp_rnn.lite.spans import Span, read_spans
from nlp_rnn.lite.word_reader import RawText
from nlp_rnn.tasks.tagging.columns import TagColumn


def make_answers(
    predicted: Sequence[tuple[str, TagColumn, tuple[Tensor, Tensor]]],
    sizes: Sequence[int],
    sentences: Sequence[Sequence[str] | None],
    raw_texts: Sequence[RawText | None],
) -> list[dict[str, Any]]:
    """The answers to sentences; those of spans are of the first column of tags.

    Args:
        predicted: of each column its key in answers, the column, and the ids of the tags [T, B] with their
            probabilities [T, B].
        sizes: [B] the number of words that were read of each sentence.
        sentences: their words, or None where these are not known.
        raw_texts: what the words were split from, or None where they were given as words.

    Returns:
        One per sentence, see `Tagging.answer`.
    """
    answers: list[dict[str, Any]] = [
        {} if words is None else {"words": list(words[:size])}
        for words, size in zip(sentences, sizes, strict=True)
    ]
    for key, column, (ids, probabilities) in predicted:
        values = ids.t().tolist(), probabilities.t().tolist(), sizes
        for answer, words, tags, scores, size in zip(answers, sentences, *values, strict=True):
            answer[key] = column.decode(words or (), tags[:size])
            answer[scores_key(key)] = scores[:size]
    key, column, _ = predicted[0]
    for answer, words, raw, size in zip(answers, sentences, raw_texts, sizes, strict=True):
        if column.scheme:
            answer["entities"] = [_entity(span, words, raw) for span in read_spans(answer[key])]
        if raw is not None:
            answer["offsets"] = [list(offsets) for offsets in raw.offsets[:size]]
    return answers


def scores_key(key: str) -> str:
    """The key of the probabilities of the tags that an answer has under `key`."""
    return "scores" if key == "tags" else f"{key}_scores"


def _entity(span: Span, words: Sequence[str] | None, raw: RawText | None) -> dict[str, Any]:
    entity: dict[str, Any] = span._asdict()
    if raw is not None:
        start, end = raw.offsets[span.start][0], raw.offsets[span.end - 1][1]
        return {**entity, "text": raw.text[start:end], "offsets": [start, end]}
    return entity if words is None else {**entity, "text": " ".join(words[span.start : span.end])}
