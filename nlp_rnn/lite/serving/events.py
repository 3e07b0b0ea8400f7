"""Server-sent events: a response that goes on.

The format is that of https://html.spec.whatwg.org/multipage/server-sent-events.html.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, NoReturn

from starlette.responses import Response

from .problems import ClientGoneError, RequestError, to_json
from .waiting import unless_gone, within

logger = logging.getLogger(__name__)

Event = tuple[str, dict[str, Any]]
_HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no")]


async def next_event(events: AsyncIterator[Event], gone: asyncio.Future[Any], timeout: float) -> Event | None:
    """The next event; None at the end.

    Raises:
        ClientGoneError: the connection was closed first.
        RequestError: it took too long, or what the events raise.
    """

    async def advance() -> Event | None:
        return await anext(events, None)

    return await unless_gone(advance(), gone, timeout, too_late)


class EventResponse(Response):
    """A response of events.

    Args:
        first: the first event, which is there already: what goes wrong before it has a status of its own.
        events: the others.
        gone: done when the connection is closed.
        timeout: seconds for each event to be computed, and to be taken by the client.
        closed: called at the end, whatever ends it.
    """

    def __init__(
        self,
        first: Event | None,
        events: AsyncIterator[Event],
        gone: asyncio.Future[Any],
        timeout: float,
        closed: Callable[[], None],
    ) -> None:
        super().__init__()
        self._first = first
        self._events = events
        self._gone = gone
        self._timeout = timeout
        self._closed = closed

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send the events; what goes wrong after the first one is an event too, `error`."""
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            event = self._first
            while event is not None:
                await within(self._timeout, self._send(send, event), _reader_stopped)
                event = await self._next()
            await send({"type": "http.response.body", "body": b""})
        except ClientGoneError:
            pass
        finally:
            self._gone.cancel()
            self._closed()

    async def _next(self) -> Event | None:
        try:
            return await next_event(self._events, self._gone, self._timeout)
        except RequestError as problem:
            self._events = _none()
            return "error", problem.content
        except Exception as error:
            if isinstance(error, ClientGoneError):
                raise
            logger.error("a stream ended: %s: %s", type(error).__name__, error)
            self._events = _none()
            return "error", RequestError("internal", "the server failed to go on").content

    async def _send(self, send: Any, event: Event) -> None:
        name, content = event
        body = b"event: " + name.encode() + b"\ndata: " + to_json(content) + b"\n\n"
        await send({"type": "http.response.body", "body": body, "more_body": True})


async def _none() -> AsyncIterator[Event]:
    return
    yield  # pragma: no cover


def too_late() -> NoReturn:
    """Say that there was no answer in time.

    Raises:
        RequestError: always.
    """
    raise RequestError("timeout", "there was no answer in time: send less, or later", {"Retry-After": "1"})


def _reader_stopped() -> NoReturn:
    raise ClientGoneError  # or as good as gone
