"""What the runners of all peers share. Only the standard library, for each runs in its peer's environment.

`interleaving.py` starts a runner, and both exchange lines of JSON. After the preparation (imports,
vocabulary, model, warm-up, and a short training for decoding and tagging) the runner writes
{"ready": true, "version": "3.5.1"}. To {"go": 5} it trains on 5 batches, or runs 5 sentences of the test set,
and writes {"units": 640, "unit": "pairs", "seconds": 2.1, "tokens": 18230}. To {"stop": true} it writes
{"peak_mib": 1736.0} and ends.

Only the steps are timed; batching is part of them, as in the peer's own training loop. Tokens are words,
without BOS and EOS: those of both sides in training translation, generated ones in decoding, those of the
sentences in tagging.
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

# The sizes of nlp_rnn's models. Peers use the same wherever they can.
TRANSLATION = {"embedding": 256, "hidden": 512, "layers": 2, "dropout": 0.5, "batch": 128}
TAGGING = {"embedding": 150, "hidden": 250, "character_embedding": 64, "character_hidden": 100, "batch": 32}

Turn = Callable[[int], tuple[int, int]]
"""Runs a number of steps or sentences; returns units and tokens."""

Sentence = tuple[list[str], list[str]]
"""Words and their tags."""


def parse_arguments() -> argparse.Namespace:
    """Parse the command line that `peers.build_command` builds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("job", choices=["train", "decode", "tag"])
    parser.add_argument("--data", type=Path, required=True, help="folder that `peers.write_corpus` wrote to")
    parser.add_argument("--batch", type=int, required=True, help="sentences per batch")
    parser.add_argument("--beam", type=int, default=1, help="width of the beam; 1 for greedy decoding")
    parser.add_argument("--steps", type=int, default=100, help="training steps before decoding or tagging")
    return parser.parse_args()


def serve(version: str, unit: str, run_turn: Turn) -> None:
    """Exchange messages with the benchmark until it asks to stop.

    Args:
        version: of the peer.
        unit: what is counted, such as "pairs".
        run_turn: runs one turn.
    """
    _answer(ready=True, version=version)
    for line in sys.stdin:
        request = json.loads(line)
        if request.get("stop"):
            break
        start = time.perf_counter()
        units, tokens = run_turn(request["go"])
        _answer(units=units, unit=unit, seconds=time.perf_counter() - start, tokens=tokens)
    _answer(peak_mib=_peak_mib())


def read_sentences(path: Path) -> list[Sentence]:
    """Read a file with one word, tab and tag per line, and an empty line after each sentence."""
    blocks = path.read_text(encoding="utf-8").removesuffix("\n\n").split("\n\n")
    rows = [[line.split("\t") for line in block.split("\n")] for block in blocks]
    return [([word for word, _ in row], [tag for _, tag in row]) for row in rows]


def repeat_forever(rows: list[Any]) -> Iterator[Any]:
    """Yield all rows again and again."""
    return itertools.chain.from_iterable(itertools.repeat(rows))


def _peak_mib() -> float:
    try:
        # Not ru_maxrss, which a child process inherits from its parent.
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
            2**20 if sys.platform == "darwin" else 2**10
        )


def _answer(**values: Any) -> None:
    print(json.dumps(values), file=_channel, flush=True)


# What peers print and log goes to standard error, so that only answers go to the benchmark.
_channel = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
