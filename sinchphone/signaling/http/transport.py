"""One HTTP request over aiohttp: its answer limited in size and time, its failures told as errors with a hint."""

import asyncio
import socket
import time
from collections.abc import Mapping
from dataclasses import field
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

from sinchphone.errors import INSECURE, NetworkError, SinchphoneError
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.tls import client_context, why_tls_failed

TIMEOUT_S = 15.0  # of a request to a platform
UNHEARD_MS: Final = 3_000  # after which a connection is dead whose data nobody acknowledges: a call waits for its signaling
OF_TCP: Final = {  # by the names that systems have for them
    "TCP_USER_TIMEOUT": UNHEARD_MS,
    "TCP_KEEPIDLE": 15,  # of a long poll [s]: after an address change nobody says that its answer can't come any more
    "TCP_KEEPALIVE": 15,  # the same on macOS
    "TCP_KEEPINTVL": 5,  # of two probes [s]: the second one finds a connection dead whose first nobody acknowledged
}


class OversizedAnswerError(SinchphoneError):
    """The platform's answer is longer than any that can be meant. ``beginning`` is its first kilobyte."""

    def __init__(self, message: str, beginning: bytes) -> None:
        super().__init__(message)
        self.beginning = beginning


@quick_dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back. ``took_s`` is the time from the request until the answer was complete."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes = field(repr=False)
    took_s: float

    @property
    def said_at(self) -> float | None:
        """When the answer was given by the server's clock, which tells whole seconds [s since the epoch]: its Date (RFC 9110 6.6.1), in UTC
        where it names no zone; ``None`` where it says nothing of use."""
        try:
            said = parsedate_to_datetime(self.headers["Date"])
            return (said if said.tzinfo else said.replace(tzinfo=UTC)).timestamp()
        except (KeyError, TypeError, ValueError, OverflowError):
            return None


def connector(ca_file: Path | None = None) -> aiohttp.TCPConnector:
    """Connections that notice within seconds that this machine's network is another one (RFC 5482), where the system can do that.
    ``ca_file``: authorities to be trusted beside the system's. Raises ConfigError."""

    def plain(address: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, _ = address
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # an answer that is waited for says nothing: its way may be gone
        for name, value in OF_TCP.items():
            option = getattr(socket, name, None)
            if option is not None:
                made.setsockopt(socket.IPPROTO_TCP, option, value)
        return made

    # Without files aiohttp's own context does: it has read the system's authorities too, and asks for TLS 1.2.
    return aiohttp.TCPConnector(socket_factory=plain, ssl=client_context(ca_file) if ca_file else True)


async def request(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    timeout_s: float,
    limit_bytes: int,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> HttpAnswer:
    """Send one request and take its answer. ``url`` goes on the wire as it is: its path and query are percent-encoded already.

    Redirects aren't followed (a signature covers the path). Cancelling closes the connection. Raises NetworkError where no answer
    came, OversizedAnswerError where it passes ``limit_bytes``.
    """
    began = time.monotonic()
    timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(10.0, timeout_s))
    target = URL(url, encoded=True)
    try:
        async with session.request(method, target, data=body, headers=headers, timeout=timeout, allow_redirects=False) as response:
            content = await _read(response, limit_bytes)
            return HttpAnswer(response.status, response.headers, content, time.monotonic() - began)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        is_connecting = target.scheme == "https" and isinstance(error, aiohttp.ClientConnectorError)
        tls = why_tls_failed(error, connecting=is_connecting)
        if tls is not None:
            raise NetworkError(f"{INSECURE} to {target.host}:{target.port}: {tls.reason}", hint=tls.hint) from error
        raise network_error(error, target.host or "", target.port or 0, time.monotonic() - began) from error


async def _read(response: aiohttp.ClientResponse, limit_bytes: int) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > limit_bytes:
            response.close()
            raise OversizedAnswerError(f"the answer is longer than {limit_bytes} bytes", bytes(content[:1024]))
    return bytes(content)


def network_error(error: Exception, host: str, port: int, waited_s: float) -> NetworkError:
    """What the user reads about a request that got no answer."""
    where = f"{host}:{port}"
    match error:
        case aiohttp.ClientConnectorDNSError():
            return NetworkError(f"{host} can't be found", hint="check the host name and that this computer is online")
        case aiohttp.ClientConnectorError() if isinstance(error.os_error, ConnectionRefusedError):
            return NetworkError(f"nobody answers at {where}", hint="check host and port, and that the exchange is running")
        case aiohttp.ClientConnectorError():
            return NetworkError(
                f"{where} can't be reached: {error.os_error.strerror or 'no connection'}", hint="check the network connection"
            )
        case TimeoutError() | asyncio.TimeoutError():
            return NetworkError(f"no answer from {where} within {waited_s:.0f} s", hint="check the network connection")
        case _:
            return NetworkError(f"the connection to {where} was cut", hint="check the network connection")
