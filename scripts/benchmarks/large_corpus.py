"""Memory and speed with corpora of growing size, from files to training steps.

    python scripts/benchmarks/large_corpus.py --sizes 100000 1000000 10000000 --plot large_corpora.png

Each text is two sentences of the built-in grammar, and no two texts are the same. They are written as JSON
lines, in shards of a million. Each measurement is a process of its own:

- build: read, check and encode the corpus into the cache;
- train: steps of a small model, with the corpus in the cache.

The memory is what the process itself holds (anonymous pages, the peak of samples every 20 ms). Pages of
files that are mapped into memory are left out, for the system takes them back when it needs the space.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_SHARD = 1_000_000  # texts
_VALIDATION = 1000  # texts
_WARM_UP = 50  # steps that are not measured
_HEADINGS = ("texts", "MB", "build s", "texts/s", "build MiB", "start s", "tokens/s", "train MiB", "cache MB")


def write_corpus(folder: Path, size: int) -> None:
    """Write train in shards, and a small validation split, as JSON lines.

    Args:
        folder: an empty folder.
        size: number of texts of train, all different.
    """
    from nlp_rnn.data.builtin.sentences import generate

    count = int((size + _VALIDATION) ** 0.5) + 1
    sentences = [(" ".join(example.english), example.sentiment) for example in generate(2 * count)]
    firsts, seconds = sentences[:count], sentences[count:]
    step = 7_368_787  # a prime number, so that each pair is visited once, in an order without a pattern
    shards = -(-size // _SHARD)
    number = 0

    def texts(amount: int) -> Iterator[str]:
        nonlocal number
        for _ in range(amount):
            place = number * step % (count * count)
            (first, label), (second, _) = firsts[place // count], seconds[place % count]
            yield json.dumps({"text": f"{first} {second}", "label": label}) + "\n"
            number += 1

    for shard in range(shards):
        with (folder / f"train-{shard:05}-of-{shards:05}.jsonl").open("w") as file:
            file.writelines(texts(min(_SHARD, size - shard * _SHARD)))
    with (folder / "validation.jsonl").open("w") as file:
        file.writelines(texts(_VALIDATION))


class _Memory:
    peak = 0.0
    """The most anonymous memory in a sample, MiB."""

    @contextmanager
    def sampled(self) -> Iterator[None]:
        """Sample the memory of this process in the background."""
        stop = threading.Event()

        def sample() -> None:
            while not stop.wait(0.02):
                self.peak = max(self.peak, _status("RssAnon"))

        thread = threading.Thread(target=sample, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def _status(name: str) -> float:
    """A line of /proc/self/status, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


def measure(part: str, folder: Path, sample: int | None, steps: int) -> dict[str, float]:
    """Measure one part in this process.

    Args:
        part: build or train.
        folder: the corpus.
        sample: number of rows that the vocabulary is made from; None for all.
        steps: number of training steps that are measured.
    """
    import pytorch_lightning as pl
    import torch

    from nlp_rnn.data import Batching, SentimentData, VocabularySettings
    from nlp_rnn.tasks.sentiment.task import Sentiment

    torch.set_num_threads(1)
    data = SentimentData(
        str(folder), vocabulary=VocabularySettings(sample=sample), batching=Batching(size=64)
    )
    memory, start, tokens = _Memory(), time.perf_counter(), 0

    class Clock(pl.Callback):
        begin = end = 0.0

        def on_train_batch_end(
            self, trainer: Any, module: Any, outputs: Any, batch: Any, number: int
        ) -> None:
            nonlocal tokens
            if number == _WARM_UP - 1:
                self.begin = time.perf_counter()
            elif number >= _WARM_UP:
                tokens += int(batch.lengths.sum())
                self.end = time.perf_counter()

    with memory.sampled():
        processor = data.processor
        if part == "build":
            return {"seconds": time.perf_counter() - start, "mib": memory.peak}
        clock = Clock()
        trainer = pl.Trainer(
            max_steps=_WARM_UP + steps,
            accelerator="cpu",
            logger=False,
            callbacks=[clock],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            limit_val_batches=0,
        )
        trainer.fit(Sentiment(processor, hidden_dim=64), data)
    rate = tokens / (clock.end - clock.begin)
    return {"start": clock.begin - start, "tokens_per_s": rate, "mib": memory.peak}


def run(size: int, folder: Path, arguments: argparse.Namespace) -> dict[str, float]:
    """Measure both parts for one size, each in a process of its own, and delete all files."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        corpus, cache = Path(name) / "corpus", Path(name) / "cache"
        corpus.mkdir()
        write_corpus(corpus, size)
        environment = {**os.environ, "NLP_RNN_CACHE": str(cache)}
        results = {}
        for part in ("build", "train"):
            command = [sys.executable, __file__, "--part", part, "--folder", str(corpus)]
            command += ["--steps", str(arguments.steps)]
            command += ["--sample", str(arguments.sample)] if arguments.sample else []
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            results[part] = json.loads(done.stdout.splitlines()[-1])
        megabytes = [sum(file.stat().st_size for file in f.rglob("*.*")) / 1e6 for f in (corpus, cache)]
    build, train = results["build"], results["train"]
    values: tuple[float, ...] = (size, megabytes[0], build["seconds"], size / build["seconds"], build["mib"])
    values += (train["start"], train["tokens_per_s"], train["mib"], megabytes[1])
    return dict(zip(_HEADINGS, values, strict=True))


def table(rows: Sequence[dict[str, float]]) -> str:
    """A table of the results, with ratios to the first row where they tell something."""
    lines = [list(_HEADINGS)]
    for row in rows:
        cells = []
        for name, value in row.items():
            ratio = value / rows[0][name]
            is_compared = row is not rows[0] and (name.endswith("/s") or name.endswith("MiB"))
            cells.append(f"{value:,.0f}" + (f" ({ratio:.2f}x)" if is_compared else ""))
        lines.append(cells)
    return "\n".join(" | ".join(line) for line in lines)


def plot(rows: Sequence[dict[str, float]], file: Path) -> None:
    """Plot memory and speed against the number of texts."""
    from nlp_rnn.plots.figure import new_figure, save
    from nlp_rnn.plots.style import PANEL, WIDTH, styled, theme, tidy

    sizes = [row["texts"] for row in rows]
    with styled():
        figure = new_figure(WIDTH, 1.2 * PANEL[1])
        left, right = figure.subplots(1, 2)
        for name, label in (("build MiB", "reading and encoding"), ("train MiB", "training")):
            left.semilogx(sizes, [row[name] for row in rows], "o-", label=label)
        corpus = [row["MB"] / 1.048576 for row in rows]
        left.semilogx(sizes, corpus, "o:", color=theme().faint, label="the corpus itself")
        left.set_title("Memory")
        left.set_ylabel("MiB")
        right.semilogx(sizes, [row["tokens/s"] / 1000 for row in rows], "o-", label="training, tokens")
        encoded = [row["texts/s"] / 1000 for row in rows]
        right.semilogx(sizes, encoded, "o-", label="reading and encoding, texts")
        right.set_title("Speed")
        right.set_ylabel("thousands per second")
        for panel in (left, right):
            panel.set_xticks(sizes, [f"{size:,.0f}" for size in sizes])
            panel.minorticks_off()
            panel.set_xlabel("texts in the corpus")
            panel.set_ylim(bottom=0)
            tidy(panel)
            panel.legend()
        save(figure, file)


def main() -> None:
    """Run the benchmark, or one part of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[10**5, 10**6], help="numbers of texts")
    parser.add_argument("--folder", type=Path, default=Path(), help="where files are written, and deleted")
    parser.add_argument("--sample", type=int, help="make the vocabulary from so many texts; all by default")
    parser.add_argument("--steps", type=int, default=500, help="measured training steps")
    parser.add_argument("--plot", type=Path, help="write a picture")
    parser.add_argument("--json", type=Path, help="write the results")
    parser.add_argument("--part", choices=["build", "train"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        print(json.dumps(measure(arguments.part, arguments.folder, arguments.sample, arguments.steps)))
        return
    rows = []
    for size in arguments.sizes:
        rows.append(run(size, arguments.folder, arguments))
        print(table(rows), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows))
    if arguments.plot:
        plot(rows, arguments.plot)


if __name__ == "__main__":
    main()
