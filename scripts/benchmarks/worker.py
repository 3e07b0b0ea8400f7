"""The contestant's side: prepare, then run whenever the benchmark asks.

Both sides exchange lines of JSON. The worker first writes `{"ready": true, ...}`. To each `{"go": n}` it runs
n steps (or sentences, or passes: the contestant decides what it counts) and writes `{"units": ..., "unit":
"pairs", "seconds": ...}`. To `{"stop": true}` it writes `{"peak_mib": ...}` and ends. Between turns it waits
for the next line and uses no processor time.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TextIO

from benchmarks.options import Options


class Channel:
    """The worker's end of the conversation.

    Args:
        requests: the stream that the benchmark's lines are read from.
        answers: the stream that the worker's lines are written to.
        profile: file for a trace of what runs, or None.
    """

    def __init__(self, requests: TextIO, answers: TextIO, profile: str | None = None) -> None:
        self._requests = requests
        self._answers = answers
        self._profile = profile

    def _write(self, message: dict[str, Any]) -> None:
        self._answers.write(json.dumps(message) + "\n")
        self._answers.flush()

    def rounds(self, facts: dict[str, Any] | None = None) -> Iterator[int]:
        """Tell the benchmark that the contestant is ready, then yield how much to run until told to stop.

        Args:
            facts: what the contestant says about itself; they go into the report.
        """
        self._write({"ready": True, **(facts or {})})
        for line in self._requests:
            request = json.loads(line)
            if "stop" in request:
                break
            yield request["go"]
        self._write(peak_memory())

    def close(self) -> None:
        """Close the stream of answers."""
        self._answers.close()

    def start_timer(self, device: str = "cpu") -> Timer:
        """Start to measure."""
        return Timer(device, self._profile)

    def report(self, unit: str, units: float, seconds: float, details: dict[str, Any] | None = None) -> None:
        """Write the measurement of one round.

        Args:
            unit: what is counted, such as "pairs".
            units: how many of them were processed.
            seconds: in how many seconds.
            details: other values of the round, such as the number of tokens.
        """
        self._write({"unit": unit, "units": units, "seconds": seconds, **(details or {})})

    @contextmanager
    def timed(self, unit: str, device: str = "cpu") -> Iterator[dict[str, Any]]:
        """Measure the block and report it. The block sets `units`, and other values, in the yielded dict."""
        values: dict[str, Any] = {}
        timer = self.start_timer(device)
        yield values
        self.report(unit, values.pop("units"), timer.stop(), values)


class Timer:
    """Seconds from its creation to `stop`, with all work that was started on the device.

    Args:
        device: cpu or cuda.
        profile: file for a Chrome trace of what runs meanwhile, or None.
    """

    def __init__(self, device: str = "cpu", profile: str | None = None) -> None:
        self._device = device
        self._profile = profile
        if profile:
            import torch

            self._trace = torch.profiler.profile()
            self._trace.start()
        self._synchronize()
        self._start = time.perf_counter()

    def _synchronize(self) -> None:
        if self._device == "cuda":
            import torch

            torch.cuda.synchronize()

    def stop(self) -> float:
        """Return the seconds, and write the trace."""
        self._synchronize()
        seconds = time.perf_counter() - self._start
        if self._profile:
            self._trace.stop()
            self._trace.export_chrome_trace(self._profile)
        return seconds


def peak_memory() -> dict[str, float]:
    """Peak memory of this process in MiB, and of the GPU if the process used one."""
    peaks = {"peak_mib": process_memory("VmHWM")}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        peaks["peak_device_mib"] = torch.cuda.max_memory_allocated() / 2**20
    return peaks


def process_memory(field: str) -> float:
    """Memory of this process in MiB: `VmHWM` for the peak, `VmRSS` for the present."""
    try:
        # Not ru_maxrss, which a child process inherits from its parent.
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) / 1024 for line in status if line.startswith(f"{field}:"))
    except OSError:
        scale = 2**20 if sys.platform == "darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def run_contestant(function: str, options: Options, arguments: dict[str, Any], channel: Channel) -> None:
    """Call `module:function` of this folder as `function(options, channel, **arguments)`."""
    module, name = function.split(":")
    getattr(import_module(f"benchmarks.{module}"), name)(options, channel, **arguments)


def main() -> None:
    """Run the contestant that the command line names."""
    function, options, arguments_json = sys.argv[1:]
    # What libraries print goes to standard error, so that only answers go to the benchmark.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from nlp_rnn.cli.console import quiet

    quiet()
    arguments = json.loads(arguments_json)
    channel = Channel(sys.stdin, answers, arguments.pop("profile", None))
    run_contestant(function, Options.from_json(options), arguments, channel)


if __name__ == "__main__":
    main()
