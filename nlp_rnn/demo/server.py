"""The server of the page: on this machine alone, and without a request to another one."""

from __future__ import annotations

import errno
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from nlp_rnn.errors import UsageError

if TYPE_CHECKING:
    import gradio as gr

Application = Callable[..., Awaitable[None]]

# A browser asks nothing of other machines, whatever Gradio's page says.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)
_SECONDS_TO_END = 1  # for which open connections of browsers are waited
_BACKLOG = 128


def listen(host: str, port: int) -> socket.socket:
    """A socket at an address, before models are loaded: an address that cannot be had is said at once.

    Args:
        host: a name or address of this machine.
        port: 0 for any free one.

    Raises:
        UsageError: the address cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        remedy = "another program listens there; give another --port, or 0 for any free one"
        raise UsageError(f"cannot listen at {host} port {port}: {remedy if taken else error}") from error
    return found


def url(listening: socket.socket) -> str:
    """The address of a page at a socket."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def application(blocks: gr.Blocks) -> Application:
    """The page as an ASGI application.

    Args:
        blocks: the page.
    """
    import gradio as gr
    from fastapi import FastAPI

    from nlp_rnn.demo.page import CSS, theme

    # `launch` would ask addresses in the environment and on the network, and handle signals of its own.
    app = gr.mount_gradio_app(
        FastAPI(openapi_url=None),
        blocks,
        path="/",
        footer_links=[],
        show_error=False,
        max_file_size=1,  # there is nothing to upload
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        theme=theme(),
        css=CSS,
    )
    return with_policy(app)


def serve(app: Application, listening: socket.socket) -> None:
    """Answer until a signal comes, which is then passed on to its handler.

    Args:
        app: see `application`.
        listening: see `listen`.
    """
    import uvicorn

    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=_SECONDS_TO_END)
    uvicorn.Server(config).run(sockets=[listening])


def with_policy(app: Application) -> Application:
    """An application that tells browsers to ask nothing of other machines.

    Args:
        app: the application without this.
    """

    async def wrapped(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        async def send_with_policy(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", []),
                    (b"content-security-policy", _POLICY.encode()),
                    (b"referrer-policy", b"no-referrer"),
                ]
            await send(message)

        await app(scope, receive, send_with_policy)

    return wrapped
