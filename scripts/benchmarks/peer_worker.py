"""What the runners of all peers share; standard library alone, as each runs in its peer's own environment.

A runner is started by `arena.py` and speaks lines of JSON. After set-up (imports, vocabulary, model, warm-up,
and for decoding and tagging a short training) it writes {"ready": true, "version": "3.5.1"}. It answers
{"go": 5} by training 5 batches, or running 5 sentences of the test set, and writing
{"units": 640, "unit": "pairs", "seconds": 2.1, "tokens": 18230}; {"stop": true} ends it with
{"peak_mib": 1736.0}. Only the steps are timed; batching the data is part of them, as it is in the peer's own
loop. Tokens are words without marks of beginning and end: of both sides in training a translator, those
written in decoding, those of the sentences in tagging.
"""

import argparse
import itertools
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# The sizes of our own models, which a peer's are to have where it can.
TRANSLATION = {"embedding": 256, "hidden": 512, "layers": 2, "dropout": 0.5, "batch": 128}
TAGGING = {"embedding": 150, "hidden": 250, "letter_embedding": 64, "letter_hidden": 100, "batch": 32}

Go = Callable[[int], tuple[int, int]]
"""Runs so many steps or sentences -> (units, tokens)."""

Sentence = tuple[list[str], list[str]]
"""Words and their tags."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("job", choices=["train", "decode", "tag"])
    parser.add_argument("--data", type=Path, required=True, help="folder as `peers.prepare` writes it")
    parser.add_argument("--batch", type=int, required=True, help="sentences in a batch")
    parser.add_argument("--beam", type=int, default=1)
    parser.add_argument("--steps", type=int, default=100, help="training before decoding or tagging")
    return parser.parse_args()


def serve(version: str, unit: str, go: Go) -> None:
    _answer(ready=True, version=version)
    for line in sys.stdin:
        request = json.loads(line)
        if request.get("stop"):
            break
        start = time.perf_counter()
        units, tokens = go(request["go"])
        _answer(units=units, unit=unit, seconds=time.perf_counter() - start, tokens=tokens)
    _answer(peak_mib=_peak_mib())


def read_sentences(path: Path) -> list[Sentence]:
    """The sentences of a file with a word, a tab and its tag a line, and a blank line after each."""
    blocks = path.read_text(encoding="utf-8").removesuffix("\n\n").split("\n\n")
    rows = [[line.split("\t") for line in block.split("\n")] for block in blocks]
    return [([word for word, _ in row], [tag for _, tag in row]) for row in rows]


def repeated(rows: list[Any]) -> Iterator[Any]:
    """All rows, over and over."""
    return itertools.chain.from_iterable(itertools.repeat(rows))


def _peak_mib() -> float:
    try:
        # Not ru_maxrss, which a process inherits from whoever started it.
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
            2**20 if sys.platform == "darwin" else 2**10
        )


def _answer(**values: Any) -> None:
    print(json.dumps(values), file=_channel, flush=True)


# Peers print and log to standard output: what they write goes to standard error, the answers alone where
# they are awaited.
_channel = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
