"""Scalable pictures as text: what the drawings of automata and of unrolled networks share."""

from __future__ import annotations

from html import escape

INK, FAINT, PAPER = "#222222", "#9a9a9a", "#ffffff"
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"
"""Of the palette of Okabe & Ito (2008), which color-blind people can tell apart."""

FILLS = ("#cfe5f5", "#fbdcc4", "#cdeee2", "#f6e3ef", "#fdf3c8", "#e0e0e0")
"""Light colors behind text."""

_FONT = "DejaVu Sans, Noto Sans CJK KR, Noto Sans, Arial, sans-serif"


def text(
    x: float,
    y: float,
    content: str,
    size: float = 12,
    color: str = INK,
    anchor: str = "middle",
    more: str = "",
) -> str:
    """A line of text, escaped, with a halo of the color of the paper.

    Args:
        x: of its anchor.
        y: of its middle.
        content: the text; white space is written as in Python.
        size: of the font, in pixels.
        color: of the letters.
        anchor: start, middle or end.
        more: further attributes.
    """
    shown = repr(content)[1:-1] if not content.isprintable() else content.replace(" ", "\u00a0")
    return (
        f'<text x="{x:.1f}" y="{y + size * 0.35:.1f}" font-size="{size:g}" fill="{color}" '
        f'text-anchor="{anchor}" paint-order="stroke" stroke="{PAPER}" stroke-width="3" {more}>'
        f"{escape(shown)}</text>"
    )


def arrow(path: str, color: str = INK, width: float = 1.3) -> str:
    """A path with an arrowhead at its end.

    Args:
        path: the `d` of the path.
        color: one of `INK`, `FAINT`, `BLUE` and `ORANGE`.
        width: of the line.
    """
    return (
        f'<path d="{path}" fill="none" stroke="{color}" stroke-width="{width:g}" '
        f'marker-end="url(#head-{color[1:]})"/>'
    )


def document(width: float, height: float, title: str, body: str) -> str:
    """An SVG file.

    Args:
        width: in pixels.
        height: in pixels.
        title: what it is a picture of, for screen readers.
        body: its elements.
    """
    heads = "".join(
        f'<marker id="head-{color[1:]}" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="8" '
        f'markerHeight="8" markerUnits="userSpaceOnUse" orient="auto-start-reverse">'
        f'<path d="M0 0.5 L8 4 L0 7.5 z" fill="{color}"/></marker>'
        for color in (INK, FAINT, BLUE, ORANGE)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" font-family="{_FONT}" role="img">'
        f"<title>{escape(title)}</title><defs>{heads}</defs>"
        f'<rect width="100%" height="100%" fill="{PAPER}"/>{body}</svg>\n'
    )
