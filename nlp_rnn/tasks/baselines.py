"""Baselines: what can be reached without a recurrent network, so that no metric stands alone."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from itertools import chain
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nlp_rnn.data.rows import Rows
from nlp_rnn.data.vocabulary import BOS, EOS
from nlp_rnn.tasks.interface import Baseline
from nlp_rnn.tasks.scripts import UNSPACED

ALWAYS = "most frequent label"
"""The baseline that gives the same answer to every input."""
BAG_OF_WORDS = "bag of words"

H = TypeVar("H", bound=Hashable)

_WORD = re.compile(r"\w+|[^\w\s]")
# Hangul is written with spaces, but its words have many endings.
_IN_PARTS = re.compile(f"[{UNSPACED}\uac00-\ud7a3]+")
_MAX_WORDS = 100_000  # that a bag knows
_MAX_WEIGHTS = 5_000_000
_EPOCHS = 10
_BATCH = 128
_RATE = 0.02
_DECAY = 1e-4


def most_frequent(values: Iterable[H]) -> H:
    """The most frequent of some values; of equally frequent ones the first."""
    return Counter(values).most_common(1)[0][0]


def tag_by_word(
    sentences: Iterable[Sequence[str]], tags: Iterable[Sequence[int]]
) -> tuple[dict[str, int], int]:
    """The most frequent tag of each word of train.

    Args:
        sentences: words.
        tags: their ids; those below 0 are not counted.

    Returns:
        Word -> tag; and the tag of all other words, which is the most frequent one of the words that occur
        once, for these are like them.
    """
    counts: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for words, ids in zip(sentences, tags, strict=True):
        for word, id in zip(words, ids, strict=False):
            if id >= 0:
                counts[word][id] += 1
    best = {word: tag.most_common(1)[0][0] for word, tag in counts.items()}
    once = [best[word] for word, tag in counts.items() if tag.total() == 1]
    return best, most_frequent(once or best.values())


class BagOfWords:
    """A linear classifier of the words that a text has, whatever their order (logistic regression).

    See `_words` for scripts without spaces.

    Args:
        texts: of train; a text may have several parts, whose words are told apart.
        targets: [N, C] float, the probability of each label.
        independent: whether a text may have several labels, each decided by itself.
    """

    def __init__(self, texts: Sequence[Sequence[str]], targets: Tensor, independent: bool = False) -> None:
        bags = [_words(text) for text in texts]
        counts = Counter(chain.from_iterable(bags))
        most = min(_MAX_WORDS, _MAX_WEIGHTS // targets.size(1))
        self._ids = {word: id for id, (word, _) in enumerate(counts.most_common(most))}
        self._independent = independent
        self._weight = torch.zeros(len(self._ids), targets.size(1), requires_grad=True)
        self._bias = torch.zeros(targets.size(1), requires_grad=True)
        self._fit([self._encode(bag) for bag in bags], targets)

    @torch.enable_grad()
    def _fit(self, bags: Sequence[Tensor], targets: Tensor) -> None:
        parameters = [self._weight, self._bias]
        optimizer = torch.optim.Adam(parameters, lr=_RATE, weight_decay=_DECAY)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, _EPOCHS)
        draw = torch.Generator().manual_seed(0)
        for _ in range(_EPOCHS):
            for part in torch.randperm(len(bags), generator=draw).split(_BATCH):
                logits = self._logits([bags[row] for row in part.tolist()])
                if self._independent:
                    loss = F.binary_cross_entropy_with_logits(logits, targets[part], reduction="sum")
                else:
                    loss = F.cross_entropy(logits, targets[part], reduction="sum")
                optimizer.zero_grad()
                (loss / len(part)).backward()
                optimizer.step()
            schedule.step()

    @torch.no_grad()
    def logits(self, texts: Sequence[Sequence[str]]) -> Tensor:
        """The scores [N, C] of the labels of texts."""
        parts = (texts[start : start + 1000] for start in range(0, len(texts), 1000))
        return torch.cat([self._logits([self._encode(_words(text)) for text in part]) for part in parts])

    def _encode(self, words: Iterable[str]) -> Tensor:
        return torch.tensor([self._ids[word] for word in words if word in self._ids], dtype=torch.int64)

    def _logits(self, bags: Sequence[Tensor]) -> Tensor:
        ends = torch.tensor([0, *map(len, bags)]).cumsum(0)[:-1]
        return F.embedding_bag(torch.cat(list(bags)), self._weight, ends, mode="sum") + self._bias


def _words(text: Sequence[str]) -> list[str]:
    """The different words of a text; those of its second part have a mark.

    Of scripts without spaces, and of Korean, the characters and pairs of characters too.
    """
    parts = (
        {
            *_WORD.findall(part.lower()),
            *(
                run[start : start + size]
                for run in _IN_PARTS.findall(part)
                for size in (1, 2)
                for start in range(len(run) + 1 - size)
            ),
        }
        for part in text
    )
    return sorted(f"{place}:{word}" if place else word for place, part in enumerate(parts) for word in part)


def find_period(windows: np.ndarray) -> int:
    """The number of steps after which a series repeats itself best.

    Args:
        windows: [N, T, F] float; of each, the steps that are read.

    Returns:
        From 2 to T - 1, the one with the smallest mean absolute difference of steps so far apart, in standard
        deviations of each column; 1 where windows are too short to tell.
    """
    length = windows.shape[1]
    if length < 3:
        return 1
    sample = windows[:: max(1, len(windows) // 500)]
    scaled = sample / np.maximum(sample.std((0, 1)), 1e-12)
    errors = [np.abs(scaled[:, lag:] - scaled[:, :-lag]).mean() for lag in range(2, length)]
    return 2 + int(np.argmin(errors))


def naive_forecasts(windows: np.ndarray, horizon: int) -> dict[str, np.ndarray]:
    """Forecasts from the last steps alone (Hyndman & Athanasopoulos 2021, section 5.2).

    Args:
        windows: [N, T, F] float, the steps that are read.
        horizon: the number of steps to predict.

    Returns:
        [N, horizon, F] by name: the last step (naive); the last step and the mean change per step (drift);
        and the steps one period before (seasonal).
    """
    last, ahead = windows[:, -1:], np.arange(1, horizon + 1)
    slope = (last - windows[:, :1]) / max(1, windows.shape[1] - 1)
    period = find_period(windows)
    places = (ahead - 1) % period - period  # counted from the end
    return {
        "naive": np.repeat(last, horizon, 1),
        "drift": last + slope * ahead[:, None],
        f"seasonal, {period} steps": windows[:, places],
    }


class TokenCounts:
    """Language models that count tokens: each by itself (unigram), and after the one before it (bigram).

    The bigram model is smoothed as by Witten & Bell (1991), the unigram model by one more count of each.

    Args:
        texts: ids of train, each with BOS at its start and EOS at its end.
        size: of the vocabulary.
    """

    def __init__(self, texts: Sequence[np.ndarray], size: int) -> None:
        self._size = size
        before, after = _pairs(texts)
        counts = np.bincount(after, minlength=size) + 1.0
        self._unigram = counts / counts.sum()
        self._keys, self._counts = np.unique(before * size + after, return_counts=True)
        self._followed = np.bincount(before, minlength=size)
        self._types = np.bincount(self._keys // size, minlength=size)

    def losses(self, texts: Sequence[np.ndarray]) -> dict[str, float]:
        """The sum of the negative log-probabilities, in nats, of all tokens but BOS, by model."""
        before, after = _pairs(texts)
        unigram = self._unigram[after]
        keys = before * self._size + after
        places = np.searchsorted(self._keys, keys).clip(max=len(self._keys) - 1)
        seen = np.where(self._keys[places] == keys, self._counts[places], 0)
        types, followed = self._types[before], self._followed[before]
        mixed = (seen + types * unigram) / np.maximum(followed + types, 1)
        bigram = np.where(followed > 0, mixed, unigram)
        return {"unigram": -np.log(unigram).sum(), "bigram": -np.log(bigram).sum()}


def _pairs(texts: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Each token but the last of each text, and the one behind it."""
    return (
        np.concatenate([text[:-1] for text in texts]).astype(np.int64),
        np.concatenate([text[1:] for text in texts]).astype(np.int64),
    )


def counted_models(measured: Rows, train: Rows, size: int) -> list[Baseline]:
    """The metrics of the language models of `TokenCounts`.

    Args:
        measured: encoded texts, with `token_ids` and `characters`.
        train: the texts to count.
        size: of the vocabulary.
    """
    texts = _with_ends(measured)
    tokens, characters = sum(len(text) - 1 for text in texts), int(measured.column("characters").sum())
    return [
        Baseline(
            name,
            {
                "loss": total / tokens,
                "perplexity": math.exp(total / tokens),
                "bits_per_character": total / characters / math.log(2),
            },
        )
        for name, total in TokenCounts(_with_ends(train), size).losses(texts).items()
    ]


def _with_ends(rows: Rows) -> list[np.ndarray]:
    """The ids of each text, with BOS before and EOS behind them."""
    return [np.array([BOS, *ids, EOS]) for ids in rows[list(range(len(rows)))]["token_ids"]]
