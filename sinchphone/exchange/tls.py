"""A local certificate authority for an exchange that listens with TLS: made at first use, kept in the state folder, renewed in time."""

import contextlib
import datetime
import ipaddress
import os
import secrets
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sinchphone.errors import ConfigError
from sinchphone.exchange.options import Certificate

FOLDER: Final = "tls"
AUTHORITY_DAYS: Final = 3650
SERVER_DAYS: Final = 90
RENEW_DAYS: Final = 30  # this long before the end
_ALWAYS: Final = ("localhost", "127.0.0.1", "::1")
_LEEWAY: Final = datetime.timedelta(hours=1)  # for clocks that are slow


@dataclass(frozen=True, slots=True)
class Issued:
    """What an exchange shows, and the authority's certificate, which clients must trust."""

    certificate: Certificate
    authority: Path


@dataclass(frozen=True, slots=True)
class _Pair:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def issue(state: Path, host: str, now: datetime.datetime) -> Issued:
    """A server certificate for ``localhost`` and ``host``, kept under ``state``; what is there is used as long as it's good.

    Raises ConfigError where the files can't be used.
    """
    folder = state / FOLDER
    paths = {name: folder / name for name in ("authority.pem", "authority.key", "server.pem", "server.key")}
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority = _kept(paths["authority.pem"], paths["authority.key"])
        if authority is None or _ends_soon(authority.certificate, now):
            authority = _make_authority(now)
            _keep(authority, paths["authority.pem"], paths["authority.key"])
        names = tuple(dict.fromkeys((*_ALWAYS, *_names_of(host))))
        server = _kept(paths["server.pem"], paths["server.key"])
        if server is None or not _is_good(server.certificate, authority, names, now):
            _keep(_make_server(authority, names, now), paths["server.pem"], paths["server.key"])
    except OSError as error:
        raise ConfigError(f"{folder} can't be used: {error.strerror}", hint="Check who owns it, and the space on the disk.") from error
    return Issued(Certificate(paths["server.pem"], paths["server.key"]), paths["authority.pem"])


def server_context(certificate: Certificate) -> ssl.SSLContext:
    """What a server listens with. Raises ConfigError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate.chain, certificate.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{certificate.chain} can't be used for TLS", hint=f"Delete {certificate.chain.parent}.") from error
    return context


def _names_of(host: str) -> tuple[str, ...]:
    """What clients may call a host that listens at that address."""
    return (socket.gethostname(),) if host in ("0.0.0.0", "::") else (host,)  # noqa: S104 - every address


def _make_authority(now: datetime.datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"sinchphone exchange {secrets.token_hex(4)}")])
    usage = _usage(signs_certificates=True)
    builder = _builder(name, name, key, now, AUTHORITY_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).add_extension(usage, critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return _Pair(builder.sign(key, hashes.SHA256()), key)


def _make_server(authority: _Pair, names: Sequence[str], now: datetime.datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sinchphone exchange")])
    builder = _builder(name, authority.certificate.subject, key, now, SERVER_DAYS)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(one) for one in names]), critical=False)
        .add_extension(issuer, critical=False)
    )
    return _Pair(builder.sign(authority.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime.datetime, days: int
) -> x509.CertificateBuilder:
    end = now + datetime.timedelta(days=days)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    return builder.serial_number(x509.random_serial_number()).not_valid_before(now - _LEEWAY).not_valid_after(end)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _is_good(certificate: x509.Certificate, authority: _Pair, names: Sequence[str], now: datetime.datetime) -> bool:
    """Whether a server's certificate is the authority's, for those names and for some time yet."""
    if _ends_soon(certificate, now):
        return False
    try:
        certificate.verify_directly_issued_by(authority.certificate)
        given = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return {_general_name(name) for name in names} <= set(given)


def _ends_soon(certificate: x509.Certificate, now: datetime.datetime) -> bool:
    return certificate.not_valid_after_utc - now < datetime.timedelta(days=RENEW_DAYS)


def _kept(certificate: Path, key: Path) -> _Pair | None:
    """What the files hold; None where they don't hold a certificate and its key."""
    if not certificate.exists() or not key.exists():
        return None
    try:
        shown = x509.load_pem_x509_certificate(certificate.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), None)
    except (ValueError, TypeError):
        return None
    if not isinstance(private, ec.EllipticCurvePrivateKey) or private.public_key() != shown.public_key():
        return None
    return _Pair(shown, private)


def _keep(pair: _Pair, certificate: Path, key: Path) -> None:
    secret = pair.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _write(key, secret, 0o600)
    _write(certificate, pair.certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Replace a file in one step."""
    own = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        own.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            own.unlink()
