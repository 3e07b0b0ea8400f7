"""Pipelines: a trained model that takes text or numbers and returns answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from typing_extensions import override

from nlp_rnn.cpu import fast_matmul
from nlp_rnn.data.batching import BatchSize
from nlp_rnn.errors import UsageError
from nlp_rnn.inference.streaming import Stream
from nlp_rnn.lite.pipelines import BasePipeline
from nlp_rnn.lite.pipelines import pipeline as lite_pipeline
from nlp_rnn.settings import check_value
from nlp_rnn.tasks.base import Task
from nlp_rnn.tasks.ensemble import load_models
from nlp_rnn.tasks.generation import SamplingSettings
from nlp_rnn.tasks.placement import in_precision, on_device
from nlp_rnn.tasks.registry import TASKS, task_name


class Pipeline(BasePipeline):
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

    @override
    def stream(self, history: int = 1) -> Stream:
        return Stream(self.task, history)

    @override
    @torch.inference_mode()
    @fast_matmul()
    def _answers(self, inputs: Sequence[Any]) -> list[dict[str, Any]]:
        return super()._answers(inputs)

    @override
    def _encode(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        encoded: dict[str, list[Any]] = self.task.processor.encode(rows)
        return encoded

    @override
    def _answer_batch(self, indices: list[int], columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
        batch = self.task.processor.collate({"row": indices, **columns})
        answers: list[dict[str, Any]] = self.task.answer(batch.to(self.task.device))
        return answers

    @override
    def _sampling(
        self,
        max_output: int,
        temperature: float | None,
        top_k: int | None,
        top_p: float | None,
        seed: int | None,
    ) -> SamplingSettings:
        return SamplingSettings(max_output, temperature, top_k, top_p, seed)


def pipeline(
    task: str,
    model: str | Path | Task | Sequence[str | Path | Task],
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
    backend: Literal["torch", "numpy", "onnx"] = "torch",
) -> BasePipeline:
    """Load a trained model for a task.

    Args:
        task: the name of the task that the model must be for, or an alias from the Hugging Face hub; hyphens
            and underscores are equivalent. Names and aliases: sentiment (sentiment-analysis,
            text-classification), tagging (token-classification, pos-tagging), translation
            (text2text-generation), language_modeling (text-generation), captioning (image-to-text),
            forecasting (time-series-forecasting), series_tagging.
        model: a model folder, a checkpoint (.ckpt) or a hub id; or a loaded task; or a list of these, which
            answer from the mean of their probabilities, see `nlp_rnn.tasks.ensemble`.
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
        backend: what computes: torch; numpy, which answers one text at a time faster; or onnx, which needs
            onnxruntime and a folder that `nlp-rnn export --format onnx` wrote. The last two read folders,
            compute in fp32 on the CPU, and have no other arguments than `nlp_rnn.lite.pipeline`.

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
    if backend not in (backends := ("torch", "numpy", "onnx")):
        raise UsageError(f"backend must be one of {', '.join(backends)}, not {backend!r}")
    if backend != "torch":
        if not isinstance(model, (str, Path, Task)):
            raise UsageError(f"backend {backend} answers with one model: give one, or use the backend torch")
        hub = (revision, token, local_files_only or None, timeout)
        if isinstance(model, Task) or str(device) != "cpu" or precision != "fp32" or any(hub):
            raise UsageError(
                f"backend {backend} reads a model folder and computes in fp32 on the CPU: give a folder, and "
                "leave out device, precision and the arguments for the hub"
            )
        options = (batch_size, beam, n_best, unsure_below, copy_unknown)
        return lite_pipeline(task, model, *options, engine=backend)
    name = task_name(task)
    if name is None:
        raise UsageError(f"there is no task {task!r}: use one of {', '.join(TASKS)}")
    loaded = load_models(
        model, revision=revision, token=token, local_files_only=local_files_only, timeout=timeout
    )
    if loaded.name != name:
        raise UsageError(f"the model is for {loaded.name}, not for {name}")
    if (beam, n_best, copy_unknown) != (None, None, None):
        loaded = loaded.with_decoding(beam, n_best, copy_unknown)
    if unsure_below is not None:
        loaded = loaded.with_threshold(unsure_below)
    return Pipeline(loaded, batch_size, device, precision)
