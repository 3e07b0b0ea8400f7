"""All addresses of a server, in this process."""

import asyncio
import json

import pytest

from nlp_rnn.inference.pipelines import pipeline as torch_pipeline
from nlp_rnn.lite.pipelines import pipeline as lite_pipeline
from nlp_rnn.lite.serving.problems import PROBLEMS

PREDICT, STREAM, GENERATE = (f"/v1/models/m/{route}" for route in ("predict", "stream", "generate"))
DEEP = b'{"input": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
LIMITS = {"max_body": 300_000, "max_length": 30, "max_inputs": 3, "max_output": 50, "timeout": 5}
TASKS = ("sentiment", "tagging", "translation", "captioning", "forecasting", "series_tagging", "text_pairs")

# path, body, headers, code
REFUSED = [
    (PREDICT, b"\xff", {}, "invalid_utf8"),
    (PREDICT, b'{"input": "\xc3"}', {}, "invalid_utf8"),
    (PREDICT, b"", {}, "invalid_json"),
    (PREDICT, b'{"input": "a"', {}, "invalid_json"),
    (PREDICT, b'\xef\xbb\xbf{"input": "a"}', {}, "invalid_json"),
    (PREDICT, b'{"input": NaN}', {}, "invalid_json"),
    (PREDICT, b'{"input": -Infinity}', {}, "invalid_json"),
    (PREDICT, b'{"input": 1e999}', {}, "invalid_json"),
    (PREDICT, b'{"input": ' + b"9" * 5000 + b"}", {}, "invalid_json"),
    (PREDICT, b'{"input": "a", "input": "b"}', {}, "invalid_json"),
    (PREDICT, DEEP, {}, "invalid_json"),
    (PREDICT, [], {}, "invalid_request"),
    (PREDICT, "a", {}, "invalid_request"),
    (PREDICT, {}, {}, "invalid_request"),
    (PREDICT, {"input": "a", "inputs": ["a"]}, {}, "invalid_request"),
    (PREDICT, {"inputs": "a"}, {}, "invalid_request"),
    (PREDICT, {"input": "a", "beam": 3}, {}, "invalid_request"),
    (PREDICT, {"input": None}, {}, "invalid_input"),
    (PREDICT, {"input": 3}, {}, "invalid_input"),
    (PREDICT, {"inputs": ["a", ["b"]]}, {}, "invalid_input"),
    (PREDICT, b'{"input": "a \\ud800"}', {}, "invalid_input"),
    (PREDICT, {"inputs": ["a", "refuse"]}, {}, "invalid_input"),
    (PREDICT, {"input": "a" * 31}, {}, "input_too_long"),
    (PREDICT, {"input": [[]] * 31}, {}, "input_too_long"),
    (PREDICT, {"input": {"a" * 31: 1}}, {}, "input_too_long"),
    (PREDICT, {"inputs": ["a"] * 4}, {}, "too_many_inputs"),
    (PREDICT, {"input": "a" * 300_000}, {}, "body_too_large"),
    (PREDICT, {"input": "a"}, {"content-type": "text/plain"}, "wrong_content_type"),
    (PREDICT, {"input": "a"}, {"content-type": ""}, "wrong_content_type"),
    (PREDICT, {"input": "fail"}, {}, "internal"),
    (PREDICT, {"input": "nan"}, {}, "internal"),
    ("/v1/models/none/predict", {"input": "a"}, {}, "unknown_model"),
    ("/v1/models/%ED%A0%80/predict", {"input": "a"}, {}, "unknown_model"),
    ("/v1/models/m/predict/", {"input": "a"}, {}, "not_found"),
    ("/", None, {}, "not_found"),
    (PREDICT, None, {}, "method_not_allowed"),
    ("/health", {}, {}, "method_not_allowed"),
    (STREAM, {"inputs": ["a"]}, {}, "invalid_request"),
    (STREAM, {}, {}, "invalid_request"),
    (STREAM, {"input": ["a"]}, {}, "invalid_input"),
    (STREAM, {"input": "refuse"}, {}, "invalid_input"),
    (STREAM, {"input": "a" * 31}, {}, "input_too_long"),
    (STREAM, {"input": "fail"}, {}, "internal"),
    (GENERATE, {"prompt": 3}, {}, "invalid_request"),
    (GENERATE, {"prompt": "a", "stream": "yes"}, {}, "invalid_request"),
    (GENERATE, {"prompt": "a", "temperature": "hot"}, {}, "invalid_request"),
    (GENERATE, {"prompt": "a", "max_output": 51}, {}, "invalid_request"),
    (GENERATE, {"prompt": "a", "length": 51}, {}, "invalid_request"),
    (GENERATE, b'{"prompt": "\\udfff"}', {}, "invalid_input"),
    (GENERATE, {"prompt": "a" * 31}, {}, "input_too_long"),
    (GENERATE, {"prompt": "fail"}, {}, "internal"),
    ("/v1/models/other/generate", {"prompt": "a"}, {}, "not_supported"),
]


@pytest.mark.parametrize(("path", "body", "headers", "code"), REFUSED)
def test_what_is_refused_has_one_form(make, answer_all, fake_pipeline, caplog, path, body, headers, code):
    app = make({"m": fake_pipeline(), "other": fake_pipeline(generates=False)}, **LIMITS)
    (response,) = answer_all(app, [(path, body, headers)])
    error = response.json()["error"]
    assert response.headers["content-type"] == "application/json"
    assert (error["code"], error["status"]) == (code, response.status_code)
    assert response.status_code == PROBLEMS[code].status
    assert error["message"]
    assert "secret" not in response.text
    assert "Traceback" not in response.text
    assert ("secret" in caplog.text) == (code == "internal" and "fail" in str(body))


def test_every_problem_is_tested():
    elsewhere = {"unauthorized", "slow_body", "queue_full", "too_many_streams", "timeout"}
    assert {code for *_, code in REFUSED} | elsewhere == set(PROBLEMS)


@pytest.mark.parametrize("load", [torch_pipeline, lite_pipeline], ids=["torch", "lite"])
@pytest.mark.parametrize(
    "name",
    ["sentiment", "tagging", "translation", "captioning", "forecasting", "series_tagging", "text_pairs"],
)
def test_answers_are_the_pipelines(make, answer_all, make_folder, inputs_of, difference, name, load):
    inputs = json.loads(json.dumps(inputs_of(name)))
    answerer = load(name, make_folder(name))
    app = make({"m": answerer})
    wanted = list(answerer.iterate(inputs))
    *single, several, empty = answer_all(
        app, [*((PREDICT, {"input": value}) for value in inputs), (PREDICT, {"inputs": inputs}),
              (PREDICT, {"inputs": []})]
    )  # fmt: skip
    assert difference([response.json()["answer"] for response in single], wanted) < 1e-5
    assert difference(several.json()["answers"], wanted) < 1e-5
    assert empty.json() == {"model": "m", "answers": []}


def test_requests_are_answered_together_and_none_is_swapped(make, answer_all, fake_pipeline):
    answerer = fake_pipeline()
    app = make({"m": answerer}, max_batch=16)
    requests = [(PREDICT, {"input": "fail" if number == 7 else f"text {number}"}) for number in range(40)]
    responses = answer_all(app, requests)
    for number, response in enumerate(responses):
        if number == 7:
            assert response.status_code == 500
        else:
            assert response.json() == {"model": "m", "answer": {"text": f"text {number}", "score": 0.5}}
    together = [batch for batch in answerer.batches if len(batch) > 1]
    assert sorted(map(len, together)) == [8, 16, 16]


def test_a_text_that_is_cut_is_said_so_to_its_client_alone(make, answer_all, fake_pipeline, caplog):
    app = make({"m": fake_pipeline()})
    short, long = answer_all(app, [(PREDICT, {"input": "short"}), (PREDICT, {"input": "long " * 5})])
    assert "warnings" not in short.json()
    assert long.json()["warnings"] == ["1 texts cut to the maximum length of 20 tokens"]
    assert not caplog.records


def test_the_queue_has_an_end(make, answer_all, fake_pipeline):
    answerer = fake_pipeline()
    app = make({"m": answerer}, max_queue=4, max_inputs=2, max_batch=2, window_ms=100)
    requests = [(PREDICT, {"inputs": ["a", "b"]})] * 6
    responses = answer_all(app, requests)
    assert [response.status_code for response in responses] == [200, 200, 429, 429, 429, 429]
    assert responses[-1].json()["error"]["code"] == "queue_full"
    assert int(responses[-1].headers["retry-after"]) >= 1


def test_an_answer_that_takes_too_long_is_refused(make, answer_all, fake_pipeline):
    answerer = fake_pipeline()
    app = make({"m": answerer}, timeout=0.2)

    (response,) = answer_all(app, [(PREDICT, {"input": "wait"})])
    answerer.proceed.set()
    assert (response.status_code, response.json()["error"]["code"]) == (503, "timeout")
    assert response.headers["retry-after"] == "1"
    (response,) = answer_all(app, [(PREDICT, {"input": "next"})])
    assert response.json()["answer"]["text"] == "next"


@pytest.mark.parametrize(
    ("path", "authorization", "status"),
    [
        (PREDICT, "Bearer s3cret", 200),
        (PREDICT, "bearer s3cret", 200),
        (PREDICT, "Bearer s3cre", 401),
        (PREDICT, "Bearer s3crets", 401),
        (PREDICT, "Bearer \xff", 401),
        (PREDICT, "Basic s3cret", 401),
        (PREDICT, "s3cret", 401),
        (PREDICT, None, 401),
        ("/v1/models", None, 401),
        ("/metrics", None, 401),
        ("/none", None, 401),
        ("/metrics", "Bearer s3cret", 200),
        ("/health", None, 200),
        ("/docs", None, 200),
        ("/openapi.json", None, 200),
    ],
)
def test_tokens(make, answer_all, fake_pipeline, path, authorization, status):
    app = make({"m": fake_pipeline()}, token="s3cret")
    headers = {} if authorization is None else {"authorization": authorization.encode("latin-1")}
    body = {"input": "a"} if path == PREDICT else None
    (response,) = answer_all(app, [(path, body, headers)])
    assert response.status_code == status
    assert "s3cret" not in response.text
    if status == 401:
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.json()["error"]["code"] == "unauthorized"


@pytest.mark.parametrize("load", [torch_pipeline, lite_pipeline], ids=["torch", "lite"])
def test_a_stream_ends_with_the_answer_to_all(make, answer_all, read_events, make_folder, difference, load):
    text = " the film\u00a0is   not good "
    answerer = load("sentiment", make_folder("sentiment", bidirectional=False, pooling="last"))
    (response,) = answer_all(make({"m": answerer}), [(STREAM, {"input": text})])
    *answers, done = read_events(response)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert "".join(content["piece"] for _, content in answers) == text
    assert {name for name, _ in answers} == {"answer"}
    assert done == ("done", {"model": "m", "pieces": 5})
    wanted = {key: value for key, value in answerer(text).items() if key != "unknown"}
    assert difference(answers[-1][1]["answer"], wanted) < 1e-5


def test_models_that_read_whole_inputs_have_no_stream(make, answer_all, make_folder):
    answerer = lite_pipeline("sentiment", make_folder("sentiment", bidirectional=True))
    found, refused = answer_all(make({"m": answerer}), ["/v1/models", (STREAM, {"input": "a"})])
    assert found.json()["models"] == [
        {"name": "m", "task": "sentiment", "input": "text", "streams": False, "generates": False}
    ]
    assert refused.json()["error"]["code"] == "not_supported"


@pytest.mark.parametrize("load", [torch_pipeline, lite_pipeline], ids=["torch", "lite"])
def test_a_text_is_continued_at_once_or_by_tokens(make, answer_all, read_events, make_folder, load):
    answerer = load("language_modeling", make_folder("language_modeling"))
    settings = {"prompt": "the film", "max_output": 6, "temperature": 1.0, "seed": 3}
    requests = [(GENERATE, settings), (GENERATE, {**settings, "stream": True})] * 3
    responses = answer_all(make({"m": answerer}), requests)  # texts in turns do not mix
    wanted = "".join(answerer.generate(**settings))
    assert [response.json()["text"] for response in responses[::2]] == [wanted] * 3
    for response in responses[1::2]:
        *tokens, (name, done) = read_events(response)
        assert "".join(content["piece"] for _, content in tokens) == wanted == done["text"]
        assert (name, done["tokens"]) == ("done", len(tokens))


def test_what_a_prompt_has_that_the_model_lacks_is_said(make, answer_all, make_folder, caplog):
    answerer = lite_pipeline("language_modeling", make_folder("language_modeling"))
    (response,) = answer_all(make({"m": answerer}), [(GENERATE, {"prompt": "zzz", "max_output": 1})])
    assert response.json()["warnings"] == ["1 token(s) not in the model's vocabulary: 'zzz'"]
    assert not caplog.records


def test_what_goes_wrong_in_a_stream_is_an_event(make, answer_all, read_events, fake_pipeline, caplog):
    app = make({"m": fake_pipeline()})
    failed, refused, later = answer_all(
        app, [(STREAM, {"input": f"good {word} good"}) for word in ("fail", "refuse", "good")]
    )
    for response, code in ((failed, "internal"), (refused, "invalid_input")):
        (_, first), (name, last) = read_events(response)
        assert first == {"piece": "good ", "answer": {"text": "good "}}
        assert (name, last["error"]["code"]) == ("error", code)
        assert "secret" not in response.text
    assert read_events(later)[-1][0] == "done"


def test_the_number_of_streams_is_limited(make, answer_all, fake_pipeline):
    app = make({"m": fake_pipeline()}, max_streams=1)
    for _ in range(2):  # those that have ended do not count
        responses = answer_all(app, [(STREAM, {"input": "a b c"}), (STREAM, {"input": "refuse"})])
        assert [response.status_code for response in responses] == [200, 429]
        assert responses[1].json()["error"]["code"] == "too_many_streams"


async def _call(app, messages, path=PREDICT, wait=None):
    """The messages that an application sends for a request whose client sends these."""
    sent = []
    given = iter(messages)

    async def receive():
        for message in given:
            return message
        if wait is not None:
            await wait()
            return {"type": "http.disconnect"}
        return await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": [(b"content-type", b"application/json")], "http_version": "1.1", "scheme": "http",
        "server": ("test", 80), "client": ("test", 1), "root_path": "", "asgi": {"version": "3.0"},
    }  # fmt: skip
    await app(scope, receive, send)
    return sent


def _request(content):
    return {"type": "http.request", "body": json.dumps(content).encode(), "more_body": False}


def test_a_body_that_never_ends_is_refused(make, fake_pipeline):
    app = make({"m": fake_pipeline()}, timeout=0.05)
    part = {"type": "http.request", "body": b'{"input', "more_body": True}
    start, body = asyncio.run(_call(app, [part]))
    assert start["status"] == 408
    assert (b"connection", b"close") in start["headers"]
    assert json.loads(body["body"])["error"]["code"] == "slow_body"


def test_a_client_that_is_gone_costs_nothing(make, fake_pipeline):
    answerer = fake_pipeline()
    app = make({"m": answerer}, window_ms=50)

    async def run():
        async def soon():
            await asyncio.sleep(0.01)

        gone = _call(app, [_request({"input": "gone"})], wait=soon)
        stays = _call(app, [_request({"input": "stays"})])
        unread = _call(app, [{"type": "http.disconnect"}])
        return await asyncio.gather(gone, stays, unread)

    gone, stays, unread = asyncio.run(run())
    assert gone == unread == []
    assert stays[0]["status"] == 200
    assert answerer.batches == [["stays"]]
    assert 'nlp_rnn_requests_total{route="predict",status="499"} 2' in app._metrics.text()
    assert 'nlp_rnn_queued_inputs{model="m"} 0\n' in app._metrics.text()


def test_a_stream_ends_when_its_client_is_gone(make, fake_pipeline):
    app = make({"m": fake_pipeline()}, max_output=100_000)

    async def run():
        async def soon():
            await asyncio.sleep(0.1)

        message = _request({"prompt": "a", "max_output": 100_000, "stream": True})
        return await asyncio.wait_for(_call(app, [message], GENERATE, soon), 5)

    sent = asyncio.run(run())
    assert 1 < len(sent) < 100_000
    assert 'nlp_rnn_requests_total{route="generate",status="499"} 1' in app._metrics.text()
    assert "nlp_rnn_open_streams 0\n" in app._metrics.text()


def test_health_and_the_page_of_addresses(make, answer_all, fake_pipeline):
    app = make({"m": fake_pipeline()}, token="s3cret")
    health, schema, page = answer_all(app, ["/health", "/openapi.json", "/docs"])
    assert health.json() == {"status": "ok", "models": 1}
    assert 'fetch("openapi.json")' in page.text
    assert "//" not in page.text.replace("<!doctype html>", "")  # nothing of other servers
    assert "connect-src 'self'" in page.headers["content-security-policy"]
    paths = schema.json()["paths"]
    assert set(paths) == {
        "/health", "/metrics", "/v1/models", "/v1/models/{name}/predict", "/v1/models/{name}/stream",
        "/v1/models/{name}/generate",
    }  # fmt: skip
    predict = paths["/v1/models/{name}/predict"]["post"]
    assert set(predict["responses"]) == {"200", *(str(kind.status) for kind in PROBLEMS.values())}
    assert predict["requestBody"]["content"]["application/json"]["schema"]["properties"].keys() == {
        "input", "inputs",
    }  # fmt: skip
    assert schema.json()["security"] == [{"bearer": []}]


def test_metrics_count_what_was_done(make, answer_all, fake_pipeline):
    app = make({"m": fake_pipeline()})
    answer_all(app, [(PREDICT, {"inputs": ["a", "b"]}), (PREDICT, {"input": "c"}), (PREDICT, b"{")])
    (response,) = answer_all(app, ["/metrics"])
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = response.text.splitlines()
    for line in (
        'nlp_rnn_requests_total{route="predict",status="200"} 2',
        'nlp_rnn_requests_total{route="predict",status="400"} 1',
        'nlp_rnn_inputs_total{model="m"} 3',
        'nlp_rnn_batches_total{model="m"} 1',
        'nlp_rnn_queued_inputs{model="m"} 0',
        'nlp_rnn_request_seconds_count{route="predict"} 3',
        'nlp_rnn_request_seconds_bucket{route="predict",le="+Inf"} 3',
    ):
        assert line in lines
