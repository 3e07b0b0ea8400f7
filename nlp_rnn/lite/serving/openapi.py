"""What the OpenAPI page says of each address."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .problems import PROBLEMS

_ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "status": {"type": "integer"},
                "code": {"type": "string"},
                "message": {"type": "string"},
            },
        }
    },
}
_INPUT = {"description": "a text, or what /v1/models calls an input"}
_ANSWER = {"type": "object", "description": "its keys depend on the task"}


def _object(example: Mapping[str, Any], **properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"schema": {"type": "object", "properties": properties, "example": example}}


def _body(content: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": content}}


def _ok(description: str, content: dict[str, Any], kind: str = "application/json") -> dict[str, Any]:
    return {"200": {"description": description, "content": {kind: content}}}


_NUMBER, _WHOLE = {"type": "number"}, {"type": "integer"}
_EVENTS = {"schema": {"type": "string"}}

HEALTH = {"responses": _ok("it does", _object({"status": "ok", "models": 1}))}
MODELS = {"responses": _ok("the models", _object({"models": []}, models={"type": "array", "items": {}}))}
PREDICT = {
    "requestBody": _body(
        _object({"input": "not a bad film"}, input=_INPUT, inputs={"type": "array", "items": _INPUT})
    ),
    "responses": _ok(
        "`answer` to `input`, `answers` to `inputs`; `warnings` if a text was cut",
        _object(
            {"model": "sentiment", "answer": {"label": "positive", "score": 0.9}},
            model={"type": "string"},
            answer=_ANSWER,
            answers={"type": "array", "items": _ANSWER},
            warnings={"type": "array", "items": {"type": "string"}},
        ),
    ),
}
STREAM = {
    "requestBody": _body(_object({"input": "not a bad film"}, input=_INPUT)),
    "responses": _ok("events `answer`, then `done` or `error`", _EVENTS, "text/event-stream"),
}
GENERATE = {
    "requestBody": _body(
        _object(
            {"prompt": "the film", "max_output": 20, "stream": False},
            prompt={"type": "string"},
            max_output=_WHOLE,
            temperature=_NUMBER,
            top_k=_WHOLE,
            top_p=_NUMBER,
            seed=_WHOLE,
            stream={"type": "boolean"},
        )
    ),
    "responses": _ok(
        'the text; with "stream": true, events `token`, then `done` or `error`',
        _object({"model": "writer", "text": " is good", "tokens": 2}),
    ),
}


def described(extra: Mapping[str, Any], of_model: bool) -> dict[str, Any]:
    """The description of an address, with all that it can refuse.

    Args:
        extra: its own description.
        of_model: whether it reads a body.
    """
    responses = dict(extra.get("responses", {}))
    for code, (status, meaning) in PROBLEMS.items():
        if of_model or status in (401, 500):
            known = responses.setdefault(
                str(status), {"description": "", "content": {"application/json": {"schema": _ERROR}}}
            )
            separator = "; " if known["description"] else ""
            known["description"] += f"{separator}`{code}`: {meaning}"
    return {**extra, "responses": responses}


def with_security(make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The schema of a server that has a token.

    Args:
        make: makes that of one without.
    """
    schema = make()
    schema.setdefault("components", {})["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    schema["security"] = [{"bearer": []}]
    return schema
