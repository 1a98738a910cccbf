"""A WebRTC side of a bridged call restarts ICE: the relay answers for itself, and the sound goes on both ways."""

import asyncio
from typing import Any

import pytest

from sinchphone.errors import MediaError
from sinchphone.gateway.relay.relay import MediaTransport, Relays, Side
from sinchphone.gateway.relay.rtpengine import RtpengineRelays
from sinchphone.media.port import Moved
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.sdp.jsep import Description
from tests.gateway.relay.relay_lab import PATIENCE_S, Phone, PortPhone, RawPhone, until_heard

STEREO_DB = 3.5  # rtpengine's Opus: mono spread over two channels comes out 3 dB quieter
WEB_HZ, PHONE_HZ = 440.0, 1000.0


def cut_off(web: PortPhone) -> None:
    crossing: Any = web.port
    for socket in crossing._port._path.ice._protocols:
        socket.transport.sendto = lambda data, addr=None: None
        socket.datagram_received = lambda data, addr: None


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("dead", [False, True])
async def test_a_webrtc_side_finds_another_path(relays: Relays, media: MediaThread, side: Side, dead: bool) -> None:
    web, phone = PortPhone.webrtc(media, WEB_HZ), RawPhone(PHONE_HZ)
    caller, called = (web, phone) if side is Side.CALLER else (phone, web)
    kinds = {web: MediaTransport.WEBRTC, phone: MediaTransport.RTP}
    relay = relays.relay("call", kinds[caller])
    try:
        first: Phone = caller
        await first.accept(await relay.answer(await called.answer(await relay.offer(await first.offer(), kinds[called]))))
        await until_heard(phone, WEB_HZ, within_db=STEREO_DB)
        if dead:
            media.call_soon(cut_off, web)
        offer = await web.port.restart()
        if isinstance(relays, RtpengineRelays) and side is Side.CALLED:
            with pytest.raises(MediaError, match="alone"):  # told, so that the old path goes on where it lives
                await relay.renew(side, offer.sdp)
            return
        await web.port.accept(Description("answer", await relay.renew(side, offer.sdp)))
        async with asyncio.timeout(PATIENCE_S):
            while not any(isinstance(event, Moved) for event in web.seen):
                await asyncio.sleep(0.02)
        await asyncio.sleep(1.2)  # what was heard before is forgotten
        await until_heard(phone, WEB_HZ, within_db=STEREO_DB)
        await until_heard(web, PHONE_HZ, within_db=STEREO_DB)
    finally:
        await relay.delete()
        await web.close()
        await phone.close()
