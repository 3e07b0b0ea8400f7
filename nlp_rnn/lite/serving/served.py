"""A model that is served: its answers, its streams and its continuations."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import Executor
from functools import partial
from typing import Any, Protocol, TypeVar

from ..errors import UsageError
from ..text.notices import CollectedWarnings, without_warnings
from .batching import Answered, Answers, Batcher
from .bodies import check_input, take_fields
from .metrics import Metrics
from .problems import RequestError
from .settings import ServeSettings

T = TypeVar("T")
_WORD = re.compile(r"\s*\S+\s*")
_SAMPLING = ("max_output", "temperature", "top_k", "top_p", "seed")
_DEFAULT_OUTPUT = 100  # tokens, as of `generate`


class Pipeline(Answers, Protocol):
    """What can be served: `nlp_rnn.pipeline`, with torch, or that of `nlp_rnn.lite`, without."""

    task: Any
    """With `name`, `processor` (`is_input`, `input_description`) and `check_generates`."""

    def stream(self) -> Callable[[Any], dict[str, Any]]:
        """Open a stream.

        Raises:
            UsageError: the model answers whole inputs only.
        """

    def steps(
        self,
        prompt: str = "",
        max_output: int = 100,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
    ) -> Iterator[Any]:
        """Continue a text, one `Step` at a time.

        Raises:
            UsageError: the model is no language model, or a setting is wrong.
        """


class ServedModel:
    """A pipeline under a name, and what requests may ask of it.

    Args:
        name: under which it is served.
        pipeline: answers.
        executor: where it computes, with one thread.
        metrics: count what it does.
        settings: of the server.
    """

    def __init__(
        self, name: str, pipeline: Pipeline, executor: Executor, metrics: Metrics, settings: ServeSettings
    ) -> None:
        self.name = name
        self._pipeline = pipeline
        self._executor = executor
        self._metrics = metrics
        self._settings = settings
        window = settings.window_ms / 1000
        self._batcher = Batcher(
            name, pipeline, executor, metrics, window, settings.max_batch, settings.max_queue
        )
        self.description = {
            "name": name,
            "task": pipeline.task.name,
            "input": pipeline.task.processor.input_description,
            "streams": _allowed(pipeline.stream),
            "generates": _allowed(pipeline.task.check_generates),
        }
        """What clients may know."""

    async def predict(self, inputs: list[Any], several: bool) -> Answered:
        """Answer inputs, together with those of other requests.

        Args:
            inputs: of one request.
            several: whether messages number them.

        Raises:
            RequestError: an input is too long, or the model cannot read it; or too many wait.
        """
        for number, value in enumerate(inputs):
            self._check(value, f"inputs[{number}]" if several else "input")
        try:
            return await self._batcher.submit(inputs)
        except UsageError as error:
            raise RequestError("invalid_input", str(error)) from error

    async def stream(self, value: Any) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Read an input piece by piece.

        Args:
            value: a text, whose pieces are words; or a list, whose pieces are its items.

        Yields:
            `answer` events, with the answer to all that was read so far, or, of taggers, to the piece; then
            `done`.

        Raises:
            RequestError: the model has no stream, or the input is no input of it.
        """
        try:
            stream = await self._compute(self._pipeline.stream)
        except UsageError as error:
            raise RequestError("not_supported", str(error)) from error
        self._check(value, "input")
        pieces = (_WORD.findall(value) or [value]) if isinstance(value, str) else [[item] for item in value]
        for piece in pieces:
            try:
                answer = await self._compute(stream, piece)
            except UsageError as error:
                raise RequestError("invalid_input", str(error)) from error
            self._metrics.add("events_total", 1, self.name)
            yield "answer", {"piece": piece, "answer": answer}
        yield "done", {"model": self.name, "pieces": len(pieces)}

    async def generate(self, content: Mapping[str, Any]) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Continue a text.

        Args:
            content: `prompt`, and how tokens are sampled, as in `Pipeline.steps`.

        Yields:
            `token` events, with the piece of text that each adds; then `done`, with all of the text.

        Raises:
            RequestError: the model does not continue texts, or a setting is wrong.
        """
        try:
            self._pipeline.task.check_generates()
        except UsageError as error:
            raise RequestError("not_supported", str(error)) from error
        take_fields(content, ("prompt", *_SAMPLING))
        prompt = content.get("prompt", "")
        if not isinstance(prompt, str):
            raise RequestError("invalid_request", '"prompt" must be a text')
        check_input(prompt, '"prompt"', self._settings.max_length)
        given = {name: content[name] for name in _SAMPLING if content.get(name) is not None}
        longest, noticed = self._settings.max_output, CollectedWarnings()
        given.setdefault("max_output", min(_DEFAULT_OUTPUT, longest))
        try:
            steps = await self._compute(_quietly, noticed, partial(self._pipeline.steps, prompt, **given))
            if given["max_output"] > longest:
                raise UsageError(f"max_output must be at most {longest} (--max-output)")
        except UsageError as error:
            raise RequestError("invalid_request", str(error)) from error
        text, count = "", 0
        while (step := await self._compute(_quietly, noticed, partial(_next_piece, steps))) is not None:
            text, count = text + step.piece, count + 1
            self._metrics.add("events_total", 1, self.name)
            yield "token", {"piece": step.piece, "probability": step.probability}
        warnings = {"warnings": noticed.messages()} if noticed.messages() else {}
        yield "done", {"model": self.name, "text": text, "tokens": count, **warnings}

    def _check(self, value: Any, name: str) -> None:
        check_input(value, name, self._settings.max_length)
        processor = self._pipeline.task.processor
        if not processor.is_input(value):
            raise RequestError("invalid_input", f"{name} is no {processor.input_description}: {value!a:.60}")

    async def _compute(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)


def _quietly(noticed: CollectedWarnings, function: Callable[[], T]) -> T:
    """Call a function whose warnings are counted rather than logged."""
    with without_warnings(noticed):
        return function()


def _next_piece(steps: Iterator[Any]) -> Any:
    """The next step that adds text; None at the end."""
    return next((step for step in steps if step.piece), None)


def _allowed(function: Callable[[], Any]) -> bool:
    try:
        function()
    except UsageError:
        return False
    return True
