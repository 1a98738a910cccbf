"""What carries the gateway's sound: relays and seats, here or in rtpengine, at an address that may be known late."""

import ipaddress
import socket
from dataclasses import replace
from typing import Final

from sinchphone.gateway.options import SipSettings
from sinchphone.gateway.relay.local import LocalOptions, LocalRelays
from sinchphone.gateway.relay.relay import Relay, Relays, Transport
from sinchphone.gateway.relay.rtpengine import RtpengineRelays
from sinchphone.gateway.relay.seats import LocalSeats, RtpengineSeats, Seats
from sinchphone.media.port import MediaPort, RtpPortOptions
from sinchphone.media.thread import MediaThread

LOOPBACK: Final = "127.0.0.1"
EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 - somebody's wish
_SOMEWHERE: Final = ("192.0.2.1", 9)  # RFC 5737: nobody; nothing is sent there


class MediaBackends:
    """Makes relays and seats. ``open`` comes first, ``close`` last."""

    def __init__(self, media: MediaThread, settings: SipSettings) -> None:
        self._media = media
        self._settings = settings
        self._relays: Relays = LocalRelays(media)
        self._seats: Seats = LocalSeats(media)
        self._made: dict[str, tuple[Relays, Seats]] = {"": (self._relays, self._seats)}  # by our address

    async def open(self) -> None:
        """Take what the configuration says. Raises MediaError where rtpengine doesn't answer."""
        if self._settings.media == "rtpengine":
            relays = RtpengineRelays(self._settings.rtpengine, digits_at=self._settings.rtpengine_digits)
            await relays.start()
            self._relays, self._seats = self._made["rtpengine"] = relays, RtpengineSeats(relays, self._media)
        else:
            self.settle(self._settings.host)

    def settle(self, host: str) -> None:
        """Sound over RTP uses that address from now on; calls that run keep theirs."""
        if self._settings.media == "python":
            if host not in self._made:
                self._made[host] = self._at(host)
            self._relays, self._seats = self._made[host]

    def _at(self, host: str) -> tuple[Relays, Seats]:
        given = self._settings
        address = given.public_address or (local_address() if host in EVERYWHERE else None)
        rtp = RtpPortOptions(host=host, address=address, port_range=given.media_ports or (0, 0))
        options = replace(LocalOptions(), rtp=rtp)
        return LocalRelays(self._media, options), LocalSeats(self._media, options)

    def relay(self, call_id: str, caller: Transport, *, signalled_from: str | None = None) -> Relay:
        """The media of a new call."""
        self._media.start()
        return self._relays.relay(call_id, caller, signalled_from=signalled_from)

    def seat(self, call_id: str, transport: Transport, *, signalled_from: str | None = None) -> MediaPort:
        """A port whose sound is here."""
        self._media.start()
        return self._seats.seat(call_id, transport, signalled_from=signalled_from)

    async def close(self) -> None:
        """Free everything. May be called twice."""
        for relays, _ in self._made.values():
            await relays.close()


def local_address(towards: tuple[str, int] = _SOMEWHERE) -> str:
    """Our address on the way to another one; the loopback address where there is no way."""
    with socket.socket(socket.AF_INET6 if ":" in towards[0] else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(towards)
        except OSError:
            return LOOPBACK
        return str(probe.getsockname()[0])


def is_own_address(host: str) -> bool:
    """Whether that is an IP address of this machine."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return local_address((host, _SOMEWHERE[1])) == host
