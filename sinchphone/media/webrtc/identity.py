"""Who we are in a description: a DTLS certificate, and what is drawn by lot. Some are made before anybody asks for one.

A certificate and its TLS context take half a millisecond or more, a tenth of what two ends of a call need from the offer to the first
packet: while a phone waits or talks there is time for that.
"""

import secrets
import threading
import time
from collections import deque
from dataclasses import replace
from typing import Any, Final

from sinchphone.media.webrtc import seam
from sinchphone.media.webrtc.sdp import Fingerprint, LocalDescription
from sinchphone.quick_dataclass import quick_dataclass

# aiortc's own suites first (all for ECDSA), then the same for a DTLS server with an RSA certificate, as gateways have.
_CIPHERS: Final = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:"
    b"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305:ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-SHA"
)
_AHEAD: Final = 2  # identities: both ends of a call may be here
_FRESH_SECONDS: Final = 24 * 3600.0  # a certificate is good for thirty days


class DtlsCertificate(seam.RTCCertificate):
    """Our DTLS certificate (P-256), which also shakes hands with peers whose certificate is RSA."""

    _context: Any = None

    def _create_ssl_context(self, srtp_profiles: list[seam.SRTPProtectionProfile]) -> Any:
        """One for all connections of the certificate: nothing in it is a connection's own."""
        if self._context is None:
            context = super()._create_ssl_context(srtp_profiles)
            context.set_cipher_list(_CIPHERS)
            self._context = context
        return self._context

    def prepare(self) -> None:
        """Do now what the first connection would have to do. In any thread, before it's used in another."""
        self._create_ssl_context(seam.SRTP_PROFILES)


@quick_dataclass(frozen=True, slots=True)
class DtlsIdentity:
    """Who we are in our descriptions; the forks of an offer share one."""

    certificate: DtlsCertificate
    local: LocalDescription

    @classmethod
    def create(cls) -> "DtlsIdentity":
        """A new certificate, new credentials."""
        return cls.of(DtlsCertificate.generateCertificate())

    @classmethod
    def of(cls, certificate: DtlsCertificate) -> "DtlsIdentity":
        """New credentials for a certificate."""
        digests = (each for each in certificate.getFingerprints() if each.algorithm == "sha-256")  # some peers read the first line only
        fingerprints = tuple(Fingerprint(each.algorithm, each.value) for each in digests)
        local = LocalDescription(
            session_id=secrets.randbits(62),
            ufrag=secrets.token_hex(4),
            password=secrets.token_hex(16),
            fingerprints=fingerprints,
            ssrc=secrets.randbits(32),
            cname=secrets.token_hex(8),
            picture_ssrc=secrets.randbits(32),
        )
        return cls(certificate, local)


def renewed(local: LocalDescription) -> LocalDescription:
    """The same party with new ICE credentials (RFC 8839 4.4.1.1.1)."""
    return replace(local, ufrag=secrets.token_hex(4), password=secrets.token_hex(16))


class IdentityStock:
    """Identities that were made ahead. Each is given out once. Any thread."""

    def __init__(self) -> None:
        self._taking = threading.Lock()  # of what is ready
        self._filling = threading.Lock()
        self._ready: deque[tuple[float, DtlsIdentity]] = deque()

    def take(self) -> DtlsIdentity:
        """One that nobody has, perhaps made just now."""
        with self._taking:
            while self._ready:
                made_at, identity = self._ready.popleft()
                if time.time() - made_at < _FRESH_SECONDS:
                    return identity
        return DtlsIdentity.create()

    def fill(self) -> None:
        """Make as many as are missing."""
        with self._filling:
            while len(self._ready) < _AHEAD:
                identity = DtlsIdentity.create()
                identity.certificate.prepare()
                with self._taking:
                    self._ready.append((time.time(), identity))


IDENTITIES: Final = IdentityStock()
