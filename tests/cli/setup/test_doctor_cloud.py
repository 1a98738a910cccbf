"""``doctor --cloud``: each step of the start sequence with a platform, which one fails, and what was answered."""

import asyncio
import base64
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from sinchphone.cli.doctor.cloud_checks import CLOUD_CHECKS
from sinchphone.exchange.options import ExchangeOptions
from sinchphone.exchange.server import Exchange

KEY, SECRET = "11111111-2222-3333-4444-555555555555", base64.b64encode(b"a secret of this test").decode()


def findings(ran: Any) -> dict[str, dict[str, Any]]:
    return {one["id"]: one for one in ran.events if one["event"] == "doctor.check"}


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    def configure(host: str, secret: str = SECRET) -> None:
        monkeypatch.setenv("SINCH_APPLICATION_KEY", KEY)
        monkeypatch.setenv("SINCH_APPLICATION_SECRET", secret)
        monkeypatch.setenv("SINCHPHONE_HOST", host)

    return configure


@pytest.fixture
def exchange() -> Iterator[str]:
    """An exchange in a thread of its own: the command line runs its own loop."""
    started, stop, url = threading.Event(), threading.Event(), [""]

    async def serve() -> None:
        async with Exchange(ExchangeOptions(port=0, applications={KEY: SECRET}, ice_servers=("stun:192.0.2.1",))) as one:
            url[0] = one.url
            started.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(20)
    yield url[0]
    stop.set()
    thread.join(20)


@pytest.fixture
def refusing() -> Iterator[str]:
    class Refuse(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.dumps({"code": 40400, "message": "no such resource"}).encode()
            self.send_response(404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Refuse)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_all_steps_are_walked_where_the_platform_answers(sinchphone: Any, configured: Any, exchange: str) -> None:
    configured(exchange)
    ran = sinchphone("doctor", "--cloud", "--user", "ada", "--json")
    found = findings(ran)
    assert tuple(found) == CLOUD_CHECKS
    assert [one["result"] for one in found.values()] == ["warning", "ok", "ok", "ok", "ok", "ok"]
    assert "cloud learn" in found["cloud-names"]["hint"]
    assert found["cloud-ice-servers"]["summary"] == "the platform names 1"
    assert ran.code == 0


def test_a_wrong_secret_fails_at_the_registration_and_what_stands_on_it_is_skipped(sinchphone: Any, configured: Any, exchange: str) -> None:
    configured(exchange, base64.b64encode(b"another").decode())
    ran = sinchphone("doctor", "--cloud", "--user", "ada", "--json")
    found = findings(ran)
    assert found["cloud-token"]["result"] == "ok"
    assert found["cloud-register"]["result"] == "problem"
    assert [found[name]["result"] for name in CLOUD_CHECKS[4:]] == ["skipped", "skipped"]
    assert found["cloud-pubsub"]["summary"] == "needs cloud-register"
    assert ran.code == 20


def test_what_the_platform_answered_is_told(sinchphone: Any, configured: Any, refusing: str) -> None:
    configured(refusing)
    found = findings(sinchphone("doctor", "--cloud", "--user", "ada", "--json"))
    assert found["cloud-register"]["result"] == "problem"
    assert "no such resource" in found["cloud-register"]["summary"]
    assert "cloud learn" in found["cloud-register"]["hint"]


def test_without_an_application_that_is_the_first_thing_said(sinchphone: Any) -> None:
    ran = sinchphone("doctor", "--cloud", "--user", "ada", "--json")
    found = findings(ran)
    assert found["cloud-credentials"]["result"] == "problem"
    assert "application key" in found["cloud-credentials"]["summary"]
    assert ran.code == 20
