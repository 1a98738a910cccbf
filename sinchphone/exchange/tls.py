"""A local certificate authority for an exchange that listens with TLS: made at first use, kept in the state folder, renewed in time.

It vouches for this machine alone (RFC 5280 4.2.1.10): whoever gets hold of its key can't pose as anybody else to those who trust it.
"""

import contextlib
import datetime
import ipaddress
import os
import secrets
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import ifaddr
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sinchphone.errors import ConfigError
from sinchphone.exchange.options import Certificate
from sinchphone.folders import FOLDER_HINT
from sinchphone.hosts import EVERYWHERE, LOOPBACK_NAMES
from sinchphone.quick_dataclass import quick_dataclass

FOLDER: Final = "tls"
AUTHORITY_DAYS: Final = 730
SERVER_DAYS: Final = 90
RENEW_DAYS: Final = 30  # this long before the end
_LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
_LEEWAY: Final = datetime.timedelta(hours=1)  # for clocks that are slow


@quick_dataclass(frozen=True, slots=True)
class Issued:
    """What an exchange shows, and the authority's certificate, which clients must trust. ``replaced``: why it's another one than before."""

    certificate: Certificate
    authority: Path
    replaced: str | None = None


@quick_dataclass(frozen=True, slots=True)
class _Pair:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def issue(state: Path, host: str, now: datetime.datetime, names: Sequence[str] = ()) -> Issued:
    """A server certificate for ``localhost``, ``host`` and ``names``, kept under ``state``; what is there is used as long as it's good.

    The authority is made anew only where it ends, or where there are names that it may not vouch for; it keeps those that it has.
    Raises ConfigError where the files can't be used.
    """
    folder = state / FOLDER
    paths = {name: folder / name for name in ("authority.pem", "authority.key", "server.pem", "server.key")}
    wanted = tuple(dict.fromkeys(name for name in (*LOOPBACK_NAMES, *_names_of(host), *names) if name.isascii()))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        was_there = paths["authority.pem"].exists()
        authority = _kept(paths["authority.pem"], paths["authority.key"])
        why = _why_replaced(authority, wanted, now)
        if authority is None or why is not None:
            authority = _make_authority({*_permitted(wanted), *_permits(authority)}, now)
            _keep(authority, paths["authority.pem"], paths["authority.key"])
        server = _kept(paths["server.pem"], paths["server.key"])
        if server is None or not _is_good(server.certificate, authority, wanted, now):
            _keep(_make_server(authority, wanted, now), paths["server.pem"], paths["server.key"])
    except OSError as error:
        raise ConfigError(f"{folder} can't be used: {error.strerror}", hint=FOLDER_HINT) from error
    return Issued(Certificate(paths["server.pem"], paths["server.key"]), paths["authority.pem"], why if was_there else None)


def server_context(certificate: Certificate) -> ssl.SSLContext:
    """What a server listens with. Raises ConfigError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate.chain, certificate.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{certificate.chain} can't be used for TLS", hint=f"delete {certificate.chain.parent}") from error
    return context


def _names_of(host: str) -> tuple[str, ...]:
    """What clients may call a host that listens at that address."""
    if host not in EVERYWHERE:
        return (host,)
    return tuple(dict.fromkeys(name.rstrip(".") for name in (socket.gethostname(), socket.getfqdn(), *_own_addresses()) if name))


def _own_addresses() -> list[str]:
    """This machine's addresses, but for those that are good on one link only."""
    found = [ip.ip if isinstance(ip.ip, str) else ip.ip[0] for adapter in ifaddr.get_adapters() for ip in adapter.ips]
    return sorted(address for address in found if not ipaddress.ip_address(address).is_link_local)


def _why_replaced(authority: _Pair | None, names: Sequence[str], now: datetime.datetime) -> str | None:
    """Why an authority has to be made anew, if it has to."""
    if authority is None:
        return "the old one can't be read"
    certificate = authority.certificate
    if _ends_soon(certificate, now):
        return "the old one ends"
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    if not _permits(authority) or lifetime > datetime.timedelta(days=AUTHORITY_DAYS) + _LEEWAY:
        return "the old one vouched for any name, and for too long"
    missing = [name for name in names if not _vouches_for(authority, name)]
    return f"the exchange is now called {', '.join(missing)} too" if missing else None


def _permitted(names: Sequence[str]) -> set[x509.GeneralName]:
    """What an authority may vouch for, which must do so for those names."""
    given = {_general_name(name) for name in names}
    single = {x509.IPAddress(ipaddress.ip_network(name.value)) for name in given if isinstance(name, x509.IPAddress)}
    loopback = {x509.IPAddress(ipaddress.ip_network(network)) for network in _LOOPBACK}
    return {*(name for name in given if isinstance(name, x509.DNSName)), *single, *loopback}


def _permits(authority: _Pair | None) -> set[x509.GeneralName]:
    """What an authority may vouch for by its own words; nothing where it doesn't say."""
    if authority is None:
        return set()
    try:
        constraints = authority.certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except (x509.ExtensionNotFound, ValueError):
        return set()
    return set(constraints.permitted_subtrees or ())


def _vouches_for(authority: _Pair, name: str) -> bool:
    wanted = _general_name(name)
    if not isinstance(wanted, x509.IPAddress):
        return wanted in _permits(authority)
    networks = [one.value for one in _permits(authority) if isinstance(one, x509.IPAddress)]
    return any(wanted.value in network for network in networks if isinstance(network, ipaddress.IPv4Network | ipaddress.IPv6Network))


def _make_authority(permitted: set[x509.GeneralName], now: datetime.datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"sinchphone exchange {secrets.token_hex(4)}")])
    usage = _usage(signs_certificates=True)
    builder = _builder(name, name, key, now, AUTHORITY_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).add_extension(usage, critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    constraints = x509.NameConstraints(permitted_subtrees=sorted(permitted, key=repr), excluded_subtrees=None)
    builder = builder.add_extension(constraints, critical=True)
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
