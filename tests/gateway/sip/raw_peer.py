"""Somebody who speaks SIP over UDP as a test writes it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from sinchphone.gateway.sip.agent import SipAgent
from sinchphone.protocol.sip.message import Request, Response, read_message

LIMIT = 20.0
QUIET = 0.3  # how long nothing must come
NUMBER = count(1)


class Peer(asyncio.DatagramProtocol):
    """Somebody with a UDP socket and no manners."""

    def __init__(self, port: int) -> None:
        self.to = ("127.0.0.1", port)
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.port = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.to = addr
        self.heard.put_nowait(data)

    def say(self, *lines: str, body: str = "", to: tuple[str, int] | None = None) -> None:
        self.transport.sendto(("\r\n".join([*lines, "", ""]) + body).encode(), to or self.to)

    def ask(self, method: str = "OPTIONS", *headers: str, uri: str = "sip:bob@127.0.0.1", body: str = "", **instead: str | None) -> str:
        """Send a request; its branch."""
        number = next(NUMBER)
        own = {
            "Via": f"SIP/2.0/UDP 127.0.0.1:{self.port};rport;branch=z9hG4bK{number}",
            "From": "<sip:mallory@127.0.0.1>;tag=m1",
            "To": "<sip:bob@127.0.0.1>",
            "Call-ID": f"call{number}",
            "CSeq": f"1 {method}",
            "Max-Forwards": "70",
            "Contact": f"<sip:mallory@127.0.0.1:{self.port}>",
            **({"Content-Type": "application/sdp"} if body else {}),
            **{name.replace("_", "-"): value for name, value in instead.items()},
        }
        self.say(f"{method} {uri} SIP/2.0", *(f"{name}: {value}" for name, value in own.items() if value is not None), *headers, body=body)
        return f"z9hG4bK{number}"

    async def hear(self, *statuses: int) -> Response:
        """The next response, but for 100."""
        while True:
            read = read_message(await self._next())
            assert isinstance(read, Response)
            if read.status != 100:
                assert not statuses or read.status in statuses, bytes(read)
                return read

    async def hear_request(self, method: str) -> Request:
        while True:
            read = read_message(await self._next())
            if isinstance(read, Request) and read.method == method:
                return read

    async def hears_nothing(self) -> bool:
        await asyncio.sleep(QUIET)
        return self.heard.empty()

    async def _next(self) -> bytes:
        async with asyncio.timeout(LIMIT):
            return await self.heard.get()


@asynccontextmanager
async def peer(one: SipAgent | int) -> AsyncIterator[Peer]:
    port = one if isinstance(one, int) else one.port
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(lambda: Peer(port), local_addr=("127.0.0.1", 0))
    try:
        yield protocol
    finally:
        transport.close()
