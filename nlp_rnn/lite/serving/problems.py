"""What a request can be refused for, and the one form in which the client is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..errors import one_line


class Kind(NamedTuple):
    """One kind of problem."""

    status: int
    """The HTTP status."""
    meaning: str


PROBLEMS: dict[str, Kind] = {
    "invalid_utf8": Kind(400, "the body is not UTF-8"),
    "invalid_json": Kind(400, "the body is not JSON: NaN, infinity and a key twice are not allowed either"),
    "unauthorized": Kind(401, "the bearer token is missing or wrong"),
    "unknown_model": Kind(404, "there is no model of this name"),
    "not_found": Kind(404, "there is no such address"),
    "method_not_allowed": Kind(405, "the address takes another method"),
    "slow_body": Kind(408, "the body did not arrive in time"),
    "body_too_large": Kind(413, "the body has more bytes than --max-body"),
    "wrong_content_type": Kind(415, "the content type is not application/json"),
    "invalid_request": Kind(422, "a field is missing, unknown, or of the wrong type or range"),
    "invalid_input": Kind(422, "the model cannot read an input"),
    "input_too_long": Kind(422, "an input is longer than --max-length"),
    "too_many_inputs": Kind(422, "there are more inputs than --max-inputs"),
    "not_supported": Kind(422, "the model has no stream, or does not continue texts"),
    "queue_full": Kind(429, "as many inputs wait as --max-queue allows; Retry-After says how long to wait"),
    "too_many_streams": Kind(429, "as many streams are open as --max-streams allows"),
    "internal": Kind(500, "a fault of the server, which its log names"),
    "timeout": Kind(503, "there was no answer within --timeout"),
}
"""All problems by their codes."""


class RequestError(Exception):
    """A request that is not answered, and why.

    Args:
        code: one of `PROBLEMS`.
        message: one line: what was wrong, where, and what to do.
        headers: more headers of the response.
    """

    def __init__(self, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(one_line(message))
        self.code = code
        self.headers = dict(headers or {})

    @property
    def status(self) -> int:
        """The HTTP status."""
        return PROBLEMS[self.code].status

    @property
    def content(self) -> dict[str, Any]:
        """What the client is told."""
        return {"error": {"status": self.status, "code": self.code, "message": str(self)}}


class ClientGoneError(Exception):
    """The client has closed the connection: nobody waits for the answer."""


def to_json(content: Any) -> bytes:
    """JSON in UTF-8.

    Raises:
        ValueError: a number is not finite.
    """
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
