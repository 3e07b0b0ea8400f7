"""A network unrolled over a text, with real numbers: one page to print, and an animation over the steps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import torch
from torch import Tensor, nn

from nlp_rnn.errors import UsageError
from nlp_rnn.inspection.inspector import read_text
from nlp_rnn.inspection.reading import exact_model, final_logits, reading_part, vocabulary_of
from nlp_rnn.inspection.svg import BLUE, FAINT, INK, ORANGE, arrow, document, text
from nlp_rnn.models.layers.cells import CELLS, cell_name
from nlp_rnn.models.layers.unrolled import Unrolled
from nlp_rnn.tasks.base import Task
from nlp_rnn.tasks.pretrained import from_pretrained

MAX_STEPS = 40
"""The longest text that is drawn on a page."""

_PER_LINE, _BEST = 5, 2
_CELL, _ROW, _GAP, _LEFT, _TOP = 46.0, 20.0, 62.0, 150.0, 64.0


@dataclass(frozen=True)
class Page:
    """What a page shows of a model that reads T tokens: U units of its top layer that reads forward."""

    title: str
    tokens: list[str]
    """[T]."""
    units: list[int]
    """[U], the units whose hidden state varies most."""
    values: dict[str, Tensor]
    """The gates, the candidate and the states by name, the hidden state last, each [T, U]."""
    input_norms: list[float]
    """[T], the Euclidean norm of what the input adds to the sums of all gates: of W x."""
    state_norms: list[float] | None
    """[T], of what the state before adds: of U h; None for a cell whose gates do not read it."""
    recurrent: dict[str, Tensor]
    """The hidden-to-hidden weights between the units by the name of their block, each [U, U]: to, from."""
    answers: list[list[tuple[str, float]]]
    """[T], the most probable answers after each token; empty for a model without answers."""


def make_page(model: str | Path | Task, words: str, num_units: int = 4) -> Page:
    """Compute what a page shows, in float64.

    Args:
        model: a model folder, a checkpoint or a hub id, as for `from_pretrained`; or a loaded task.
        words: the text, of at most `MAX_STEPS` tokens.
        num_units: U, from 1 to 6.

    Raises:
        UsageError: the model cannot be loaded or inspected, the text has no words or too many, or `num_units`
            is out of range.
    """
    if not 1 <= num_units <= 6:
        raise UsageError(f"a page has room for 1 to 6 units, not {num_units}")
    task = model if isinstance(model, Task) else from_pretrained(model)
    probe = task.probe()
    rows, batch, tokens = read_text(task, words)
    if not 0 < len(tokens) <= MAX_STEPS:
        raise UsageError(f"the text has {len(tokens)} tokens: a page has room for 1 to {MAX_STEPS}")
    copied = exact_model(task)
    part = reading_part(copied)
    layer, part.rnn = part.rnn, Unrolled(part.rnn)
    read: list[Tensor] = []
    part.rnn.register_forward_pre_hook(lambda _, arguments: read.append(arguments[0]))
    with torch.no_grad():
        logits = probe.logits(copied, batch)
        unrolled, part.rnn = part.rnn, layer
        directions = 2 if layer.bidirectional else 1
        place = len(unrolled.rows) - directions
        steps = unrolled.rows[place]
        below = zip(*unrolled.rows[place - directions : place], strict=True)
        inputs = (  # [T, I]
            torch.stack([torch.cat([step["hidden"] for step in both], -1) for both in below])[:, 0]
            if place
            else read[0][:, 0]
        )
        values = {name: torch.stack([step[name][0] for step in steps]) for name in steps[0]}  # [T, H]
        hidden = values.pop("hidden")
        units = sorted(hidden.var(0, correction=0).topk(min(num_units, hidden.size(1))).indices.tolist())
        weights = dict(layer.named_parameters())
        number = layer.num_layers - 1
        input_weight, state_weight = weights[f"weight_ih_l{number}"], weights.get(f"weight_hh_l{number}")
        before = torch.cat([torch.zeros_like(hidden[:1]), hidden[:-1]])
        recurrent = {}
        if state_weight is not None:
            blocks = state_weight.split(layer.hidden_size)
            names = CELLS[cell_name(layer)].blocks or [f"block {n}" for n in range(1, len(blocks) + 1)]
            pairs = zip(names, blocks, strict=True)
            recurrent = {name: block[units][:, units] for name, block in pairs}
        answers = _answers(task, copied, rows, logits)
    return Page(
        f"{cell_name(layer)} of {layer.hidden_size} units, {task.name}: “{words}”",
        tokens,
        units,
        {name: kept[:, units] for name, kept in {**_gates_first(values), "hidden": hidden}.items()},
        (inputs @ input_weight.t()).norm(dim=1).tolist(),
        None if state_weight is None else (before @ state_weight.t()).norm(dim=1).tolist(),
        recurrent,
        answers,
    )


def _gates_first(values: dict[str, Tensor]) -> dict[str, Tensor]:
    """The gates, then the candidate, then the cell state."""
    last = [name for name in ("candidate", "cell") if name in values]
    return {name: values[name] for name in [*(name for name in values if name not in last), *last]}


def _answers(
    task: Task, model: nn.Module, rows: dict[str, list[list[int]]], logits: Tensor
) -> list[list[tuple[str, float]]]:
    """The most probable answers after each token, from the logits of all steps or of each prefix."""
    kind = task.probe().answers
    if kind is None:
        return []
    if kind == "running":
        (ids,) = rows[task.processor.length_columns[0]]
        scores = final_logits(task, model, [ids[:end] for end in range(1, len(ids) + 1)])
    else:
        scores = logits[:, 0]
    names = vocabulary_of(task).tokens() if kind == "next" else list(task.processor.labels)
    best = scores.softmax(-1).topk(min(_BEST, len(names)))
    return [
        [(names[index], value) for index, value in zip(*pair, strict=True)]
        for pair in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]


def draw_page(page: Page) -> str:
    """A page as SVG: a column of numbers per step, arrows with what flows along them, weights below."""
    height_of_box = _ROW * (len(page.values) + 1)
    height_of_line = height_of_box + 150
    width_of_box = _CELL * len(page.units)
    width = _LEFT + _PER_LINE * (width_of_box + _GAP) + 10
    lines = -(-len(page.tokens) // _PER_LINE)
    body = [text(16, 24, page.title, 16, INK, "start", 'font-weight="bold"')]
    note = (
        f"the {len(page.units)} units whose hidden state varies most; along the arrows: the norms of what "
        "the input (Wx) and the state before (Uh) add to the sums in the gates"
    )
    body.append(text(16, 46, note, 12, FAINT, "start"))
    for step in range(len(page.tokens)):
        line, column = divmod(step, _PER_LINE)
        x, y = _LEFT + column * (width_of_box + _GAP), _TOP + line * height_of_line + 62
        if not column:
            for row, name in enumerate(["unit", *page.values]):
                body.append(text(_LEFT - _GAP - 4, y + _ROW * (row + 0.5), name, 12, INK, "end"))
        body.append(f'<g class="step" data-step="{step}">{_step(page, step, x, y)}</g>')
    bottom = _TOP + lines * height_of_line + 20
    body.append(_weights(page, bottom))
    height = bottom + (60 + _ROW * len(page.units) if page.recurrent else 0)
    return document(width, height, page.title, "".join(body))


def _step(page: Page, step: int, x: float, y: float) -> str:
    """One step: its token, its box of numbers, what it answers, and the arrow of the state into it."""
    width, height = _CELL * len(page.units), _ROW * (len(page.values) + 1)
    middle = x + width / 2
    parts = [
        arrow(f"M{middle} {y + height + 36} L{middle} {y + height + 1}"),
        text(middle + 6, y + height + 20, f"Wx {page.input_norms[step]:.2f}", 11, INK, "start"),
        text(middle, y + height + 48, page.tokens[step], 16, INK, "middle", 'font-weight="bold"'),
        arrow(f"M{x - _GAP + 2} {y + height - _ROW / 2} L{x - 1} {y + height - _ROW / 2}", BLUE),
    ]
    if page.state_norms is not None:
        label = f"Uh {page.state_norms[step]:.2f}" if step else "h = 0"
        parts.append(text(x - _GAP / 2, y + height + 6, label, 11, BLUE))
    for column, unit in enumerate(page.units):
        parts.append(text(x + _CELL * (column + 0.5), y + _ROW / 2, str(unit), 11, FAINT))
        for row, values in enumerate(page.values.values(), 1):
            parts.append(_number(x + _CELL * column, y + _ROW * row, float(values[step, column])))
    parts.append(
        f'<rect class="box" x="{x}" y="{y}" width="{width}" height="{height}" fill="none" stroke="{INK}" '
        'stroke-width="1.2" rx="4"/>'
    )
    if page.answers:
        parts.append(arrow(f"M{middle} {y - 1} L{middle} {y - 24}"))
        for row, (name, probability) in enumerate(page.answers[step]):
            weight = 'font-weight="bold"' if not row else ""
            shown = f"{name} {probability:.2f}"
            parts.append(text(middle, y - 50 + 16 * row, shown, 13 - row, INK, "middle", weight))
    return "".join(parts)


def _weights(page: Page, y: float) -> str:
    """The hidden-to-hidden weights between the units, a matrix per block beside each other."""
    parts = []
    width = _CELL * len(page.units)
    for number, (name, matrix) in enumerate(page.recurrent.items()):
        x = _LEFT + number * (width + _GAP)
        title = f"U of {name}: from unit" if name != "hidden" else "U: from unit"
        parts.append(text(x, y, title, 12, INK, "start"))
        for row, unit in enumerate(page.units):
            parts.append(text(x + _CELL * (row + 0.5), y + _ROW, str(unit), 11, FAINT))
            parts.append(text(x - 6, y + _ROW * (row + 2), f"to {unit}", 11, FAINT, "end"))
            for column in range(len(page.units)):
                place = x + _CELL * column, y + _ROW * (row + 1.5)
                parts.append(_number(*place, float(matrix[row, column])))
    return "".join(parts)


def _number(x: float, y: float, value: float) -> str:
    """A number in a rectangle: blue the nearer it is to 1, orange the nearer to -1."""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{_CELL}" height="{_ROW}" '
        f'fill="{BLUE if value > 0 else ORANGE}" fill-opacity="{min(abs(value), 1) * 0.45:.2f}"/>'
        f'<text x="{x + _CELL / 2:.1f}" y="{y + _ROW / 2 + 4:.1f}" font-size="12" fill="{INK}" '
        f'text-anchor="middle">{value:.2f}</text>'
    )


def animate(page: Page) -> str:
    """The page as one HTML file that needs no network: the steps appear one after the other."""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(page.title)}</title>
<style>
body {{ font: 16px sans-serif; margin: 1rem; color: {INK}; background: #fff }}
svg {{ max-width: 100%; height: auto }}
.step {{ transition: opacity .25s }}
.later {{ opacity: .08 }}
.now .box {{ stroke: {ORANGE}; stroke-width: 3 }}
button {{ font: inherit; padding: .3rem .8rem }}
</style></head><body>
<p><button id="play">Pause</button>
<input id="at" type="range" min="0" max="{len(page.tokens) - 1}" value="0" aria-label="step">
<span id="word"></span></p>
{draw_page(page)}
<script>
const tokens = {_script(page.tokens)}, steps = document.querySelectorAll(".step");
const at = document.getElementById("at"), play = document.getElementById("play");
let timer = null;
function show() {{
  const now = Number(at.value);
  steps.forEach((step, index) => {{
    step.classList.toggle("later", index > now);
    step.classList.toggle("now", index === now);
  }});
  document.getElementById("word").textContent = "step " + (now + 1) + ": " + tokens[now];
}}
function run(on) {{
  clearInterval(timer);
  const next = () => {{ at.value = (Number(at.value) + 1) % tokens.length; show(); }};
  timer = on ? setInterval(next, 1200) : null;
  play.textContent = on ? "Pause" : "Play";
}}
play.onclick = () => run(!timer);
at.oninput = () => {{ run(false); show(); }};
show(); run(true);
</script></body></html>
"""


def _script(tokens: Sequence[str]) -> str:
    """A list of texts as JavaScript, in which no tag can end the script."""
    return json.dumps(list(tokens)).replace("<", "\\u003c")
