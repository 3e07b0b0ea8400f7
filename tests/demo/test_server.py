"""The page is served to this machine, asks no other one for anything, and ends at a signal."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from nlp_rnn.demo.server import listen, url, with_policy
from nlp_rnn.errors import UsageError
from nlp_rnn.tasks.pretrained import save_pretrained


def test_a_free_port_is_found_and_a_taken_one_refused():
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        assert url(first) == f"http://127.0.0.1:{port}"
        first.listen()
        with pytest.raises(UsageError, match=f"port {port}: another program listens there"):
            listen("127.0.0.1", port)


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(UsageError, match=r"cannot listen at 192\.0\.2\.1 port 0"):
        listen("192.0.2.1", 0)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_addresses_of_ipv6_have_brackets():
    try:
        with listen("::1", 0) as found:
            assert re.fullmatch(r"http://\[::1\]:\d+", url(found))
    except UsageError:
        pytest.skip("no IPv6 loopback")


def test_every_response_has_the_policy():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})
        await send({"type": "http.response.body", "body": b""})

    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(with_policy(app)({"type": "http"}, None, send))
    headers = dict(sent[0]["headers"])
    assert headers[b"a"] == b"b"
    policy = headers[b"content-security-policy"].decode()
    assert "default-src 'self'" in policy
    assert "http" not in policy  # no other origin
    assert sent[1]["type"] == "http.response.body"


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_verb_serves_until_a_signal(number, code, make_demo, tmp_path):
    pytest.importorskip("gradio", reason="the extra demo is not installed")
    folder = save_pretrained(make_demo("sentiment").task, tmp_path / "model")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, "-m", "nlp_rnn", "demo", str(folder), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        address = process.stdout.readline().split()[0]
        with urllib.request.urlopen(address, timeout=60) as response:
            html = response.read().decode()
            assert "default-src 'self'" in response.headers["content-security-policy"]
        assert "gradio" in html
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code
    assert errors == f"nlp-rnn: stopped by {number.name}\n"
