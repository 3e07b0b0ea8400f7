"""Every backend and export of a model in one table: `python scripts/backends.py MODEL TEXTS [--rounds 3]`.

MODEL is a model folder, and TEXTS a file with a text per line. Each backend is a process that answers a line
by a line, and all of them take turns. Printed as a table of Markdown:

- shipped: MB of what must be installed or copied, the model included, but not Python, node or a browser
- first answer: seconds from the start of the process to its first answer
- memory: most MiB that the process ever had
- alone, in bulk: milliseconds per text, one at a time and all at once, with all of the text processing; C
  programs and pages answer one at a time only
- difference: the largest of any number in an answer from that of torch, where the answers are the same
- same: how many answers are the same as torch's

All times are those of the processor on one core, so that others on the machine change them little; medians.
Linux only; C needs `cc`, the page `node`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.backend_processes import (
    ROOT,
    Backend,
    Running,
    c_backend,
    installed_size,
    package_requirements,
    page_backend,
    python_backend,
    tree_size,
)

_HEAD = "shipped, MB | first answer, s | memory, MiB | alone, ms | in bulk, ms | difference | same"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure one model folder and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="model folder")
    parser.add_argument("texts", type=Path, help="file with a text per line")
    parser.add_argument("--rounds", type=int, default=3, help="how many times all texts are answered")
    options = parser.parse_args(arguments)
    texts = options.texts.read_text(encoding="utf-8").splitlines()
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})  # of the processes too
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        stack.callback(os.sched_setaffinity, 0, cores)
        backends = list(make_backends(options.model.resolve(), options.texts.resolve(), Path(name)))
        print(f"| {options.model} | {_HEAD} |", "| --- " * 8 + "|", sep="\n")
        for row in table(backends, texts, options.rounds):
            print(f"| {' | '.join(row)} |", flush=True)


def make_backends(model: Path, texts: Path, folder: Path) -> Iterator[Backend]:
    """All backends that a model has; why another one has not is said on standard error.

    Args:
        model: the model folder.
        texts: the file with all texts.
        folder: an empty one, to write exports to.
    """
    task = str(json.loads((model / "config.json").read_text(encoding="utf-8"))["task"])
    package = tree_size([ROOT / "nlp_rnn"])
    lite = tree_size([ROOT / "nlp_rnn" / "lite"])
    whole = installed_size(package_requirements()) + package
    small = installed_size(["numpy"], with_requirements=False) + lite
    with_onnx = small + installed_size(["onnxruntime"]) - installed_size(["numpy"])
    path = folder / "lite"  # as its own wheel has it, so that nothing else can be imported
    shutil.copytree(ROOT / "nlp_rnn" / "lite", path / "nlp_rnn_lite")
    page = folder / "page.html"

    def lite_backend(name: str, size: int, written: Path, *options: str) -> Backend:
        return python_backend(name, "nlp_rnn_lite", task, written, texts, size, path, *options)

    def export(kind: str, name: str, **options: bool) -> Path:
        from nlp_rnn.export.formats import FORMATS

        FORMATS[kind].writer()(model, folder / name, **options)
        return folder / name

    def quantized() -> Path:
        from nlp_rnn import from_pretrained, save_pretrained
        from nlp_rnn.models.layers.quantization import quantize

        loaded = from_pretrained(model)
        quantize(loaded.model)
        return save_pretrained(loaded, folder / "int8")

    makers: list[Callable[[], Backend]] = [
        lambda: python_backend("torch", "nlp_rnn", task, model, texts, whole),
        lambda: python_backend("torch, int8", "nlp_rnn", task, quantized(), texts, whole),
        lambda: lite_backend("NumPy", small, model),
        lambda: lite_backend("NumPy, int8", small, folder / "int8"),
        lambda: lite_backend("ONNX Runtime", with_onnx, export("onnx", "onnx"), "engine=onnx"),
        lambda: lite_backend(
            "ONNX Runtime, int8", with_onnx, export("onnx", "onnx8", int8=True), "engine=onnx"
        ),
        lambda: c_backend("C", export("c", "model.c")),
        lambda: c_backend("C, int8", export("c", "model8.c", int8=True)),
        lambda: page_backend("HTML, int8", export("html", page.name)),
    ]
    from nlp_rnn.errors import UsageError

    for make in makers:
        try:
            yield make()
        except (UsageError, OSError) as error:
            print(f"left out: {error}", file=sys.stderr)


def table(backends: Sequence[Backend], texts: Sequence[str], rounds: int) -> Iterator[list[str]]:
    """The cells of each backend's row."""
    starts = [[first_answer(backend, texts[0]) for _ in range(rounds)] for backend in backends]
    running = [Running(backend) for backend in backends]
    for process in running:  # the first answers are slow
        for text in texts[:20]:
            process.ask(text)
    answers: list[list[str]] = [[]] * len(running)
    for _ in range(rounds):
        answers = [process.measure(texts) for process in running]
    expected = [json.loads(answer) for answer in answers[0]]
    for process, start, given in zip(running, starts, answers, strict=True):
        pairs = list(zip(expected, map(read_answer, given), strict=True))
        same = [pair for pair in pairs if brief(pair[0]) == brief(pair[1])]
        differences = [gap for pair in same for gap in gaps(*pair)]
        cells = [
            process.backend.name,
            f"{process.backend.size / 1e6:.3g}",
            f"{median(seconds for seconds, _ in start):.2g}",
            f"{median(memory for _, memory in start) / 2**20:.3g}",
            f"{median(process.alone):.3g}",
            f"{median(process.bulk):.3g}" if process.bulk else "",
            f"{max(differences):.1g}" if differences else "",
            f"{len(same)} of {len(pairs)}",
        ]
        yield cells
        process.end()


def first_answer(backend: Backend, text: str) -> tuple[float, int]:
    """Seconds and bytes that a new process takes to its first answer."""
    process = Running(backend)
    process.ask(text)
    measured = process.cpu_seconds(), process.peak_memory()
    process.end()
    return measured


def read_answer(line: str) -> Any:
    """An answer in JSON, or the plain text that a C program prints."""
    return json.loads(line) if line.startswith("{") else line


def brief(answer: Any) -> str:
    """An answer as the command line prints it."""
    if isinstance(answer, str):
        return answer
    if "tags" in answer:
        return " ".join(f"{word}/{tag}" for word, tag in zip(answer["words"], answer["tags"], strict=True))
    return str(answer["label"] if "label" in answer else answer["text"])


def gaps(one: Any, other: Any) -> Iterator[float]:
    """The differences of the numbers of two answers, where both have them."""
    if isinstance(one, dict) and isinstance(other, dict):
        one, other = ([value[name] for name in sorted({*one} & {*other})] for value in (one, other))
    if isinstance(one, list) and isinstance(other, list):
        for left, right in zip(one, other, strict=False):
            yield from gaps(left, right)
    elif isinstance(one, (int, float)) and isinstance(other, (int, float)):
        yield abs(one - other)


if __name__ == "__main__":
    main()
