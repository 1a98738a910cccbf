"""A TURN server that is as difficult as a test wants, over UDP on loopback; and who listens at the end of an allocation."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from aioice import stun
from aioice.turn import make_integrity_key

from sinchphone.media.webrtc import seam
from sinchphone.media.webrtc.ice.servers import Server
from sinchphone.media.webrtc.ice.turn import Allocation, allocate

RELAYED = ("192.0.2.50", 50_000)
MAPPED = ("198.51.100.7", 40_000)
PATIENCE_S = 10.0


class TurnStub(asyncio.DatagramProtocol):
    """``stale``: how often a request of a method is answered with another nonce before it's taken; ``refused``: the code for peers."""

    def __init__(self, *, stale: int = 0, refused: dict[str, int] | None = None, password: str = "p", lifetime: int = 600) -> None:
        self.stale = stale
        self.refused = refused or {}
        self.key = make_integrity_key("u", "test", password)
        self.lifetime = lifetime
        self.asked: Counter[str] = Counter()  # requests by method
        self.raw: list[bytes] = []
        self.on_channels: list[bytes] = []
        self._nonce = 0
        self._left: Counter[str] = Counter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if data[0] & 0xC0 == 0x40:
            self.on_channels.append(data[4:])
            return
        self.raw.append(data)
        request = stun.parse_message(data)
        self.asked[request.message_method.name] += 1
        self.transport.sendto(bytes(self.answer(request)), addr)

    def answer(self, request: stun.Message) -> stun.Message:
        method = request.message_method.name
        kind = f"{method} {request.attributes.get('XOR-PEER-ADDRESS')}"
        if "USERNAME" not in request.attributes:
            return self.refusal(request, 401, REALM="test", NONCE=self.nonce())
        if not request.check_message_integrity(self.key):
            return self.refusal(request, 401, REALM="test", NONCE=self.nonce())
        number = int(request.attributes["NONCE"].removeprefix(b"nonce-"))
        if number < self._nonce - 2 or self._left[kind] < self.stale:  # of two requests at once, neither makes the other's stale
            self._left[kind] += 1
            self._nonce += 1
            return self.refusal(request, 438, REALM="test", NONCE=self.nonce())
        self._left[kind] = 0
        host = request.attributes.get("XOR-PEER-ADDRESS", ("", 0))[0]
        if host in self.refused:
            return self.refusal(request, self.refused[host], signed=True)
        response = stun.Message(request.message_method, stun.Class.RESPONSE, request.transaction_id)
        if method in ("ALLOCATE", "REFRESH"):
            response.attributes["LIFETIME"] = self.lifetime
        if method == "ALLOCATE":
            response.attributes |= {"XOR-RELAYED-ADDRESS": RELAYED, "XOR-MAPPED-ADDRESS": MAPPED}
        response.add_message_integrity(self.key)
        return response

    def nonce(self) -> bytes:
        return b"nonce-%d" % self._nonce

    def refusal(self, request: stun.Message, code: int, *, signed: bool = False, **attributes: Any) -> stun.Message:
        response = stun.Message(request.message_method, stun.Class.ERROR, request.transaction_id)
        response.attributes |= {"ERROR-CODE": (code, "no"), **attributes}
        if signed:
            response.add_message_integrity(self.key)
        return response


class Heard(seam.StunProtocol):
    """What an allocation gives its datagrams to."""

    def __init__(self) -> None:
        self.lost = 0
        self.heard: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        pass

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost += 1

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        self.heard.append(cast(bytes, data))


@asynccontextmanager
async def an_allocation(stub: TurnStub, **how: Any) -> AsyncIterator[tuple[Allocation, Heard]]:
    loop, heard = asyncio.get_running_loop(), Heard()
    transport, _ = await loop.create_datagram_endpoint(lambda: stub, local_addr=("127.0.0.1", 0))
    address = transport.get_extra_info("sockname")
    server = Server(address[0], address[1], True, "udp", False, "u", "p")
    allocation: Allocation | None = None
    try:
        async with asyncio.timeout(PATIENCE_S):
            allocation = await allocate(server, address, heard, **how)
        yield allocation, heard
    finally:
        if allocation is not None:
            allocation.abort()
        transport.close()
