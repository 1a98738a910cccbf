"""A peer that is nothing but a UDP socket: it sends what a test writes, and keeps what comes."""

import asyncio
import contextlib
import itertools
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

from tests.peers.peerkit.programs import HOST, PATIENCE_SECONDS

SDP = "v=0\r\no=x 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
_numbers = itertools.count(1)


class Raw(asyncio.DatagramProtocol):
    """The socket. ``to`` is the port of loopback that it talks to."""

    def __init__(self, host: str, to: int) -> None:
        self.host = host
        self.to = to
        self.came: list[str] = []
        self._news = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self._transport: asyncio.DatagramTransport = transport
        self.port: int = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.came.append(data.decode(errors="replace"))
        self._news.set()

    def send(self, message: str | bytes, port: int | None = None) -> None:
        self._transport.sendto(message.encode() if isinstance(message, str) else message, (HOST, port or self.to))

    async def receives(self, wanted: str | Callable[[str], bool], seconds: float = PATIENCE_SECONDS) -> str:
        """The first message that has the text in it (or is as wanted); it is taken out."""
        fits = wanted if callable(wanted) else lambda message: wanted in message
        try:
            async with asyncio.timeout(seconds):
                while True:
                    for message in self.came:
                        if fits(message):
                            self.came.remove(message)
                            return message
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"{wanted!r} didn't come, but {[one.splitlines()[:1] for one in self.came]}") from None

    def request(
        self,
        method: str,
        call_id: str,
        *,
        branch: str = "",
        cseq: int = 1,
        to_tag: str = "",
        body: str = "",
        extra: str = "",
        user: str = "bob",
    ) -> str:
        """A request; its branch is new where none is given."""
        lines = [
            f"{method} sip:{user}@{HOST}:{self.to} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.host}:{self.port};rport;branch=z9hG4bK{branch or f'raw{next(_numbers)}'}",
            "Max-Forwards: 70",
            f"From: <sip:raw@{self.host}>;tag=raw",
            f"To: <sip:{user}@{HOST}>{f';tag={to_tag}' if to_tag else ''}",
            f"Call-ID: {call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:raw@{self.host}:{self.port}>",
            *(["Content-Type: application/sdp"] if body else []),
            *([extra] if extra else []),
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join(lines) + "\r\n\r\n" + body

    def invite(self, call_id: str, **more: str) -> str:
        return self.request("INVITE", call_id, body=SDP.format(host=self.host, port=self.port), **more)  # type: ignore[arg-type]

    def reply(self, request: str, status: str, *, tag: str = "rawtag", body: str = "") -> None:
        """Answer a request that came."""
        lines = [f"SIP/2.0 {status}"]
        for name in ("Via", "From", "To", "Call-ID", "CSeq"):
            lines += [line for line in request.split("\r\n\r\n")[0].splitlines() if line.startswith(f"{name}:")]
        lines = [f"{line};tag={tag}" if line.startswith("To:") and "tag=" not in line else line for line in lines]
        lines += [f"Contact: <sip:raw@{self.host}:{self.port}>", *(["Content-Type: application/sdp"] if body else [])]
        self.send("\r\n".join([*lines, f"Content-Length: {len(body)}"]) + "\r\n\r\n" + body)


def tag_of(message: str) -> str:
    """The tag of To."""
    found = re.search(r"^To:.*;\s*tag\s*=\s*([^;\s]+)", message, re.MULTILINE)
    assert found is not None
    return found[1]


@contextlib.asynccontextmanager
async def raw(to: int, host: str = HOST) -> AsyncIterator[Raw]:
    """A raw peer of the agent at the port ``to``."""
    transport, peer = await asyncio.get_running_loop().create_datagram_endpoint(lambda: Raw(host, to), local_addr=(host, 0))
    try:
        yield peer
    finally:
        transport.close()
