"""A socket of the ICE agent: STUN, DTLS and SRTP come to one address."""

import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, cast

from sinchphone.media.webrtc import seam

_MOST_CHECKS: Final = 64  # whose answers are waited for: of half a minute, about (RFC 7675 5.1)
MALFORMED: Final = (ValueError, KeyError, IndexError, AssertionError, struct.error)  # what aioice's STUN parser lets out


class IceSocket(seam.StunProtocol):
    """One local address: tells STUN, DTLS and SRTP apart by the first byte (RFC 7983)."""

    def __init__(self, agent: seam.Connection, media: Callable[[bytes], None], dtls: Callable[[bytes, tuple[str, int]], None]) -> None:
        """``agent`` gets what is STUN, ``media`` what is SRTP, ``dtls`` what is DTLS, and from where."""
        super().__init__(agent)
        self._media, self._dtls = media, dtls
        self.mapped: dict[tuple[str, int], tuple[str, int]] = {}  # how each peer address saw this socket
        self._is_gone = False
        self._checks: deque[bytes] = deque()  # transactions whose answers may still come

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        """Anything that is none of the three, or broken, is dropped: anybody can send it."""
        if not data or isinstance(data, str):
            return
        first = data[0]
        if 127 < first < 192:
            self._media(data)
        elif 19 < first < 64:
            self._dtls(data, (addr[0], addr[1]))
        elif first < 4:
            with suppress(*MALFORMED):
                super().datagram_received(data, addr)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed: by us, or since its address is gone."""
        self._is_gone = True
        super().connection_lost(exc)

    def send_stun(self, message: seam.StunMessage, addr: tuple[str, int]) -> None:
        """Nothing on a closed socket: a transaction still repeats its request there."""
        if not self._is_gone:
            super().send_stun(message, addr)

    async def request(
        self, request: seam.StunMessage, addr: tuple[str, int], integrity_key: bytes | None = None, retransmissions: int | None = None
    ) -> tuple[seam.StunMessage, tuple[str, int]]:
        """A STUN transaction; keeps the mapped address of the answer."""
        response, source = await super().request(request, addr, integrity_key, retransmissions)
        self._note_mapped(response, addr)
        return response, source

    def ask_once(self, request: seam.StunMessage, addr: tuple[str, int], integrity_key: bytes, answered: Callable[[], None]) -> None:
        """Send a request that isn't repeated (RFC 7675 5.1); ``answered`` is called in the moment of an authentic answer from there, be it
        late."""
        request.add_message_integrity(integrity_key)

        def confirm(response: seam.StunMessage) -> None:
            if self.transactions.pop(request.transaction_id, None) is not None:
                self._note_mapped(response, addr)
                answered()

        self._checks.append(request.transaction_id)
        if len(self._checks) > _MOST_CHECKS:
            self.transactions.pop(self._checks.popleft(), None)
        self.transactions[request.transaction_id] = cast(seam.StunTransaction, _SingleTransmission(integrity_key, addr, confirm))
        self.send_stun(request, addr)

    def _note_mapped(self, response: seam.StunMessage, addr: tuple[str, int]) -> None:
        mapped = response.attributes.get("XOR-MAPPED-ADDRESS")
        if mapped is not None:
            self.mapped[addr] = mapped


class _SingleTransmission:
    """All that a StunProtocol asks of a transaction: where responses go that carry its id."""

    def __init__(self, integrity_key: bytes, addr: tuple[str, int], confirm: Callable[[seam.StunMessage], None]) -> None:
        self._integrity_key = integrity_key
        self._addr = addr
        self._confirm = confirm

    def response_received(self, message: seam.StunMessage, addr: tuple[str, int]) -> None:
        """An error is no consent, an answer from elsewhere is none either, and what isn't signed comes from anybody."""
        is_answer = message.message_class is seam.StunClass.RESPONSE and addr == self._addr
        if is_answer and message.check_message_integrity(self._integrity_key):
            self._confirm(message)
