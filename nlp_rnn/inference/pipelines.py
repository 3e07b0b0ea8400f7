"""Text or numbers in, answers out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import torch

from nlp_rnn.cpu import fast_matmul
from nlp_rnn.errors import UsageError
from nlp_rnn.inference.streaming import Stream
from nlp_rnn.settings import Range
from nlp_rnn.tasks.base import Step, Task
from nlp_rnn.tasks.generation import SamplingSettings
from nlp_rnn.tasks.placement import in_precision, on_device
from nlp_rnn.tasks.pretrained import from_pretrained
from nlp_rnn.tasks.registry import TASKS, task_name

BATCH_SIZE = Range(1, 1_000_000)


class Pipeline:
    """A trained model that takes text, or numbers.

    Answers, and what they are called, are those of the task's `answer` method: `label` and `scores` for
    sentiment, `tags` and `scores` for tagging, `text` and `n_best` for translation, language modelling and
    captioning, `values` for forecasting, `labels` and `scores` for series tagging.
    """

    def __init__(
        self,
        task: Task,
        batch_size: int = 64,
        device: str | torch.device = "cpu",
        precision: str = "fp32",
    ) -> None:
        BATCH_SIZE.check(batch_size, "batch size")
        self.task = in_precision(on_device(task, device), precision).eval()
        self.batch_size = batch_size

    def __call__(self, inputs: Any) -> Any:
        """One answer for one text; a list of answers, in order, for a list.

        For tagging a text is words with spaces between them, and a list may hold lists of words. Of an empty
        text the tags and the translation are empty, and the label is the one of no words at all; a language
        model begins one.

        For captioning an input is a vector, a list or an array of numbers, which may be nested as a picture's
        rows are.

        For series an input is a list or an array of steps [T, C], each with the model's C columns; where
        these are one, also of numbers [T]. A list of lists is then several series, an array [T, 1] is one.

        Raises:
            UsageError: an input is no text, or has a lone surrogate, or is no vector of the model's length,
                or no series of its columns.
        """
        if isinstance(inputs, str) or self.task.processor.is_single(inputs):
            return self._answers([inputs])[0]
        try:
            given = list(inputs)
        except TypeError:
            raise UsageError(
                f"the input is no {self.task.processor.input_description}: {inputs!a:.60}"
            ) from None
        return self._answers(given)

    def iterate(self, inputs: Iterable[Any], window: int | None = None) -> Iterator[dict[str, Any]]:
        """Answers in order, in constant memory however many inputs there are.

        Args:
            inputs: texts.
            window: how many are read ahead to be grouped by length; 16 batches if left out.
        """
        source = iter(inputs)
        while chunk := list(islice(source, window or 16 * self.batch_size)):
            yield from self._answers(chunk)

    def generate(
        self,
        prompt: str = "",
        max_output: int = 100,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
    ) -> Iterator[str]:
        """What a language model writes after `prompt`, piece by piece as it is made.

        Put together the pieces follow the prompt as they are, with a space first where one belongs. A piece
        costs the same however much has been written. What the model does not know of the prompt is read as
        the unknown token, with a warning.

        Args:
            prompt: what to go on from; the beginning of a text if empty.
            max_output: most tokens; fewer where the model ends the text.
            temperature: draw from the model's probabilities, the flatter the higher this is; without it each
                token is the likeliest.
            top_k: draw among so many of the likeliest tokens alone.
            top_p: draw among the fewest of the likeliest tokens that together have this probability.
            seed: of the draws; another text each time without it.

        Raises:
            UsageError: the model is no language model, the prompt has a lone surrogate, or a setting is out
                of range or without effect; before the first piece is asked for.
        """
        steps = self.steps(prompt, max_output, temperature, top_k, top_p, seed)
        return (step.piece for step in steps if step.piece)

    def steps(
        self,
        prompt: str = "",
        max_output: int = 100,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
    ) -> Iterator[Step]:
        """As `generate`, but each step as such: what was read, what comes next, and its probability.

        The prompt is read in steps too; in these the likeliest token is shown, whatever really comes next.
        """
        settings = SamplingSettings(max_output, temperature, top_k, top_p, seed)
        if not self.task.processor.is_input(prompt):
            raise UsageError(f"the prompt is no {self.task.processor.input_description}: {prompt!a:.60}")
        return self.task.generate(prompt, settings)  # `fast_matmul` is slower for one row

    def stream(self) -> Stream:
        """A text that is answered while it comes; any number of streams may be open at a time.

        Raises:
            UsageError: such models, or this one, answer whole inputs only.
        """
        return Stream(self.task)

    @torch.inference_mode()
    @fast_matmul()
    def _answers(self, inputs: Sequence[Any]) -> list[dict[str, Any]]:
        if not inputs:
            return []
        processor = self.task.processor
        for number, given in enumerate(inputs, 1):
            if not processor.is_input(given):
                raise UsageError(f"input {number} is no {processor.input_description}: {given!a:.60}")
        rows = processor.rows(inputs)
        rows.update(processor.encode(rows))
        lengths = [len(ids) for ids in rows[processor.length_columns[0]]]
        order = sorted(range(len(inputs)), key=lengths.__getitem__)
        answers: list[dict[str, Any]] = [{}] * len(inputs)
        for start in range(0, len(order), self.batch_size):
            chosen = order[start : start + self.batch_size]
            batch = processor.collate(
                {"row": chosen, **{name: [v[i] for i in chosen] for name, v in rows.items()}}
            )
            for row, answer in zip(chosen, self.task.answer(batch.to(self.task.device)), strict=True):
                answers[row] = answer
        return answers


def pipeline(
    task: str,
    model: str | Path | Task,
    batch_size: int = 64,
    device: str | torch.device = "cpu",
    beam: int | None = None,
    n_best: int = 1,
    precision: Literal["fp32", "bf16"] = "fp32",
) -> Pipeline:
    """A trained model that takes text: `pipeline("sentiment", model="folder")("a fine film")`.

    Args:
        task: what the model must be for, by its name in `TASKS`.
        model: what `from_pretrained` takes, or what it gives.
        batch_size: most texts that are computed together; answers do not depend on it.
        device: where to compute.
        beam: width of the beam, where the answer is text; as the model was trained if left out.
        n_best: answers an input, at most `beam`.
        precision: bf16 halves the weights and, where the processor computes in it, the time; answers are
            then rounded, and may depend on what shares their batch by as much.

    Raises:
        UsageError: the model is for another task, cannot be loaded, or does not decode with a beam; or a
            setting is out of range.
    """
    name = task_name(task)
    if name is None:
        raise UsageError(f"there is no task {task!r}: use one of {', '.join(TASKS)}")
    loaded = model if isinstance(model, Task) else from_pretrained(model)
    if loaded.name != name:
        raise UsageError(f"the model is for {loaded.name}, not for {name}")
    if beam is not None or n_best != 1:
        loaded = loaded.with_decoding(beam, n_best)
    return Pipeline(loaded, batch_size, device, precision)
