"""The certificate authority of an exchange, and the exchange that listens with its certificate."""

import datetime
import socket
import ssl
import stat
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from sinchphone.errors import ConfigError
from sinchphone.exchange import tls
from sinchphone.exchange.pubsub.origin import bare
from sinchphone.exchange.tls import Issued, issue

NOW = datetime.datetime.now(datetime.UTC)


def serial(path: Path) -> int:
    return x509.load_pem_x509_certificate(path.read_bytes()).serial_number


def test_certificates_are_kept_as_long_as_they_are_good(tmp_path: Path) -> None:
    first = issue(tmp_path, "127.0.0.1", NOW)
    serials = serial(first.authority), serial(first.certificate.chain)
    again = issue(tmp_path, "127.0.0.1", NOW + datetime.timedelta(days=30))
    assert (serial(again.authority), serial(again.certificate.chain)) == serials


def test_a_server_certificate_is_renewed_before_it_ends_and_the_authority_stays(tmp_path: Path) -> None:
    first = issue(tmp_path, "127.0.0.1", NOW)
    serials = serial(first.authority), serial(first.certificate.chain)
    later = issue(tmp_path, "127.0.0.1", NOW + datetime.timedelta(days=61))
    assert serial(later.authority) == serials[0]
    assert serial(later.certificate.chain) != serials[1]


def test_another_host_gets_another_certificate_of_an_authority_that_may_vouch_for_it(tmp_path: Path) -> None:
    first = issue(tmp_path, "127.0.0.1", NOW)
    serials = serial(first.authority), serial(first.certificate.chain)
    assert first.replaced is None
    other = issue(tmp_path, "exchange.example", NOW)
    assert (serial(other.authority) != serials[0], serial(other.certificate.chain) != serials[1]) == (True, True)
    assert "exchange.example" in (other.replaced or "")
    back = issue(tmp_path, "127.0.0.1", NOW)
    again = issue(tmp_path, "exchange.example", NOW)
    assert serial(back.authority) == serial(again.authority) == serial(other.authority)
    assert (back.replaced, again.replaced) == (None, None)


def test_an_authority_grows_by_the_names_that_come_and_keeps_the_others(tmp_path: Path) -> None:
    issue(tmp_path, "192.0.2.1", NOW, ["one.example"])
    grown = issue(tmp_path, "127.0.0.1", NOW, ["two.example", "2001:db8::1"])
    kept = issue(tmp_path, "192.0.2.1", NOW, ["one.example", "two.example"])
    assert serial(kept.authority) == serial(grown.authority)
    assert names_in(kept.certificate.chain) == {"localhost", "127.0.0.1", "::1", "192.0.2.1", "one.example", "two.example"}


def test_an_authority_lasts_two_years_at_most_and_is_made_anew_with_a_word(tmp_path: Path) -> None:
    first = issue(tmp_path, "127.0.0.1", NOW)
    certificate = x509.load_pem_x509_certificate(first.authority.read_bytes())
    assert certificate.not_valid_after_utc - NOW <= datetime.timedelta(days=731)
    later = issue(tmp_path, "127.0.0.1", NOW + datetime.timedelta(days=701))
    assert "ends" in (later.replaced or "")


def test_attack_an_authority_whose_key_was_stolen_vouches_for_nobody_else(tmp_path: Path) -> None:
    """What it signs for a bank's name is refused by who trusts it; for its own names it is not."""
    issued = issue(tmp_path, "127.0.0.1", NOW)
    authority = tls._kept(issued.authority, issued.authority.with_suffix(".key"))
    assert authority is not None
    for name, taken in (("localhost", True), ("127.9.9.9", True), ("bank.example", False), ("192.0.2.7", False)):
        forged = tls._make_server(authority, [name], NOW)
        verifier = PolicyBuilder().store(Store([authority.certificate])).build_server_verifier(tls._general_name(name))  # type: ignore[arg-type]
        try:
            verifier.verify(forged.certificate, [])
        except VerificationError:
            assert not taken, name
        else:
            assert taken, name


async def test_attack_openssl_refuses_a_certificate_for_another_name_too(start_exchange: Any, tmp_path: Path) -> None:
    issued = issue(tmp_path, "127.0.0.1", NOW)
    authority = tls._kept(issued.authority, issued.authority.with_suffix(".key"))
    assert authority is not None
    forged = tls._make_server(authority, ["127.0.0.1", "bank.example"], NOW)
    tls._keep(forged, issued.certificate.chain, issued.certificate.key)
    exchange = await start_exchange(certificate=issued.certificate, tls_port=0)
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get(f"{exchange.tls_url}/time/0", ssl=context(issued))


def test_an_exchange_that_listens_everywhere_is_known_by_the_machines_addresses_and_names(tmp_path: Path) -> None:
    issued = issue(tmp_path, "0.0.0.0", NOW, ["phone.example"])
    assert {*tls._own_addresses(), socket.gethostname(), "phone.example"} <= names_in(issued.certificate.chain)
    assert "0.0.0.0" not in names_in(issued.certificate.chain)
    assert issue(tmp_path, "0.0.0.0", NOW, ["phone.example"]).replaced is None


def names_in(path: Path) -> set[str]:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    given = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in given}


def test_keys_are_their_owners_alone(tmp_path: Path) -> None:
    issue(tmp_path, "127.0.0.1", NOW)
    for key in (tmp_path / "tls").glob("*.key"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["authority.pem", "authority.key", "server.pem", "server.key"])
def test_a_file_that_is_broken_is_made_anew(tmp_path: Path, name: str) -> None:
    issue(tmp_path, "127.0.0.1", NOW)
    (tmp_path / "tls" / name).write_text("broken")
    issued = issue(tmp_path, "127.0.0.1", NOW)
    context(issued)
    assert (tmp_path / "tls" / name).read_text().startswith("-----BEGIN ")


def test_a_folder_that_can_not_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "tls").write_text("in the way")
    with pytest.raises(ConfigError, match="tls"):
        issue(tmp_path, "127.0.0.1", NOW)


def context(issued: Issued) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(issued.authority))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_who_trusts_the_authority_reaches_the_exchange_with_tls(start_exchange: Any, tmp_path: Path, host: str) -> None:
    issued = issue(tmp_path, "127.0.0.1", NOW)
    exchange = await start_exchange(certificate=issued.certificate, tls_port=0)
    url = exchange.tls_url.replace("127.0.0.1", host)
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{url}/time/0", ssl=context(issued)) as answer:
            assert answer.status == 200
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get(f"{url}/time/0")


async def test_a_client_that_came_without_tls_is_told_where_the_broker_has_it(start_exchange: Any, tmp_path: Path, legacy: Any) -> None:
    issued = issue(tmp_path, "127.0.0.1", NOW)
    exchange = await start_exchange(certificate=issued.certificate, tls_port=0)
    network = (await legacy("ada", url=exchange.url).started()).config["rtcConfiguration"]["signalNetwork"]
    assert f"https://{network['host']}" == exchange.tls_url
    assert f"http://{network['plainHost']}" == exchange.url


async def test_without_tls_there_is_one_place_for_everything(exchange: Any, legacy: Any) -> None:
    network = (await legacy("ada").started()).config["rtcConfiguration"]["signalNetwork"]
    assert network["host"] == network["plainHost"] == exchange.url.removeprefix("http://")


@pytest.mark.parametrize(
    ("origin", "named"), [("exchange.example:443", "exchange.example"), ("[::1]:443", "[::1]"), ("127.0.0.1:4443", "127.0.0.1:4443")]
)
def test_the_port_that_https_has_anyway_is_not_named_to_clients_that_would_take_it_for_a_part_of_the_name(origin: str, named: str) -> None:
    assert bare(origin) == named
