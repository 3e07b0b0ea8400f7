"""Real servers: processes, ports, signals."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from nlp_rnn.lite.pipelines import pipeline

LITE, WHOLE = [sys.executable, "-m", "nlp_rnn.lite"], [sys.executable, "-m", "nlp_rnn"]
JSON = {"Content-Type": "application/json"}
REQUEST = b"POST /v1/models/m/predict HTTP/1.1\r\nHost: a\r\n"


class Server:
    def __init__(self, process, port):
        self.process = process
        self.port = port

    def ask(self, path, content=None, headers=JSON):
        """(status, JSON) of one request in a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            body = content if content is None or isinstance(content, bytes) else json.dumps(content)
            connection.request("GET" if body is None else "POST", path, body, headers)
            response = connection.getresponse()
            text = response.read()
            return response.status, text.decode() if path == "/metrics" else json.loads(text)
        finally:
            connection.close()

    def stop(self, number=signal.SIGTERM):
        """(exit code, standard output, standard error)."""
        self.process.send_signal(number)
        out, errors = self.process.communicate(timeout=60)
        return self.process.returncode, out, errors


@contextmanager
def serving(*command, **variables):
    process = subprocess.Popen(
        [*map(str, command), "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **variables},
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        found = re.search(r"at http://127\.0\.0\.1:(\d+)$", line)
        if found is None:
            pytest.fail(line + process.stderr.read())
        yield Server(process, int(found[1]))
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def folder(make_folder):
    return make_folder("sentiment")


@pytest.fixture(scope="module")
def writer(make_folder):
    return make_folder("language_modeling")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "name", "options", "number"),
    [
        (LITE, "nlp-rnn-lite", [], signal.SIGTERM),
        (LITE, "nlp-rnn-lite", [], signal.SIGINT),
        (LITE, "nlp-rnn-lite", ["--workers", "2"], signal.SIGTERM),
        (WHOLE, "nlp-rnn", [], signal.SIGTERM),
        (WHOLE, "nlp-rnn", ["--backend", "numpy", "--workers", "2"], signal.SIGINT),
    ],
)
def test_a_server_answers_what_is_open_and_ends_as_other_verbs(folder, program, name, options, number):
    wanted = pipeline("sentiment", folder)("the film is good")["score"]
    with serving(*program, "serve", f"m={folder}", "--window-ms", "700", *options) as server:
        found = []
        ask = threading.Thread(
            target=lambda: found.append(server.ask("/v1/models/m/predict", {"input": "the film is good"}))
        )
        ask.start()
        time.sleep(0.3)  # it waits for its batch
        code, out, errors = server.stop(number)
        ask.join()
    ((status, content),) = found
    assert (status, content["answer"]["score"]) == (200, pytest.approx(wanted, abs=1e-5))
    assert (code, out, errors) == (128 + number, "", f"{name}: stopped by {number.name}\n")


@pytest.mark.slow
def test_a_server_of_several_workers(folder, writer):
    token = "s3cret"
    command = [*LITE, "serve", f"m={folder}", f"w={writer}", "--workers", "2"]
    with serving(*command, NLP_RNN_TOKEN=token) as server:
        signed = {**JSON, "Authorization": f"Bearer {token}"}
        listed = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True).stdout
        assert token not in listed
        assert server.ask("/v1/models/m/predict", {"input": "good"})[0] == 401
        for _ in range(20):
            assert server.ask("/v1/models/m/predict", {"input": "good"}, signed)[0] == 200
        _, text = server.ask("/metrics", headers=signed)
        assert 'nlp_rnn_inputs_total{model="m"} 20\n' in text  # of both workers
        children = subprocess.run(
            ["pgrep", "-P", str(server.process.pid), "-f", "spawn_main"], capture_output=True, text=True
        )
        os.kill(int(children.stdout.split()[0]), signal.SIGKILL)
        time.sleep(0.5)
        for _ in range(5):
            assert server.ask("/v1/models/m/predict", {"input": "good"}, signed)[0] == 200
        code, _, errors = server.stop()
        assert code == 143
        assert re.search(r"worker [01] ended with code -9; starting another", errors)
        assert "Traceback" not in errors


@pytest.mark.slow
def test_bad_clients_cost_a_server_nothing(folder):
    with serving(*LITE, "serve", f"m={folder}", "--max-body", "1000", "--timeout", "1") as server:
        status, content = server.ask("/v1/models/m/predict", b"x" * 10_000)
        assert (status, content["error"]["code"]) == (413, "body_too_large")
        with socket.create_connection(("127.0.0.1", server.port)) as slow:
            slow.sendall(
                b"POST /v1/models/m/predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            )
            slow.sendall(b"Content-Length: 100\r\n\r\n{")
            for _ in range(20):  # and goes away amid its request
                with socket.create_connection(("127.0.0.1", server.port)) as gone:
                    gone.sendall(REQUEST + b"Content-Length: 10\r\n\r\n{")
            with socket.create_connection(("127.0.0.1", server.port)) as wrong:
                wrong.sendall(b"\x16\x03\x01\x02\x00\x01\x00 no HTTP\r\n\r\n")
                assert wrong.recv(100).startswith(b"HTTP/1.1 400")
            assert server.ask("/v1/models/m/predict", {"input": "good"})[0] == 200
            slow.settimeout(10)
            response = b"".join(iter(lambda: slow.recv(10_000), b"")).decode()
            assert response.startswith("HTTP/1.1 408")
            assert '"slow_body"' in response
        code, out, errors = server.stop()
        assert (code, out) == (143, "")
        assert "Traceback" not in errors


@pytest.mark.slow
def test_events_come_one_by_one_and_end_with_the_client(writer):
    with serving(*LITE, "serve", f"w={writer}", "--max-length", "100000") as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request("POST", "/v1/models/w/stream", json.dumps({"input": "a " * 50_000}), JSON)
        response = connection.getresponse()
        assert response.readline() == b"event: answer\n"
        assert "nlp_rnn_open_streams 1\n" in server.ask("/metrics")[1]
        response.close()
        connection.close()
        for _ in range(50):
            text = server.ask("/metrics")[1]
            if "nlp_rnn_open_streams 0\n" in text:
                break
            time.sleep(0.1)
        events = re.search(r'nlp_rnn_events_total{model="w"} (\d+)', text)
        assert 1 <= int(events[1]) < 50_000
        assert 'nlp_rnn_requests_total{route="stream",status="499"} 1\n' in text


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_cannot_be_loaded_is_one_line(tmp_path, workers):
    (tmp_path / "m").mkdir()
    command = [*LITE, "serve", str(tmp_path / "m"), "--workers", workers, "--port", "0"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (found.returncode, found.stdout) == (2, "")
    assert len(found.stderr.splitlines()) == 1
    assert str(tmp_path / "m") in found.stderr


def test_a_port_that_is_taken_is_one_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [*LITE, "serve", str(tmp_path), "--port", str(port)]
        found = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert found.returncode == 2
    assert f"--host 127.0.0.1 --port {port}: cannot be used" in found.stderr
    assert len(found.stderr.splitlines()) == 1
