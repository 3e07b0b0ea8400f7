"""Translating, tagging and classifying a corpus with trained nlp_rnn models."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytorch_lightning as pl

from benchmarks.options import Options
from benchmarks.recipes import TRAINER_PRECISION, make_data, make_task, with_process_settings
from benchmarks.worker import Channel
from nlp_rnn import pipeline, save_pretrained
from nlp_rnn.cpu import retain_freed_memory
from nlp_rnn.tasks.translation import Translation

UNITS = {"translation": "sentences", "sentiment": "reviews", "tagging": "words"}
"""What is counted in inference."""

_BATCH_SIZES = (64, 128, 256, 512)
_STREAM_WORDS = 200

Precision = Literal["fp32", "bf16"]


def prepare(options: Options, channel: Channel, folder: str) -> None:
    """Read the corpus, and make a model where `--model` names none.

    A translation model is trained briefly, because the lengths of its outputs decide how long decoding takes.
    The other models keep their random initialization.

    Args:
        options: the benchmark's options.
        channel: connection to the benchmark. Facts: `texts`, and `model`, the folder, if one was made.
        folder: where to save the model.
    """
    data = make_data(options)
    facts: dict[str, Any] = {"texts": len(load_texts(options))}
    if options.model is None:
        task = make_task(options, data)
        if options.task == "translation":
            trainer = pl.Trainer(
                accelerator="gpu" if options.device == "cuda" else "cpu",
                devices=1,
                max_steps=2 if options.quick else 300,
                limit_val_batches=0,
                gradient_clip_val=1.0,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                precision=TRAINER_PRECISION[options.precisions[-1]],
            )
            trainer.fit(task, datamodule=data)
        facts["model"] = str(save_pretrained(task, Path(folder) / "model"))
    for _ in channel.rounds(facts):
        pass


def load_texts(options: Options, split: str = "test") -> list[Any]:
    """Load the texts of a split (for tagging, lists of words); of validation if the split does not exist."""
    splits = make_data(options).load()
    column = {"translation": "source", "sentiment": "text", "tagging": "tokens"}[options.task]
    texts: list[Any] = splits[split if split in splits else "validation"][column][:]
    return texts


@with_process_settings
def run_pipeline(
    options: Options,
    channel: Channel,
    model: str,
    precision: Precision = "fp32",
    beam: int | None = None,
    bulk: bool = True,
) -> None:
    """Run the test split through the package's pipeline.

    Args:
        options: the benchmark's options.
        channel: connection to the benchmark.
        model: folder of the model.
        precision: fp32 or bf16.
        beam: width of the beam search, for translation.
        bulk: give all texts at once, in the fastest batch size; else one text at a time.
    """
    pipe = pipeline(options.task, model, device=options.device, beam=beam, precision=precision)
    task = pipe.task

    def predict(texts: Sequence[Any], batch_size: int = 1) -> list[Any]:
        pipe.batch_size = batch_size
        return pipe(list(texts))

    def count_tokens(answers: list[Any]) -> int | None:
        if not isinstance(task, Translation):
            return None
        return sum(map(len, task.processor.target.encode([answer["text"] for answer in answers])))

    texts = load_texts(options)
    if bulk:
        measure_bulk(options, channel, texts, predict, count_tokens)
    else:
        measure_single(options, channel, texts, lambda text: count_tokens(predict([text])) or 0)


def run_stream(
    options: Options, channel: Channel, model: str, precision: Precision = "fp32", recompute: bool = False
) -> None:
    """Read a text of 200 words word by word, with a prediction after each; a turn is a number of readings.

    Args:
        options: the benchmark's options.
        channel: connection to the benchmark.
        model: folder of the model.
        precision: fp32 or bf16.
        recompute: run the pipeline on the whole text so far after each word, instead of streaming.
    """
    retain_freed_memory()
    pipe = pipeline(options.task, model, 1, options.device, precision=precision)
    words = " ".join(load_texts(options)).split()[: 10 if options.quick else _STREAM_WORDS]
    for readings in channel.rounds():
        timer = channel.start_timer(options.device)
        for _ in range(readings):
            stream = pipe.stream()
            for count, word in enumerate(words, 1):
                pipe(" ".join(words[:count])) if recompute else stream(word)
        channel.report("words", readings * len(words), timer.stop())


def measure_bulk(
    options: Options,
    channel: Channel,
    texts: Sequence[Any],
    predict: Callable[[Sequence[Any], int], list[Any]],
    count_tokens: Callable[[list[Any]], int | None],
) -> None:
    """Predict all texts at once, in the fastest of several batch sizes; a turn is a number of passes.

    Args:
        options: the benchmark's options.
        channel: connection to the benchmark.
        texts: what to predict on.
        predict: takes texts and a batch size, returns the outputs.
        count_tokens: takes the outputs, returns the number of generated tokens; None if nothing is generated.
    """
    units = sum(map(len, texts)) if options.task == "tagging" else len(texts)
    rates: dict[int, float] = {}
    for size in _BATCH_SIZES[:1] if options.quick else _BATCH_SIZES:
        if size // 2 < len(texts) or not rates:
            predict(texts[:size], size)  # warm up
            start = time.perf_counter()
            predict(texts, size)
            rates[size] = units / (time.perf_counter() - start)
    fastest = max(rates, key=rates.__getitem__)
    for passes in channel.rounds({"batch_size": fastest, "tried": rates}):
        timer = channel.start_timer(options.device)
        for _ in range(passes):
            outputs = predict(texts, fastest)
        seconds = timer.stop()
        tokens = count_tokens(outputs)
        details = {} if tokens is None else {"tokens": tokens * passes}
        channel.report(UNITS[options.task], units * passes, seconds, details)


def measure_single(
    options: Options, channel: Channel, texts: Sequence[Any], predict: Callable[[Any], int]
) -> None:
    """Predict one text at a time, and measure the latency of each; a turn is a number of texts.

    Args:
        options: the benchmark's options.
        channel: connection to the benchmark.
        texts: what to predict on, again and again.
        predict: takes one text, returns the number of generated tokens.
    """
    text_stream: Iterator[Any] = cycle(texts)
    for count in channel.rounds({"batch_size": 1}):
        latencies, tokens = [], 0
        timer = channel.start_timer(options.device)
        for text in islice(text_stream, count):
            start = time.perf_counter()
            tokens += predict(text)
            latencies.append(1000 * (time.perf_counter() - start))
        seconds = timer.stop()
        p50, p99 = np.percentile(latencies, [50, 99]).tolist()
        details = {"tokens": tokens, "p50_ms": p50, "p99_ms": p99}
        channel.report(UNITS[options.task], count, seconds, details)
