"""What carries the gateway's sound, by the address of ours that its packets use: relays and ports, in this process or in rtpengine."""

from collections.abc import Sequence

from sinchphone.exchange.access.local_addresses import local_address
from sinchphone.exchange.record.record import EventRecord
from sinchphone.gateway.options import SipSettings
from sinchphone.gateway.relay.local import LocalOptions, LocalRelays
from sinchphone.gateway.relay.relay import MediaTransport, Relay, Relays
from sinchphone.gateway.relay.rtpengine import RtpengineRelays
from sinchphone.gateway.relay.terminations import LocalTerminations, RtpengineTerminations, Terminations
from sinchphone.hosts import EVERYWHERE
from sinchphone.media.network.simulated_line import SimulatedLine
from sinchphone.media.port import MediaPort, RtpPortOptions
from sinchphone.media.thread import MediaThread
from sinchphone.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True)
class MediaBackend:
    """What carries sound at one address of ours."""

    media: MediaThread
    relays: Relays
    terminations: Terminations

    def relay(self, call_id: str, caller: MediaTransport, *, signalled_from: str | None = None) -> Relay:
        """The media of a new call whose caller uses that transport."""
        self.media.start()
        return self.relays.relay(call_id, caller, signalled_from=signalled_from)

    def port(self, call_id: str, transport: MediaTransport, *, signalled_from: str | None = None) -> MediaPort:
        """A port whose sound is here, for a peer that uses that transport."""
        self.media.start()
        return self.terminations.port(call_id, transport, signalled_from=signalled_from)


class MediaBackends:
    """All of one gateway. ``start`` comes first, ``close`` last."""

    def __init__(
        self, media: MediaThread, settings: SipSettings, record: EventRecord | None = None, bad_line: SimulatedLine | None = None
    ) -> None:
        """``record`` is told of packets, where it keeps them; ``bad_line``: what happens to them."""
        self._media = media
        self._settings = settings
        self._record = record or EventRecord(is_on=False)
        self._bad_line = bad_line
        self._rtpengine: RtpengineRelays | None = None
        if settings.media == "rtpengine":
            self._rtpengine = RtpengineRelays(
                settings.rtpengine, digits_at=settings.rtpengine_digits, lost_after_s=float(settings.rtp_timeout)
            )
        self._made: dict[str, MediaBackend] = {}  # by our address

    async def start(self) -> None:
        """Raises MediaError where rtpengine is wanted and doesn't answer."""
        if self._rtpengine is not None:
            await self._rtpengine.start()

    async def troubles(self) -> Sequence[str]:
        """Which rtpengines can't carry sound now, and why; ``carries`` says whether that leaves one."""
        return await self._rtpengine.engines.troubles() if self._rtpengine is not None else ()

    def carries(self, troubles: Sequence[str]) -> bool:
        """Whether sound is carried all the same."""
        return self._rtpengine is None or len(troubles) < self._rtpengine.engines.size

    def at(self, host: str | None) -> MediaBackend:
        """What carries the sound of a call whose RTP uses that address of ours; ``None``: where it has no RTP, or the configured one."""
        key = "" if self._rtpengine is not None else host or self._settings.host
        if key not in self._made:
            self._made[key] = self._at(key)
        return self._made[key]

    def _at(self, host: str) -> MediaBackend:
        if self._rtpengine is not None:
            return MediaBackend(self._media, self._rtpengine, RtpengineTerminations(self._rtpengine, self._media, self._record.tap))
        given = self._settings
        address = given.public_address or (local_address() if host in EVERYWHERE else None)
        rtp = RtpPortOptions(host=host, address=address, port_range=given.media_ports or (0, 0), lost_after_s=float(given.rtp_timeout))
        options = LocalOptions(rtp=rtp, line=self._bad_line, tap=self._record.tap)
        return MediaBackend(self._media, LocalRelays(self._media, options), LocalTerminations(self._media, options))

    async def close(self) -> None:
        """Free everything. May be called twice."""
        for backend in self._made.values():
            await backend.relays.close()
        if self._rtpengine is not None:
            await self._rtpengine.close()
