"""What an exchange tells who runs it, at an address of its own: whether it lives, whether it serves, and its figures."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from sinchphone.errors import ConfigError
from sinchphone.exchange.listening import PortTakenError
from sinchphone.exchange.metrics.readings import Readings
from sinchphone.exchange.metrics.server import MetricsServer
from sinchphone.exchange.record.counts import CallbackCounts, CallCounts
from sinchphone.media.clock import Lateness
from sinchphone.protocol.call.states import Cause

Found = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class Exchange:
    """Stands for an exchange that somebody looks at."""

    def __init__(self) -> None:
        self.calls = CallCounts()
        self.callbacks = CallbackCounts()
        self.lateness = Lateness()
        self.trouble: dict[str, str] = {}
        self.warnings: dict[str, str] = {}
        self.hangs = False

    def readings(self) -> Readings:
        return Readings(
            polls=7,
            waiting_frames=3,
            devices=5,
            connections=9,
            rooms=1,
            participants=2,
            calls=self.calls,
            callbacks=self.callbacks,
            lateness=self.lateness,
        )

    async def troubles(self) -> Mapping[str, str]:
        if self.hangs:
            await asyncio.Event().wait()
        return self.trouble


@pytest.fixture
def exchange() -> Exchange:
    return Exchange()


@pytest.fixture
async def url(exchange: Exchange) -> AsyncIterator[str]:
    async with MetricsServer(("127.0.0.1", 0), exchange) as server:
        yield server.url


async def get(url: str, **headers: str) -> tuple[int, str, Any]:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        json = answer.content_type == "application/json"
        return answer.status, answer.headers["Content-Type"], await (answer.json() if json else answer.text())


def values(text: str, read: Any = parse) -> Found:
    """The samples by name and labels, as Prometheus' own library reads them."""
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for family in read(text) for sample in family.samples}


async def test_it_is_alive_whatever_is_in_its_way_and_ready_when_nothing_is(exchange: Exchange, url: str) -> None:
    status, _, body = await get(f"{url}/ready")
    assert (status, body["status"], body["troubles"]) == (200, "ok", {})
    exchange.warnings = {"relay": "rtpengine at 127.0.0.1:2224 does not answer"}
    status, _, body = await get(f"{url}/ready")
    assert (status, body["troubles"], body["warnings"]) == (200, {}, exchange.warnings)
    exchange.trouble = {"relay": "rtpengine at 127.0.0.1:2223 does not answer"}
    status, _, body = await get(f"{url}/ready")
    assert (status, body["status"], body["troubles"]) == (503, "unavailable", exchange.trouble)
    assert (await get(f"{url}/health"))[0] == 200


async def test_what_it_needs_and_does_not_answer_is_not_waited_for(exchange: Exchange, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinchphone.exchange.management.health.READY_SECONDS", 0.05)
    exchange.hangs = True
    status, _, body = await get(f"{url}/ready")
    assert (status, list(body["troubles"])) == (503, ["exchange"])


async def test_every_figure_is_read_by_prometheus_own_library(exchange: Exchange, url: str) -> None:
    exchange.calls.placed("one", "mxp", 10.0)
    exchange.calls.placed("two", "pstn", 10.0)
    exchange.calls.rang("one", 10.2)
    exchange.calls.over("two", Cause.NO_ANSWER)
    exchange.callbacks.note(0.3, failed=False)
    exchange.callbacks.note(5.0, failed=True)
    exchange.lateness.note(0.003, 2)
    status, content_type, text = await get(f"{url}/metrics")
    found = values(text)
    assert status == 200 and content_type.startswith("text/plain; version=")
    assert found["sinchphone_calls", (("domain", "mxp"), ("state", "ringing"))] == 1
    assert found["sinchphone_calls_ended_total", (("cause", "no_answer"), ("domain", "pstn"))] == 1
    assert found["sinchphone_call_setup_seconds_count", ()] == 1
    assert found["sinchphone_call_setup_seconds_bucket", (("le", "0.1"),)] == 0
    assert found["sinchphone_call_setup_seconds_bucket", (("le", "0.25"),)] == 1
    assert found["sinchphone_callback_seconds_sum", (("outcome", "answered"),)] == pytest.approx(0.3)
    assert found["sinchphone_callback_seconds_count", (("outcome", "failed"),)] == 1
    assert found["sinchphone_media_late_seconds_bucket", (("le", "0.005"),)] == 1
    assert found["sinchphone_media_dropped_ticks_total", ()] == 2
    plain = ("long_polls", "waiting_message_frames", "devices", "connections", "rooms", "room_participants")
    assert [found[f"sinchphone_{name}", ()] for name in plain] == [7, 3, 5, 9, 1, 2]


async def test_the_two_formats_say_the_same(url: str) -> None:
    accept = "application/openmetrics-text; version=1.0.0"
    _, content_type, text = await get(f"{url}/metrics", Accept=accept)
    _, _, plain = await get(f"{url}/metrics")
    assert content_type.startswith("application/openmetrics-text")
    ours = {name: value for name, value in values(text, parse_openmetrics).items() if name[0].startswith("sinchphone")}
    assert ours == {name: value for name, value in values(plain).items() if name[0].startswith("sinchphone")}


@pytest.mark.parametrize("path", ["/", "/exchange", "/ocra/v1/instance", "/subscribe/a/b/0/0", "/metrics/x"])
async def test_nothing_of_the_exchange_is_served_there(url: str, path: str) -> None:
    assert (await get(url + path))[0] == 404


@pytest.mark.parametrize("path", ["/metrics", "/ready", "/health"])
async def test_a_page_of_another_name_that_points_here_reads_nothing(url: str, path: str) -> None:
    status, _, body = await get(url + path, Host="rebound.example.org")
    assert status == 403 and "sinchphone_" not in str(body)


async def test_an_address_that_somebody_has_is_refused_in_words(exchange: Exchange) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(PortTakenError, match="another program listens on"):
            async with MetricsServer(taken.getsockname(), exchange):
                pass


async def test_without_the_library_it_says_what_to_install(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "sinchphone.exchange.metrics.exposition", raising=False)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ConfigError) as refused:
        async with MetricsServer(("127.0.0.1", 0), exchange):
            pass
    assert "pip install" in (refused.value.hint or "")
