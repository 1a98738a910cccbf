"""A call by relays only, where there are none."""

import pytest

from sinchphone.cli.endings import describe
from sinchphone.cli.exits import ExitCode
from sinchphone.engine.calls.details import CallDetails
from sinchphone.errors import RELAY_ONLY
from sinchphone.media.ice_servers import IceServer
from sinchphone.media.port import PortFailed, PortOptions
from sinchphone.media.webrtc.port import WebRtcPort
from sinchphone.protocol.call.states import Cause, EndedBy
from sinchphone.protocol.mxp.message import CallFailure
from sinchphone.signaling.dialect import Domain
from tests.media.webrtc.webrtc_parties import HERE, a_party

NO_RELAYS = [
    ((), "none is known"),
    ((IceServer(urls=("stun:127.0.0.1:9",)),), "none is known"),
    ((IceServer(urls=("turn:127.0.0.1:9?transport=tcp",), username="x", credential="y"),), "none gave an address"),
]


@pytest.mark.parametrize(("servers", "why"), NO_RELAYS, ids=["nothing", "stun", "dead turn"])
async def test_a_call_by_relays_only_says_that_it_found_none(servers: tuple[IceServer, ...], why: str) -> None:
    only = PortOptions(relay_only=True, ice_servers=servers)
    async with a_party(WebRtcPort(only), 440) as caller, a_party(WebRtcPort(HERE), 620) as callee:
        await caller.port.accept(await callee.port.answer(await caller.port.offer()))
        assert (await caller.wait_for(PortFailed)).reason == f"{RELAY_ONLY}, and {why}"


@pytest.mark.parametrize("outbound", [True, False])
def test_the_hint_names_the_servers_and_not_a_firewall(outbound: bool) -> None:
    failure = CallFailure(3002, f"ICE failed to connect: {RELAY_ONLY}, and none is known", "")
    details = CallDetails(1.0, ended_at=3.0, cause=Cause.FAILURE, ended_by=EndedBy.MEDIA, failure=failure)
    ending = describe(details, peer="bob", domain=Domain.MXP, outbound=outbound, order=None, interactive=True)
    assert ending.code is ExitCode.MEDIA
    assert ending.hint is not None and "[ice] servers" in ending.hint and "firewall" not in ending.hint
