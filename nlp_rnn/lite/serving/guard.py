"""What stands around all addresses: tokens, headers, metrics, and errors without a traceback."""

from __future__ import annotations

import hmac
import logging
import time
from typing import Any

from .metrics import ROUTES, Metrics
from .problems import RequestError, to_json

logger = logging.getLogger(__name__)

_OPEN = ("/health", "/docs", "/openapi.json")  # to everyone: nothing of models stands there
_HEADERS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


class Guard:
    """An ASGI application around another one.

    Args:
        app: the other one.
        token: the bearer token; none if empty.
        metrics: count requests.
    """

    def __init__(self, app: Any, token: str, metrics: Metrics) -> None:
        self._app = app
        self._token = token.encode()
        self._metrics = metrics

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request, if its token is right."""
        if scope["type"] != "http":
            return
        started, status, is_complete = time.monotonic(), 0, False

        async def send_counted(message: Any) -> None:
            nonlocal status, is_complete
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
            await send(message)
            is_complete = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            if scope["path"] not in _OPEN and not self._is_authorized(scope["headers"]):
                await send_problem(send_counted, _UNAUTHORIZED)
            else:
                await self._app(scope, receive, send_counted)
        except Exception as error:
            logger.error("%s failed: %s: %s", scope["path"], type(error).__name__, error)
            if not status:
                await send_problem(send_counted, INTERNAL)
        finally:
            seconds = time.monotonic() - started
            self._metrics.observe(_route(scope["path"]), seconds, status if is_complete else 499)

    def _is_authorized(self, headers: list[tuple[bytes, bytes]]) -> bool:
        if not self._token:
            return True
        given = [value for name, value in headers if name == b"authorization"]
        scheme, _, token = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        is_same = hmac.compare_digest(token.strip(), self._token)  # in constant time
        return is_same and scheme.lower() == b"bearer"


async def send_problem(send: Any, problem: RequestError) -> None:
    """Send what a request is refused for."""
    body = to_json(problem.content)
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **problem.headers}
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


def _route(path: str) -> str:
    last = path.rpartition("/")[2]
    return last if last in ROUTES else "other"


_UNAUTHORIZED = RequestError(
    "unauthorized",
    "the bearer token is missing or wrong: send the header Authorization: Bearer TOKEN",
    {"WWW-Authenticate": "Bearer"},
)
INTERNAL = RequestError("internal", "the server failed to answer; its log names the fault")
