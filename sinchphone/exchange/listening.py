"""The sockets that an exchange listens on. The port decides which of several processes is the exchange."""

import asyncio
import contextlib
import errno
import os
import socket
from typing import Any, Final

from sinchphone.errors import NetworkError

_BACKLOG: Final = 128
_REPLACED_SECONDS: Final = 2.0  # for another process to take the port
_REPLACED_PAUSE_SECONDS: Final = 0.02


class PortTakenError(NetworkError):
    """Another program listens on the exchange's port."""


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen at all addresses of ``host``. Port 0: each at a free one. Looks names up and may block. Raises PortTakenError
    where somebody else listens there, NetworkError where it's not possible otherwise."""
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for address in _addresses(host, port):
            try:
                sockets.append(_listening(*address))
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                missing = error  # one family of addresses may be switched off
        if not sockets and missing is not None:
            raise missing
    except OSError as error:
        for one in sockets:
            one.close()
        raise _unable(error, f"{host}:{port}") from error
    return sockets


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, Any]]:
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _listening(family: socket.AddressFamily, address: Any) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere it would let two listen
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
        made.listen(_BACKLOG)
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made


def _unable(error: OSError, where: str) -> NetworkError:
    match error.errno:
        case errno.EADDRINUSE:
            return PortTakenError(f"another program listens on {where}", hint="stop it, or choose another port for the exchange")
        case errno.EACCES:
            return NetworkError(f"this user may not listen on {where}", hint="choose a port from 1024 on")
        case code:
            reason = os.strerror(code) if code and code > 0 else error.strerror
            return NetworkError(f"the exchange can't listen on {where}: {reason}", hint="check the exchange's host and port")


async def until_somebody_listens(host: str, port: int) -> None:
    """Return once another process has that port, or a moment has passed."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_REPLACED_SECONDS):
            while True:
                try:
                    _, writer = await asyncio.open_connection(host, port)
                except OSError:
                    await asyncio.sleep(_REPLACED_PAUSE_SECONDS)
                else:
                    writer.close()
                    return
