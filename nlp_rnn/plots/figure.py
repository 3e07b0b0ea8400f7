"""What all plots share: an empty figure, colors, and writing it as a PNG file.

Figures are built through the object interface, so no display and no global state is involved, and matplotlib
is imported only when a figure is made.
"""

from __future__ import annotations

import logging
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from nlp_rnn.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

Points = list[tuple[float, float]]

COLORS = {"train": "tab:blue", "val": "tab:orange", "test": "tab:green"}
PANEL = (4.2, 3.0)  # inches
DPI = 130
FONTS = (  # what the first has no sign for is drawn in the next that is installed
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
_NO_GLYPH = r"Glyph .* missing from"


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def save(figure: Figure, out: Path) -> None:
    """Write the figure as PNG; `out` is the whole picture or what it was before."""
    from matplotlib.font_manager import fontManager
    from matplotlib.text import Text

    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    installed = set(fontManager.get_font_names())  # of others there would be a warning at each sign
    for text in figure.findobj(Text):
        text.set_fontfamily([FONTS[0], *(font for font in FONTS[1:] if font in installed)])
    with warnings.catch_warnings(record=True) as caught, atomic_write(out) as temporary:
        warnings.filterwarnings("always", _NO_GLYPH, UserWarning)
        figure.savefig(temporary, format="png", facecolor="white")
    missing = {str(each.message) for each in caught if re.match(_NO_GLYPH, str(each.message))}
    if missing:
        log.warning(
            "%s: %d sign(s) drawn as boxes, which no font here has; install one such as %s",
            out,
            len(missing),
            FONTS[1],
        )
    for each in caught:
        if str(each.message) not in missing:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


def legend_order(curve: tuple[str, Points]) -> tuple[int, bool, str]:
    """Train, val, test, then others; what was logged at every step comes first, to lie underneath."""
    label = curve[0]
    stages = list(COLORS)
    stage = label.split(" ")[0]
    return stages.index(stage) if stage in stages else len(stages), not label.endswith("(step)"), label
