"""Why TLS failed is told with its reason, towards whomever we speak it; and an authority of one's own can be named for each of them."""

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final, TypeAlias

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sinchphone.errors import AuthenticationError, ConfigError, MediaError, NetworkError, SinchphoneError
from sinchphone.exchange.access.address_policy import AddressPolicy
from sinchphone.gateway.callbacks.announcements import Announcements
from sinchphone.gateway.callbacks.backend import Backend, CallbackError
from sinchphone.gateway.options import BackendOptions
from sinchphone.gateway.sip.agent import SipAgent
from sinchphone.gateway.sip.calls import Refused, SipCall, SipTarget
from sinchphone.gateway.sip.network.hop import Hop
from sinchphone.gateway.sip.options import SipOptions
from sinchphone.protocol.callbacks.svaml import Event
from sinchphone.protocol.sip.digest import Credentials
from sinchphone.protocol.sip.uri import parse_address, parse_uri
from sinchphone.signaling.http.tokens import fetch_token
from sinchphone.signaling.http.transport import connector, request
from sinchphone.tasks import start_task
from sinchphone.tls import client_context, why_tls_failed

LIMIT_S: Final = 20.0
NOW: Final = datetime.datetime.now(datetime.UTC)
DAY: Final = datetime.timedelta(days=1)

Ask: TypeAlias = Callable[[int, Path | None], Awaitable[None]]  # at that port; raises what there is to be told


class Authority:
    """An authority of somebody's own, and the servers that it vouches for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "authority.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority of somebody's own")])
        self.file.write_bytes(self._signed(self._name, self._key, -DAY, DAY, x509.BasicConstraints(ca=True, path_length=None)))

    def server(
        self, *, begins: datetime.timedelta = -DAY, ends: datetime.timedelta = DAY, address: str = "127.0.0.1", by_itself: bool = False
    ) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        certificate = self._signed(name, key, begins, ends, names, by=key if by_itself else None)
        (self.folder / "server.pem").write_bytes(certificate)
        (self.folder / "server.key").write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "server.pem", self.folder / "server.key")
        return context

    def _signed(
        self,
        name: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        begins: datetime.timedelta,
        ends: datetime.timedelta,
        extension: x509.ExtensionType,
        by: ec.EllipticCurvePrivateKey | None = None,
    ) -> bytes:
        builder = x509.CertificateBuilder(
            issuer_name=name if by is not None else self._name,
            subject_name=name,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=NOW + begins,
            not_valid_after=NOW + ends,
        )
        signed = builder.add_extension(extension, critical=False).sign(by or self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """200 to HTTP and to SIP; what speaks neither is cut off."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        said = (await reader.readuntil(b"\r\n\r\n")).decode(errors="replace")
        if said.startswith("INVITE"):
            kept = [line for line in said.split("\r\n") if line.split(":")[0] in ("Via", "From", "To", "Call-ID", "CSeq")]
            writer.write("\r\n".join(["SIP/2.0 486 Busy", *kept, "Content-Length: 0", "", ""]).encode())
        elif said.startswith("REGISTER"):
            kept = [line for line in said.split("\r\n") if line.split(":")[0] in ("Via", "From", "To", "Call-ID", "CSeq", "Contact")]
            writer.write("\r\n".join(["SIP/2.0 200 OK", *kept, "Content-Length: 0", "", ""]).encode())
        else:
            body = '{"action": {"name": "continue"}}'
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def serving(context: ssl.SSLContext | None) -> AsyncIterator[int]:
    """Somebody at a port of loopback."""
    server = await asyncio.start_server(_answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield int(server.sockets[0].getsockname()[1])


# Whom we speak TLS with


async def platform(port: int, ca_file: Path | None) -> None:
    async with aiohttp.ClientSession(connector=connector(ca_file)) as session:
        await request(session, "GET", f"https://127.0.0.1:{port}/", timeout_s=LIMIT_S, limit_bytes=1000)


async def tokens(port: int, ca_file: Path | None) -> None:
    with contextlib.suppress(AuthenticationError):  # it is no token
        await fetch_token(f"https://127.0.0.1:{port}/", "ada", ca_file=ca_file)


async def backend(port: int, ca_file: Path | None) -> None:
    options = BackendOptions(url=f"https://127.0.0.1:{port}/", ca_file=ca_file)
    async with Backend(options, "acme", b"s" * 16, AddressPolicy(listens_on="127.0.0.1")) as made:
        await made.ask(b"{}", Event.ACE, {})


async def sounds(port: int, ca_file: Path | None) -> None:
    made = Announcements(AddressPolicy(listens_on="127.0.0.1"), ca_file=ca_file)
    try:
        await made._fetch(f"https://127.0.0.1:{port}/")
    finally:
        await made.close()


async def _nobody(call: SipCall) -> None:
    await call.refuse(404)


async def sip(port: int, ca_file: Path | None) -> None:
    agent = SipAgent(SipOptions(port=0, ca_files=(ca_file,) if ca_file is not None else ()), router=_nobody)
    await agent.start()
    try:
        target = SipTarget(parse_uri(f"sip:bob@127.0.0.1:{port};transport=tls"))
        call = agent.invite(target, caller=parse_address("<sip:ada@127.0.0.1>"), offer="v=0\r\n")
        last = [event async for event in call.events()][-1]
        assert isinstance(last, Refused)
        if last.error is not None:
            raise last.error
        assert last.status == 486
    finally:
        await agent.close()


SPEAKERS: Final = [platform, tokens, backend, sounds, sip]


async def failure_of(ask: Ask, context: ssl.SSLContext | None, ca_file: Path | None) -> SinchphoneError:
    async with asyncio.timeout(LIMIT_S), serving(context) as port:
        with pytest.raises((NetworkError, CallbackError, MediaError)) as failed:
            await ask(port, ca_file)
    error = failed.value
    assert isinstance(error, SinchphoneError)
    return error


@pytest.mark.parametrize("ask", SPEAKERS)
@pytest.mark.parametrize(
    ("server", "knows", "reason", "hint"),
    [
        ({"begins": -3 * DAY, "ends": -DAY}, True, "its certificate has expired", "renew"),
        ({"begins": DAY, "ends": 2 * DAY}, True, "its certificate isn't valid yet", "clock"),
        ({"address": "192.0.2.1"}, True, "its certificate is for another address", "name or address"),
        ({}, False, "the issuer of its certificate is unknown here", "ca_file"),
        ({"by_itself": True}, False, "its certificate is signed by itself", "ca_file"),
    ],
)
async def test_why_a_certificate_is_not_taken_is_told(
    authority: Authority, ask: Ask, server: dict[str, object], knows: bool, reason: str, hint: str
) -> None:
    error = await failure_of(ask, authority.server(**server), authority.file if knows else None)  # type: ignore[arg-type]
    assert reason in str(error)
    assert hint in error.hint


@pytest.mark.parametrize("ask", SPEAKERS)
async def test_who_speaks_no_tls_is_told_apart_from_who_is_not_trusted(authority: Authority, ask: Ask) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ready\r\n" * 3)
        await writer.drain()
        await reader.read(1)
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with asyncio.timeout(LIMIT_S), server:
        with pytest.raises((NetworkError, CallbackError, MediaError), match="doesn't speak TLS") as failed:
            await ask(server.sockets[0].getsockname()[1], authority.file)
    assert isinstance(failed.value, SinchphoneError)
    assert "port" in failed.value.hint


@pytest.mark.parametrize("ask", SPEAKERS)
async def test_who_wants_a_certificate_of_ours_is_understood(authority: Authority, ask: Ask) -> None:
    context = authority.server()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.file)
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # where that is said before the handshake ends
    assert "TLS handshake" in str(await failure_of(ask, context, authority.file))


@pytest.mark.parametrize("ask", SPEAKERS)
async def test_an_authority_of_ones_own_is_trusted_where_ca_file_names_it(authority: Authority, ask: Ask) -> None:
    async with asyncio.timeout(LIMIT_S), serving(authority.server()) as port:
        await ask(port, authority.file)


async def test_why_the_trunk_does_not_register_us_is_in_the_log(authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    def nobody_grants(_: Hop) -> None:
        raise AssertionError("registered")

    async with serving(authority.server()) as port:
        agent = SipAgent(SipOptions(port=0), router=_nobody)
        await agent.start()
        registration = agent.registration(
            parse_uri(f"sip:127.0.0.1:{port}"), Credentials("us", "x"), transport="tls", registered=nobody_grants
        )
        task = start_task(registration.run(), name="run")
        async with asyncio.timeout(LIMIT_S):
            while not caplog.text:
                await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.wait((task,))
        await agent.close()
    assert "the issuer of its certificate is unknown here" in caplog.text


@pytest.mark.parametrize("content", [None, "", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_ca_file_that_is_none_is_an_error_of_the_configuration(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "authority.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match="ca_file") as failed:
        client_context(file)
    assert "PEM" in failed.value.hint


def test_the_systems_authorities_stay_trusted_beside_a_ca_file(authority: Authority) -> None:
    assert len(client_context(authority.file).get_ca_certs()) == len(client_context().get_ca_certs()) + 1


def test_the_systems_authorities_are_read_once_for_each_place_that_the_environment_names(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client_context() is client_context(None)
    everybodys = client_context()
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    monkeypatch.setenv("SSL_CERT_DIR", str(authority.file.parent / "none"))
    assert len(client_context().get_ca_certs()) == 1
    monkeypatch.undo()
    assert client_context() is everybodys


def test_what_says_nothing_about_tls_has_no_reason() -> None:
    assert why_tls_failed(ConnectionRefusedError()) is None
    assert why_tls_failed(NetworkError("x")) is None
