"""Load test of `nlp-rnn serve` on loopback: many clients at once, some of them bad, slow or gone.

    python scripts/load.py torch=FOLDER numpy=FOLDER --seconds 30

Each server is started with one model, of a task that reads texts, and answers the same requests. Every answer
is compared with that of the pipeline in this process, so that an answer that is lost, wrong or another
client's is found; the exit code is then 1. Clients and server share the processor cores of one machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nlp_rnn.cli.serve import load_pipeline
from nlp_rnn.errors import RunError, UsageError

PREDICT = "/v1/models/m/predict"
TEXTS = 400  # different ones
LONGEST = 120  # words
WORDS = (
    "a",
    "the",
    "film",
    "food",
    "was",
    "is",
    "not",
    "good",
    "bad",
    "very",
    "but",
    "and",
    "waiter",
    "dull",
)
TIMEOUT = 10.0  # seconds, of the server
TOLERANCE = 1e-4  # of numbers in answers
LONG = {"input": "a " * 6_000}
# What a tenth of the requests are: address, body, status.
BAD: list[tuple[str, bytes, int]] = [
    (PREDICT, b'{"input": ', 400),
    (PREDICT, b'{"input": NaN}', 400),
    (PREDICT, b"\xff\xfe", 400),
    (PREDICT, b'{"input": 3}', 422),
    (PREDICT, b'{"input": "\\ud800"}', 422),
    (PREDICT, b'{"text": "a"}', 422),
    (PREDICT, json.dumps(LONG).encode(), 422),
    (PREDICT, b'{"input": "' + b"a" * 1_100_000 + b'"}', 413),
    ("/v1/models/none/predict", b'{"input": "a"}', 404),
]
EXPECTED = {
    *("good", "bad, refused", "slow, as expected", "left", "exit code 143"),
    *("at the end: answered", "at the end: not connected any more"),
}
"""What may happen; everything else is a fault of the server."""


@dataclass
class Outcome:
    """What the clients of one server saw."""

    seconds: list[float] = field(default_factory=list)
    """Of each answer to a good request."""
    counts: Counter[str] = field(default_factory=Counter)
    memory: list[float] = field(default_factory=list)
    """MiB of the server's processes, each second."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Of the server, those of its model."""


class Connection:
    """A connection that is kept open for one request after another."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, path: str, body: bytes) -> tuple[int, Any]:
        """The status of a response, and its JSON."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(_request(path, len(body)) + body)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = re.search(r"content-length: (\d+)", head)
        assert length is not None
        content = json.loads(await reader.readexactly(int(length[1])))
        if "connection: close" in head:
            self.close()
        return int(head.split(" ", 2)[1]), content

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def _request(path: str, length: int) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: m\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {length}\r\n\r\n".encode()


async def good_client(port: int, texts: dict[str, Any], seed: int, end: float, outcome: Outcome) -> None:
    """Ask one thing after another; a tenth of it is wrong."""
    drawn = random.Random(seed)
    connection = Connection(port)
    known = list(texts)
    while time.monotonic() < end:
        try:
            if drawn.random() < 0.1:
                path, body, wanted = drawn.choice(BAD)
                status, content = await connection.ask(path, body)
                is_right = status == wanted == content["error"]["status"]
                outcome.counts["bad, refused" if is_right else "bad, wrong status"] += 1
                continue
            several = drawn.random() < 0.1
            chosen = drawn.sample(known, drawn.randint(2, 8)) if several else [drawn.choice(known)]
            asked = {"inputs": chosen} if several else {"input": chosen[0]}
            started = time.perf_counter()
            status, content = await connection.ask(PREDICT, json.dumps(asked).encode())
            outcome.seconds.append(time.perf_counter() - started)
            answers = content.get("answers", [content.get("answer")])
            is_right = status == 200 and len(answers) == len(chosen)
            is_right = is_right and all(map(_same, answers, (texts[text] for text in chosen)))
            outcome.counts["good" if is_right else f"good, wrong answer ({status})"] += 1
        except (OSError, EOFError, asyncio.IncompleteReadError) as error:
            outcome.counts[f"lost ({type(error).__name__})"] += 1
            connection.close()
    connection.close()


def _same(answer: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return set(answer) == set(wanted) and all(_same(answer[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        return len(answer) == len(wanted) and all(map(_same, answer, wanted))
    if isinstance(wanted, float):
        difference: float = abs(answer - wanted)
        return difference <= TOLERANCE * max(1, abs(wanted))
    return bool(answer == wanted)


async def slow_client(port: int, end: float, outcome: Outcome) -> None:
    """Send bodies byte by byte, in turns such that end in time and such that do not."""
    body = b'{"input": "slow"}'
    while time.monotonic() < end:
        for pause in (0.05, TIMEOUT / 4):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            response = asyncio.create_task(reader.read(1_000))
            writer.write(_request(PREDICT, len(body)))
            for byte in body:
                writer.write(bytes([byte]))
                await asyncio.sleep(pause)
                if response.done() or time.monotonic() > end:
                    break
            with suppress(TimeoutError, OSError):
                await asyncio.wait_for(response, TIMEOUT)
            head = b"" if response.cancelled() or response.exception() else response.result()
            wanted = b" 200 " if pause < 1 else b" 408 "
            if time.monotonic() < end:
                outcome.counts["slow, as expected" if wanted in head[:20] else "slow, other"] += 1
            writer.close()


async def leaving_client(port: int, texts: list[str], seed: int, end: float, outcome: Outcome) -> None:
    """Ask, and close the connection before the answer."""
    drawn = random.Random(seed)
    while time.monotonic() < end:
        body = json.dumps({"input": drawn.choice(texts)}).encode()
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        sent = _request(PREDICT, len(body)) + body
        writer.write(sent[: drawn.randint(1, len(sent))] if drawn.random() < 0.3 else sent)
        await asyncio.sleep(drawn.random() * 0.01)
        writer.close()
        outcome.counts["left"] += 1
        await asyncio.sleep(0.02)


async def watch(process: int, end: float, outcome: Outcome) -> None:
    """Measure the memory of a process and its children each second."""
    while time.monotonic() < end:
        outcome.memory.append(sum(_memory(pid) for pid in _family(process)))
        await asyncio.sleep(1)


async def _metrics(port: int) -> dict[str, float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n")
    text = (await reader.read()).decode()
    writer.close()
    return {name: float(value) for name, value in re.findall(r'nlp_rnn_(\w+){model="m"} (\S+)', text)}


def _family(process: int) -> Iterator[int]:
    yield process
    with suppress(OSError):
        for child in Path(f"/proc/{process}/task/{process}/children").read_text().split():
            yield from _family(int(child))


def _memory(process: int) -> float:
    with suppress(OSError):
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0
    return 0.0


@contextmanager
def serving(backend: str, folder: str, workers: int) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server, and its port.

    Raises:
        RunError: it does not start.
    """
    command = [sys.executable, "-m", "nlp_rnn", "serve", f"m={folder}", "--backend", backend, "--port", "0"]
    command += ["--timeout", str(TIMEOUT), "--workers", str(workers)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r":(\d+)$", process.stdout.readline())
        if found is None:
            raise RunError(f"the server of {folder} has not started")
        yield process, int(found[1])
    finally:
        process.kill()
        process.wait()


async def load(
    process: subprocess.Popen[str], port: int, texts: dict[str, Any], options: argparse.Namespace
) -> Outcome:
    """Let all clients ask until the time is over, and once more amid which the server is stopped."""
    outcome = Outcome()
    end = time.monotonic() + options.seconds
    seeds = range(options.seed, options.seed + options.clients)
    await asyncio.gather(
        *(good_client(port, texts, seed, end, outcome) for seed in seeds),
        *(leaving_client(port, list(texts), seed, end, outcome) for seed in seeds[:4]),
        slow_client(port, end, outcome),
        watch(process.pid, end, outcome),
    )
    outcome.metrics = await _metrics(port)
    body = json.dumps({"input": next(iter(texts))}).encode()
    connections = [Connection(port) for _ in range(options.clients)]
    open_requests = [asyncio.create_task(connection.ask(PREDICT, body)) for connection in connections]
    await asyncio.sleep(0.001 * options.clients)
    process.send_signal(signal.SIGTERM)
    for found in await asyncio.gather(*open_requests, return_exceptions=True):
        is_refused = isinstance(found, ConnectionError)
        is_answered = not isinstance(found, BaseException) and found[0] == 200
        kind = "answered" if is_answered else "not connected any more" if is_refused else repr(found)
        outcome.counts[f"at the end: {kind}"] += 1
    code = await asyncio.to_thread(process.wait, 60)
    outcome.counts[f"exit code {code}"] += 1
    return outcome


def make_texts(seed: int) -> list[str]:
    """Different texts of 0 to `LONGEST` words, most of them short."""
    drawn = random.Random(seed)
    lengths = [0, *(min(LONGEST, 1 + int(drawn.expovariate(1 / 15))) for _ in range(TEXTS - 1))]
    return list(dict.fromkeys(" ".join(drawn.choices(WORDS, k=length)) for length in lengths))


def report(backend: str, outcome: Outcome, seconds: float) -> dict[str, Any]:
    """What is printed of one server."""
    times = sorted(outcome.seconds)
    answered = outcome.counts["good"] + outcome.counts["bad, refused"]
    warm = outcome.memory[len(outcome.memory) // 10 :]
    return {
        "backend": backend,
        "requests_per_second": round(answered / seconds, 1),
        "p50_ms": round(1000 * statistics.median(times), 1),
        "p99_ms": round(1000 * times[int(0.99 * (len(times) - 1))], 1),
        "inputs_per_batch": round(outcome.metrics["inputs_total"] / outcome.metrics["batches_total"], 1),
        "computing": round(outcome.metrics["compute_seconds_total"] / seconds, 2),
        "memory_mib": {
            "after_a_tenth": round(warm[0], 1),
            "last": round(warm[-1], 1),
            "largest": round(max(outcome.memory), 1),
        },
        "counts": dict(sorted(outcome.counts.items())),
    }


def main(arguments: list[str] | None = None) -> None:
    """Start each server, and print what its clients saw."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "servers", nargs="+", metavar="BACKEND=FOLDER", help="such as torch=runs/x/latest/model"
    )
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=30.0, help="at most 3600")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if not (1 <= options.clients <= 1_000 and 1 <= options.seconds <= 3_600):
        raise UsageError("--clients is between 1 and 1000, --seconds between 1 and 3600")
    for server in options.servers:
        backend, _, folder = server.partition("=")
        pipeline = load_pipeline(folder, "numpy" if backend == "torch" else backend, 64)
        texts = make_texts(options.seed)
        wanted = dict(zip(texts, pipeline.iterate(texts), strict=True))
        with serving(backend, folder, options.workers) as (process, port):
            outcome = asyncio.run(load(process, port, wanted, options))
        print(json.dumps(report(backend, outcome, options.seconds)), flush=True)
        if unexpected := sorted(set(outcome.counts) - EXPECTED):
            raise SystemExit(f"unexpected: {', '.join(unexpected)}")


if __name__ == "__main__":
    main()
