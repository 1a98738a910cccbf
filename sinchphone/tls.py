"""TLS as a client: whom a connection trusts, and why one came to nothing."""

import ssl
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from sinchphone.errors import ConfigError
from sinchphone.quick_dataclass import quick_dataclass

_TRUST: Final = "where the issuer is an authority of your own, let ca_file name its certificate"
_CLOCK: Final = "check this computer's clock"
_RENEW: Final = "who runs it has to renew the certificate; check this computer's clock too"
_NAME: Final = "use a name or address that the certificate is for"
_PORT: Final = "check the port, and that TLS is spoken there"
_VERSION: Final = "TLS 1.2 or newer has to be switched on there"
_THEIRS: Final = "the log of the other side says why"

#: OpenSSL's X509_V_ERR_... (x509_vfy.h) -> reason, hint
_CERTIFICATES: Final = {
    9: ("its certificate isn't valid yet", _CLOCK),
    10: ("its certificate has expired", _RENEW),
    18: ("its certificate is signed by itself, and not known here", _TRUST),
    19: ("the issuer of its certificate is unknown here", _TRUST),
    20: ("the issuer of its certificate is unknown here", _TRUST),
    21: ("the issuer of its certificate is unknown here", _TRUST),
    23: ("its certificate was revoked", _RENEW),
    62: ("its certificate is for another name", _NAME),
    64: ("its certificate is for another address", _NAME),
}
#: OpenSSL's reasons (sslerr.h) that say more than their name -> reason, hint
_HANDSHAKES: Final = {
    "WRONG_VERSION_NUMBER": ("what answers there doesn't speak TLS", _PORT),
    "UNKNOWN_PROTOCOL": ("what answers there doesn't speak TLS", _PORT),
    "HTTP_REQUEST": ("what answers there doesn't speak TLS", _PORT),
    "RECORD_LAYER_FAILURE": ("what answers there doesn't speak TLS", _PORT),
    "PACKET_LENGTH_TOO_LONG": ("what answers there doesn't speak TLS", _PORT),
    "UNSUPPORTED_PROTOCOL": ("it speaks only versions of TLS that aren't safe", _VERSION),
    "TLSV1_ALERT_PROTOCOL_VERSION": ("it and we speak no version of TLS in common", _VERSION),
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": ("it wants to see a certificate of ours, and there is none", _THEIRS),
    "UNEXPECTED_EOF_WHILE_READING": ("it broke off the TLS handshake", _THEIRS),
}


@quick_dataclass(frozen=True, slots=True)
class TlsFailure:
    """Why there is no secure connection: what follows "no secure connection: ", and what to do."""

    reason: str
    hint: str


def client_context(*ca_files: Path | None) -> ssl.SSLContext:
    """For connections to servers: trusts the system's authorities and, beside them, those of files (PEM). Raises ConfigError.

    Without files all get the same one: reading the system's authorities takes some 25 ms."""
    own = [ca_file for ca_file in ca_files if ca_file]
    if not own:
        return _trusting_the_system(ssl.get_default_verify_paths())
    context = _safe_context()
    for ca_file in own:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"ca_file {ca_file} can't be used", hint="give a file with certificates of authorities (PEM)") from error
    return context


def _safe_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


@cache
def _trusting_the_system(_: ssl.DefaultVerifyPaths) -> ssl.SSLContext:
    """One for each of the places that the environment names (SSL_CERT_FILE)."""
    return _safe_context()


def why_tls_failed(error: BaseException, *, connecting: bool = False) -> TlsFailure | None:
    """What an error says about TLS, itself or what it was raised from; ``None`` where it says nothing about it. ``connecting``: while the
    handshake was due, so that a connection that is cut was cut in it."""
    chain = list(_chain(error))
    if connecting and any(isinstance(one, ConnectionResetError | ConnectionAbortedError) for one in chain):
        return TlsFailure("it broke off the TLS handshake", _THEIRS)
    ours = [one for one in chain if isinstance(one, ssl.SSLError)]
    for one in ours:  # aiohttp's errors are of that kind too, and have nothing in them
        if isinstance(one, ssl.SSLCertVerificationError) and hasattr(one, "verify_code"):
            reason, hint = _CERTIFICATES.get(one.verify_code, (f"its certificate isn't good: {one.verify_message}", _TRUST))
            return TlsFailure(reason, hint)
    reasons = [str(one.reason) for one in ours if getattr(one, "reason", None)]
    return _of_handshake(reasons[0].upper() if reasons else "") if ours else None


def _of_handshake(name: str) -> TlsFailure:
    if name in _HANDSHAKES:
        return TlsFailure(*_HANDSHAKES[name])
    words = name.lower().replace("_", " ") or "no more is known"
    return TlsFailure(f"the TLS handshake failed ({words})", _THEIRS)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, what it carries (as aiohttp's do), and what it was raised from."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [getattr(one, name, None) for name in ("certificate_error", "os_error", "__cause__", "__context__")]
