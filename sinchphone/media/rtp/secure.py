"""SRTP with keys that the descriptions carry (SDES, RFC 4568): as safe as the signaling is."""

import secrets
from typing import Final

from sinchphone.media.network import srtp_library
from sinchphone.protocol.sdp.session_description import SUITE_KEY_BYTES, Crypto

_PROFILES: Final = {
    "AES_CM_128_HMAC_SHA1_80": srtp_library.SrtpPolicy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": srtp_library.SrtpPolicy.SRTP_PROFILE_AES128_CM_SHA1_32,
}


def new_keys() -> tuple[Crypto, ...]:
    """A key of ours for each suite, most wanted first."""
    return tuple(Crypto(tag, suite, secrets.token_bytes(SUITE_KEY_BYTES[suite])) for tag, suite in enumerate(_PROFILES, 1))


class SrtpSender:
    """Protects what we send, with our key."""

    def __init__(self, crypto: Crypto) -> None:
        self._crypto = crypto
        self._session = _session(crypto, srtp_library.SrtpPolicy.SSRC_ANY_OUTBOUND)

    def fits(self, crypto: Crypto) -> bool:
        """Whether that's still the key. Then it's kept: what was sent once must not be sent again (RFC 3711 3.3.1)."""
        return (crypto.suite, crypto.key) == (self._crypto.suite, self._crypto.key)

    def protect(self, packet: bytes, *, control: bool) -> bytes | None:
        """The packet as it travels; ``None`` where it can't be protected."""
        try:
            return self._session.protect_rtcp(packet) if control else self._session.protect(packet)
        except (srtp_library.SrtpError, ValueError):
            return None


class SrtpReceiver:
    """Opens what the peer protected, with its key."""

    def __init__(self, crypto: Crypto) -> None:
        self._crypto = crypto
        self._session = _session(crypto, srtp_library.SrtpPolicy.SSRC_ANY_INBOUND)

    def fits(self, crypto: Crypto) -> bool:
        """Whether that's still the key. Then it's kept: what came once is not taken again."""
        return (crypto.suite, crypto.key) == (self._crypto.suite, self._crypto.key)

    def open(self, packet: bytes, *, control: bool) -> bytes | None:
        """The packet in the clear; ``None`` for one that isn't the peer's, or came before."""
        try:
            return self._session.unprotect_rtcp(packet) if control else self._session.unprotect(packet)
        except (srtp_library.SrtpError, ValueError):  # ValueError: longer than the library takes
            return None


def _session(crypto: Crypto, kind: int) -> srtp_library.SrtpSession:
    return srtp_library.SrtpSession(srtp_library.SrtpPolicy(key=crypto.key, ssrc_type=kind, srtp_profile=_PROFILES[crypto.suite]))
