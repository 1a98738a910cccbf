"""Where the exchange may be sent by somebody who names a URL."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from sinchphone.errors import ConfigError
from sinchphone.exchange.access import address_policy
from sinchphone.exchange.access.address_policy import AddressPolicy, AddressRefusedError
from sinchphone.options import KEYS

OPEN = AddressPolicy(listens_on="0.0.0.0")
CLOSED = AddressPolicy(listens_on="127.0.0.1")


@pytest.fixture
async def inner() -> AsyncIterator[Any]:
    """A server on loopback: its port, what it was asked, and what it answers."""

    class Inner:
        def __init__(self) -> None:
            self.port = 0
            self.asked: list[str] = []
            self.answer = ""

        async def serve(self, request: web.Request) -> web.StreamResponse:
            self.asked.append(f"{request.host}{request.path}")
            return web.Response(status=302, headers={"Location": self.answer}) if self.answer else web.Response(text="private")

    served = Inner()
    application = web.Application()
    application.router.add_get("/{name}", served.serve)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    served.port = runner.addresses[0][1]
    yield served
    await runner.cleanup()


async def fetched(policy: AddressPolicy, url: str) -> str:
    async with policy.session() as session, asyncio.timeout(20), session.get(url) as answer:
        return await answer.text()


def names(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Has names resolve to one answer after the other; what was asked for."""
    asked: list[str] = []
    waiting = list(answers)
    real = asyncio.get_running_loop().getaddrinfo

    async def getaddrinfo(host: str, port: int, **more: Any) -> list[Any]:
        if not str(host).endswith(".test"):
            return list(await real(host, port, **more))
        asked.append(host)
        found = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return [
            (socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port, 0, 0) if ":" in one else (one, port))
            for one in found
        ]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "017700000001",
        "localhost",
        "LocalHost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::7f00:1]",
    ],
)
async def test_attack_an_exchange_that_listens_beyond_loopback_reaches_no_inner_host_however_it_is_spelt(inner: Any, host: str) -> None:
    with pytest.raises(AddressRefusedError, match="on this machine or in a private network") as refused:
        await fetched(OPEN, f"http://{host}:{inner.port}/secret")
    assert inner.asked == []
    assert "inner_hosts" in refused.value.hint


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "2852039166",
        "[fd00:ec2::254]",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[fe80::1]",
        "0.0.0.0",
        "0",
        "[::]",
        "[::ffff:0:0]",
        "100.100.100.200",
        "255.255.255.255",
    ],
)
@pytest.mark.parametrize("policy", [OPEN, CLOSED, CLOSED.allowing("169.254.169.254", "0", "[::]", "fd00:ec2::254")])
async def test_attack_link_local_and_metadata_addresses_are_never_reached(host: str, policy: AddressPolicy) -> None:
    with pytest.raises(AddressRefusedError, match="link-local or metadata"):
        await fetched(policy, f"http://{host}/latest/meta-data")


async def test_an_exchange_that_listens_on_loopback_reaches_this_machine(inner: Any) -> None:
    for host in ("127.0.0.1", "localhost"):
        assert await fetched(CLOSED, f"http://{host}:{inner.port}/file") == "private"


@pytest.mark.parametrize("listens_on", ["127.0.0.1", "localhost", "::1", "[::1]", "127.0.0.5"])
def test_loopback_is_loopback_however_it_is_written(listens_on: str) -> None:
    AddressPolicy(listens_on=listens_on).check("files.lan", "10.0.0.1")


@pytest.mark.parametrize("listens_on", ["0.0.0.0", "::", "192.168.0.2", "phone.example.org"])
def test_private_networks_are_not_reached_from_an_exchange_that_listens_beyond_loopback(listens_on: str) -> None:
    policy = AddressPolicy(listens_on=listens_on)
    for address in ("10.0.0.1", "192.168.0.9", "fd12::1", "100.64.0.1"):
        with pytest.raises(AddressRefusedError):
            policy.check("files.lan", address)
    policy.check("files.example.org", "8.8.8.8")


@pytest.mark.parametrize("named", ["files.lan", "FILES.LAN.", "10.0.0.1", "10.0.0.0/8"])
def test_the_operator_may_allow_more_by_name_address_or_network(named: str) -> None:
    AddressPolicy(listens_on="0.0.0.0", inner_hosts=(named,)).check("files.lan", "10.0.0.1")


async def test_a_host_that_the_operator_names_is_reached_and_no_other(inner: Any) -> None:
    policy = AddressPolicy(listens_on="0.0.0.0", inner_hosts=("localhost",))
    assert await fetched(policy, f"http://localhost:{inner.port}/file") == "private"
    with pytest.raises(AddressRefusedError):
        await fetched(policy, f"http://127.0.0.1:{inner.port}/file")


async def test_attack_an_own_address_is_this_machine_though_it_is_everybodys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address_policy, "is_own_address", lambda address: address == "8.8.4.4")
    OPEN.check("elsewhere.example", "8.8.8.8")
    for own in ("8.8.4.4", "::ffff:8.8.4.4"):
        with pytest.raises(AddressRefusedError):
            OPEN.check("us.example", own)


async def test_attack_every_address_of_a_name_is_looked_at(inner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, ["8.8.8.8", "::1"])
    with pytest.raises(AddressRefusedError):
        await fetched(OPEN, f"http://both.test:{inner.port}/secret")
    assert inner.asked == []


async def test_attack_a_name_that_changes_after_it_was_looked_at_leads_nowhere_else(inner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = names(monkeypatch, ["127.0.0.1"], ["169.254.169.254"])
    assert await fetched(CLOSED, f"http://rebinding.test:{inner.port}/file") == "private"
    assert asked == ["rebinding.test"]  # what was looked at is what was connected to
    with pytest.raises(AddressRefusedError):
        await fetched(CLOSED, f"http://rebinding.test:{inner.port}/file")


@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/", "http://127.1:{port}/secret", "http://localhost:{port}/secret", "http://inner.test/"]
)
async def test_attack_a_redirection_is_looked_at_as_the_first_address_was(inner: Any, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, ["127.0.0.1"])
    inner.answer = target.format(port=inner.port)
    policy = AddressPolicy(listens_on="0.0.0.0", inner_hosts=("start.test",))
    with pytest.raises(AddressRefusedError):
        await fetched(policy, f"http://start.test:{inner.port}/first")
    assert inner.asked == [f"start.test:{inner.port}/first"]


async def test_a_proxy_of_the_environment_is_not_asked_to_go_where_we_may_not(inner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{inner.port}")
    with pytest.raises(AddressRefusedError):
        await fetched(OPEN, "http://10.0.0.1/secret")
    assert inner.asked == []


@pytest.mark.parametrize("value", ["10.0.0.0/8", [1], ["http://files.lan/"], ["a b"], ["10.0.0.0/64"], [""]])
def test_what_names_no_host_or_network_is_refused(value: object) -> None:
    with pytest.raises((ValueError, ConfigError)):
        KEYS["exchange.inner_hosts"].read(value)
