"""Pipelines: a trained model that takes text or numbers and returns answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import torch

from nlp_rnn.cpu import fast_matmul
from nlp_rnn.data.batching import BatchSize
from nlp_rnn.errors import UsageError
from nlp_rnn.inference.streaming import Stream
from nlp_rnn.lite.notices import warn_lost
from nlp_rnn.settings import check_value
from nlp_rnn.tasks.base import Task
from nlp_rnn.tasks.generation import SamplingSettings
from nlp_rnn.tasks.interface import Step
from nlp_rnn.tasks.placement import in_precision, on_device
from nlp_rnn.tasks.pretrained import from_pretrained
from nlp_rnn.tasks.registry import TASKS, task_name


class Pipeline:
    """A trained model that takes text or numbers; made by `nlp_rnn.pipeline`.

    An answer is a dictionary, whose keys depend on the task (see its `answer` method): `label`, `score`
    and `scores` for sentiment; `words`, `tags` and `scores` for tagging, `offsets` of words in a text,
    and `entities` if tags are of spans; `text`, `score` and `n_best` for translation and captioning;
    these and `log_prob`, `next` and `probability` for language modeling; `values` for forecasting;
    `labels` and `scores` for series tagging. For text there is `unknown` too, the number of tokens that
    the model does not know; one warning counts the texts in which it knows none.

    Args:
        task: the model with its processor.
        batch_size: maximum number of inputs per batch; the answers do not depend on it.
        device: where to compute.
        precision: fp32 or bf16.

    Raises:
        UsageError: the batch size is out of range, or device or precision cannot be used.
    """

    def __init__(
        self,
        task: Task,
        batch_size: int = 64,
        device: str | torch.device = "cpu",
        precision: str = "fp32",
    ) -> None:
        check_value(BatchSize, batch_size, "batch size")
        self.task = in_precision(on_device(task, device), precision).eval()
        self.batch_size = batch_size

    def __repr__(self) -> str:
        weight = next(self.task.model.parameters())
        place = f"on {weight.device}, {weight.dtype}, batches of {self.batch_size}"
        return f"Pipeline({self.task.summary()}; {place})"

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
        settings = SamplingSettings(max_output, temperature, top_k, top_p, seed)
        if not self.task.processor.is_input(prompt):
            raise UsageError(f"the prompt is no {self.task.processor.input_description}: {prompt!a:.60}")
        return self.task.generate(prompt, settings)  # without `fast_matmul`, which is slower for one row

    def stream(self) -> Stream:
        """Open a stream: a text that is answered while it arrives. Any number may be open at a time.

        Raises:
            UsageError: models of this task, or this model, answer whole inputs only.
        """
        return Stream(self.task)

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

    @torch.inference_mode()
    @fast_matmul()
    def _answers(self, inputs: Sequence[Any]) -> list[dict[str, Any]]:
        if not inputs:
            return []
        processor = self.task.processor
        for number, value in enumerate(inputs, 1):
            if not processor.is_input(value):
                raise UsageError(f"input {number} is no {processor.input_description}: {value!a:.60}")
        rows = processor.rows(inputs)
        rows.update(processor.encode(rows))
        lengths = [len(ids) for ids in rows[processor.length_columns[0]]]
        order = sorted(range(len(inputs)), key=lengths.__getitem__)
        unknown = processor.count_unknown(rows) if processor.counts_unknown else None
        if unknown is not None and not processor.reads_unknown:
            warn_lost(lengths, unknown)
        answers: list[dict[str, Any]] = [{}] * len(inputs)
        for start in range(0, len(order), self.batch_size):
            indices = order[start : start + self.batch_size]
            columns = {name: [column[i] for i in indices] for name, column in rows.items()}
            batch = processor.collate({"row": indices, **columns})
            for index, answer in zip(indices, self.task.answer(batch.to(self.task.device)), strict=True):
                answers[index] = answer if unknown is None else {**answer, "unknown": unknown[index]}
        return answers


def pipeline(
    task: str,
    model: str | Path | Task,
    batch_size: int = 64,
    device: str | torch.device = "cpu",
    beam: int | None = None,
    n_best: int | None = None,
    precision: Literal["fp32", "bf16"] = "fp32",
    unsure_below: float | None = None,
    copy_unknown: bool | None = None,
    *,
    revision: str | None = None,
    token: str | None = None,
    local_files_only: bool = False,
    timeout: float | None = None,
) -> Pipeline:
    """Load a trained model for a task.

    Args:
        task: the name of the task that the model must be for, or an alias from the Hugging Face hub; hyphens
            and underscores are equivalent. Names and aliases: sentiment (sentiment-analysis,
            text-classification), tagging (token-classification, pos-tagging), translation
            (text2text-generation), language_modeling (text-generation), captioning (image-to-text),
            forecasting (time-series-forecasting), series_tagging.
        model: a model folder, a checkpoint (.ckpt) or a hub id; or a loaded task.
        batch_size: maximum number of inputs per batch; the answers do not depend on it.
        device: where to compute, such as "cpu" or "cuda".
        beam: width of the beam, for tasks that generate text; the width set in training if left out.
        n_best: answers per input, at most `beam`; the number set in training if left out.
        precision: fp32, or bf16, which halves the size of the weights and saves time on hardware that
            supports it. With bf16 answers are rounded, and may depend on the batch by as much.
        unsure_below: the probability below which the answer is "unsure", for tasks that predict one label per
            input; as trained if left out.
        copy_unknown: for translation, whether answers have words that the vocabulary lacks, copied from the
            source; as trained if left out.
        revision: branch, tag or commit of a model on the hub, see `from_pretrained`.
        token: for a private model on the hub, see `from_pretrained`.
        local_files_only: of a model on the hub, read the local cache alone.
        timeout: seconds to wait for each answer of the hub.

    Returns:
        A callable that takes one input or several, see `Pipeline`.

    Raises:
        UsageError: there is no such task; the model cannot be loaded, is for another task, or does not
            decode so; or a setting is out of range.

    Examples:
        >>> from nlp_rnn import pipeline
        >>> classify = pipeline("sentiment", model="runs/sentiment_builtin/latest/model")
        >>> classify("not a bad film")["label"]
        'positive'
        >>> [answer["label"] for answer in classify(["a fine film", "a bad film"])]
        ['positive', 'negative']
    """
    name = task_name(task)
    if name is None:
        raise UsageError(f"there is no task {task!r}: use one of {', '.join(TASKS)}")
    if isinstance(model, Task):
        loaded = model
    else:
        loaded = from_pretrained(
            model, revision=revision, token=token, local_files_only=local_files_only, timeout=timeout
        )
    if loaded.name != name:
        raise UsageError(f"the model is for {loaded.name}, not for {name}")
    if (beam, n_best, copy_unknown) != (None, None, None):
        loaded = loaded.with_decoding(beam, n_best, copy_unknown)
    if unsure_below is not None:
        loaded = loaded.with_threshold(unsure_below)
    return Pipeline(loaded, batch_size, device, precision)
