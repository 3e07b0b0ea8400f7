"""Answers: dictionaries made of what a model computed, and one line of text for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from ..decoding.hypotheses import Hypothesis
from ..errors import UsageError
from ..text.spans import Span, read_spans
from ..text.tokenizer_format import EOS
from ..text.vocabulary import Vocabulary
from ..text.word_reader import RawText

UNSURE = "unsure"
"""The answer where no label is probable enough."""

SEPARATOR = "|"
"""Between the labels of a text that may have several."""


class Step(NamedTuple):
    """One step of a model that generates text: the token that it read, and the token that it predicts."""

    read: str
    predicted: str
    probability: float
    """Of the predicted token, from 0 to 1."""
    piece: str
    """The text that the step adds; empty while the prompt is read, and for EOS."""


class TagAnswer(NamedTuple):
    """The tags of one column."""

    key: str
    """Of the tags in an answer."""
    decode: Callable[[Sequence[str], Sequence[int]], list[str]]
    """(words, ids) -> values."""
    ids: Sequence[Sequence[int]]
    """[B] rows of ids, one per word; what is behind a sentence's end does not matter."""
    scores: Sequence[Sequence[float]]
    """[B] rows of probabilities, likewise."""


def label_answers(
    probabilities: Iterable[Sequence[float]], labels: Sequence[str], unsure_below: float
) -> list[dict[str, Any]]:
    """The most probable label of each row, or `UNSURE`, with its probability and all of them.

    Args:
        probabilities: [B, C].
        labels: [C].
        unsure_below: the probability below which the answer is `UNSURE`.
    """
    answers = []
    for row in probabilities:
        highest = max(row)
        label = labels[row.index(highest)] if highest >= unsure_below else UNSURE
        answers.append({"label": label, "score": highest, "scores": dict(zip(labels, row, strict=True))})
    return answers


def no_label() -> dict[str, Any]:
    """The answer to an empty text: probabilities would depend on the model alone."""
    return {"label": None, "score": None, "scores": {}}


def check_unsure(unsure_below: float, labels: Sequence[str]) -> None:
    """Refuse a threshold where `UNSURE` is a label.

    Raises:
        UsageError: it is.
    """
    if unsure_below and UNSURE in labels:
        raise UsageError(
            f"unsure_below answers {UNSURE!r}, which is a label too: call the label something else, or "
            "leave unsure_below at 0"
        )


def label_set_answers(
    given: Iterable[Sequence[bool]], probabilities: Iterable[Sequence[float]], labels: Sequence[str]
) -> list[dict[str, Any]]:
    """All labels that are given to each row, and the probabilities of all labels.

    Args:
        given: [B, C].
        probabilities: [B, C].
        labels: [C].
    """
    return [
        {
            "labels": [label for label, is_given in zip(labels, flags, strict=True) if is_given],
            "scores": dict(zip(labels, scores, strict=True)),
        }
        for flags, scores in zip(given, probabilities, strict=True)
    ]


def no_label_set() -> dict[str, Any]:
    """The answer to an empty text, of which nothing is known."""
    return {"labels": None, "scores": {}}


def step_answers(
    ids: Sequence[Sequence[int]],
    scores: Sequence[Sequence[float]],
    lengths: Sequence[int],
    labels: Sequence[str],
) -> list[dict[str, Any]]:
    """The most probable label of each step, with its probability.

    Args:
        ids: [B] rows of ids, one per step; what is behind a row's end does not matter.
        scores: [B] rows of probabilities, likewise.
        lengths: [B].
        labels: their names.
    """
    return [
        {"labels": [labels[label] for label in row[:length]], "scores": probabilities[:length]}
        for row, probabilities, length in zip(ids, scores, lengths, strict=True)
    ]


def tag_answers(
    columns: Iterable[TagAnswer],
    sizes: Sequence[int],
    sentences: Sequence[Sequence[str] | None],
    raw_texts: Sequence[RawText | None],
    has_spans: bool,
) -> list[dict[str, Any]]:
    """The words of each sentence with their tags.

    Args:
        columns: the tags of each column, the main one first.
        sizes: [B] the number of words that were read.
        sentences: [B] their words, as far as they are known.
        raw_texts: [B] the texts that they were split from, if they were.
        has_spans: whether tags of the main column are of spans.
    """
    answers: list[dict[str, Any]] = [
        {} if words is None else {"words": list(words[:size])}
        for words, size in zip(sentences, sizes, strict=True)
    ]
    main = ""
    for column in columns:
        main = main or column.key
        values = zip(answers, sentences, column.ids, column.scores, sizes, strict=True)
        for answer, words, tags, scores, size in values:
            answer[column.key] = column.decode(words or (), tags[:size])
            answer[scores_key(column.key)] = scores[:size]
    for answer, words, raw, size in zip(answers, sentences, raw_texts, sizes, strict=True):
        if has_spans:
            answer["entities"] = [_entity(span, words, raw) for span in read_spans(answer[main])]
        if raw is not None:
            answer["offsets"] = [list(offsets) for offsets in raw.offsets[:size]]
    return answers


def _entity(span: Span, words: Sequence[str] | None, raw: RawText | None) -> dict[str, Any]:
    entity: dict[str, Any] = span._asdict()
    if raw is not None:
        start, end = raw.offsets[span.start][0], raw.offsets[span.end - 1][1]
        return {**entity, "text": raw.text[start:end], "offsets": [start, end]}
    return entity if words is None else {**entity, "text": " ".join(words[span.start : span.end])}


def scores_key(key: str) -> str:
    """The key of the probabilities of the tags of a column."""
    return "scores" if key == "tags" else f"{key}_scores"


def text_answers(
    best: Sequence[Sequence[Hypothesis]], texts: Sequence[Sequence[str]], empty: Sequence[bool]
) -> list[dict[str, Any]]:
    """Answers from hypotheses.

    Args:
        best: of each row its best hypotheses.
        texts: their texts.
        empty: [B] the rows whose answer is the empty text, without a score.

    Returns:
        Per row the best `text`, its `score`, and the `n_best` of both as a list.
    """
    answers = []
    for is_empty, hypotheses, row in zip(empty, best, texts, strict=True):
        n_best = [
            {"text": "", "score": None} if is_empty else {"text": text, "score": hypothesis.score}
            for hypothesis, text in zip(hypotheses, row, strict=True)
        ]
        answers.append({**n_best[0], "n_best": n_best})
    return answers


def generated_steps(
    vocabulary: Vocabulary,
    names: Sequence[str],
    last: int,
    after_space: bool,
    chosen: Iterable[tuple[int, float]],
) -> Iterator[Step]:
    """The steps of a continuation.

    Args:
        vocabulary: of the tokens.
        names: the tokens in the order of their ids.
        last: the id of the last token of the prompt.
        after_space: whether the prompt ends in white space.
        chosen: the ids that were chosen, with their probabilities.
    """
    for id, probability in chosen:
        piece = "" if id == EOS else vocabulary.piece(last, id)
        if after_space and piece != names[id]:  # a space between tokens, not one that is a token
            piece = piece.removeprefix(" ")
        yield Step(names[last], names[id], probability, piece)
        last, after_space = id, False


def format_label(answer: dict[str, Any]) -> str:
    """The label."""
    return str(answer["label"] or "")


def format_label_set(answer: dict[str, Any]) -> str:
    """The labels, with `SEPARATOR` between them."""
    return SEPARATOR.join(answer["labels"] or ())


def format_steps(answer: dict[str, Any]) -> str:
    """The labels of the steps, with spaces between them."""
    return " ".join(answer["labels"])


def format_tags(answer: dict[str, Any]) -> str:
    """The words with slashes before their tags, and spaces between them: `word/TAG word/TAG`."""
    columns = [tags for key, tags in answer.items() if key == "words" or scores_key(key) in answer]
    return " ".join("/".join(tags) for tags in zip(*columns, strict=True))


def format_text(answer: dict[str, Any]) -> str:
    """The text."""
    return str(answer["text"])


def format_values(answer: dict[str, Any]) -> str:
    """The numbers, with spaces between them."""
    values = answer["values"]
    flat = [number for step in values for number in (step if isinstance(step, list) else [step])]
    return " ".join(f"{number:.7g}" for number in flat)
