"""A caller's offer that couldn't be answered is refused when it comes, before anybody rings; and leaves nothing behind."""

import re
from typing import Final

import pytest

from sinchphone.errors import MediaError
from sinchphone.gateway.relay.local import LocalRelays
from sinchphone.gateway.relay.relay import MediaTransport
from sinchphone.media.port import PortOptions
from sinchphone.media.thread import MediaThread
from sinchphone.media.webrtc.sdp import Fingerprint, LocalDescription, write_offer
from sinchphone.protocol.sdp.jsep import Description
from sinchphone.protocol.sdp.offer_answer import LocalCapabilities, Negotiation
from sinchphone.protocol.sdp.session_description import Crypto
from tests.gateway.relay.relay_lab import opened_sockets

WEBRTC, RTP, SRTP = MediaTransport.WEBRTC, MediaTransport.RTP, MediaTransport.SRTP
BROWSER: Final = write_offer(LocalDescription(1, "user", "p" * 24, (Fingerprint("sha-256", ":".join(["AB"] * 32)),), 7, "name"))
KEY: Final = Crypto(1, "AES_CM_128_HMAC_SHA1_80", bytes(range(30)))
PHONE: Final = Negotiation(1).offer(LocalCapabilities("127.0.0.1", 40000, ("PCMU",)))
SECURE: Final = Negotiation(1).offer(LocalCapabilities("127.0.0.1", 40000, ("PCMU",), keys=(KEY,)))


def without(sdp: str, lines: str) -> str:
    return re.sub(f"a={lines}.*\r\n", "", sdp)


@pytest.mark.parametrize("towards", list(MediaTransport))
@pytest.mark.parametrize(
    ("caller", "offer"),
    [
        (RTP, PHONE.replace("RTP/AVP 0 101", "RTP/AVP 18 101")),
        (RTP, PHONE.replace("RTP/AVP 0", "UDP/TLS/RTP/SAVPF 0")),
        (RTP, PHONE.replace("v=0", "v=1")),
        (RTP, BROWSER),
        (SRTP, without(SECURE, "crypto")),
        (SRTP, SECURE.replace("AES_CM_128_HMAC_SHA1_80", "F8_128_HMAC_SHA1_80")),
        (SRTP, PHONE),
        (WEBRTC, without(BROWSER, "fingerprint")),
        (WEBRTC, without(BROWSER, "ice-pwd")),
        (WEBRTC, BROWSER.replace("sha-256", "sha-1")),
        (WEBRTC, BROWSER.replace("opus/48000", "speex/48000")),
        (WEBRTC, PHONE),
    ],
)
async def test_an_offer_that_could_not_be_answered_is_refused_at_once(
    local: LocalRelays, caller: MediaTransport, offer: str, towards: MediaTransport
) -> None:
    before = opened_sockets()
    relay = local.relay("call", caller)
    with pytest.raises(MediaError):
        await relay.offer(offer, towards)
    await relay.delete()
    assert opened_sockets() <= before


@pytest.mark.parametrize(("caller", "offer"), [(RTP, PHONE), (SRTP, SECURE), (WEBRTC, BROWSER)])
async def test_an_offer_that_can_be_answered_goes_on_to_the_called_side(local: LocalRelays, caller: MediaTransport, offer: str) -> None:
    relay = local.relay("call", caller)
    assert "m=audio" in await relay.offer(offer, RTP)
    await relay.delete()


async def test_what_was_checked_can_still_be_answered(media: MediaThread) -> None:
    port = media.ports.port(PortOptions(loopback=True))
    offer = Description("offer", BROWSER)
    await port.check(offer)
    assert (await port.answer(offer)).type == "answer"
    await port.close()
