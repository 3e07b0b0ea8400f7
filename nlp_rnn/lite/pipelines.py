"""Pipelines: a trained model that takes text or numbers and returns answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from copy import copy
from itertools import islice
from pathlib import Path
from typing import Any

from .errors import UsageError, check_number
from .folders.names import ALIASES, find_name
from .loading import load
from .streaming import Stream
from .tasks.answers import Step
from .tasks.task import Sampling, Task
from .text.notices import warn_lost


class BasePipeline:
    """A trained model that takes text or numbers, with torch or without.

    A subclass sets the attributes, and defines `_answer_batch` and `_sampling`.

    Attributes:
        task: the model with its `processor`.
        batch_size: maximum number of inputs per batch; the answers do not depend on it.
    """

    task: Any
    batch_size: int

    def __call__(self, inputs: Any) -> Any:
        """Answer one input, or a list of inputs.

        Args:
            inputs: one input, or several as an iterable, such as a list, a generator, an array of texts or
                one column of a table. What an input is depends on the task:

                - text: a string, which may be empty. For tagging, raw text, or, in a list of inputs, a list
                  of words.
                - translation: text, or a mapping with it as `text`; its `prefix` is the text that the
                  translation begins with, its `constraints` are words or phrases that it contains.
                - captioning: a vector as a list or array of numbers, which may be nested as the rows of an
                  image are.
                - series: a list or array of steps [T, C] with the C columns of the model. If C is 1, also a
                  list of numbers [T]; then a list of lists is several series, and an array [T, 1] is one.

        Returns:
            One answer for one input; a list of answers, in the order of the inputs, for several. An
            empty or blank text has no answer: label and score are None, tags and translation are empty; a
            language model begins a new text.

        Raises:
            UsageError: an input is not text, or contains a lone surrogate, or is not a vector of the model's
                length or a series with its columns; or a translation cannot have what is asked for.
        """
        if isinstance(inputs, str) or self.task.processor.is_single(inputs):
            return self._answers([inputs])[0]
        return self._answers(list(self._several(inputs)))

    def iterate(self, inputs: Iterable[Any], window: int | None = None) -> Iterator[dict[str, Any]]:
        """Answer many inputs in constant memory.

        Args:
            inputs: as for a call, but always several.
            window: the number of inputs that are read ahead and grouped by length; 16 batches if left out.

        Yields:
            One answer per input, in order.

        Raises:
            UsageError: as for a call.
        """
        source = self._several(inputs)
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
        """Continue a text with a language model, token by token, at constant cost per token.

        Tokens of the prompt that the model does not know are read as the unknown token, with a warning.

        Args:
            prompt: the beginning of the text; may be empty.
            max_output: maximum number of tokens; there are fewer if the model predicts EOS.
            temperature: tokens are sampled from the logits divided by it; the most probable token is taken if
                left out.
            top_k: sample from the k most probable tokens only.
            top_p: sample from the fewest most probable tokens whose probabilities sum to at least this.
            seed: of the random numbers; each text is different if left out.

        Returns:
            The pieces of text as they are generated. Joined, and appended to the prompt, they are the text: a
            piece begins with a space where one is needed.

        Raises:
            UsageError: the model is not a language model, the prompt contains a lone surrogate, or a setting
                is out of range or has no effect; raised by this call, not by the first piece.

        Examples:
            >>> writer = pipeline("text-generation", "path/to/model")
            >>> for piece in writer.generate("the film", temperature=0.8):
            ...     print(piece, end="", flush=True)
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
        """As `generate`, but return every step: the token read, the token predicted, and its probability.

        The prompt has steps too. They have the most probable next token as `predicted`, not the token that
        follows.
        """
        self.task.check_generates()  # before settings and prompt, which are for such tasks alone
        settings = self._sampling(max_output, temperature, top_k, top_p, seed)
        if not self.task.processor.is_input(prompt):
            raise UsageError(f"the prompt is no {self.task.processor.input_description}: {prompt!a:.60}")
        generated: Iterator[Step] = self.task.generate(prompt, settings)
        return generated

    def stream(self, history: int = 1) -> Stream:
        """Open a stream: a text that is answered while it arrives. Any number may be open at a time.

        Args:
            history: the number of last pieces that can be undone; a state is kept for each.

        Raises:
            UsageError: models of this task, or this model, answer whole inputs only; or `history` is
                negative.
        """
        return Stream(self.task, history)

    def _encode(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Columns of ids or vectors."""
        encoded: dict[str, list[Any]] = self.task.processor.encode_inputs(rows)
        return encoded

    def _answer_batch(self, indices: list[int], columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
        """The answers to rows of encoded columns, whose numbers are `indices`."""
        raise NotImplementedError  # pragma: no cover

    def _sampling(
        self,
        max_output: int,
        temperature: float | None,
        top_k: int | None,
        top_p: float | None,
        seed: int | None,
    ) -> Any:
        """How `generate` of the task continues a text; the values are checked."""
        raise NotImplementedError  # pragma: no cover

    def _several(self, inputs: Any) -> Iterator[Any]:
        """The inputs one by one.

        Raises:
            UsageError: they are one input, or a table or mapping, whose items are names of columns.
        """
        description = self.task.processor.input_description
        if isinstance(inputs, (str, bytes)):
            raise UsageError(f"several inputs are expected, not one {description}: {inputs!a:.60}")
        if isinstance(inputs, Mapping) or hasattr(inputs, "columns"):
            raise UsageError(
                f"the input is a {type(inputs).__name__}, not a {description}: give one of its columns, such "
                "as inputs['text'] of a table of texts, or an array of its numbers"
            )
        if isinstance(inputs, Set):
            raise UsageError("the inputs are a set, which has no order: give a list")
        try:
            return iter(inputs)
        except TypeError:
            raise UsageError(f"the input is no {description}: {inputs!a:.60}") from None

    def _answers(self, inputs: Sequence[Any]) -> list[dict[str, Any]]:
        if not inputs:
            return []
        processor = self.task.processor
        for number, value in enumerate(inputs, 1):
            if not processor.is_input(value):
                raise UsageError(f"input {number} is no {processor.input_description}: {value!a:.60}")
        rows = processor.rows(inputs)
        rows.update(self._encode(rows))
        lengths = [len(ids) for ids in rows[processor.length_columns[0]]]
        order = sorted(range(len(inputs)), key=lengths.__getitem__)
        unknown = processor.count_unknown(rows) if processor.counts_unknown else None
        if unknown is not None and not processor.reads_unknown:
            warn_lost(lengths, unknown)
        answers: list[dict[str, Any]] = [{}] * len(inputs)
        for start in range(0, len(order), self.batch_size):
            indices = order[start : start + self.batch_size]
            columns = {name: [column[i] for i in indices] for name, column in rows.items()}
            for index, answer in zip(indices, self._answer_batch(indices, columns), strict=True):
                answers[index] = answer if unknown is None else {**answer, "unknown": unknown[index]}
        return answers


class Pipeline(BasePipeline):
    """A trained model that takes text or numbers, without torch; made by `pipeline`.

    Answers are those of `nlp_rnn.inference.pipelines.Pipeline`, which describes them, up to the rounding of
    numbers. What is sampled at random is other text, for the random numbers are NumPy's.

    Args:
        task: the model with its processor.
        batch_size: maximum number of inputs per batch; the answers do not depend on it.

    Raises:
        UsageError: the batch size is out of range.
    """

    def __init__(self, task: Task, batch_size: int = 64) -> None:
        check_number("batch size", batch_size, 1, 1_000_000, int)
        self.task = task
        self.batch_size = batch_size

    def __repr__(self) -> str:
        return f"Pipeline({self.task.name}, without torch; batches of {self.batch_size})"

    def _answer_batch(self, indices: list[int], columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
        answers: list[dict[str, Any]] = self.task.answer(columns)
        return answers

    def _sampling(
        self,
        max_output: int,
        temperature: float | None,
        top_k: int | None,
        top_p: float | None,
        seed: int | None,
    ) -> Sampling:
        settings = Sampling(max_output, temperature, top_k, top_p, seed)
        settings.check()
        return settings


def pipeline(
    task: str,
    model: str | Path | Task,
    batch_size: int = 64,
    beam: int | None = None,
    n_best: int | None = None,
    unsure_below: float | None = None,
    copy_unknown: bool | None = None,
    engine: str | None = None,
) -> Pipeline:
    """Load a trained model for a task.

    Args:
        task: the name of the task that the model must be for, or an alias from the Hugging Face hub; hyphens
            and underscores are equivalent.
        model: a model folder, see `load`; or a loaded model.
        batch_size: maximum number of inputs per batch; the answers do not depend on it.
        beam: width of the beam, for tasks that generate text; the width set in training if left out.
        n_best: answers per input, at most `beam`; the number set in training if left out.
        unsure_below: the probability below which the answer is "unsure", for tasks that predict one label per
            input; as trained if left out.
        copy_unknown: for translation, whether answers have words that the vocabulary lacks, copied from the
            source; as trained if left out.
        engine: what computes, numpy or onnx, see `load`.

    Returns:
        A callable that takes one input or several, see `Pipeline`.

    Raises:
        UsageError: there is no such task; the model cannot be loaded, is for another task, needs torch, or
            does not decode so; or a setting is out of range.

    Examples:
        >>> from nlp_rnn_lite import pipeline
        >>> classify = pipeline("sentiment", "runs/sentiment_builtin/latest/model")
        >>> classify("not a bad film")["label"]
        'positive'
    """
    name = find_name(task, ALIASES)
    if name is None:
        raise UsageError(f"there is no task {task!r}: use one of {', '.join(ALIASES)}")
    loaded = copy(model) if isinstance(model, Task) else load(model, engine)
    if loaded.name != name:
        raise UsageError(f"the model is for {loaded.name}, not for {name}")
    if (beam, n_best, copy_unknown) != (None, None, None):
        loaded.decode_with(beam, n_best, copy_unknown)
    if unsure_below is not None:
        loaded.be_unsure_below(unsure_below)
    return Pipeline(loaded, batch_size)
