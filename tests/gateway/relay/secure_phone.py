"""A phone over SRTP that changes in mid-call: also its key, at the port where it is (RFC 4568 7.1)."""

import base64
import re
import secrets
from dataclasses import dataclass, field, replace
from typing import Final

from pylibsrtp import Error, Policy, Session

from tests.gateway.relay.changing_phone import ChangingPhone, Description

SUITE: Final = "AES_CM_128_HMAC_SHA1_80"
_CRYPTO: Final = re.compile(rf"^a=crypto:(\d+) {SUITE} inline:([A-Za-z0-9+/=]+)", re.MULTILINE)


def new_key() -> bytes:
    """Master key and salt."""
    return secrets.token_bytes(30)


def _session(key: bytes, direction: int) -> Session:
    return Session(Policy(key=key, ssrc_type=direction, srtp_profile=Policy.SRTP_PROFILE_AES128_CM_SHA1_80))


@dataclass(frozen=True, slots=True)
class SecureDescription(Description):
    """With the key of what the phone sends."""

    key: bytes = field(default_factory=new_key)
    tag: int = 1

    def __str__(self) -> str:
        line = f"a=crypto:{self.tag} {SUITE} inline:{base64.b64encode(self.key).decode()}\r\n"
        return Description.__str__(self).replace("RTP/AVP", "RTP/SAVP") + line


class SecurePhone(ChangingPhone):
    """What can't be decrypted counts as ``unreadable``."""

    def __init__(self, hz: float) -> None:
        super().__init__(hz)
        self.said: SecureDescription = SecureDescription()
        self.unreadable = 0
        self._keys = b"", b""  # in use: its own, the other side's
        self._sessions: tuple[Session, Session] | None = None

    async def offer(self) -> str:
        """Its first description, under its own tag."""
        self.said = replace(self.said, tag=1)
        return await super().offer()

    async def answer(self, offer: str) -> str:
        """Under the tag of the line that it takes."""
        chosen = _CRYPTO.search(offer)
        assert chosen is not None, "no key is offered"
        self.said = replace(self.said, tag=int(chosen[1]))
        return await super().answer(offer)

    def point(self, theirs: str) -> None:
        """Also use the keys of both descriptions; one that stays goes on counting (RFC 4568 6.4)."""
        found = _CRYPTO.findall(theirs)
        assert len(found) >= 1, theirs
        keys = self.said.key, base64.b64decode(found[0][1])
        before = self._sessions
        outbound = _session(keys[0], Policy.SSRC_ANY_OUTBOUND) if before is None or keys[0] != self._keys[0] else before[0]
        inbound = _session(keys[1], Policy.SSRC_ANY_INBOUND) if before is None or keys[1] != self._keys[1] else before[1]
        self._keys, self._sessions = keys, (outbound, inbound)
        super().point(theirs)

    def forget(self) -> None:
        """What was heard before."""
        super().forget()
        self.unreadable = 0

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Decrypted."""
        if self._sessions is None or 64 <= data[1] & 0x7F <= 95:
            return
        try:
            plain = self._sessions[1].unprotect(data)
        except Error:
            self.unreadable += 1
            return
        super().datagram_received(plain, addr)

    def _datagram(self, head: bytes, payload: bytes) -> bytes:
        assert self._sessions is not None, "nothing is sent before the keys are known"
        return self._sessions[0].protect(head + payload)
