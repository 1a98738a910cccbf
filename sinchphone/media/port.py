"""The line between signaling and media: one leg's peer connection, as the engine sees it.

The engine joins SDP to a port and reads its events; it never sees a packet. ``MediaPort`` is implemented by
``media.webrtc`` (through ``media.thread``) and by the fake of the tests.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from sinchphone.media.sound import Leg
from sinchphone.protocol.jsep import Candidate, Description


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server (RFC 7064, RFC 7065)."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class PortOptions:
    """How a port reaches its peer."""

    ice_servers: tuple[IceServer, ...] = ()
    relay_only: bool = False
    loopback: bool = False  # gather 127.0.0.1 and ::1 too: for exchanges on this machine
    connect_timeout_s: float = 15.0  # from the remote description to Failed
    lost_after_s: float = 12.0  # nothing at all from the peer (RTP, RTCP, ICE consent) -> Lost


@dataclass(frozen=True, slots=True)
class CandidateFound:
    """A local candidate for the peer; ``None`` means that there will be no more."""

    candidate: Candidate | None


@dataclass(frozen=True, slots=True)
class Connected:
    """ICE and DTLS are up. ``pair`` is the local candidate's type: host, srflx, prflx or relay."""

    pair: str
    codec: str


@dataclass(frozen=True, slots=True)
class FirstPacket:
    """The first RTP packet of sound arrived."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The peer can't be reached: ICE or DTLS did not come up."""

    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """Nothing has come from the peer for ``silent_s`` seconds, or it closed its side."""

    silent_s: float


PortEvent: TypeAlias = CandidateFound | Connected | FirstPacket | Failed | Lost


@dataclass(frozen=True, slots=True)
class PortStats:
    """Counters of one leg, since its start. ``None``: not known (yet)."""

    codec: str | None = None
    packets_sent: int = 0
    packets_received: int = 0
    packets_lost: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    concealed_samples: int = 0
    played_samples: int = 0
    jitter_ms: float | None = None
    delay_ms: float | None = None  # of the jitter buffer
    round_trip_ms: float | None = None


class MediaPort(Protocol):
    """One leg's media. Methods are awaited on the engine's loop; cancelling one is safe, the port must then be closed."""

    async def offer(self) -> Description:
        """An offer without candidates (they follow as events). Raises MediaError."""

    async def fork(self) -> "MediaPort":
        """Another port for the offer that this one made, for one more device that answers it: same ICE credentials, certificate
        and SSRC, sockets of its own. Its candidates are for that device only."""

    async def accept(self, answer: Description) -> None:
        """Take the peer's answer to our offer. Raises MediaError where nothing fits."""

    async def answer(self, offer: Description) -> Description:
        """Take the peer's offer, give our answer, without candidates. Raises MediaError where nothing fits."""

    async def add_candidate(self, candidate: Candidate | None) -> None:
        """Take a candidate of the peer (any time); ``None`` ends them. One that can't be used is ignored."""

    def events(self) -> AsyncIterator[PortEvent]:
        """What happens, in order; ends when the port is closed. One reader."""

    @property
    def leg(self) -> Leg:
        """The sound face."""

    async def stats(self) -> PortStats:
        """Counters at this moment."""

    async def close(self) -> None:
        """Close the connection and its sockets. May be called twice."""


class Ports(Protocol):
    """Makes ports."""

    def port(self, options: PortOptions) -> MediaPort:
        """A new port, not connected to anything."""
