"""Lemmas as labels: rules that edit a word into its lemma.

A rule is one line of text, `CASE|START|END`:

| part | examples |
| --- | --- |
| CASE: how the letters of the word are written first | `lower`, `keep`, `title`, `upper` |
| START and END: letters to take away, and letters to put in their place | `-3+y` (cities, city), `-0+` |

So `lower|-0+|-3+y` is the rule of "Cities". Where a word and its lemma have little in common, as "was" and
"be", the rule is the lemma itself: `=be`. They are kin of the edit scripts of Chrupała (2006) and of UDPipe
(Straka 2018).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from difflib import SequenceMatcher

from ..errors import UsageError
from ..files import shorten

_CASES: dict[str, Callable[[str], str]] = {
    "lower": str.lower,
    "keep": str,
    "title": str.title,
    "upper": str.upper,
}
_EDITS = re.compile(r"(lower|keep|title|upper)\|-([0-9]{1,4})\+(.*?)\|-([0-9]{1,4})\+(.*)", re.DOTALL)


def normalized(text: str) -> str:
    """A word or a lemma as it is compared: its letters composed (NFC)."""
    return unicodedata.normalize("NFC", text)


def find_rule(word: str, lemma: str) -> str:
    """The rule that makes the lemma of a word: `apply_rule(find_rule(word, lemma), word) == lemma`.

    Of several it is the one that keeps most letters; for a word in lower case it is the same as for one that
    begins a sentence. It is the lemma itself if no more than half of it is in the word.

    Args:
        word: the word.
        lemma: its lemma; not empty.
    """
    word, lemma = normalized(word), normalized(lemma)
    edits = [(*_edit(written(word), lemma), case) for case, written in _CASES.items()]
    size, rule, case = max(edits, key=lambda edit: edit[0])
    return f"{case}|{rule}" if 2 * size > len(lemma) else f"={lemma}"


def _edit(word: str, lemma: str) -> tuple[int, str]:
    """The length of the longest common part, and the edits around it."""
    matcher = SequenceMatcher(None, word, lemma, autojunk=False)
    start, lemma_start, size = matcher.find_longest_match()
    end, lemma_end = start + size, lemma_start + size
    rule = f"-{start}+{lemma[:lemma_start]}|-{len(word) - end}+{lemma[lemma_end:]}"
    return size, rule


def apply_rule(rule: str, word: str) -> str:
    """The lemma that a rule makes of any word; of one that is too short for it, the word itself.

    Args:
        rule: what `find_rule` returned for some word.
        word: the word.
    """
    if rule.startswith("="):
        return rule[1:]
    match = _EDITS.fullmatch(rule)
    if match is None:
        return word
    case, before, prefix, behind, suffix = match.groups()
    written = _CASES[case](normalized(word))
    if int(before) + int(behind) >= len(written):
        return written
    return prefix + written[int(before) : len(written) - int(behind)] + suffix


def check_rule(rule: str) -> None:
    """Refuse a text that is no rule.

    Raises:
        UsageError: names it.
    """
    if not (len(rule) > 1 and rule.startswith("=")) and _EDITS.fullmatch(rule) is None:
        raise UsageError(f"{shorten(rule)} is no rule for lemmas")
