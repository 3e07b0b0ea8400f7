"""The settings of a server, and their ranges."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, get_type_hints

from ..errors import UsageError, check_number


@dataclass(frozen=True)
class ServeSettings:
    """How a server answers, and what it refuses.

    Args:
        host: the address to listen at; the default is for this machine only.
        port: the port; 0 for one that the system chooses.
        workers: processes that answer, each with its own copy of the models.
        window_ms: milliseconds in which inputs are gathered into a batch.
        max_batch: inputs at which a batch does not wait any longer, and the batch size of the models.
        max_body: bytes of a request's body.
        max_inputs: inputs of a request.
        max_length: characters of an input, or numbers of it.
        max_output: tokens of a continuation.
        max_queue: inputs that wait, per model and worker.
        max_streams: streams open at a time, per worker.
        timeout: seconds for a body to arrive, for an answer, and for the next event of a stream.
        grace: seconds for open requests when the server is stopped.
        token: the bearer token that requests must have; none if empty.

    Raises:
        UsageError: a number is out of range.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    window_ms: float = 2.0
    max_batch: int = 64
    max_body: int = 1_048_576
    max_inputs: int = 256
    max_length: int = 10_000
    max_output: int = 1_000
    max_queue: int = 1_024
    max_streams: int = 64
    timeout: float = 30.0
    grace: float = 30.0
    token: str = ""

    def __post_init__(self) -> None:
        kinds: dict[str, Any] = get_type_hints(type(self))
        for name, (low, high) in RANGES.items():
            flag = f"--{name.replace('_', '-')}"
            value = getattr(self, name)
            if value is None:
                raise UsageError(f"{flag} must be a number")
            check_number(flag, value, low, high, kinds[name])
        if self.max_inputs > self.max_queue:
            raise UsageError(
                f"--max-inputs {self.max_inputs} is more than --max-queue {self.max_queue}: such a request "
                "could never be answered"
            )

    def __repr__(self) -> str:  # a token is never shown
        shown = [f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.name != "token"]
        return f"ServeSettings({', '.join(shown)})"


RANGES: dict[str, tuple[float, float]] = {
    "port": (0, 65_535),
    "workers": (1, 256),
    "window_ms": (0, 1_000),
    "max_batch": (1, 10_000),
    "max_body": (64, 2**30),
    "max_inputs": (1, 100_000),
    "max_length": (1, 10**8),
    "max_output": (1, 100_000),
    "max_queue": (1, 10**6),
    "max_streams": (0, 100_000),
    "timeout": (0.01, 86_400),
    "grace": (0, 86_400),
}
"""The smallest and the largest value of each number."""
