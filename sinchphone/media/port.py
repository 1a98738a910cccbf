"""The line between signaling and media: one leg's peer connection, as the engine sees it.

The engine joins SDP to a port and reads its events; it never sees a packet. ``MediaPort`` is implemented by
``media.webrtc`` and ``media.plain`` (through ``media.thread``) and by the fake of the tests. A gateway, which may pass packets on
as they are, sees a little more: ``PassingPort``.
"""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol, TypeAlias

from sinchphone.media.codecs.codec import CodecFormat, DecodedFrame, EncodedFrame
from sinchphone.media.ice_servers import IceServer, IceServerList
from sinchphone.media.network.simulated_line import SimulatedLine
from sinchphone.media.pictures.picture_leg import PictureLeg
from sinchphone.media.sound import AudioLeg
from sinchphone.protocol.sdp.jsep import Candidate, Description
from sinchphone.quick_dataclass import quick_dataclass

NOT_FORKED = "a port over plain RTP isn't forked: the answer that comes last counts"


class PacketTap(Protocol):
    """Is told of each RTP packet that a port sends or takes, in the clear: for a trace. ``source`` and ``target``: ``host:port``."""

    def __call__(self, packet: bytes, source: str, target: str) -> None:
        """In the media loop; it costs the call's sound what it takes."""


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class PortOptions:
    """How a port reaches its peer."""

    ice_servers: tuple[IceServer, ...] = ()
    more_servers: IceServerList | None = None  # those that come while the port gathers already
    ca_file: Path | None = None  # authorities that TURN servers over TLS are trusted by, beside the system's (PEM)
    relay_only: bool = False
    loopback: bool = False  # gather 127.0.0.1 and ::1 too: for exchanges on this machine
    connect_timeout_s: float = 15.0  # from the remote description to Failed
    lost_after_s: float = 90.0  # nothing at all from the peer (RTP, RTCP, ICE consent) -> Lost; a laptop that slept a minute comes back
    max_kbps: int | None = None  # all that is sent, headers included
    codecs: tuple[str, ...] = ("opus",)  # names of media.codecs.codec.CODECS, in the order of our offers
    line: SimulatedLine | None = None  # what happens to media packets both ways: a test of what the other side makes of it
    tap: "PacketTap | None" = None
    pictures: tuple[str, ...] = ()  # the same of media.video.codecs.VIDEO_CODECS; none: none are offered, and those offered are refused


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class RtpPortOptions:
    """How a port over plain RTP or SDES-SRTP is reached and reaches its peer."""

    host: str = "127.0.0.1"  # where its sockets are bound: an address of this machine, or "0.0.0.0" or "::"
    address: str | None = None  # what its descriptions say, where that is another (behind NAT, or with host "0.0.0.0")
    codecs: tuple[str, ...] = ("PCMU", "PCMA", "G722", "opus")
    srtp: bool = False  # RTP/SAVP with SDES keys (RFC 4568), and nothing less
    signalled_from: str | None = None  # where the peer's signaling comes from: its sound may come from there too (a phone behind NAT)
    port_range: tuple[int, int] = (0, 0)  # first and last UDP port; (0, 0): whatever the system gives
    lost_after_s: float = 120.0  # nothing at all from the peer while it ought to send -> PortSilent; 0: never
    line: SimulatedLine | None = None  # what happens to packets both ways
    tap: "PacketTap | None" = None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class CandidateFound:
    """A local candidate for the peer; ``None`` means that there will be no more."""

    candidate: Candidate | None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """ICE and DTLS are up. ``pair`` is the local candidate's type: host, srflx, prflx or relay."""

    pair: str
    codec: str
    pictures: str | None = None  # their codec, where any were agreed on


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class RestartWanted:
    """The path to the peer fails, or this machine has other addresses: now is the time for ``MediaPort.restart``."""

    reason: str


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """An ICE restart, ours or the peer's, led to another path; the sound went on. ``pair`` as in Connected."""

    pair: str


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Redirected:
    """Who hears whom has changed, by a later offer of ours or of the peer (hold, resume). ``direction`` is seen from here."""

    direction: str


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class PortWarning:
    """Things go on, but somebody should know."""

    message: str
    hint: str = ""


@quick_dataclass(frozen=True, slots=True)
class FirstPacket:
    """The first RTP packet of sound arrived."""


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class PortFailed:
    """The peer can't be reached: ICE or DTLS did not come up."""

    reason: str


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class PortLost:
    """Nothing has come from the peer for ``silent_s`` seconds, or it closed its side."""

    silent_s: float


@quick_dataclass(frozen=True, slots=True)
class PortSilent:
    """Nothing has come over RTP for so long, though the peer ought to send. The port goes on, and says so again after as long."""

    silent_s: float


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class PortDigitHeard:
    """The peer sent a digit: one of ``0-9 * # A-D``. ``in_band``: it is in the sound, since telephone-events (RFC 4733) weren't agreed."""

    digit: str
    duration_ms: int
    in_band: bool = False


PortEvent: TypeAlias = (
    CandidateFound
    | Connected
    | FirstPacket
    | PortFailed
    | PortLost
    | PortSilent
    | PortDigitHeard
    | RestartWanted
    | Moved
    | Redirected
    | PortWarning
)


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class PictureStats:
    """Counters of a leg's pictures, since its start. Sizes are width and height."""

    codec: str | None
    pictures_sent: int
    pictures_received: int  # decoded
    pictures_dropped: int  # that came, but not whole, or not to be decoded
    packets_sent: int
    packets_received: int
    packets_lost: int
    bytes_sent: int
    bytes_received: int
    sent_size: tuple[int, int] | None  # None: nothing may be sent now
    received_size: tuple[int, int] | None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class PortStats:
    """Counters of one leg, since its start. ``None``: not known (yet)."""

    codec: str | None = None
    packets_sent: int = 0
    packets_received: int = 0
    packets_lost: int = 0
    bytes_sent: int = 0  # of payload
    bytes_received: int = 0
    line_bytes_sent: int = 0  # of IPv4 packets: headers, and what was sent again
    line_bytes_received: int = 0
    concealed_samples: int = 0
    absent_samples: int = 0  # silence in place of sound that never came
    played_samples: int = 0
    recovered_samples: int = 0  # decoded from the codec's own, coarser copy
    coded_bytes: int = 0  # of what was decoded, but for pauses,
    coded_samples: int = 0  # and the sound in it
    silent_s: float | None = None  # since the peer's last packet of sound; None where it need not send: on hold, in a pause
    jitter_ms: float | None = None
    delay_ms: float | None = None  # of the jitter buffer
    round_trip_ms: float | None = None
    sent_loss_percent: float | None = None  # of our packets, by the peer's last report
    pictures: PictureStats | None = None  # where any were agreed on


class MediaPort(Protocol):
    """One leg's media. Methods are awaited on the engine's loop; cancelling one is safe, the port must then be closed."""

    async def offer(self) -> Description:
        """An offer without candidates (they follow as events). Raises MediaError."""

    async def fork(self) -> "MediaPort":
        """Another port for the offer that this one made, for one more device that answers it: same ICE credentials, certificate
        and SSRC, sockets of its own. Its candidates are for that device only."""

    async def accept(self, answer: Description) -> None:
        """Take the peer's answer to our offer, or to our ``restart`` or ``reoffer``. Raises MediaError where nothing fits."""

    async def answer(self, offer: Description) -> Description:
        """Take the peer's offer, give our answer, without candidates. Raises MediaError where nothing fits.

        Once connected: take a later offer, which may restart ICE; where it raises, nothing has changed.
        """

    async def restart(self) -> Description:
        """An offer that restarts ICE while the sound goes on over the path in use; it stays where ``accept`` isn't called.

        Raises LocalProtocolError where the port isn't connected, or knows no restart.
        """

    async def reoffer(self, *, direction: str = "sendrecv") -> Description:
        """A later offer of ours: ``direction`` is sendrecv, sendonly (hold), recvonly or inactive, and holds for later answers of ours too.
        ``accept`` takes its answer. Raises MediaError, or LocalProtocolError where the port isn't connected."""

    @property
    def direction(self) -> str:
        """What was agreed on, seen from here: sendrecv, sendonly, recvonly or inactive."""

    async def add_candidate(self, candidate: Candidate | None) -> None:
        """Take a candidate of the peer (any time); ``None`` ends them. One that can't be used is ignored."""

    async def dtmf(self, digits: str) -> None:
        """Send digits (``0-9 * # A-D``; ``w`` waits half a second, ``W`` one) as telephone-events, after those asked for before; returns
        when they are sent. Raises MediaError where the peer takes none."""

    def events(self) -> AsyncIterator[PortEvent]:
        """What happens, in order; ends when the port is closed. One reader."""

    @property
    def leg(self) -> AudioLeg:
        """The sound face."""

    @property
    def pictures(self) -> PictureLeg:
        """The picture face; nothing comes of it where none were agreed on."""

    async def stats(self) -> PortStats:
        """Counters at this moment."""

    async def close(self) -> None:
        """Close the connection and its sockets. May be called twice."""


class PassingPort(MediaPort, Protocol):
    """A port whose packets may also pass through as they are, from one port to another that has the same codec."""

    async def answer(self, offer: Description, *, prefer: str | None = None) -> Description:
        """As ``MediaPort.answer``. Of the codecs that both know the first of the offer is taken, or ``prefer`` if it's among them."""

    async def check(self, offer: Description) -> None:
        """See whether the peer's first offer could be answered; nothing changes. Raises MediaError where nothing fits."""

    @property
    def codec(self) -> CodecFormat | None:
        """What was agreed on; ``None`` before that."""

    def divert(self, sink: Callable[[EncodedFrame], object] | None) -> None:
        """From now on give what comes to ``sink``, in order of arrival, instead of decoding it; ``None`` ends that. Any thread may call
        this; ``sink`` is called in the media loop and must not block or raise. Digits are not diverted: they are events."""

    def takes(self, frame: EncodedFrame) -> bool:
        """Whether the peer takes such packets of another port as they are: its codec, as long as it wants. In the media loop only."""

    def forward(self, frame: EncodedFrame) -> bool:
        """Send a packet of another port as it is, with numbers of our own; whether it went out (not during a digit, not while the peer
        doesn't listen, not where ``takes`` is False). In the media loop only. ``a.divert(b.forward)`` joins two ports."""

    def carry(self, heard: DecodedFrame) -> None:
        """Encode and send what a packet of another port held, at the distances of its time line; nothing during a digit, nothing while
        the peer doesn't listen. In the media loop only."""


class RtpPassingPort(PassingPort, Protocol):
    """A port without ICE, which later offers and answers may change (hold, resume, another codec or address)."""

    async def offer(self, *, direction: str = "sendrecv") -> Description:
        """Our offer, first or later. Raises MediaError."""

    async def accept(self, answer: Description) -> None:
        """Take the answer to the offer before: an early one, the final one (the same or another), or that to a later offer."""

    async def trust_source(self, host: str) -> None:
        """The peer's signaling comes from that IP address (see ``RtpPortOptions.signalled_from``). To be told before ``accept``."""

    async def withdraw(self) -> None:
        """Our offer was refused: what was agreed before stays."""

    async def reanswer(self, offer: Description, *, direction: str = "sendrecv", prefer: str | None = None) -> Description:
        """Take a later offer of the peer (hold, resume, another address), give our answer. Raises MediaError; then nothing has changed."""


class MediaPorts(Protocol):
    """Makes the ports of calls."""

    def port(self, options: PortOptions) -> MediaPort:
        """A new port, not connected to anything."""


class Ports(Protocol):
    """Makes ports."""

    def port(self, options: PortOptions) -> PassingPort:
        """A new port over WebRTC, not connected to anything."""


class RtpPorts(Protocol):
    """Makes ports over plain RTP."""

    def port(self, options: RtpPortOptions) -> RtpPassingPort:
        """A new port; its sockets are opened by its first offer or answer."""
