"""Applications in this process, and pipelines that do what a test wants."""

import asyncio
import json
import threading
from types import SimpleNamespace

import httpx
import pytest

from nlp_rnn.errors import UsageError
from nlp_rnn.lite.serving.app import make_app
from nlp_rnn.lite.serving.settings import ServeSettings
from nlp_rnn.lite.text.notices import truncate

JSON = {"content-type": "application/json"}


class FakePipeline:
    """A pipeline of texts that remembers its batches; some texts make it fail.

    "wait" waits until `proceed` is set; "fail" raises; "nan" is answered by a number that is none; texts of
    more than 20 characters are cut.
    """

    def __init__(self, generates=True):
        self.batches = []
        self.proceed = threading.Event()
        self.started = threading.Event()
        processor = SimpleNamespace(input_description="text", is_input=lambda value: isinstance(value, str))
        self.task = SimpleNamespace(name="fake", processor=processor, check_generates=self._check)
        self._generates = generates

    def _check(self):
        if not self._generates:
            raise UsageError("continues no texts")

    def iterate(self, inputs):
        inputs = list(inputs)
        self.batches.append(inputs)
        self.started.set()
        for text in truncate(inputs, 20, "texts"):
            if text == "wait":
                assert self.proceed.wait(10)
            if text == "fail":
                raise RuntimeError("secret fault")
            if text == "refuse":
                raise UsageError("input 1 is refused")
            yield {"text": text[:20], "score": float("nan") if text == "nan" else 0.5}

    def stream(self):
        words = []

        def read(piece):
            if "fail" in piece:
                raise RuntimeError("secret fault")
            if "refuse" in piece:
                raise UsageError("the piece is refused")
            words.append(piece)
            return {"text": "".join(words)}

        return read

    def steps(self, prompt="", max_output=100, temperature=None, top_k=None, top_p=None, seed=None):
        if temperature == "hot":
            raise UsageError("temperature must be a number, not 'hot'")

        def run():
            yield SimpleNamespace(piece="", probability=1.0)  # of the prompt
            for number in range(max_output):
                if prompt == "fail":
                    raise RuntimeError("secret fault")
                yield SimpleNamespace(piece=f" {number}", probability=0.5)

        return run()


def answer_all(app, requests):
    """The responses to requests that are sent at the same time.

    A request is a path; or a path, with what is sent as JSON, or as it is if it is bytes, and headers.
    """

    async def send(client, path, body=None, headers=()):
        if body is None:
            return await client.get(path, headers=dict(headers))
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await client.post(path, content=content, headers={**JSON, **dict(headers)})

    async def run():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test", timeout=30) as client:
            return await asyncio.gather(
                *(send(client, *([request] if isinstance(request, str) else request)) for request in requests)
            )

    return asyncio.run(run())


def read_events(response):
    """(name, content) of each server-sent event."""
    blocks = response.text.removesuffix("\n\n").split("\n\n")
    found = []
    for block in blocks:
        name, data = block.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def make(pipelines, **settings):
    return make_app(pipelines, ServeSettings(**{"window_ms": 20, **settings}))


@pytest.fixture(scope="session", name="make")
def _make():
    return make


@pytest.fixture(scope="session", name="answer_all")
def _answer_all():
    return answer_all


@pytest.fixture(scope="session", name="read_events")
def _read_events():
    return read_events


@pytest.fixture(scope="session", name="fake_pipeline")
def _fake():
    return FakePipeline
