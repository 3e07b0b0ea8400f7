"""Bodies of requests: JSON, read strictly, and the fields in it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn

from ..errors import join_names
from .problems import ClientGoneError, RequestError
from .waiting import within

Receive = Callable[[], Awaitable[Any]]

_DISCARDED = 16  # times the limit: so much of a body that is too large is read, so that the client can hear


async def read_body(receive: Receive, headers: Mapping[str, str], limit: int, timeout: float) -> bytes:
    """Read the body of a request.

    Args:
        receive: of ASGI.
        headers: of the request.
        limit: the largest number of bytes.
        timeout: seconds for all of it.

    Raises:
        RequestError: the body is too large, too slow, or not said to be JSON.
        ClientGoneError: the client has closed the connection.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    # A page of another site cannot make a browser send this type without asking first.
    is_json = kind == "application/json"
    deadline = time.monotonic() + timeout
    parts: list[bytes] = []
    size, more = 0, True
    while more and size <= limit * _DISCARDED:
        message = await within(deadline - time.monotonic(), receive(), _too_slow)
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        part, more = message.get("body", b""), message.get("more_body", False)
        size += len(part)
        if size <= limit and is_json:
            parts.append(part)
    if size > limit:
        close = {"Connection": "close"} if more else {}
        raise RequestError(
            "body_too_large", f"the body has more than {limit:,} bytes: send less at a time", close
        )
    if not is_json:
        raise RequestError(
            "wrong_content_type", f"the content type is {kind or 'missing'!r}: send application/json"
        )
    return b"".join(parts)


def _too_slow() -> NoReturn:
    raise RequestError("slow_body", "the body did not arrive in time", {"Connection": "close"})


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object that a body holds.

    Raises:
        RequestError: the body is not UTF-8, not JSON, or not an object.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RequestError("invalid_utf8", f"the body is not UTF-8 at byte {error.start}") from None
    try:
        value = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_unique, parse_float=_finite)
    except RecursionError:
        raise RequestError("invalid_json", "the body is not JSON: nested too deeply") from None
    except ValueError as error:  # JSONDecodeError is one; so is a whole number of too many digits
        raise RequestError("invalid_json", f"the body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise RequestError("invalid_request", 'the body must be an object, such as {"input": "a text"}')
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"the number {digits:.30} is too large")
    return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has a key twice")
    return found


def take_fields(content: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
    """Refuse fields that an address does not have.

    Raises:
        RequestError: names them.
    """
    if others := sorted(content.keys() - set(allowed)):
        unknown = join_names(f"{name!a:.40}" for name in others)
        raise RequestError("invalid_request", f"unknown field {unknown}: there are {', '.join(allowed)}")


def take_inputs(content: Mapping[str, Any], max_inputs: int) -> tuple[list[Any], bool]:
    """The inputs of a request.

    Args:
        content: with `input`, which is one, or `inputs`, which is a list.
        max_inputs: the largest number of them.

    Returns:
        The inputs, and whether there are several.

    Raises:
        RequestError: there is neither field, or both; or there are too many inputs.
    """
    take_fields(content, ("input", "inputs"))
    if len(content) != 1:
        raise RequestError("invalid_request", 'give either "input", one of them, or "inputs", a list')
    if "input" in content:
        return [content["input"]], False
    inputs = content["inputs"]
    if not isinstance(inputs, list):
        raise RequestError("invalid_request", '"inputs" must be a list; one of them is given as "input"')
    if len(inputs) > max_inputs:
        raise RequestError("too_many_inputs", f"{len(inputs):,} inputs; at most {max_inputs:,} at a time")
    return inputs, True


def check_input(value: Any, name: str, max_length: int) -> None:
    """Refuse an input that is too long, or has text that is no Unicode text.

    Args:
        value: of JSON.
        name: what messages call it.
        max_length: the largest number of characters and numbers in it.

    Raises:
        RequestError: says what is wrong.
    """
    size, rest = 0, [value]
    while rest:
        item = rest.pop()
        if isinstance(item, str):
            size += len(item)
            check_characters(item, name)
        elif isinstance(item, dict):
            rest += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            rest += item
            size += not item  # lists of nothing are not free
        else:
            size += 1
        if size > max_length:
            raise RequestError(
                "input_too_long",
                f"{name} has more than {max_length:,} characters or numbers: send a part",
            )


def check_characters(text: str, name: str) -> None:
    r"""Refuse lone surrogates, which JSON can write (`"\ud800"`) though they are no characters.

    Raises:
        RequestError: says where.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RequestError(
            "invalid_input", f"{name} has a lone surrogate, U+{ord(text[error.start]):04X}, at {error.start}"
        ) from None
