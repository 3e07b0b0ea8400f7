"""What is wrong with a translation that nobody should learn from."""

from __future__ import annotations

import re

CUT = "translations without an end"
REPEATING = "translations that repeat words"

_REPEATED = re.compile(r"(?<!\S)(\S+(?:\s\S+){0,7})(?:\s\1){3}(?!\S)")


def find_flaw(text: str, finished: bool) -> str:
    """What is wrong with a translation, as a part of "3 translations ..."; "" if nothing is.

    Args:
        text: the translation.
        finished: whether the model wrote EOS before the maximum length.

    Returns:
        `CUT`; `REPEATING`, if one to eight words stand there at least four times in a row; or "".
    """
    if not finished:
        return CUT
    return REPEATING if _REPEATED.search(text) else ""
