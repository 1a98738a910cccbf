"""Ports for ends in this process (attendants, conference rooms) whose peers are outside, whichever relay carries the media.

::

    in this process:  peer outside <-> WebRtcPort or RtpPort
    with rtpengine:   peer outside <-> rtpengine <-> RtpPort        descriptions go through rtpengine, sound comes over plain RTP
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Protocol, runtime_checkable

from sinchphone.errors import LocalProtocolError, MediaError
from sinchphone.gateway.relay.local import CODECS, LocalOptions
from sinchphone.gateway.relay.relay import MAX_EARLY, MediaTransport, Side
from sinchphone.gateway.relay.rtpengine import RtpengineRelay, RtpengineRelays
from sinchphone.media.pictures.picture_leg import PictureLeg
from sinchphone.media.port import MediaPort, PacketTap, PortEvent, PortStats, RtpPortOptions
from sinchphone.media.sound import AudioLeg
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.sdp.jsep import Candidate, Description


@runtime_checkable
class RenewablePort(Protocol):
    """What a port over RTP or SRTP can do beside a MediaPort's own."""

    async def reanswer(self, offer: Description, *, direction: str = "sendrecv") -> Description:
        """Take a later offer of the peer (hold, resume, another address), give our answer. Raises MediaError; then nothing has changed."""

    async def reoffer(self, *, direction: str = "sendrecv") -> Description:
        """A later offer of ours; ``accept`` takes its answer. Raises MediaError."""

    async def withdraw(self) -> None:
        """That was refused: what was agreed before stays."""

    async def trust_source(self, host: str) -> None:
        """The peer's signaling comes from that IP address: its sound may come from there too. To be told before ``accept``."""


class Terminations(Protocol):
    """Makes ports that end a peer's media in this process."""

    def port(self, call_id: str, transport: MediaTransport, *, signalled_from: str | None = None) -> MediaPort:
        """A new port for a peer that uses that transport; over RTP and SRTP it's a RenewablePort too.

        ``signalled_from``: the IP address that the peer's signaling comes from.
        """


class LocalTerminations:
    """Implements Terminations with ports that face the peer themselves."""

    def __init__(self, media: MediaThread, options: LocalOptions | None = None) -> None:
        self._media = media
        self._options = options or LocalOptions()

    def port(self, call_id: str, transport: MediaTransport, *, signalled_from: str | None = None) -> MediaPort:
        """A new port; over WebRTC its candidates come as events."""
        options = self._options.of_call(call_id)
        if transport is MediaTransport.WEBRTC:
            return self._media.ports.port(replace(options.webrtc, codecs=CODECS))
        secured = transport is MediaTransport.SRTP
        return self._media.rtp_ports.port(replace(options.rtp, codecs=CODECS, srtp=secured, signalled_from=signalled_from))


class RtpengineTerminations:
    """Implements Terminations with rtpengine between. ``tap`` as in ``LocalOptions``: of what goes between rtpengine and this process."""

    def __init__(self, relays: RtpengineRelays, media: MediaThread, tap: Callable[[str], PacketTap | None] = lambda _: None) -> None:
        self._relays = relays
        self._media = media
        self._tap = tap

    def port(self, call_id: str, transport: MediaTransport, *, signalled_from: str | None = None) -> MediaPort:
        """A new port; its descriptions carry rtpengine's candidates."""
        inside = RtpPortOptions(codecs=CODECS, tap=self._tap(call_id))
        return RtpenginePort(self._relays, self._media.rtp_ports.port(inside), call_id, transport)


class RtpenginePort:
    """Implements MediaPort and RenewablePort: the outside by a relay, the sound by a port of ours."""

    def __init__(self, relays: RtpengineRelays, port: MediaPort, call_id: str, transport: MediaTransport) -> None:
        self._relays = relays
        self._port = port
        self._call_id = call_id
        self._transport = transport
        self._proposes = False  # a later offer of ours waits for its answer
        self._relay: RtpengineRelay | None = None
        self._outside = Side.CALLED  # where the peer is, in the relay's eyes
        self._early: list[Candidate | None] = []  # came before the relay was there

    async def offer(self) -> Description:
        """Our offer, with its candidates. Raises MediaError."""
        relay = self._open(MediaTransport.RTP, Side.CALLED)
        inside = await self._port.offer()
        return Description("offer", await relay.offer(inside.sdp, self._transport))

    async def fork(self) -> MediaPort:
        """Raises MediaError: rtpengine connects one device of several only."""
        raise MediaError("an offer through rtpengine can't be forked")

    async def restart(self) -> Description:
        """Raises LocalProtocolError: the outside is rtpengine's, which follows its peers by itself."""
        raise LocalProtocolError("a port behind rtpengine isn't restarted")

    async def reoffer(self, *, direction: str = "sendrecv") -> Description:
        """A later offer of ours; our own port isn't asked."""
        offer = Description("offer", await self._joined().propose(self._outside, ours=direction))
        self._proposes = True
        return offer

    @property
    def direction(self) -> str:
        """What was agreed on with the peer, seen from here, as far as it says whether it hears."""
        return "sendrecv" if self._relay is None or self._relay.hears(self._outside) else "recvonly"

    async def trust_source(self, host: str) -> None:
        """Nothing: rtpengine learns by itself where sound comes from."""

    async def withdraw(self) -> None:
        """Our later offer was refused."""
        self._proposes = False
        await self._joined().withdraw()

    async def accept(self, answer: Description) -> None:
        """Take the peer's answer to our offer, or to our later one. Raises MediaError where nothing fits."""
        if self._proposes:
            self._proposes = False
            await self._joined().settle(self._outside, answer.sdp)
            return
        inside = await self._joined().answer(answer.sdp)
        await self._port.accept(Description("answer", inside))

    async def answer(self, offer: Description) -> Description:
        """Take the peer's offer, give our answer, with its candidates. Raises MediaError where nothing fits."""
        relay = self._open(self._transport, Side.CALLER)
        inside = await self._port.answer(Description("offer", await relay.offer(offer.sdp, MediaTransport.RTP)))
        given = Description("answer", await relay.answer(inside.sdp))
        await self._trickle(relay)
        return given

    async def reanswer(self, offer: Description, *, direction: str = "sendrecv") -> Description:
        """Take a later offer of the peer, give our answer; our own port isn't asked."""
        return Description("answer", await self._joined().renew(self._outside, offer.sdp, ours=direction))

    async def add_candidate(self, candidate: Candidate | None) -> None:
        """Take a candidate of the peer (any time); their end isn't needed."""
        if self._relay is not None:
            await self._relay.add_candidate(self._outside, candidate)
        elif len(self._early) < MAX_EARLY:
            self._early.append(candidate)

    async def dtmf(self, digits: str) -> None:
        """Send digits; rtpengine passes them on as the peer takes them."""
        await self._port.dtmf(digits)

    def events(self) -> AsyncIterator[PortEvent]:
        """What happens at our side of rtpengine, in order; ends when the port is closed. One reader."""
        return self._port.events()

    @property
    def leg(self) -> AudioLeg:
        """The sound face."""
        return self._port.leg

    @property
    def pictures(self) -> PictureLeg:
        """The picture face: there are none here."""
        return self._port.pictures

    async def stats(self) -> PortStats:
        """Counters at this moment, between rtpengine and us."""
        return await self._port.stats()

    async def close(self) -> None:
        """Have rtpengine forget the call, close our socket. May be called twice."""
        try:
            if self._relay is not None:
                await self._relay.delete()
        finally:
            await self._port.close()

    def _open(self, caller: MediaTransport, outside: Side) -> RtpengineRelay:
        if self._relay is not None:
            raise LocalProtocolError("not possible with a port that has a peer")
        self._relay, self._outside = self._relays.relay(self._call_id, caller), outside
        return self._relay

    def _joined(self) -> RtpengineRelay:
        if self._relay is None:
            raise LocalProtocolError("not possible with a new port")
        return self._relay

    async def _trickle(self, relay: RtpengineRelay) -> None:
        early, self._early = self._early, []
        for candidate in early:
            await relay.add_candidate(self._outside, candidate)
