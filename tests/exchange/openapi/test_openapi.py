"""The OpenAPI document has every route, and requests made of it by schemathesis, fit or unfit, never meet a fault of the exchange."""

import base64
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings

from sinchphone.exchange.directory.identity import management_token
from sinchphone.exchange.openapi.descriptions import DESCRIPTIONS
from sinchphone.exchange.openapi.document import document, routes_of
from sinchphone.exchange.options import ExchangeOptions
from sinchphone.exchange.server import Exchange
from sinchphone.gateway.options import GatewayOptions
from sinchphone.local import ConfiguredGateway
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.auth import sign_registration_token, sign_request
from sinchphone.signaling.wire import write_time
from sinchphone.testing.loop_thread import LoopThread

SECRET = base64.b64encode(b"a" * 16).decode()
BASIC = "Basic " + base64.b64encode(f"acme:{SECRET}".encode()).decode()
LIMIT_S = 20.0  # of this process's CPU, for all of them
STARTED_S = time.process_time()
EXAMPLES = 3  # of an operation: some 80 of them, in a few seconds


def new_exchange(media: MediaThread) -> Exchange:
    """One that has everything, and lets nobody wait."""
    options = ExchangeOptions(port=0, applications={"acme": SECRET}, poll_seconds=0.05)
    return Exchange(options, media=media, gateway=ConfiguredGateway(GatewayOptions()))


@dataclass
class Device:
    """A device of ada's, whose requests are signed."""

    instance: str = ""
    secret: bytes = b""


@dataclass
class Served:
    url: str
    device: Device

    def authorization(self, method: str, path: str, body: bytes, content_type: str) -> dict[str, str]:
        """What whoever may ask there would send."""
        if path.startswith("/xms/"):
            return {"Authorization": f"Bearer {management_token(b'a' * 16)}"}
        if path.startswith(("/calling/", "/verification/", "/__sinchphone", "/exchange", "/v1/configuration", "/v1/calling")):
            return {"Authorization": BASIC}
        if path.startswith("/v1/users"):
            return {"Authorization": "application acme"}
        stamp = write_time(time.time())
        signature = sign_request(method, path, body, content_type, stamp, self.device.secret)
        return {"Authorization": f"Instance {self.device.instance}:{signature}", "x-timestamp": stamp}


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    thread = LoopThread()
    with MediaThread() as media:
        exchange = new_exchange(media)
        thread.run(exchange.start())
        token = sign_registration_token("acme", b"a" * 16, "ada", issued_at=int(time.time()), nonce="n" * 16)
        body = {"userId": "ada", "deviceId": "d", "capabilities": ["p2p"]}
        made = requests.post(f"{exchange.url}/ocra/v1/instances", json=body, headers={"Authorization": f"Bearer {token}"}, timeout=30)
        instance = made.json()["instance"]
        yield Served(exchange.url, Device(instance["id"], base64.b64decode(instance["secret"])))
        thread.run(exchange.close())
    thread.close()


def whole_document() -> dict[str, Any]:
    """That of an exchange that has everything; it needn't run."""
    thread = LoopThread()

    async def make() -> dict[str, Any]:
        return document(routes_of(new_exchange(MediaThread())._application().router), "1")

    try:
        return thread.run(make())
    finally:
        thread.close()


DOCUMENT = whole_document()
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)


def test_every_route_is_in_the_served_document_with_its_parameters(served: Served) -> None:
    told = requests.get(f"{served.url}/openapi.json", timeout=30).json()
    assert set(told["paths"]) == set(DOCUMENT["paths"]) and len(told["paths"]) > 40
    assert told["servers"] == [{"url": "/"}], "its port is that of whom it came from"
    for path, operations in told["paths"].items():
        for operation in operations.values():
            named = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
            assert named == set(re.findall(r"\{(\w+)\}", path))
    names = [one["operationId"] for operations in told["paths"].values() for one in operations.values()]
    assert len(set(names)) == len(names)


def test_nothing_is_described_that_is_not_there() -> None:
    there = {f"{method.upper()} {path}" for path, operations in DOCUMENT["paths"].items() for method in operations}
    assert set(DESCRIPTIONS) - there == set()


def test_who_may_ask_is_said_of_all_that_is_not_for_anybody() -> None:
    open_to_all = {path for path, operations in DOCUMENT["paths"].items() for one in operations.values() if not one["security"]}
    roots = ("/health", "/ready", "/openapi.json", "/time/", "/publish/", "/subscribe/", "/v2/", "/push")
    assert all(path == "/" or path.startswith(roots) for path in open_to_all), open_to_all


@SCHEMA.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck), derandomize=True)
def test_no_request_meets_a_fault_of_the_exchange(case: Any, served: Served) -> None:
    if time.process_time() - STARTED_S > LIMIT_S:
        pytest.skip("the time for requests that are made up is over")
    if case.path == "/__sinchphone/faults" and case.method == "POST":
        case.body = {"path": "/nowhere", "status": 500, "times": 1} if isinstance(case.body, dict) else case.body
    arguments = case.as_transport_kwargs(base_url=served.url)
    arguments.pop("cookies", None)
    with requests.Session() as session:
        asked = session.prepare_request(requests.Request(**{name: value for name, value in arguments.items() if name in _REQUEST}))
        body = asked.body.encode() if isinstance(asked.body, str) else asked.body if isinstance(asked.body, bytes) else b""
        parts = urlsplit(asked.url or "")
        content_type = asked.headers.get("Content-Type", "")
        asked.headers.update(served.authorization(asked.method or "", parts.path, body, str(content_type)))
        with session.send(asked, timeout=60, allow_redirects=False, stream=True) as response:  # one answer goes on and on
            fine = response.status_code < 500 or response.status_code == 501
            assert fine, (response.status_code, response.text[:300])


_REQUEST = ("method", "url", "headers", "params", "data", "json")
