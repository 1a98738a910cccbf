"""The local environment: finding the exchange, hosting it, taking it over, and its credentials."""

import asyncio
import json
import multiprocessing
import os
import socket
import stat
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from sinchphone.engine.environment import Environment
from sinchphone.errors import ConfigError, NetworkError
from sinchphone.exchange.directory.credentials import FILE_NAME, local_credentials
from sinchphone.local import Local
from sinchphone.protocol.auth import decode_secret, verify_registration_token


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def listening(port: int, answer: bytes | None) -> AsyncIterator[None]:
    """A server that answers every request with ``answer``, or never."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        if answer is None:
            await reader.read()  # until the client gives up
        else:
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()


def http_answer(body: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


async def test_the_first_hosts_the_exchange_and_the_second_finds_it(tmp_path: Path, port: int) -> None:
    async with Local(tmp_path, port=port) as first, Local(tmp_path, port=port) as second:
        assert (first.hosting, second.hosting) == (True, False)
        assert await second.open() == f"http://127.0.0.1:{port}"
        async with aiohttp.ClientSession() as session, session.get(await second.open()) as answer:
            assert (await answer.json())["service"] == "sinchphone-exchange"


async def test_when_the_host_goes_away_another_takes_over_within_two_seconds(tmp_path: Path, port: int) -> None:
    first, second = Local(tmp_path, port=port), Local(tmp_path, port=port)
    await first.open()
    await second.open()
    began = time.monotonic()
    await first.close()
    await second.recover()
    assert second.hosting
    assert time.monotonic() - began < 2
    await second.close()
    assert not second.hosting


async def test_the_exchange_of_a_process_that_was_killed_is_taken_over_within_two_seconds(tmp_path: Path, port: int) -> None:
    program = (
        "import asyncio, pathlib, sys\n"
        "from sinchphone.local import Local\n"
        "async def main():\n"
        "    print(await Local(pathlib.Path(sys.argv[1]), port=int(sys.argv[2])).open(), flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    arguments = (sys.executable, "-c", program, str(tmp_path), str(port))
    host = await asyncio.create_subprocess_exec(*arguments, stdout=asyncio.subprocess.PIPE)
    assert host.stdout is not None
    assert await host.stdout.readline() == f"http://127.0.0.1:{port}\n".encode()
    async with Local(tmp_path, port=port) as local, aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/time/0"):  # a connection that the kill leaves half closed
            assert not local.hosting
        host.kill()
        await host.wait()
        began = time.monotonic()
        await local.recover()
        assert local.hosting
        assert time.monotonic() - began < 2


async def test_of_many_who_recover_at_the_same_time_one_hosts_and_all_reach_it(tmp_path: Path, port: int) -> None:
    async with Local(tmp_path, port=port):
        others = [Local(tmp_path, port=port) for _ in range(5)]
        for other in others:
            await other.open()
    began = time.monotonic()
    await asyncio.gather(*(other.recover() for other in others))
    assert [other.hosting for other in others].count(True) == 1
    assert time.monotonic() - began < 2
    for other in others:
        await other.close()


async def test_several_clients_share_one_environment_and_the_last_ends_the_hosting(tmp_path: Path, port: int) -> None:
    local = Local(tmp_path, port=port)
    await asyncio.gather(local.open(), local.open())
    await local.close()
    assert local.hosting
    await local.close()
    assert not local.hosting
    await local.close()


async def test_recovering_is_nothing_when_the_exchange_is_there(tmp_path: Path, port: int) -> None:
    async with Local(tmp_path, port=port) as first, Local(tmp_path, port=port) as second:
        await first.recover()
        await second.recover()
        assert (first.hosting, second.hosting) == (True, False)


async def test_a_free_port_may_be_asked_for_and_is_kept(tmp_path: Path) -> None:
    local = Local(tmp_path, port=0)
    url = await local.open()
    await local.close()
    assert await local.open() == url
    await local.close()


async def test_another_program_on_the_port_is_an_error_with_a_hint(tmp_path: Path, port: int) -> None:
    answers = (b"220 mail.example ESMTP\r\n", http_answer("{}"), http_answer("<html>"), http_answer("[]"), http_answer("x" * 100_000))
    for answer in answers:
        async with listening(port, answer):
            with pytest.raises(NetworkError, match="is no exchange") as error:
                await Local(tmp_path, port=port).open()
        assert "port" in error.value.hint


async def test_a_program_that_never_answers_is_an_error_after_some_seconds(tmp_path: Path, port: int) -> None:
    async with listening(port, None):
        began = time.monotonic()
        with pytest.raises(NetworkError, match="doesn't answer") as error:
            await Local(tmp_path, port=port).open()
    assert "Ctrl-Z" in error.value.hint
    assert time.monotonic() - began < 30


async def test_the_exchange_of_another_user_is_an_error_that_says_so(tmp_path: Path, port: int) -> None:
    async with Local(tmp_path / "mine", port=port):
        with pytest.raises(NetworkError, match="doesn't know your application"):
            await Local(tmp_path / "yours", port=port).open()


async def test_a_program_that_only_claims_to_be_our_exchange_is_not_trusted(tmp_path: Path, port: int) -> None:
    lie = json.dumps({"service": "sinchphone-exchange", "version": "1", "proof": "0" * 64})
    async with listening(port, http_answer(lie)):
        with pytest.raises(NetworkError, match="not yours"):
            await Local(tmp_path, port=port).open()


@pytest.mark.parametrize("relay_host", ["127.0.0.1", "127.0.0.2"])
async def test_attack_a_relay_on_another_port_or_address_is_not_taken_for_our_exchange(tmp_path: Path, port: int, relay_host: str) -> None:
    """It passes on our challenge to the exchange, and the proof to us: what would follow is the token."""
    got: list[bytes] = []

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        got.append(asked)
        theirs, ours = await asyncio.open_connection("127.0.0.1", port)
        ours.write(asked)
        writer.write(await theirs.read(65_536))
        ours.close()
        writer.close()

    async with Local(tmp_path, port=port):
        server = await asyncio.start_server(relay, relay_host, 0 if relay_host == "127.0.0.1" else port)
        async with server:
            own_port = server.sockets[0].getsockname()[1]
            with pytest.raises(NetworkError, match="not yours"):
                await Local(tmp_path, host=relay_host, port=own_port).open()
    assert len(got) == 1
    assert b"Bearer" not in got[0]


async def test_an_exchange_is_found_by_its_name_and_on_every_address(tmp_path: Path, port: int) -> None:
    async with Local(tmp_path, host="0.0.0.0", port=port):
        for host in ("localhost", "127.0.0.1", "0.0.0.0"):
            async with Local(tmp_path, host=host, port=port) as found:
                assert not found.hosting, host


async def test_an_address_that_is_not_ours_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NetworkError):
        await Local(tmp_path, host="192.0.2.1", port=4600).recover()


async def test_tokens_are_the_local_applications(tmp_path: Path) -> None:
    local = Local(tmp_path)
    secret = decode_secret(local_credentials(tmp_path).secret)
    token = await local.token("bob")
    claims = verify_registration_token(token, application_key=local.application_key, secret=secret, now=time.time())
    assert claims.user_id == "bob"
    assert await local.token("bob") != token
    with pytest.raises(ConfigError):
        await local.token("b o b")


def test_it_is_an_environment_with_a_caller_id_that_nobody_has(tmp_path: Path) -> None:
    environment: Environment = Local(tmp_path)
    assert environment.caller_id is not None
    assert environment.caller_id.startswith("+1415555010")
    assert environment.loopback


def test_credentials_are_made_once(tmp_path: Path) -> None:
    first = local_credentials(tmp_path / "state")
    assert local_credentials(tmp_path / "state") == first
    assert local_credentials(tmp_path / "other") != first
    assert len(decode_secret(first.secret)) == 32
    assert first.secret not in repr(first)
    assert [entry.name for entry in (tmp_path / "state").iterdir()] == [FILE_NAME]


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_credentials_are_for_their_owner_only(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        local_credentials(tmp_path / "state")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "state" / FILE_NAME).stat().st_mode) == 0o600


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_credentials_that_others_can_read_are_refused(tmp_path: Path) -> None:
    local_credentials(tmp_path)
    (tmp_path / FILE_NAME).chmod(0o644)
    with pytest.raises(ConfigError, match="read by others") as error:
        local_credentials(tmp_path)
    assert "chmod 600" in error.value.hint


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"key":7,"secret":"YQ=="}', '{"key":"k","secret":"no base64"}', '{"key":"","secret":"YQ=="}']
)
def test_credentials_that_are_none_are_an_error(tmp_path: Path, content: str) -> None:
    local_credentials(tmp_path)
    (tmp_path / FILE_NAME).write_text(content)
    with pytest.raises(ConfigError, match="doesn't hold"):
        local_credentials(tmp_path)


def test_a_folder_that_can_not_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="can't be used"):
        local_credentials(tmp_path / "file" / "state")


def _made(folder: str) -> tuple[str, str]:
    credentials = local_credentials(Path(folder))
    return credentials.key, credentials.secret


def test_processes_that_race_to_make_credentials_get_the_same(tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(4) as pool:
        for attempt in range(20):
            folder = str(tmp_path / str(attempt))
            assert len(set(pool.map(_made, [folder] * 4, chunksize=1))) == 1
