"""The place of the gateway among the destinations: which call makes it, and what becomes of one that can't be made."""

import asyncio
from typing import Any

import pytest

from sinchphone.errors import MediaError
from sinchphone.exchange.calls.line import Answerer, CallLine, Elsewhere
from sinchphone.exchange.destinations.backend_calls import BackendCalls
from sinchphone.exchange.destinations.gateway import CallbackUrls, GatewayOnDemand, GatewayParts
from sinchphone.exchange.directory.devices import Application
from sinchphone.exchange.refusals import RefusedError
from sinchphone.protocol.sdp.jsep import Description
from sinchphone.signaling.dialect import CallRequest, Domain


async def answer(line: CallLine) -> None:
    """Nobody calls here."""


class Gateway:
    """Takes every call."""

    sip_address = sip_tls_address = None

    @property
    def backend_calls(self) -> BackendCalls:
        raise NotImplementedError

    def __init__(self) -> None:
        self.closed = 0

    async def find(self, application: Application, request: CallRequest) -> Answerer | None:
        return answer

    def callback_urls(self, application: str) -> CallbackUrls:
        return CallbackUrls("", "")

    async def troubles(self) -> dict[str, str]:
        return {}

    @property
    def warnings(self) -> dict[str, str]:
        return {}

    def set_callback_urls(self, application: str, urls: CallbackUrls) -> None:
        """Nobody is called back here."""

    async def close(self) -> None:
        self.closed += 1


class Factory:
    """Makes a gateway for SIP addresses."""

    def __init__(self, *failures: Exception, from_start: bool = False) -> None:
        self.from_start = from_start
        self.made: list[Gateway] = []
        self._failures = list(failures)

    def takes(self, request: CallRequest) -> bool:
        return request.domain is Domain.SIP

    async def open(self, parts: GatewayParts) -> Gateway:
        await asyncio.sleep(0)
        if self._failures:
            raise self._failures.pop()
        self.made.append(Gateway())
        return self.made[-1]


def on_demand(factory: Factory) -> GatewayOnDemand:
    parts: Any = None
    return GatewayOnDemand(factory, lambda: parts)


async def find(gateway: GatewayOnDemand, domain: Domain) -> Answerer | Elsewhere | None:
    application: Any = None
    return await gateway.find(application, CallRequest("call", domain, "bob", Description("offer", "v=0\r\n")))


async def test_a_call_that_does_without_makes_no_gateway() -> None:
    factory = Factory()
    gateway = on_demand(factory)
    await gateway.start()
    assert [await find(gateway, domain) for domain in (Domain.MXP, Domain.PSTN, Domain.CONFERENCE)] == [None] * 3
    assert factory.made == []


async def test_the_first_call_that_needs_one_makes_it_once_and_from_then_on_it_is_asked_about_every_call() -> None:
    factory = Factory()
    gateway = on_demand(factory)
    assert await asyncio.gather(*(find(gateway, Domain.SIP) for _ in range(5))) == [answer] * 5
    assert await find(gateway, Domain.MXP) is answer
    assert len(factory.made) == 1


async def test_one_that_is_needed_from_the_start_is_made_at_the_start() -> None:
    factory = Factory(from_start=True)
    gateway = on_demand(factory)
    await gateway.start()
    assert gateway.gateway is factory.made[0]


async def test_a_call_whose_gateway_can_not_be_made_is_refused_with_the_reason_and_the_next_one_tries_again() -> None:
    gateway = on_demand(Factory(MediaError("rtpengine doesn't answer")))
    with pytest.raises(RefusedError, match="rtpengine doesn't answer") as refused:
        await find(gateway, Domain.SIP)
    assert refused.value.status == 503
    assert await find(gateway, Domain.SIP) is answer


async def test_nothing_is_made_any_more_when_the_exchange_closes_and_what_was_made_is_closed_once() -> None:
    factory = Factory()
    gateway = on_demand(factory)
    await find(gateway, Domain.SIP)
    await gateway.close()
    await gateway.close()
    assert [made.closed for made in factory.made] == [1]
    with pytest.raises(RefusedError, match="closing"):
        await find(gateway, Domain.SIP)
