"""Micro-batching: inputs of several requests are answered together, each as it would be alone."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, NamedTuple, Protocol

from ..text.notices import without_warnings
from .metrics import Metrics
from .problems import RequestError

_LONGEST_RETRY = 60  # seconds


class Answers(Protocol):
    """What answers inputs: a pipeline."""

    def iterate(self, inputs: Iterable[Any]) -> Iterator[dict[str, Any]]:
        """Answer inputs, in order."""


class Answered(NamedTuple):
    """The answers to one request."""

    answers: list[dict[str, Any]]
    warnings: list[str]
    """What a user would be warned of, such as texts that were cut."""


@dataclass(eq=False)
class _Job:
    inputs: list[Any]
    future: asyncio.Future[Answered]
    arrived: float = field(default_factory=time.monotonic)


def answer_requests(answerer: Answers, requests: Sequence[list[Any]]) -> list[Answered | Exception]:
    """Answer the inputs of several requests together.

    If anything is wrong with one of them, or a user is to be warned of something, each is answered alone.

    Args:
        answerer: a pipeline.
        requests: the inputs of each.

    Returns:
        The answers to each request, or the error that it alone has made.
    """
    try:
        with without_warnings() as noticed:
            answers = answerer.iterate(list(chain.from_iterable(requests)))
            parts = [list(islice(answers, len(inputs))) for inputs in requests]
    except Exception as error:
        if len(requests) == 1:
            return [error]
    else:
        warnings = noticed.truncations()
        if len(requests) == 1 or not warnings:
            return [Answered(part, warnings) for part in parts]
    return [answer_requests(answerer, [inputs])[0] for inputs in requests]


class Batcher:
    """Gathers the inputs that arrive within a short time, and answers them in one batch.

    Args:
        name: of the model.
        answerer: its pipeline.
        executor: where it computes, one batch at a time.
        metrics: count inputs and batches.
        window: seconds in which inputs are gathered, from the arrival of the first.
        max_batch: inputs at which a batch does not wait any longer.
        max_queue: inputs that may wait.
    """

    def __init__(
        self,
        name: str,
        answerer: Answers,
        executor: Executor,
        metrics: Metrics,
        window: float,
        max_batch: int,
        max_queue: int,
    ) -> None:
        self._name = name
        self._answerer = answerer
        self._executor = executor
        self._metrics = metrics
        self._window = window
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._waiting: deque[_Job] = deque()
        self._queued = 0  # inputs in it
        self._seconds = 0.0  # of computing, per input, lately
        self._full = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def submit(self, inputs: list[Any]) -> Answered:
        """Answer the inputs of a request. Cancelled while they wait, they are not computed.

        Raises:
            RequestError: too many inputs wait already.
            Exception: what the pipeline raises for them.
        """
        if not inputs:
            return Answered([], [])
        if self._queued + len(inputs) > self._max_queue:
            wait = min(_LONGEST_RETRY, max(1, math.ceil(self._queued * self._seconds)))
            message = f"{self._queued:,} inputs wait; at most {self._max_queue:,}: try again in {wait} s"
            raise RequestError("queue_full", message, {"Retry-After": str(wait)})
        job = _Job(inputs, asyncio.get_running_loop().create_future())
        self._waiting.append(job)
        self._count(len(inputs))
        if self._queued >= self._max_batch:
            self._full.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        try:
            return await job.future
        finally:
            if job.future.cancelled() and job in self._waiting:
                self._waiting.remove(job)
                self._count(-len(inputs))

    def _count(self, number: int) -> None:
        self._queued += number
        self._metrics.add("queued_inputs", number, self._name)

    async def _run(self) -> None:
        """Answer until nothing waits."""
        try:
            while self._waiting:
                await self._gather()
                if jobs := self._take():
                    await self._answer(jobs)
        finally:
            self._task = None

    async def _gather(self) -> None:
        """Wait until the window of the first input is over, or a batch is full."""
        self._full = asyncio.Event()
        rest = self._waiting[0].arrived + self._window - time.monotonic()
        if rest > 0 and self._queued < self._max_batch:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), rest)

    def _take(self) -> list[_Job]:
        jobs: list[_Job] = []
        size = 0
        while self._waiting and (not jobs or size + len(self._waiting[0].inputs) <= self._max_batch):
            job = self._waiting.popleft()
            self._count(-len(job.inputs))
            if not job.future.done():
                jobs.append(job)
                size += len(job.inputs)
        return jobs

    async def _answer(self, jobs: list[_Job]) -> None:
        started = time.monotonic()
        results: Sequence[Answered | BaseException]
        try:
            requests = [job.inputs for job in jobs]
            loop = asyncio.get_running_loop()
            results = await loop.run_in_executor(self._executor, answer_requests, self._answerer, requests)
        except BaseException as error:
            results = [error] * len(jobs)
            if not isinstance(error, Exception):  # the server ends
                raise
        finally:
            seconds = time.monotonic() - started
            size = sum(len(job.inputs) for job in jobs)
            self._seconds = 0.8 * self._seconds + 0.2 * seconds / size
            for job, result in zip(jobs, results, strict=True):
                if job.future.done():
                    continue
                if isinstance(result, BaseException):
                    job.future.set_exception(result)
                else:
                    job.future.set_result(result)
        self._metrics.add("batches_total", 1, self._name)
        self._metrics.add("inputs_total", size, self._name)
        self._metrics.add("compute_seconds_total", seconds, self._name)
