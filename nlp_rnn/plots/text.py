"""Text that the installed fonts can draw: other scripts in a font that has them, else as escapes."""

from __future__ import annotations

import logging
import unicodedata
from contextlib import suppress
from functools import cache

log = logging.getLogger(__name__)

FONTS = (  # a character that a font lacks is drawn with the next font that is installed
    "DejaVu Sans",
    "Noto Sans CJK KR",
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Source Han Sans",
    "NanumGothic",
    "WenQuanYi Zen Hei",
    "Apple SD Gothic Neo",
    "Hiragino Sans",
    "PingFang SC",
    "Malgun Gothic",
    "Yu Gothic",
    "Microsoft YaHei",
    "Arial Unicode MS",
)

LONGEST_LABEL = 16  # characters

_found: list[str] = []  # families beyond `FONTS` that have a character that was asked for


def families() -> list[str]:
    """The installed font families to draw with, in the order in which they are tried."""
    from matplotlib.font_manager import fontManager

    installed = set(fontManager.get_font_names())  # matplotlib warns of fonts that are not
    return [FONTS[0], *(font for font in FONTS[1:] if font in installed), *_found]


def drawable(text: str) -> str:
    """A text of which every character can be drawn.

    Characters that no installed font has, and control characters, become escapes as in Python; the first such
    text is reported as a warning.

    Args:
        text: any text.
    """
    return "".join(character if _has_glyph(character) else _escape(character) for character in text)


def label(token: str, longest: int = LONGEST_LABEL) -> str:
    """A token on one line: a space as ␣, other white space as in Python, long tokens shortened.

    Args:
        token: a token of a vocabulary, or a word.
        longest: number of characters, before escapes.
    """
    if token == " ":
        return "␣"  # a single character, so that labels of characters are upright
    if not token or token.isspace() or not token.isprintable():
        token = repr(token)
    return drawable(token if len(token) <= longest else token[: longest - 1] + "…")


def _escape(character: str) -> str:
    if unicodedata.category(character) != "Cc":
        _warn()
    return character.encode("unicode_escape").decode("ascii")


@cache
def _warn() -> None:
    log.warning(
        "plots: no installed font has some of the characters, which are drawn as escapes such as \\ud55c; "
        "install a font that has them, such as %s",
        FONTS[1],
    )


@cache
def _has_glyph(character: str) -> bool:
    """Whether a font has a character; the first beyond `FONTS` that has is drawn with from now on."""
    if character == "\n" or unicodedata.category(character) in ("Cf", "Mn", "Me", "Zs"):
        return True  # nothing is drawn, or it changes the character before
    if unicodedata.category(character) == "Cc":
        return False
    if _is_in_a_font(character):
        return True
    _add_new_fonts()
    return _is_in_a_font(character)


def _is_in_a_font(character: str) -> bool:
    from matplotlib.font_manager import fontManager

    preferred = families()
    upright = [font for font in fontManager.ttflist if font.style == "normal" and _is_for_text(font.name)]
    for font in sorted(upright, key=lambda font: (font.name not in preferred, font.name, font.weight != 400)):
        if ord(character) in _characters(font.fname):
            if font.name not in preferred:  # pragma: no cover - depends on the fonts of the machine
                _found.append(font.name)
            return True
    return False


@cache
def _add_new_fonts() -> None:
    """Add the fonts that were installed after matplotlib made its list, which it keeps in a file."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    known = {font.fname for font in fontManager.ttflist}
    for file in sorted(set(findSystemFonts()) - known):
        with suppress(OSError, RuntimeError):  # it cannot be read
            fontManager.addfont(file)


def _is_for_text(family: str) -> bool:
    """Whether a font has letters, rather than boxes or the symbols of formulas."""
    return not family.startswith(("Last Resort", ".Last", "STIX", "cm"))


@cache
def _characters(file: str) -> frozenset[int]:
    """The characters of a font file; none if it cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(file).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()
