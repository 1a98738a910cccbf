"""What sockets for sound have set: how much they keep for us, and the mark of voice, so that routers which know of it send it first."""

import socket
from contextlib import suppress
from typing import Final

RECEIVE_BUFFER_BYTES: Final = 256 * 1024
_EXPEDITED: Final = 46 << 2  # DSCP EF in the traffic class (RFC 3246, RFC 4594 4.1, RFC 8837)


def prioritise(voice: socket.socket) -> None:
    """Ask for it where the system lets us: it's only a wish to the network anyway."""
    with suppress(OSError, AttributeError):  # not allowed, or not known here
        if voice.family == socket.AF_INET6:
            voice.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _EXPEDITED)
        else:
            voice.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _EXPEDITED)
