"""The addresses of a server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from .bodies import parse_object, read_body, take_fields, take_inputs
from .events import EventResponse, next_event, too_late
from .guard import INTERNAL, Guard
from .metrics import Metrics
from .openapi import GENERATE, HEALTH, MODELS, PREDICT, STREAM, described, with_security
from .problems import ClientGoneError, RequestError, to_json
from .served import Pipeline, ServedModel
from .settings import ServeSettings
from .waiting import unless_gone

_DESCRIPTION = """\
Answers of trained models. Every request that is refused gets `{"error": {"status", "code", "message"}}`."""


# The page asks this server alone.
_POLICY = "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'"


def make_app(
    pipelines: Mapping[str, Pipeline], settings: ServeSettings, metrics: Metrics | None = None
) -> Guard:
    """The ASGI application that serves models.

    Args:
        pipelines: by the names under which they are served.
        settings: of the server.
        metrics: of this worker, for servers of several; its own if left out.
    """
    if metrics is None:
        metrics = Metrics([*pipelines], [0.0] * Metrics.size([*pipelines]))
    # One thread computes for all models: more would fight with the threads that a model computes with.
    executor = ThreadPoolExecutor(1, "compute")
    models = {
        name: ServedModel(name, pipeline, executor, metrics, settings) for name, pipeline in pipelines.items()
    }
    app = FastAPI(
        title="nlp-rnn", description=_DESCRIPTION, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.add_exception_handler(RequestError, _refused)
    app.add_exception_handler(HTTPException, _no_address)
    app.add_exception_handler(ClientGoneError, _gone)
    app.add_exception_handler(Exception, _failed)
    addresses = _Addresses(models, settings, metrics)
    if settings.token:
        app.openapi = partial(with_security, app.openapi)  # type: ignore[method-assign]
    app.add_api_route("/docs", _page, include_in_schema=False)
    for method, path, endpoint, extra in (
        ("GET", "/health", addresses.health, HEALTH),
        ("GET", "/metrics", addresses.metrics, {}),
        ("GET", "/v1/models", addresses.models, MODELS),
        ("POST", "/v1/models/{name}/predict", addresses.predict, PREDICT),
        ("POST", "/v1/models/{name}/stream", addresses.stream, STREAM),
        ("POST", "/v1/models/{name}/generate", addresses.generate, GENERATE),
    ):
        app.add_api_route(
            path,
            endpoint,
            methods=[method],
            response_class=Response,
            openapi_extra=described(extra, "{name}" in path),
        )
    return Guard(app, settings.token, metrics)


class _Addresses:
    """What each address does; the first lines of the methods are the page's."""

    def __init__(self, models: Mapping[str, ServedModel], settings: ServeSettings, metrics: Metrics) -> None:
        self._models = models
        self._settings = settings
        self._metrics = metrics
        self._streams = 0

    async def health(self) -> Response:
        """Whether the server answers."""
        return _json({"status": "ok", "models": len(self._models)})

    async def metrics(self) -> Response:
        """Metrics of all workers, for Prometheus."""
        return Response(self._metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def models(self) -> Response:
        """The models, what their inputs are, and whether they stream and continue texts."""
        return _json({"models": [model.description for model in self._models.values()]})

    async def predict(self, name: str, request: Request) -> Response:
        """Answer one input, or several."""
        model = self._model(name)
        inputs, several = take_inputs(await self._content(request), self._settings.max_inputs)
        gone = _disconnected(request)
        try:
            work = model.predict(inputs, several)
            answers, warnings = await unless_gone(work, gone, self._settings.timeout, too_late)
        finally:
            gone.cancel()
        content = {"answers": answers} if several else {"answer": answers[0]}
        return _json({"model": name, **content, **({"warnings": warnings} if warnings else {})})

    async def stream(self, name: str, request: Request) -> Response:
        """Read an input word by word; the answer so far is an event each."""
        model = self._model(name)
        content = await self._content(request)
        take_fields(content, ("input",))
        if "input" not in content:
            raise RequestError("invalid_request", 'give an "input"')
        return await self._events(request, model.stream(content["input"]))

    async def generate(self, name: str, request: Request) -> Response:
        """Continue a text; with "stream": true, each token is an event."""
        model = self._model(name)
        content = await self._content(request)
        is_stream = content.pop("stream", False)
        if not isinstance(is_stream, bool):
            raise RequestError("invalid_request", '"stream" must be true or false')
        events = model.generate(content)
        if is_stream:
            return await self._events(request, events)
        gone = _disconnected(request)
        try:
            last: dict[str, Any] = {}
            while (event := await next_event(events, gone, self._settings.timeout)) is not None:
                _, last = event
        finally:
            gone.cancel()
        return _json(last)

    def _model(self, name: str) -> ServedModel:
        if name not in self._models:
            raise RequestError("unknown_model", f"there is no model {name!a:.60}: see /v1/models")
        return self._models[name]

    async def _content(self, request: Request) -> dict[str, Any]:
        limit, timeout = self._settings.max_body, self._settings.timeout
        return parse_object(await read_body(request.receive, request.headers, limit, timeout))

    async def _events(self, request: Request, events: Any) -> EventResponse:
        if self._streams >= self._settings.max_streams:
            message = f"{self._streams} streams are open: try again later"
            raise RequestError("too_many_streams", message, {"Retry-After": "1"})
        self._count_stream(1)
        gone = _disconnected(request)
        try:
            first = await next_event(events, gone, self._settings.timeout)
        except BaseException:
            gone.cancel()
            self._count_stream(-1)
            raise
        return EventResponse(first, events, gone, self._settings.timeout, partial(self._count_stream, -1))

    def _count_stream(self, number: int) -> None:
        self._streams += number
        self._metrics.add("open_streams", number)


async def _page() -> Response:
    content = (Path(__file__).parent / "page.html").read_bytes()
    return Response(content, media_type="text/html", headers={"Content-Security-Policy": _POLICY})


def _disconnected(request: Request) -> asyncio.Future[Any]:
    """Done when the client closes the connection; the body has been read."""
    return asyncio.ensure_future(request.receive())


def _json(content: Any) -> Response:
    return Response(to_json(content), media_type="application/json")


async def _refused(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, RequestError)
    return Response(to_json(problem.content), problem.status, problem.headers, "application/json")


async def _no_address(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = f"{request.url.path!a:.60}"
    if error.status_code == 405:
        problem = RequestError("method_not_allowed", f"{path} has no method {request.method}", error.headers)
    else:
        problem = RequestError("not_found", f"there is no address {path}: see /docs")
    return await _refused(request, problem)


class _NoResponse(Response):
    """Sends nothing."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        pass


async def _gone(request: Request, error: Exception) -> Response:
    return _NoResponse()


async def _failed(request: Request, error: Exception) -> Response:
    return await _refused(request, INTERNAL)  # `Guard` logs it
