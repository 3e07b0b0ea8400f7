"""A contestant: it makes itself ready, then runs when it is told to, as often as it is told to.

Both ends speak lines of JSON. The worker says `{"ready": true, ...}` once; to each `{"go": n}` it runs n
steps (or sentences, or passes: what it likes to count) and says `{"units": ..., "unit": "pairs", "seconds":
...}`; to `{"stop": true}` it says `{"peak_mib": ...}` and ends. While it waits it reads, and costs nothing.
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

from benchmarks.given import Given


class Caller:
    """The worker's end of the conversation.

    Args:
        orders: where the other end's lines come from.
        answers: where ours go.
        profile: file for a trace of what is run, if one is wanted.
    """

    def __init__(self, orders: TextIO, answers: TextIO, profile: str | None = None) -> None:
        self._orders = orders
        self._answers = answers
        self._profile = profile

    def _say(self, message: dict[str, Any]) -> None:
        self._answers.write(json.dumps(message) + "\n")
        self._answers.flush()

    def rounds(self, **facts: Any) -> Iterator[int]:
        """Say that all is ready, with facts about oneself; then yield how much to run, until told to stop."""
        self._say({"ready": True, **facts})
        for line in self._orders:
            order = json.loads(line)
            if "stop" in order:
                break
            yield order["go"]
        self._say(peak())

    def close(self) -> None:
        self._answers.close()

    def watch(self, device: str = "cpu") -> Watch:
        """Start to measure."""
        return Watch(device, self._profile)

    def report(self, unit: str, units: float, seconds: float, **others: Any) -> None:
        """What one round came to."""
        self._say({"unit": unit, "units": units, "seconds": seconds, **others})

    @contextmanager
    def measured(self, unit: str, device: str = "cpu") -> Iterator[dict[str, Any]]:
        """Time what runs within and report it: the caller fills in `units`, and what else there is to say."""
        found: dict[str, Any] = {}
        watch = self.watch(device)
        yield found
        self.report(unit, found.pop("units"), watch.stop(), **found)


class Watch:
    """Seconds from here to `stop`, the device's work included; with a profile, a Chrome trace of them."""

    def __init__(self, device: str = "cpu", profile: str | None = None) -> None:
        self._device = device
        self._profile = profile
        if profile:
            import torch

            self._trace = torch.profiler.profile()
            self._trace.start()
        self._wait()
        self._start = time.perf_counter()

    def _wait(self) -> None:
        if self._device == "cuda":
            import torch

            torch.cuda.synchronize()

    def stop(self) -> float:
        self._wait()
        seconds = time.perf_counter() - self._start
        if self._profile:
            self._trace.stop()
            self._trace.export_chrome_trace(self._profile)
        return seconds


def peak() -> dict[str, float]:
    """The most memory that this process has held, in MiB; on the graphics card too, if it used one."""
    found = {"peak_mib": resident("VmHWM")}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        found["peak_device_mib"] = torch.cuda.max_memory_allocated() / 2**20
    return found


def resident(what: str) -> float:
    """VmHWM, the peak, or VmRSS, the present, of this process in MiB."""
    try:
        # Not ru_maxrss, which a child inherits from whoever started it.
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) / 1024 for line in status if line.startswith(f"{what}:"))
    except OSError:
        scale = 2**20 if sys.platform == "darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def work(contestant: str, given: Given, options: dict[str, Any], caller: Caller) -> None:
    """Be the contestant `module:function`, called as `function(given, caller, **options)`."""
    module, function = contestant.split(":")
    getattr(import_module(f"benchmarks.{module}"), function)(given, caller, **options)


def main() -> None:
    contestant, given, options = sys.argv[1:]
    # Libraries that print must not break into the conversation.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from nlp_rnn.cli.console import quiet

    quiet()
    settings = json.loads(options)
    caller = Caller(sys.stdin, answers, settings.pop("profile", None))
    work(contestant, Given.from_json(given), settings, caller)


if __name__ == "__main__":
    main()
