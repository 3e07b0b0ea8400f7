"""Trained models at work: translating, tagging and classifying the texts of a corpus."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from benchmarks.given import Given
from benchmarks.loops import moved, tutorial_batch, tutorial_model
from benchmarks.ours import TRAINER_PRECISION, data_of, settled, task_of
from benchmarks.worker import Caller
from nlp_rnn import from_pretrained, pipeline, save_pretrained
from nlp_rnn.cpu import retain_freed_memory
from nlp_rnn.data.processor import Processor
from nlp_rnn.tasks import Translation

UNITS = {"translation": "sentences", "sentiment": "reviews", "tagging": "words"}
_SIZES = (64, 128, 256, 512)


def prepare(given: Given, caller: Caller, folder: str) -> None:
    """Read the corpus, and where no trained model is given make one: for translation by a short training, as
    how long its answers are depends on it, else of random weights."""
    data = data_of(given)
    facts: dict[str, Any] = {"texts": len(texts_of(given))}
    if given.model is None:
        task = task_of(given, data)
        if given.task == "translation":
            trainer = pl.Trainer(
                accelerator="gpu" if given.device == "cuda" else "cpu",
                devices=1,
                max_steps=2 if given.quick else 300,
                limit_val_batches=0,
                gradient_clip_val=1.0,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                precision=TRAINER_PRECISION[given.precisions[-1]],  # type: ignore[arg-type]
            )
            trainer.fit(task, datamodule=data)
        facts["model"] = str(save_pretrained(task, Path(folder) / "model"))
    for _ in caller.rounds(**facts):
        pass


def texts_of(given: Given, split: str = "test") -> list[Any]:
    """A split's texts (for tagging, lists of words) as they are written; validation's if there is no test."""
    data = data_of(given)
    splits = data.load()
    column = {"translation": "source", "sentiment": "text", "tagging": "tokens"}[given.task]
    return splits[split if split in splits else "validation"][column][:]


@settled
def ours(
    given: Given,
    caller: Caller,
    model: str,
    precision: str = "fp32",
    beam: int | None = None,
    bulk: bool = True,
) -> None:
    """Our pipeline: all texts at once, by the best of some batch sizes; or one text at a time."""
    pipe = pipeline(given.task, model, device=given.device, beam=beam, precision=precision)  # type: ignore[arg-type]
    task = pipe.task
    texts = texts_of(given)

    def answer(chosen: Sequence[Any], size: int = 1) -> list[Any]:
        pipe.batch_size = size
        return pipe(list(chosen))

    def written(answers: list[Any]) -> dict[str, int]:
        if not isinstance(task, Translation):
            return {}
        return {"tokens": sum(map(len, task.processor.target.encode([one["text"] for one in answers])))}

    if bulk:
        _in_bulk(given, caller, texts, answer, written)
    else:
        _one_by_one(given, caller, texts, lambda text: written(answer([text])).get("tokens", 0))


def word_by_word(
    given: Given, caller: Caller, model: str, precision: str = "fp32", anew: bool = False
) -> None:
    """Turns of so many readings of 200 words, classified after each: by a stream, or all of them `anew`."""
    retain_freed_memory()
    pipe = pipeline(given.task, model, 1, given.device, precision=precision)  # type: ignore[arg-type]
    words = " ".join(texts_of(given)).split()[: 10 if given.quick else 200]
    for readings in caller.rounds():
        watch = caller.watch(given.device)
        for _ in range(readings):
            read = pipe.stream()
            for count, word in enumerate(words, 1):
                pipe(" ".join(words[:count])) if anew else read(word)
        caller.report("words", readings * len(words), watch.stop())


@torch.no_grad()
def tutorial_translation(given: Given, caller: Caller, model: str) -> None:
    """The tutorial's decoding, of the same weights: a sentence at a time, a step at a time."""
    task, translator = tutorial_translator(given, model)
    translator.to(given.device)
    processor = task.processor

    def answer(text: str) -> int:
        ids = source_ids(processor, text)
        found = translator.translate(ids, task.decoding.max_output, given.device) if ids else []
        processor.target.decode(found)
        return len(found)

    _one_by_one(given, caller, texts_of(given), answer)


def tutorial_translator(given: Given, model: str) -> tuple[Translation, Any]:
    """Our trained model, and the tutorial's with the same weights."""
    task = from_pretrained(model)
    assert isinstance(task, Translation)
    translator = tutorial_model("translation", task)
    translator.load_state_dict(task.model.state_dict())
    return task, translator.eval()


def source_ids(processor: Any, text: str) -> list[int]:
    """A sentence as the encoder reads it."""
    (ids,) = processor.encode(processor.rows([text]))["source_ids"]
    return ids[::-1] if processor.reverse_source else ids


@torch.no_grad()
def tutorial_forward(given: Given, caller: Caller, model: str, packed: bool) -> None:
    """The tutorial's tagger or classifier of our sizes and random weights, batches in the corpus's order."""
    task = from_pretrained(model)
    processor: Processor = task.processor
    network = tutorial_model(given.task, task, packed).to(given.device).eval()

    def answer(chosen: Sequence[Any], size: int) -> list[Any]:
        rows = processor.rows(chosen)
        rows.update(processor.encode(rows))
        best = []
        for start in range(0, len(chosen), size):
            part = {name: column[start : start + size] for name, column in rows.items()}
            batch = tutorial_batch(given.task, part)
            del batch["counts"]
            best += network(*moved(batch, given.device).values()).argmax(-1).cpu().tolist()
        return best

    _in_bulk(given, caller, texts_of(given), answer, lambda answers: {})


def _in_bulk(
    given: Given,
    caller: Caller,
    texts: Sequence[Any],
    answer: Callable[[Sequence[Any], int], list[Any]],
    written: Callable[[list[Any]], dict[str, int]],
) -> None:
    """Turns of so many passes over all texts."""
    units = sum(map(len, texts)) if given.task == "tagging" else len(texts)
    tried: dict[int, float] = {}
    for size in _SIZES[:1] if given.quick else _SIZES:
        if size // 2 < len(texts) or not tried:
            answer(texts[:size], size)
            start = time.perf_counter()
            answer(texts, size)
            tried[size] = units / (time.perf_counter() - start)
    best = max(tried, key=tried.__getitem__)
    for passes in caller.rounds(batch_size=best, tried=tried):
        watch = caller.watch(given.device)
        for _ in range(passes):
            answers = answer(texts, best)
        seconds = watch.stop()
        tokens = {name: count * passes for name, count in written(answers).items()}
        caller.report(UNITS[given.task], units * passes, seconds, **tokens)


def _one_by_one(given: Given, caller: Caller, texts: Sequence[Any], answer: Callable[[Any], int]) -> None:
    """Turns of so many texts, each asked about when the one before is answered."""
    coming: Iterator[Any] = cycle(texts)
    for count in caller.rounds(batch_size=1):
        latencies, tokens = [], 0
        watch = caller.watch(given.device)
        for text in islice(coming, count):
            start = time.perf_counter()
            tokens += answer(text)
            latencies.append(1000 * (time.perf_counter() - start))
        seconds = watch.stop()
        p50, p99 = np.percentile(latencies, [50, 99]).tolist()
        caller.report(UNITS[given.task], count, seconds, tokens=tokens, p50_ms=p50, p99_ms=p99)
