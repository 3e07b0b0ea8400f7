"""One text at a time in torch and as a C program: `python scripts/c_speed.py MODEL TEXTS [--int8]`.

The program answers all lines of TEXTS, with reading, splitting and printing; torch answers them one by one
with `pipeline`. Both use one thread and run in turns. Prints the median time per text, and the size of the
program. Needs a C compiler, `cc`.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import torch

from nlp_rnn import from_pretrained
from nlp_rnn.export.c.writing import export
from nlp_rnn.inference.pipelines import Pipeline

_FLAGS = ["-std=c99", "-O3", "-march=native", "-DNLP_MAIN"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure a model folder and print one line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="model folder")
    parser.add_argument("texts", type=Path, help="file with a text per line")
    parser.add_argument("--int8", action="store_true", help="int8 weights in the C program")
    parser.add_argument("--rounds", type=int, default=5, help="how many times all texts are answered")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    answer = Pipeline(from_pretrained(options.model))
    text = options.texts.read_bytes()
    lines = text.decode().splitlines()
    times: dict[str, list[float]] = {"torch": [], "C": []}
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "model.c"), Path(folder, "answer")
        export(options.model, source, int8=options.int8)
        subprocess.run(["cc", *_FLAGS, str(source), "-lm", "-o", str(program)], check=True)
        for _ in range(options.rounds):
            start = time.perf_counter()
            subprocess.run([program], input=text, check=True, capture_output=True)
            times["C"].append(1e3 * (time.perf_counter() - start) / len(lines))
            start = time.perf_counter()
            for line in lines:
                answer(line)
            times["torch"].append(1e3 * (time.perf_counter() - start) / len(lines))
        size = program.stat().st_size
    torch_time, c_time = median(times["torch"]), median(times["C"])
    print(
        f"{options.model}: torch {torch_time:.3f} ms, C {c_time:.3f} ms, ratio {torch_time / c_time:.1f}, "
        f"program {size:,} bytes"
    )


if __name__ == "__main__":
    main()
