"""Pages of results: one HTML file without scripts, which asks for nothing from outside.

Pictures are inlined, text of corpora is escaped, and a content security policy allows nothing but the page's
own style and pictures.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nlp_rnn
from nlp_rnn.errors import printable
from nlp_rnn.files import atomic_write

if TYPE_CHECKING:
    from jinja2 import Template

_MAX_TEXT = 400  # characters of a cell; a long review would hide all others

_LONG_TEXT = 30  # characters that need a wide column


class Fraction(float):
    """A number from 0 to 1 that a page shows as a percentage, with a bar."""


@dataclass(frozen=True)
class Table:
    """A table of a page.

    Args:
        rows: of equal keys, which are the names of the columns; cells are texts, numbers or None.
        title: what stands above it.
    """

    rows: Sequence[Mapping[str, Any]]
    title: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture of a page.

    Args:
        png: its bytes.
        description: what it shows, for those who cannot see it.
    """

    png: bytes
    description: str

    @property
    def source(self) -> str:
        """The picture as a data URL."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Args:
        title: its heading.
        text: one paragraph below it; may be empty.
        blocks: tables and pictures, from top to bottom.
    """

    title: str
    text: str = ""
    blocks: Sequence[Table | Picture] = ()


def write_page(out: Path, title: str, summary: str, sections: Sequence[Section]) -> None:
    """Write a page, completely or not at all.

    Args:
        out: the HTML file.
        title: its heading.
        summary: one paragraph below it.
        sections: its parts, each of which the list of contents names.
    """
    style = resources.files(__package__).joinpath("templates/style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    text = _template().render(
        title=title,
        summary=summary,
        sections=sections,
        style=style,
        digest=digest,
        version=nlp_rnn.__version__,
    )
    with atomic_write(out) as temporary:
        temporary.write_bytes(text.encode(errors="replace"))


@cache
def _template() -> Template:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    folder = resources.files(__package__) / "templates"
    environment = Environment(
        loader=FunctionLoader(lambda name: folder.joinpath(name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"cell": cell_text, "visible": visible}
    environment.tests |= {
        "bar": lambda value: isinstance(value, Fraction),
        "amount": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
        "long": lambda value: isinstance(value, str) and len(value) > _LONG_TEXT,
        "table": lambda block: isinstance(block, Table),
    }
    return environment.get_template("page.html")


def visible(text: str) -> str:
    """A text without characters that change others: controls become escapes, tabs arrows."""
    return "\n".join(printable(line) for line in text.replace("\t", " ⇥ ").split("\n"))


def cell_text(value: Any) -> str:
    """A cell as text: numbers with four digits, long texts cut."""
    if value is None:
        return "–"
    if isinstance(value, Fraction):
        return f"{value:.1%}"
    if isinstance(value, float):
        return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e3 else f"{value:,.5g}"
    if isinstance(value, int):
        return f"{value:,}"
    return shorten_text(visible(str(value)), _MAX_TEXT)


def shorten_text(text: str, most: int) -> str:
    """The beginning of a text, with an ellipsis where the rest is left out."""
    return text if len(text) <= most else f"{text[:most]} …"
