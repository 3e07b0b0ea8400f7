"""One text at a time in torch and in ONNX Runtime: `python scripts/onnx_speed.py MODEL... [--steps 20]`.

Both compute the same calls in this process, on one thread, in turns, so that whatever slows the machine down
affects both. Of a model with two graphs, the encoder reads the text and the decoder makes one step. Text
processing is in neither. Prints the median time of a call.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import torch

from nlp_rnn import from_pretrained
from nlp_rnn.export.onnx.checking import start_session
from nlp_rnn.export.onnx.part import Part
from nlp_rnn.export.onnx.quantizing import quantize
from nlp_rnn.export.onnx.registry import build

_WARM_UP = 10


def contestants(part: Part, steps: int) -> dict[str, Callable[[], object]]:
    """What computes one call of a part's, by name: torch, ONNX Runtime, and the latter with int8 weights."""
    arguments = part.sample(steps, 1)
    inputs, outputs = part.case(*arguments)
    arrays, names = {name: tensor.numpy() for name, tensor in inputs.items()}, list(outputs)
    sessions = [start_session(part.graph), start_session(quantize(part.graph))]
    in_torch = getattr(part.owner, part.method)
    return {
        "torch": lambda: in_torch(*arguments),
        "onnxruntime": lambda: sessions[0].run(names, arrays),
        "int8": lambda: sessions[1].run(names, arrays),
    }


@torch.inference_mode()
def milliseconds(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median time of each call, in turns."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(-_WARM_UP, rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if number >= 0:
                times[name].append(1e3 * (time.perf_counter() - start))
    return {name: median(values) for name, values in times.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each model folder and print one line per graph."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", type=Path, help="model folders")
    parser.add_argument("--steps", type=int, default=20, help="number of tokens of the text")
    parser.add_argument("--rounds", type=int, default=500, help="number of calls of each")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("model graph torch_ms onnxruntime_ms ratio int8_ms ratio")
    for folder in options.models:
        for part in build(from_pretrained(folder).model):
            with torch.inference_mode():
                calls = contestants(part, options.steps)
            torch_ms, onnx_ms, int8_ms = milliseconds(calls, options.rounds).values()
            numbers = torch_ms, onnx_ms, torch_ms / onnx_ms, int8_ms, torch_ms / int8_ms
            print(folder, part.file, *(f"{number:.3g}" for number in numbers))


if __name__ == "__main__":
    main()
