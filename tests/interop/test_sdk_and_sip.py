"""The official SDK and a SIP phone talk through the gateway: what the SDK accepts from a server's own end of a call."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from sinchphone.gateway.sip.agent import SipAgent
from sinchphone.gateway.sip.calls import SipAnswered, SipCall, SipTarget
from sinchphone.gateway.sip.options import SipOptions
from sinchphone.media.port import RtpPassingPort, RtpPortOptions
from sinchphone.protocol.sdp.jsep import Description
from sinchphone.protocol.sip.digest import Credentials
from sinchphone.protocol.sip.uri import SipAddress, parse_uri

LIMIT_S = 20.0


@dataclass
class Phone:
    """A SIP phone that does what the test says."""

    town: Any
    incoming: asyncio.Queue[SipCall]
    agent: SipAgent

    def port(self) -> RtpPassingPort:
        made = self.town.media.rtp_ports.port(RtpPortOptions(codecs=("PCMU",)))
        self.town.stack.push_async_callback(made.close)
        return made  # type: ignore[no-any-return]

    async def talk(self, port: RtpPassingPort, hz: float) -> Any:
        ear, sound = self.town.sound(hz)
        await sound.connect(port.leg)
        self.town.stack.push_async_callback(sound.close)
        return ear

    async def next_call(self) -> tuple[SipCall, RtpPassingPort, str]:
        async with asyncio.timeout(LIMIT_S):
            call = await self.incoming.get()
        port = self.port()
        assert call.offer is not None
        return call, port, (await port.answer(Description("offer", call.offer))).sdp


@pytest.fixture
async def phone(town: Any) -> AsyncIterator[Phone]:
    calls: asyncio.Queue[SipCall] = asyncio.Queue()

    async def take(call: SipCall) -> None:
        calls.put_nowait(call)

    agent = SipAgent(SipOptions(port=0, open=True), router=take)
    await agent.start()
    yield Phone(town, calls, agent)
    await agent.close()


async def test_the_sdk_calls_a_sip_phone_and_both_hear_each_other(town: Any, phone: Phone) -> None:
    sdk = await town.sdk_user("alice")
    sdk.do("tone", hz=1000)
    sdk.do("callSip", to=f"bob@127.0.0.1:{phone.agent.port}", headers={"x-order": "42"})
    call, port, answer = await phone.next_call()
    assert call.headers["x-order"] == "42"
    await call.ring()
    await sdk.told("progressing")
    await call.answer(answer)
    ear = await phone.talk(port, 440.0)
    here = (await sdk.told("established"))["call"]
    await sdk.hears(here, 440)
    await ear.hears(1000.0)
    await call.hang_up()
    await sdk.ends("HUNG_UP")


async def test_the_sdk_hears_early_sound(town: Any, phone: Phone) -> None:
    sdk = await town.sdk_user("alice")
    sdk.do("callSip", to=f"bob@127.0.0.1:{phone.agent.port}")
    call, port, answer = await phone.next_call()
    await call.early(answer)
    await phone.talk(port, 440.0)
    here = (await sdk.told("progressing"))["call"]
    await asyncio.sleep(1.0)
    await sdk.hears(here, 440)
    assert sdk.tells_not("established")
    await call.answer(answer)
    await sdk.told("established")
    sdk.do("hangUp", call=here)
    await sdk.ends("HUNG_UP")


async def test_the_sdk_is_told_that_a_sip_phone_is_busy(town: Any, phone: Phone) -> None:
    sdk = await town.sdk_user("alice")
    sdk.do("callSip", to=f"bob@127.0.0.1:{phone.agent.port}")
    call, _, _ = await phone.next_call()
    await call.refuse(486, "Busy Here")
    await sdk.ends("DENIED")


async def test_a_sip_phone_calls_the_sdk_and_both_hear_each_other(town: Any, phone: Phone) -> None:
    sdk = await town.sdk_user("alice")
    sdk.do("tone", hz=1000)
    port = phone.port()
    offer = await port.offer()
    caller, at = SipAddress(parse_uri("sip:desk@127.0.0.1")), town.exchange.gateway.sip_address
    call = phone.agent.invite(
        SipTarget(parse_uri(f"sip:alice@{at}")), caller=caller, offer=offer.sdp, credentials=Credentials("desk", "secret")
    )
    told = await sdk.told("incoming")
    assert told["from"].startswith("desk@127.0.0.1")
    sdk.do("answer", call=told["call"])
    async with asyncio.timeout(LIMIT_S):
        async for event in call.events():
            if isinstance(event, SipAnswered):
                await port.accept(Description("answer", event.sdp))
                break
    ear = await phone.talk(port, 440.0)
    await sdk.told("established")
    await sdk.hears(told["call"], 440)
    await ear.hears(1000.0)
    await call.hang_up()
    await sdk.ends("HUNG_UP")
