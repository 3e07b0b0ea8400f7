"""Figures, tables and lines of text as HTML."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING, Any

from nlp_rnn.plots.figure import png
from nlp_rnn.tasks.views import Cells

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def images(figures: Iterable[tuple[str, Figure]]) -> str:
    """Figures below each other, in the page itself, so that no file is written.

    A figure keeps its size, and is scrolled sideways where the page is narrower.

    Args:
        figures: with what screen readers say of each.
    """
    return "".join(_image(name, figure) for name, figure in figures)


def table(title: str, cells: Cells) -> str:
    """A table with its title.

    Args:
        title: what stands above it.
        cells: what is in it; numbers and texts.
    """
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in cells.columns)
    rows = ("".join(f"<td>{_cell(value)}</td>" for value in row) for row in cells.rows)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return (
        f'<div class="table"><table><caption>{escape(title)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def line(text: str, kind: str) -> str:
    """A line of plain text; "" if there is none.

    Args:
        text: the line.
        kind: "error" or "note".
    """
    role = "alert" if kind == "error" else "status"
    return f'<p class="{kind}" role="{role}">{escape(text)}</p>' if text else ""


def _image(name: str, figure: Figure) -> str:
    data = base64.b64encode(png(figure, name)).decode("ascii")
    width = round(96 * figure.get_figwidth())  # pixels of CSS
    return (
        f'<div class="figure"><img alt="{escape(name)}" width="{width}" '
        f'src="data:image/png;base64,{data}"></div>'
    )


def _cell(value: Any) -> str:
    return "" if value is None else escape(str(value))
