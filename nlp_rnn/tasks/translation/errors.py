"""What goes wrong in translations as a whole: length, repetition, copied words; and their corpus scores."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from nlp_rnn.tasks.interface import Finding, TextPair
from nlp_rnn.tasks.scripts import UNSPACED

_SHOWN = 10  # translations of each kind
_SHORT, _LONG = 0.6, 1.6  # of the words of the reference
_ORDERS = (2, 3, 4)  # of repeated n-grams
# A character of a script without spaces, or a word of another one.
_WORD = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")


def find_errors(pairs: Sequence[TextPair]) -> list[Finding]:
    """The scores of translations, and lists of those that are too short, too long, repeat or copy words.

    Args:
        pairs: all translations beside source and reference.
    """
    if not pairs:
        return []
    return [_scores(pairs), _summary(pairs), *_lists(pairs)]


def _scores(pairs: Sequence[TextPair]) -> Finding:
    texts, references = [pair.answer for pair in pairs], [[pair.reference for pair in pairs]]
    # `force` does nothing but silence a warning about text that looks tokenized.
    scorers = BLEU(lowercase=True, force=True), CHRF(lowercase=True), TER()
    rows = []
    for scorer in scorers:
        score = scorer.corpus_score(texts, references)
        rows.append({"metric": score.name, "score": score.score, "signature": str(scorer.get_signature())})
    return Finding(
        "Scores with signatures",
        "Report the signature with a score: it says how sacreBLEU computed it. TER counts edits per word of "
        "the reference, so lower is better; of BLEU and chrF higher is better.",
        rows,
    )


def words(text: str) -> list[str]:
    """The words of a text as they are compared here: in lower case, at white space.

    Of scripts that have no spaces between words, each character is one.
    """
    return _WORD.findall(text.lower())


def length_ratio(pair: TextPair) -> float:
    """The number of words of a translation, per word of its reference."""
    return len(words(pair.answer)) / max(1, len(words(pair.reference)))


def repeated(pair: TextPair) -> list[str]:
    """The n-grams of two to four words that a translation has more often than its reference, and twice."""
    found = []
    answer, reference = words(pair.answer), words(pair.reference)
    for order in _ORDERS:
        times, wanted = _ngrams(answer, order), _ngrams(reference, order)
        found += [gram for gram, count in times.items() if count > max(1, wanted.get(gram, 0))]
    return found


def copied(pair: TextPair) -> list[str]:
    """The words that a translation has from its source, though its reference has them not."""
    reference, source = set(words(pair.reference)), set(words(pair.input))
    return [
        word
        for word in dict.fromkeys(words(pair.answer))
        if word in source and word not in reference and any(map(str.isalpha, word))
    ]


def _ngrams(tokens: Sequence[str], order: int) -> dict[str, int]:
    counts: dict[str, int] = {}
    for start in range(len(tokens) - order + 1):
        gram = " ".join(tokens[start : start + order])
        counts[gram] = counts.get(gram, 0) + 1
    return counts


def _summary(pairs: Sequence[TextPair]) -> Finding:
    answers = sum(len(words(pair.answer)) for pair in pairs)
    references = sum(len(words(pair.reference)) for pair in pairs)
    ratios = [length_ratio(pair) for pair in pairs]
    counts = {
        f"under-translated: at most {_SHORT} words per word of the reference": sum(
            ratio <= _SHORT for ratio in ratios
        ),
        f"over-translated: at least {_LONG} words per word of the reference": sum(
            ratio >= _LONG for ratio in ratios
        ),
        "repeat an n-gram that the reference does not": sum(bool(repeated(pair)) for pair in pairs),
        "copy a word of the source that the reference lacks": sum(bool(copied(pair)) for pair in pairs),
        "empty": sum(not pair.answer.strip() for pair in pairs),
    }
    return Finding(
        "Typical errors of translations",
        f"The translations have {answers:,} words, the references {references:,}: "
        f"{answers / max(1, references):.3f} per word.",
        [
            {"translations that are or do": name, "number": count, "of all": f"{count / len(pairs):.1%}"}
            for name, count in counts.items()
        ],
    )


def _lists(pairs: Sequence[TextPair]) -> list[Finding]:
    by_ratio = sorted(pairs, key=length_ratio)
    lists: list[tuple[str, str, list[TextPair], Callable[[TextPair], Any]]] = [
        (
            "Under-translation",
            "words per word of the reference",
            [pair for pair in by_ratio if length_ratio(pair) <= _SHORT],
            length_ratio,
        ),
        (
            "Over-translation",
            "words per word of the reference",
            [pair for pair in reversed(by_ratio) if length_ratio(pair) >= _LONG],
            length_ratio,
        ),
        (
            "Repeated n-grams",
            "repeated",
            sorted(filter(repeated, pairs), key=lambda pair: -len(repeated(pair))),
            lambda pair: ", ".join(repeated(pair)),
        ),
        (
            "Copied words",
            "copied",
            sorted(filter(copied, pairs), key=lambda pair: -len(copied(pair))),
            lambda pair: ", ".join(copied(pair)),
        ),
    ]
    return [
        Finding(title, "", [_row(pair) | {column: value(pair)} for pair in found[:_SHOWN]])
        for title, column, found, value in lists
    ]


def _row(pair: TextPair) -> dict[str, Any]:
    return {"row": pair.row, "input": pair.input, "answer": pair.answer, "reference": pair.reference}
