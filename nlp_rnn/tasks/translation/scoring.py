"""How probable models find translations that are given, and answers in the order of several models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.errors import UsageError
from nlp_rnn.lite.decoding.hypotheses import gnmt_length_penalty
from nlp_rnn.tasks.translation.data import TranslationBatch

if TYPE_CHECKING:
    from nlp_rnn.tasks.translation.task import Translation


def score(
    task: Translation, sources: Sequence[str], targets: Sequence[str], batch_size: int = 64
) -> list[float]:
    """The log-probability of each translation.

    It is that of all its tokens and of its end, over the whole vocabulary; a word that the vocabulary lacks
    counts as the unknown token. A model with `reverse_target` reads the translation from its end, so scores
    of both kinds of models can be added.

    Args:
        task: a translation model.
        sources: N sentences.
        targets: N sentences, the translation of each.
        batch_size: how many are computed at once.

    Returns:
        N natural logarithms of probabilities.

    Raises:
        UsageError: there are not as many sources as targets.

    Examples:
        >>> task = from_pretrained("runs/translation_builtin/latest/model")
        >>> score(task, ["das ist gut .", "das ist gut ."], ["this is good.", "i am bad."])
    """
    return [log_prob for log_prob, _ in _scored(task, sources, targets, batch_size)]


def rerank(
    models: Sequence[Translation],
    sources: Sequence[str],
    answers: Sequence[Mapping[str, Any]],
    weights: Sequence[float] | None = None,
) -> list[dict[str, Any]]:
    """Order the n-best list of each answer anew, by the scores of several models (Liu et al. 2016).

    A score is the weighted mean of the models' log-probabilities, each divided by its length penalty. A model
    writes the first words of a translation more reliably than the last ones, so one that writes from left to
    right and one that writes from right to left complement each other.

    Args:
        models: at least one; usually the one that answered, and one with `reverse_target`.
        sources: N sentences.
        answers: of the first model, with `n_best`.
        weights: of the models; equal if left out.

    Returns:
        The answers, with `text` and `score` of the translation that is best now, and `n_best` in that order.
        The answer to an empty text stays as it is.

    Raises:
        UsageError: there are not as many answers as sources, or weights as models.
    """
    weights = [1.0] * len(models) if weights is None else weights
    if len(weights) != len(models) or not sum(weights) > 0:
        raise UsageError(f"rerank needs a weight for each of {len(models)} models, not {list(weights)}")
    if len(answers) != len(sources):
        raise UsageError(f"rerank needs an answer for each of {len(sources)} sources, not {len(answers)}")
    pairs = [
        (source, best["text"])
        for source, answer in zip(sources, answers, strict=True)
        if answer["score"] is not None
        for best in answer["n_best"]
    ]
    totals = [0.0] * len(pairs)
    for task, weight in zip(models, weights, strict=True):
        alpha = task.decoding.length_penalty
        found = _scored(task, [source for source, _ in pairs], [text for _, text in pairs], 64)
        for place, (log_prob, length) in enumerate(found):
            totals[place] += weight / sum(weights) * log_prob / gnmt_length_penalty(length, alpha)
    scores = iter(totals)
    return [dict(answer) if answer["score"] is None else _reordered(answer, scores) for answer in answers]


def _reordered(answer: Mapping[str, Any], scores: Iterator[float]) -> dict[str, Any]:
    """An answer whose translations have the next ones of some scores, best first."""
    n_best = [{**best, "score": next(scores)} for best in answer["n_best"]]
    n_best.sort(key=lambda best: -best["score"])
    return {**answer, **n_best[0], "n_best": n_best}


@torch.inference_mode()
def _scored(
    task: Translation, sources: Sequence[str], targets: Sequence[str], batch_size: int
) -> list[tuple[float, int]]:
    """The log-probability of each translation, and its number of tokens with EOS."""
    if len(sources) != len(targets):
        raise UsageError(f"{len(sources)} sources and {len(targets)} targets: give a target for each source")
    task = task.eval()
    found: list[tuple[float, int]] = []
    for start in range(0, len(sources), batch_size):
        part = slice(start, start + batch_size)
        found += _score_batch(task, _batch(task, list(sources[part]), list(targets[part])))
    return found


def _batch(task: Translation, sources: list[str], targets: list[str]) -> TranslationBatch:
    processor = task.processor
    rows = {**processor.rows(sources), "target": targets}
    rows = {"row": list(range(len(sources))), **rows, **processor.encode(rows)}
    return processor.collate(rows).to(task.device)


def _score_batch(task: Translation, batch: TranslationBatch) -> list[tuple[float, int]]:
    assert batch.target is not None
    assert batch.labels is not None
    assert batch.target_lengths is not None
    features = task.model.features(batch.source, batch.target, batch.lengths, batch.target_lengths)
    totals = torch.zeros(len(batch), device=features.device)
    for step, labels in zip(features, batch.labels, strict=True):  # one step at a time, to save memory
        logits = task.model.decoder.logits(step).float()  # [B, V]
        totals -= F.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="none")
    return list(zip(totals.tolist(), batch.target_lengths.tolist(), strict=True))
