"""A path of a port that becomes narrow in mid-call."""

import asyncio
import time
from typing import Any

from sinchphone.media.webrtc.ice.turn import Allocation
from sinchphone.media.webrtc.port import WebRtcPort


class NarrowTransport:
    """A socket whose datagrams pass a link of so many kbit/s, one after the other; what would wait for more than a second is dropped."""

    def __init__(self, transport: Any, kbps: float) -> None:
        self._transport, self._kbps = transport, kbps
        self._free_at = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    @property
    def waiting_s(self) -> float:
        return max(0.0, self._free_at - time.monotonic())

    def sendto(self, data: bytes, address: Any = None) -> None:
        waits = self.waiting_s
        if waits < 1.0:
            self._free_at = time.monotonic() + waits + (len(data) + 28) * 8e-3 / self._kbps
            asyncio.get_running_loop().call_later(self._free_at - time.monotonic(), self._transport.sendto, data, address)


def narrow_down(port: WebRtcPort, kbps: float = 24) -> NarrowTransport:
    """The path in use carries so many kbit/s from now on: the way to the relay, where it begins with one."""
    (pair,) = port._path.ice._nominated.values()
    owner: Any = pair.protocol.transport._link if isinstance(pair.protocol.transport, Allocation) else pair.protocol
    owner.transport = narrow = NarrowTransport(owner.transport, kbps)
    return narrow
