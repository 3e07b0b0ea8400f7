"""The page: a tab per model, made with Gradio."""

from __future__ import annotations

import os

# Before Gradio is imported: nothing is reported to anyone.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gradio as gr

from nlp_rnn.demo.answering import MAX_CHARACTERS, Demo, error_line
from nlp_rnn.demo.drawing import images, line, table
from nlp_rnn.errors import UsageError
from nlp_rnn.tasks.views import Kind, View

CSS = """
.figure {overflow-x: auto}
.figure img {height: auto; max-width: max(100%, 36rem); display: block; margin: 0 auto}
.error {color: #b91c1c; font-weight: 600; margin: 0}
.dark .error {color: #fca5a5}
.note, .about {opacity: .75; margin: 0}
.table {overflow: auto; max-height: 28rem}
.table table {width: 100%; border-collapse: collapse; font-size: .95rem}
.table caption {text-align: left; opacity: .75; font-size: .85rem; padding: .2rem .6rem}
.table :is(th, td) {text-align: left; padding: .35rem .6rem; overflow-wrap: break-word}
.table :is(table, tr, th, td) {border: 0 !important}
.table thead {border-bottom: 1px solid var(--border-color-primary)}
.table tbody tr:nth-child(even) {background: var(--background-fill-secondary)}
"""

_LARGEST = 100  # classes that are shown
_CURVES = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22")

COMPONENTS: dict[Kind, Callable[[str], gr.components.Component]] = {
    "scores": lambda title: gr.Label(label=title, num_top_classes=_LARGEST),
    "marked": lambda title: gr.HighlightedText(label=title, show_legend=True, combine_adjacent=False),
    "table": lambda title: gr.HTML(label=title),
    "figure": lambda title: gr.HTML(label=title),
    "text": lambda title: gr.Textbox(label=title, interactive=False, lines=1),
    "json": lambda title: gr.JSON(label=title),
}
"""What shows each kind of `View`, by its title."""


def page(demos: Sequence[Demo]) -> gr.Blocks:
    """A page with a tab per model.

    Args:
        demos: the models.
    """
    with gr.Blocks(title="nlp_rnn", analytics_enabled=False) as blocks, gr.Tabs():
        for demo in demos:
            with gr.Tab(demo.title):
                _tab(blocks, demo)
    return blocks


def theme() -> gr.themes.Base:
    """The look of the page, with the fonts of the system: none are fetched."""
    sans, mono = ("system-ui", "sans-serif"), ("ui-monospace", "monospace")
    look = gr.themes.Default(primary_hue="indigo", font=sans, font_mono=mono)
    # Gradio's own is too faint to read on white.
    return look.set(body_text_color_subdued="*neutral_500", block_info_text_color="*neutral_500")


def rendered(view: View, value: Any) -> Any:
    """A value of a view as its component takes it.

    Args:
        view: tells the kind.
        value: what `view.value` returned.
    """
    if view.kind == "figure":
        return images([(view.title, value)])
    if view.kind == "table":
        return table(view.title, value)
    return value or None if view.kind == "scores" else value


class _Tab:
    """What is done for the components of one model."""

    def __init__(self, demo: Demo) -> None:
        self.demo = demo

    def answer(self, *values: Any) -> list[Any]:
        """The message and all parts of the answer to what is in the boxes and set beside them."""
        demo, count = self.demo, len(self.demo.fields)
        parts = [value or "" for value in values[:count]]
        settings = [int(value) for value in values[count:]]
        shown: list[Any] = [None] * (len(demo.views) + demo.aligns + 2 * demo.is_running)
        try:
            note, answers = demo.answer(parts, *settings)
            shown[: len(answers)] = map(rendered, demo.views, answers)
            if demo.aligns and (figure := demo.alignment(parts, *settings)) is not None:
                shown[len(answers)] = images([("attention", figure)])
            if demo.is_running and (running := demo.running(parts[0])) is not None:
                shown[-2:] = running[0], images([("probability after each word", running[1])])
        except Exception as error:  # whatever it is, the page says so in one line
            return [line(error_line(error), "error"), *shown]
        return [line(note, "note"), *shown]

    def continuation(
        self, prompt: str, max_output: int, temperature: float, top_k: int, top_p: float, seed: str | None
    ) -> Iterator[list[Any]]:
        """The message, the text so far and its tokens, after each token."""
        drawn = (temperature or None, int(top_k) or None, None if top_p == 1 else top_p)
        try:
            yield ["", prompt, ""]
            for text, tokens in self.demo.continuation(
                prompt or "", int(max_output), *drawn, _seed(seed or "")
            ):
                yield ["", text, table("tokens", tokens)]
        except Exception as error:
            yield [line(error_line(error), "error"), None, None]

    def inside(self, *parts: str | None) -> list[str]:
        """The message, and the plots of states and gates."""
        try:
            return ["", images(self.demo.inside([part or "" for part in parts]))]
        except Exception as error:
            return [line(error_line(error), "error"), ""]


def _seed(text: str) -> int | None:
    """The seed in a box; None if it is empty.

    Raises:
        UsageError: it is something else.
    """
    if not text.strip():
        return None
    if not text.strip().isdecimal():
        raise UsageError(f"the seed must be a whole number, not {text!r:.60}")
    return int(text)


def _tab(blocks: gr.Blocks, demo: Demo) -> None:
    """The components of one model, and what they do."""
    tab = _Tab(demo)
    # One at a time: the machine's cores are for one answer, and a slow one holds up nobody but other users.
    how: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1, "show_progress": "minimal"}
    how["api_visibility"] = "private"
    gr.HTML(line(demo.description, "about"))
    with gr.Row():
        with gr.Column(min_width=280):
            boxes = [_box(demo, name, text) for name, text in zip(demo.fields, demo.example, strict=True)]
            settings = _settings(demo)
            button = gr.Button("Continue" if demo.continues else "Answer", variant="primary")
            message = gr.HTML()
        with gr.Column(min_width=280):
            outputs = _outputs(demo)
    function = tab.continuation if demo.continues else tab.answer
    event = {"fn": function, "inputs": [*boxes, *settings], "outputs": [message, *outputs], **how}
    button.click(**event)
    for box in boxes:
        box.submit(**event)
        if demo.streams and not demo.continues:  # it answers while one types
            box.change(**event, trigger_mode="always_last")
    blocks.load(**event)
    if demo.inspects:
        with gr.Accordion("States, gates and gradients", open=False):
            show = gr.Button("Plot what the model computes while it reads")
            problem, plots = gr.HTML(), gr.HTML()
        show.click(tab.inside, boxes, [problem, plots], **how)


def _box(demo: Demo, name: str, text: str) -> gr.Textbox:
    lines = 6 if demo.reads_numbers else 1  # of which Enter answers
    about = "numbers with commas between them, one step per line" if demo.reads_numbers else None
    return gr.Textbox(text, label=name, info=about, lines=lines, max_lines=12, max_length=MAX_CHARACTERS)


def _settings(demo: Demo) -> list[gr.components.Component]:
    """The sliders of how a text is decoded."""
    if demo.continues:
        return [
            gr.Slider(1, 500, 50, step=1, label="tokens, at most"),
            gr.Slider(0, 2, 0.8, step=0.05, label="temperature", info="0: the most probable token"),
            gr.Slider(0, 100, 0, step=1, label="top k", info="0: all tokens"),
            gr.Slider(0.05, 1, 1, step=0.05, label="top p", info="1: all tokens"),
            gr.Textbox(label="seed", info="a whole number; empty: another text each time", max_lines=1),
        ]
    if demo.decodes:
        return [
            gr.Slider(1, 20, 5, step=1, label="width of the beam"),
            gr.Slider(1, 20, 3, step=1, label="number of texts", info="at most the width of the beam"),
        ]
    return []


def _outputs(demo: Demo) -> list[gr.components.Component]:
    """The components of the answer, in the order of what `_Tab.answer` or `_Tab.continuation` returns."""
    if demo.continues:
        return [gr.Textbox(label="continuation", interactive=False, lines=4), COMPONENTS["table"]("tokens")]
    outputs = [COMPONENTS[view.kind](view.title) for view in demo.views]
    if demo.aligns:
        outputs.append(gr.HTML(label="attention"))
    if demo.is_running:
        # In the colors of the curves below.
        colors = dict(zip(demo.labels, _CURVES, strict=False))
        marked = gr.HighlightedText(
            label="answer after each word", show_legend=True, combine_adjacent=False, color_map=colors
        )
        outputs += [marked, gr.HTML(label="probabilities")]
    return outputs
