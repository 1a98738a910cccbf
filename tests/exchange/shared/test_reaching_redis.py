"""A Redis that asks for a password and speaks TLS: both are named where secrets and authorities are named otherwise."""

import datetime
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sinchphone.config import load
from sinchphone.credentials import read_exchange
from sinchphone.errors import ConfigError
from sinchphone.exchange.options import StoreAddress
from sinchphone.exchange.store.store import StoreError
from sinchphone.exchange.tls import issue
from sinchphone.options import Options
from tests.exchange.shared.conftest import Join, RedisServer

NOW = datetime.datetime.now(datetime.UTC)


def read(store: str, **section: object) -> StoreAddress:
    found = read_exchange(replace(Options(), exchange=replace(Options().exchange, store=StoreAddress(store), **section))).store  # type: ignore[arg-type]
    assert isinstance(found, StoreAddress)
    return found


def secret_file(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "password"
    file.write_text(text)
    file.chmod(0o600)
    return file


async def test_the_password_comes_from_a_file_or_a_command(own_server: Callable[..., RedisServer], join: Join, tmp_path: Path) -> None:
    server = own_server(password="p:@/%ss")
    where = f"redis://127.0.0.1:{server.port}/0"
    for section in ({"store_password_file": secret_file(tmp_path, "p:@/%ss\n")}, {"store_password_command": "echo p:@/%ss"}):
        assert (await join(read(where, **section))).port
    with pytest.raises(StoreError, match="user or password is wrong"):
        await join(read(where, store_password_command="echo wrong"))


def test_the_user_stands_in_the_address_and_the_password_beside_it(tmp_path: Path) -> None:
    found = read("redis://exchange@redis.example:6380/3", store_password_file=secret_file(tmp_path, "geheim"))
    assert found == "redis://exchange:geheim@redis.example:6380/3"
    assert "geheim" not in repr(found) + found.shown
    with pytest.raises(ConfigError, match="has a password already"):
        read("redis://:one@redis.example", store_password_command="echo two")
    with pytest.raises(ConfigError, match=r"exchange\.store_password_command failed"):
        read("redis://redis.example", store_password_command="false")
    secret_file(tmp_path, "geheim").chmod(0o644)
    with pytest.raises(ConfigError, match="can be read by others"):
        read("redis://redis.example", store_password_file=tmp_path / "password")


def test_a_password_in_the_address_is_not_shown_and_none_is_kept_in_a_file_beside_it(tmp_path: Path) -> None:
    settings = load(environ={"SINCHPHONE_EXCHANGE_STORE": "redis://:geheim@redis.example/0"}).settings
    assert {one.key.name: one.shown for one in settings}["exchange.store"] == "redis://redis.example/0"
    (tmp_path / "config.toml").write_text('[exchange]\nstore_password = "geheim"\n')
    with pytest.raises(ConfigError, match="must not be kept"):
        load(file=tmp_path / "config.toml", environ={})


@pytest.fixture
def secure(own_server: Callable[..., RedisServer], tmp_path: Path) -> tuple[RedisServer, Path]:
    """A server that speaks TLS only, and whom one must trust for it."""
    issued = issue(tmp_path, "127.0.0.1", NOW)
    server = own_server()
    server.kill()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server.port = free.getsockname()[1]
    own = ["--tls-cert-file", str(issued.certificate.chain), "--tls-key-file", str(issued.certificate.key)]
    own += ["--tls-ca-cert-file", str(issued.authority), "--tls-auth-clients", "no"]
    server.start("--bind", "127.0.0.1", "127.0.0.2", "--port", "0", "--tls-port", str(server.port), *own)
    return server, issued.authority


async def test_tls_trusts_the_authority_that_is_named_and_no_other(secure: tuple[RedisServer, Path], join: Join, tmp_path: Path) -> None:
    server, authority = secure
    where = f"rediss://127.0.0.1:{server.port}/0"
    assert (await join(read(where, store_ca_file=authority))).port
    with pytest.raises(StoreError, match="no secure connection: the issuer of its certificate is unknown here") as refused:
        await join(read(where))
    assert "exchange.store_ca_file" in (refused.value.hint or "")
    other = issue(tmp_path / "other", "127.0.0.1", NOW)
    with pytest.raises(StoreError, match="no secure connection"):
        await join(read(where, store_ca_file=other.authority))
    with pytest.raises(StoreError, match="can't be reached"):
        await join(read(where.replace("rediss:", "redis:")))


async def test_a_certificate_for_another_name_is_refused(secure: tuple[RedisServer, Path], join: Join) -> None:
    server, authority = secure
    with pytest.raises(StoreError, match="no secure connection: its certificate is for another"):
        await join(read(f"rediss://127.0.0.2:{server.port}/0", store_ca_file=authority))


async def test_an_authority_that_is_none_or_for_nothing_is_refused(tmp_path: Path, join: Join) -> None:
    with pytest.raises(ConfigError, match="is for TLS"):
        read("redis://redis.example", store_ca_file=tmp_path / "ca.pem")
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(ConfigError, match=r"ca\.pem can't be used"):
        await join(read("rediss://127.0.0.1:1", store_ca_file=tmp_path / "ca.pem"))
