"""A participant's seat in a room that a Janus mixes.

::

    a user's call     -> ports: its WebRTC ends at Janus                       no hold, nothing is said to one alone
    all others        -> sound: their leg and one to Janus over plain RTP in a small room of this process, which has all that rooms have
"""

import asyncio
import ipaddress
import math
import re
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final

from sinchphone.audio.frame import Samples
from sinchphone.audio.tones.signals import Loop
from sinchphone.errors import MediaError
from sinchphone.exchange.access.local_addresses import address_towards
from sinchphone.exchange.conference.janus.link import Hear
from sinchphone.exchange.conference.janus.port import JanusPorts, plugin_data
from sinchphone.exchange.conference.janus.room import JanusRoom, Joined
from sinchphone.exchange.conference.room import Room, Seat
from sinchphone.exchange.conference.rooms import Kick, Participant, RoomSeat, SeatSound, TakeDigit
from sinchphone.exchange.refusals import RefusedError
from sinchphone.media.port import RtpPassingPort, RtpPortOptions
from sinchphone.media.sound import AudioLeg
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.sdp.jsep import Description
from sinchphone.protocol.sdp.session_description import write_blocks
from sinchphone.signaling.wire import ErrorCode
from sinchphone.tasks import start_task

_NO_HOLD: Final = "a user's call in a room on Janus can't be held: its sound doesn't pass the exchange"


class JanusSeat(RoomSeat):
    """One seat. ``host`` is where Janus is."""

    def __init__(
        self,
        participant: Participant,
        janus: JanusRoom,
        host: str | None,
        media: MediaThread,
        kick: Kick,
        empty: Callable[[], None],
        takes_digit: TakeDigit | None = None,
    ) -> None:
        room = Room()
        super().__init__(participant, room, media, kick, empty, takes_digit)
        self.ports = JanusPorts(self._enter)
        self.sound = _JanusSound(self._seat, room, media, self._join)
        self._room = room
        self._janus = janus
        self._host = host
        self._media = media
        self._joined: Joined | None = None
        self._port: RtpPassingPort | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._ordered: asyncio.Task[None] | None = None

    async def leave(self) -> None:
        """Make room for somebody else. May be called twice."""
        await super().leave()
        joined, self._joined = self._joined, None
        if joined is not None:
            await self._janus.leave(joined)
        if self._port is not None:
            await self._port.close()

    def mute(self, muted: bool) -> None:
        """While muted nobody hears them; ``settled`` says whether Janus took it."""
        super().mute(muted)
        if self._is_direct and self._joined is not None:
            self._ordered = self._start(self._janus.mute(self._joined, muted), "mute at Janus")

    async def settled(self) -> None:
        """Return when what was ordered is so. Raises RefusedError where it isn't."""
        ordered, self._ordered = self._ordered, None
        try:
            if ordered is not None:
                await ordered
        except MediaError as error:
            raise RefusedError(503, ErrorCode.INTERNAL, str(error)) from error

    def hold(self, music: Loop | None) -> None:
        """Raises RefusedError for a call whose sound doesn't pass here."""
        if self._is_direct and music is not None:
            raise RefusedError(501, ErrorCode.NOT_THERE, _NO_HOLD)
        super().hold(music)

    async def announce(self, samples: Samples) -> None:
        """Raises RefusedError for a call whose sound doesn't pass here."""
        if self._is_direct:
            raise RefusedError(501, ErrorCode.NOT_THERE, _NO_HOLD)
        await super().announce(samples)

    @property
    def _is_direct(self) -> bool:
        return self._joined is not None and self._port is None

    async def _enter(self, offer: str, hear: Hear) -> Joined:
        """Over WebRTC. Raises MediaError."""

        def both(said: Mapping[str, Any]) -> None:
            self._note_speech(plugin_data(said))
            hear(said)

        self._joined = await self._janus.enter(self.participant.name, both, offer=offer)
        if self._seat.muted:
            await self._janus.mute(self._joined, muted=True)
        return self._joined

    def _note_speech(self, data: Mapping[str, Any]) -> None:
        if self._joined is not None and data.get("id") == self._joined.id:
            if data.get("audiobridge") == "talking":
                self._seat.spoke_at = math.inf
            elif data.get("audiobridge") == "stopped-talking":
                self._seat.spoke_at = time.monotonic()

    async def _join(self) -> bool:
        """Over plain RTP; whether the leg is to be carried there. Raises MediaError."""
        if self._joined is not None:
            return not self._is_direct
        ours = await address_towards(self._host)
        self._port = self._media.rtp_ports.port(RtpPortOptions(host=ours, codecs=("opus",), signalled_from=self._host, lost_after_s=0.0))
        place = _place_in((await self._port.offer()).sdp)
        self._joined = await self._janus.enter(self.participant.name, self._hear, rtp={"ip": ours, **place})
        await self._port.accept(Description("answer", _answer_of(self._joined.rtp, place["payload_type"])))
        await self._media.run(self._room.join(Seat("Janus"), self._port.leg))
        return True

    def _hear(self, said: Mapping[str, Any]) -> None:
        if said["janus"] in ("gone", "detached"):
            self._start(self._be_kicked(), "leave a room at Janus")

    async def _be_kicked(self) -> None:
        await self.kick()

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        return start_task(work, name=name, among=self._tasks)


class _JanusSound(SeatSound):
    """Brings a leg of this process to Janus; a user's is there already."""

    def __init__(self, seat: Seat, room: Room, media: MediaThread, join: Callable[[], Awaitable[bool]]) -> None:
        super().__init__(seat, room, media)
        self._join = join

    async def connect(self, leg: AudioLeg, *, early: bool = False) -> None:
        """Raises MediaError."""
        if not early and await self._join():
            await super().connect(leg)


def _place_in(sdp: str) -> dict[str, int]:
    """The port and Opus' payload type in a description of ours."""
    port, kind = (
        re.search(r"^m=audio ([0-9]+)", sdp, re.MULTILINE),
        re.search(r"^a=rtpmap:([0-9]+) opus/", sdp, re.MULTILINE | re.IGNORECASE),
    )
    assert port is not None and kind is not None, "our own description"
    return {"port": int(port[1]), "payload_type": int(kind[1])}


def _answer_of(rtp: Mapping[str, Any], kind: int) -> str:
    """What Janus said, as a description. Raises MediaError."""
    try:
        host, port = str(ipaddress.ip_address(rtp["ip"])), int(rtp["port"])
    except (KeyError, TypeError, ValueError) as error:
        raise MediaError("Janus says nowhere where it takes sound over RTP") from error
    family = "IP6" if ":" in host else "IP4"
    session = [("v", "0"), ("o", f"- 1 1 IN {family} {host}"), ("s", "-"), ("c", f"IN {family} {host}"), ("t", "0 0")]
    media = [("m", f"audio {port} RTP/AVP {kind}"), ("a", f"rtpmap:{kind} opus/48000/2"), ("a", "sendrecv")]
    return write_blocks([session, media])
