"""A secured path to one peer: ICE, then DTLS, then SRTP in both directions (RFC 5763, RFC 5764).

::

    send(packet)   -> SRTP -> ICE pair -> the peer
    on_packet(...) <- SRTP <- ICE pair <- the peer        in the callback of the socket
"""

import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

from sinchphone.errors import MediaError
from sinchphone.media.port import PortOptions
from sinchphone.media.webrtc import seam
from sinchphone.media.webrtc.ice import IceConnection, IceCredentials
from sinchphone.media.webrtc.sdp import Fingerprint, LocalAudio, RemoteAudio
from sinchphone.protocol.rtp import is_rtcp

# aiortc's own suites first (all for ECDSA), then the same for a DTLS server with an RSA certificate, as gateways have.
_CIPHERS: Final = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:"
    b"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305:ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-SHA"
)
_MAX_EARLY: Final = 32  # packets that overtake the end of the handshake: a peer talks as soon as its own end is up


class Certificate(seam.RTCCertificate):
    """Our DTLS certificate (P-256), which also shakes hands with peers whose certificate is RSA."""

    def _create_ssl_context(self, srtp_profiles: list[seam.SRTPProtectionProfile]) -> Any:
        context = super()._create_ssl_context(srtp_profiles)
        context.set_cipher_list(_CIPHERS)
        return context


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are in our descriptions; the forks of an offer share one."""

    certificate: Certificate
    local: LocalAudio

    @classmethod
    def create(cls) -> "Identity":
        """A new certificate, new credentials."""
        return cls.of(Certificate.generateCertificate())

    @classmethod
    def of(cls, certificate: Certificate) -> "Identity":
        """New credentials for a certificate."""
        digests = (each for each in certificate.getFingerprints() if each.algorithm == "sha-256")  # some peers read the first line only
        fingerprints = tuple(Fingerprint(each.algorithm, each.value) for each in digests)
        local = LocalAudio(
            session_id=secrets.randbits(62),
            ufrag=secrets.token_hex(4),
            password=secrets.token_hex(16),
            fingerprints=fingerprints,
            ssrc=secrets.randbits(32),
            cname=secrets.token_hex(8),
        )
        return cls(certificate, local)


class SecurePath:
    """ICE and DTLS with one peer. Callbacks run in the media loop and must not raise.

    ``on_packet`` gets every authentic packet in the clear and whether it is RTCP; ``on_alive`` is a consent of the peer;
    ``on_closed`` says that the peer closed its DTLS side, or that the socket is gone.
    """

    def __init__(
        self,
        options: PortOptions,
        identity: Identity,
        *,
        on_candidate: Callable[[seam.Candidate | None], None],
        on_packet: Callable[[bytes, bool], None],
        on_alive: Callable[[], None],
        on_closed: Callable[[], None],
    ) -> None:
        credentials = IceCredentials(identity.local.ufrag, identity.local.password)
        self.ice = IceConnection(options, credentials, on_candidate=on_candidate, on_media=self._receive, on_consent=on_alive)
        self._dtls = seam.RTCDtlsTransport(cast(Any, _IceTransport(self.ice)), [identity.certificate])
        self._dtls.on("statechange", self._state_changed)
        self._on_packet = on_packet
        self._on_closed = on_closed
        self._early: deque[bytes] = deque(maxlen=_MAX_EARLY)
        self._open = False

    async def connect(self, remote: RemoteAudio, *, controlling: bool, active: bool) -> None:
        """Find a pair, shake hands. Raises MediaError; waits for ever for a peer that doesn't answer."""
        self.ice.ice_controlling = controlling or remote.lite
        self.ice.remote_is_lite = remote.lite
        self.ice.remote_username, self.ice.remote_password = remote.ufrag, remote.password
        try:
            await self.ice.connect()
        except ConnectionError as error:
            raise MediaError("no path to the peer was found (ICE)", hint="A firewall may block UDP; a TURN server would help.") from error
        await self._shake_hands(remote, "client" if active else "server")
        self._open = True
        while self._early:
            self._receive(self._early.popleft())

    def send(self, packet: bytes) -> bool:
        """Send an RTP or RTCP packet now; ``False`` where it couldn't go."""
        if not self._open:
            return False
        session = self._dtls._tx_srtp
        try:
            protected = session.protect_rtcp(packet) if is_rtcp(packet) else session.protect(packet)
        except seam.SrtpError:
            return False
        return self.ice.send_media(protected)

    async def close(self) -> None:
        """Say goodbye to the peer (DTLS close_notify) and close the sockets."""
        self._open = False
        self._dtls.remove_all_listeners()
        await self._dtls.stop()
        await self.ice.close()

    async def _shake_hands(self, remote: RemoteAudio, role: str) -> None:
        self._dtls._set_role(role)
        fingerprints = [seam.RTCDtlsFingerprint(each.algorithm, each.value) for each in remote.fingerprints]
        await self._dtls.start(seam.RTCDtlsParameters(fingerprints=fingerprints))
        if self._dtls.state != "connected":
            raise MediaError("the encryption with the peer could not be agreed on (DTLS)")

    def _receive(self, data: bytes) -> None:
        session = self._dtls._rx_srtp
        if not self._open or session is None:
            self._early.append(data)
            return
        control = is_rtcp(data)
        try:
            plain = session.unprotect_rtcp(data) if control else session.unprotect(data)
        except (seam.SrtpError, ValueError):  # not from our peer, or an old packet again, or longer than the library takes
            return
        self._on_packet(plain, control)

    def _state_changed(self) -> None:
        if self._open and self._dtls.state == "closed":
            self._open = False
            self._on_closed()


class _IceTransport:
    """All that RTCDtlsTransport asks of the transport below it."""

    role = "controlling"

    def __init__(self, ice: IceConnection) -> None:
        self._recv = ice.recv
        self._send = ice.send
