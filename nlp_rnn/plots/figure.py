"""What all plots share: empty figures, and writing PNG files.

Figures are made with matplotlib's object interface, so they need no display and no global state. Matplotlib
is imported only when a figure is made.
"""

from __future__ import annotations

import io
import logging
import re
import warnings
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from nlp_rnn.files import atomic_write
from nlp_rnn.plots.style import DPI, STAGES
from nlp_rnn.plots.text import FONTS, families

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

Points = list[tuple[float, float]]
"""A curve: (x, y) in the order of x."""

_PIXELS = 100
"""Per inch on a page, as `nlp_rnn.plots.style.WIDTH` assumes; the picture itself is finer."""
_NO_GLYPH = r"Glyph .* missing from"


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in the colors of `nlp_rnn.plots.style.styled` around it; a notebook shows it inline.

    Args:
        width: in inches; `nlp_rnn.plots.style.WIDTH` fills a page.
        height: in inches.
    """
    return _inline_figure()(figsize=(width, height), dpi=DPI, layout="constrained")


@cache
def _inline_figure() -> type[Figure]:
    """The class of figures that a notebook shows without `%matplotlib inline`, which knows only pyplot's."""
    from matplotlib.figure import Figure

    class InlineFigure(Figure):
        def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
            """What IPython shows: the picture, and its width on the page."""
            return png(self, "the figure"), {"width": round(_PIXELS * self.get_figwidth())}

    return InlineFigure


def save(figure: Figure, out: Path) -> None:
    """Write a figure as PNG, completely or not at all.

    Args:
        figure: the figure; see `png`.
        out: the PNG file; its folder is made if it does not exist.
    """
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(out) as temporary:
        Path(temporary).write_bytes(png(figure, str(out)))


def png(figure: Figure, name: str) -> bytes:
    """A figure as PNG.

    Characters that no installed font has are drawn as boxes, with a warning: pass text from users through
    `nlp_rnn.plots.text.drawable` before.

    Args:
        figure: the figure.
        name: what the warning calls it.
    """
    from matplotlib.text import Text

    data = io.BytesIO()
    for text in figure.findobj(Text):
        text.set_fontfamily(families())
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", _NO_GLYPH, UserWarning)
        figure.savefig(data, format="png", facecolor=figure.get_facecolor())
    missing = {str(warning.message) for warning in caught if re.match(_NO_GLYPH, str(warning.message))}
    if missing:
        log.warning(
            "%s: drew %d character(s) as boxes, which no installed font has; install one such as %s",
            name,
            len(missing),
            FONTS[1],
        )
    for warning in caught:
        if str(warning.message) not in missing:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return data.getvalue()


def legend_order(curve: tuple[str, Points]) -> tuple[int, bool, str]:
    """A key to sort curves (label, points) by: train, val, test, then others.

    Of each, the curve that was logged at every step comes first, so that it is drawn below the other.
    """
    label = curve[0]
    stage = label.split(" ")[0]
    return STAGES.index(stage) if stage in STAGES else len(STAGES), not label.endswith("(step)"), label
