"""Waiting for something, though not for ever, nor for a client that is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NoReturn, TypeVar

from .problems import ClientGoneError

T = TypeVar("T")


async def within(seconds: float, awaitable: Awaitable[T], too_late: Callable[[], NoReturn]) -> T:
    """Wait for something; call `too_late`, which raises, if it takes longer than these seconds."""
    try:
        return await asyncio.wait_for(awaitable, seconds)
    except TimeoutError:
        too_late()


async def unless_gone(
    work: Coroutine[Any, Any, T],
    gone: asyncio.Future[Any],
    seconds: float,
    too_late: Callable[[], NoReturn],
) -> T:
    """Wait for work, which is cancelled when the client closes the connection.

    Args:
        work: what to wait for.
        gone: done when the connection is closed; it is left open.
        seconds: how long to wait.
        too_late: raises what is raised after this time.

    Raises:
        ClientGoneError: the connection was closed first.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        if gone.done():
            raise ClientGoneError
        too_late()
    finally:
        task.cancel()  # has no effect on what is done
