"""What the page of a model shows, as plain values; it knows nothing of Gradio."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from nlp_rnn.errors import UsageError, one_line, own_cause
from nlp_rnn.inference.pipelines import Pipeline
from nlp_rnn.inspection.figures import alignment_figure, figures, running_figure
from nlp_rnn.inspection.inspector import align, inspect
from nlp_rnn.models.layers.quantization import is_quantized
from nlp_rnn.tasks.base import Task
from nlp_rnn.tasks.registry import ROWS
from nlp_rnn.tasks.views import Cells, Marked, mark

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

MAX_CHARACTERS = 20_000
"""Of an input."""
MAX_SHORT = 1_000
"""Characters of a text of which each word is answered, or the states are plotted."""
_MAX_CURVES = 10
_PLACES = frozenset({"model", "latest", "runs", "/", ""})  # in the paths of runs, besides numbers


class Answered(NamedTuple):
    """What is shown of an answer."""

    note: str
    """What else there is to know, on one line; may be empty."""
    values: list[Any]
    """Of each of `Demo.views`."""


class Demo:
    """A model that people try on a page.

    Args:
        task: the model.
        title: what to call it.
    """

    def __init__(self, task: Task, title: str) -> None:
        self.title = title
        self.task = task
        row = ROWS.get(task.name)
        self.description = f"{row.summary} · {task.summary()}" if row else task.summary()
        self.pipeline = Pipeline(task)
        names = task.processor.input_columns
        self.fields = names if len(names) > 1 else (task.processor.input_description,)
        """What the boxes are called into which an input is written."""
        self.example = _written(task.example, len(self.fields))
        """What the boxes hold at first."""
        self.reads_numbers = not isinstance(task.example, str) and len(self.fields) == 1
        """Whether an input is numbers rather than text."""
        self.continues = _is_allowed(task.check_generates)
        """Whether texts are continued, rather than answered by `views`."""
        self.decodes = not self.continues and _is_allowed(task.with_decoding)
        """Whether a beam is searched."""
        self.views = () if self.continues else task.views()
        """The parts of an answer."""
        self.inspects = _is_allowed(task.probe) and not is_quantized(task.model)
        """Whether states and gates can be plotted."""
        self.aligns = self.inspects and self.decodes and align(task, self.example[0]) is not None
        """Whether the model has attention."""
        scores = [view for view in self.views if view.kind == "scores"]
        reads_text = len(self.fields) == 1 and not self.reads_numbers
        self._scores = scores[0] if scores and reads_text else None
        self.is_running = self._scores is not None
        """Whether the answer to each beginning of a text is shown: it has a probability per label."""
        self.labels = self._labels() if self.is_running else []
        """The labels that have a probability, in the order of their curves."""
        self.streams = _is_allowed(self.pipeline.stream)
        """Whether a text is answered while it is read, so that words need not be read again."""

    def read(self, parts: Sequence[str]) -> Any:
        """The input that was written into the boxes.

        Raises:
            UsageError: it is too long, or no input of the model.
        """
        if any(len(part) > MAX_CHARACTERS for part in parts):
            raise UsageError(f"the input has more than {MAX_CHARACTERS:,} characters; shorten it")
        if len(self.fields) > 1:
            return list(parts)
        return self.task.processor.parse(parts[0])

    def answer(self, parts: Sequence[str], beam: int | None = None, n_best: int | None = None) -> Answered:
        """The answer to an input.

        Args:
            parts: what is in the boxes.
            beam: width of the beam, if `decodes`; as trained if left out.
            n_best: number of texts, likewise.

        Raises:
            UsageError: the input is none, or a number is out of range.
        """
        value = self.read(parts)
        task = self._decoding(beam, n_best)
        (answer,) = Pipeline(task).iterate([value])
        unknown = answer.get("unknown", 0)
        note = (
            f"{unknown} of the tokens {'is' if unknown == 1 else 'are'} unknown to the model"
            if unknown
            else ""
        )
        return Answered(note, [view.value(value, answer) for view in self.views])

    def alignment(
        self, parts: Sequence[str], beam: int | None = None, n_best: int | None = None
    ) -> Figure | None:
        """What the model looked at while it wrote its best text, if `aligns`; None without words.

        Args:
            parts: as for `answer`.
            beam: as for `answer`.
            n_best: as for `answer`.
        """
        aligned = align(self._decoding(beam, n_best), parts[0])
        return aligned and alignment_figure(*aligned)

    def running(self, text: str) -> tuple[Marked, Figure] | None:
        """The answer after each word of a text, if `is_running`: as its mark, and the probabilities.

        Returns:
            None if there is no word, or the text is longer than `MAX_SHORT`.
        """
        assert self._scores is not None
        ends = [match.span() for match in re.finditer(r"\S+", text)]
        if not ends or len(text) > MAX_SHORT:
            return None
        if self.streams:
            stream = self.pipeline.stream()
            starts = [0, *(end for _, end in ends)]
            answers = [stream(text[start:end]) for start, (_, end) in zip(starts, ends, strict=False)]
        else:
            answers = list(self.pipeline.iterate(text[:end] for _, end in ends))
        marks = [(*span, self.task.format_answer(answer)) for span, answer in zip(ends, answers, strict=True)]
        scores = [
            self._scores.value(text[:end], answer) for answer, (_, end) in zip(answers, ends, strict=True)
        ]
        last = scores[-1]
        likely = sorted(last, key=last.__getitem__, reverse=True)[:_MAX_CURVES]
        shown = [label for label in last if label in likely]
        # There are none after what is blank to the model, such as an invisible character.
        probabilities = torch.tensor([[row.get(label, math.nan) for label in shown] for row in scores])
        words = [text[start:end] for start, end in ends]
        if not last:
            return None
        return mark(text, marks), running_figure(shown, probabilities, words, not self.streams)

    def continuation(
        self,
        prompt: str,
        max_output: int = 50,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
    ) -> Iterator[tuple[str, Cells]]:
        """A text that goes on token by token, if `continues`; see `BasePipeline.generate`.

        Yields:
            The text so far, and the probability of each token that was added.
        """
        text, rows = str(self.read([prompt])), []
        for step in self.pipeline.steps(text, max_output, temperature, top_k, top_p, seed):
            if step.piece:
                text += step.piece
                rows.append([step.predicted, f"{step.probability:.1%}"])
                yield text, Cells(["token", "probability"], [*rows])

    def inside(self, parts: Sequence[str]) -> list[tuple[str, Figure]]:
        """The plots of what the model computes while it reads a text, if `inspects`, by name.

        Args:
            parts: as for `answer`.

        Raises:
            UsageError: the text has no words, or is longer than `MAX_SHORT`.
        """
        text = "\t".join(parts)  # as a line of a file
        if len(text) > MAX_SHORT:
            raise UsageError(f"states are plotted for texts of up to {MAX_SHORT:,} characters; shorten it")
        return list(figures(inspect(self.task, text)))

    def _labels(self) -> list[str]:
        assert self._scores is not None
        (answer,) = self.pipeline.iterate([self.task.example])
        return list(self._scores.value(self.task.example, answer))

    def _decoding(self, beam: int | None, n_best: int | None) -> Task:
        return self.task.with_decoding(beam, n_best) if self.decodes else self.task


def titles(models: Sequence[str]) -> list[str]:
    """What to call models, by the last part of each path that tells something: `runs/NAME/latest/model`.

    Args:
        models: folders, files or hub ids; a title that would come again has a number behind it.
    """
    found: list[str] = []
    for model in models:
        parts = [part for part in Path(model).parts if part not in _PLACES and not part.isdecimal()]
        title = parts[-1] if parts else model
        count = sum(other == title or other.startswith(f"{title} (") for other in found)
        found.append(f"{title} ({count + 1})" if count else title)
    return found


def error_line(error: Exception) -> str:
    """What the page says of an error, on one line. Other errors than those of the user are logged too."""
    known = own_cause(error)
    if known is not None:
        return str(known)
    log.warning("%s: %s", type(error).__name__, one_line(error))
    return one_line(f"{type(error).__name__}: {error}")


def _is_allowed(call: Callable[[], Any]) -> bool:
    """Whether a task can do what it refuses by default."""
    try:
        call()
    except UsageError:
        return False
    return True


def _written(example: Any, count: int) -> list[str]:
    """An example as it is written into so many boxes: of numbers, a line per step."""
    if isinstance(example, str):
        return [example]
    if count > 1:
        return list(example)
    if any(isinstance(step, list) for step in example):
        return ["\n".join(", ".join(map(str, step)) for step in example)]
    return [", ".join(map(str, example))]
