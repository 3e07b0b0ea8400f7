"""Tags beside those of the data, and what can be reached by looking up each word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nlp_rnn.data.batching import IGNORED, pad
from nlp_rnn.data.labels import UNSEEN
from nlp_rnn.data.vocabulary import UNK
from nlp_rnn.lite.text.lemmas import normalized
from nlp_rnn.tasks.baselines import tag_by_word
from nlp_rnn.tasks.classification import judge_steps
from nlp_rnn.tasks.interface import Baseline, EncodedSplit, Judgement
from nlp_rnn.tasks.tagging.columns import TagColumn
from nlp_rnn.tasks.tagging.scoring import ClassScorer

_ROWS_AT_ONCE = 1_000


def judge_tags(column: TagColumn, answer: Mapping[str, Any], row: Mapping[str, Any]) -> Judgement:
    """Compare the tags of a sentence with those of the data; untagged words are not scored.

    Args:
        column: the first column of tags.
        answer: of `Tagging`.
        row: the sentence, see `Capabilities.judge`.
    """
    references: list[str | None] = []
    for id, value in zip(row["label_ids"], row[column.name], strict=False):
        if id == IGNORED:
            references.append(None)
        elif column.is_text:
            references.append(normalized(value))
        else:
            references.append(value if id == UNSEEN else column.labels[id])
    words = row["tokens"][: len(references)]
    return judge_steps(references, answer["tags"], answer["scores"], words)


def word_baseline(scorer: ClassScorer, measured: EncodedSplit, train: EncodedSplit) -> Baseline:
    """The most frequent tag of each word in train.

    Args:
        scorer: of the first column of tags.
        measured: the sentences to tag.
        train: the sentences to count.
    """
    ids = train.rows[list(range(len(train.rows)))]["label_ids"]
    tags, other = tag_by_word(train.columns["tokens"], ids)
    metrics = scorer.make_metrics()
    for start in range(0, len(measured.rows), _ROWS_AT_ONCE):
        numbers = list(range(start, min(start + _ROWS_AT_ONCE, len(measured.rows))))
        part, texts = measured.rows[numbers], measured.columns[numbers]
        labels, _ = pad(part["label_ids"], IGNORED)
        known = pad(part["word_ids"])[0] > UNK
        predicted, _ = pad([[tags.get(word, other) for word in words] for words in texts["tokens"]])
        scorer.update(metrics, predicted[: len(labels)], labels, known, texts)
    results = {name: value for name, value in scorer.compute(metrics).items() if not name.startswith("f1_")}
    return Baseline("most frequent tag of each word", results)
