"""Which platform a configuration leads to, and tokens from a backend."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from aiohttp import web

from sinchphone.cli.addressing.recent import user_of
from sinchphone.cli.calling.phone import open_environment
from sinchphone.config import load
from sinchphone.engine.environment import Cloud
from sinchphone.errors import AuthenticationError, ConfigError, NetworkError
from sinchphone.local import Local
from sinchphone.options import Options, Place
from sinchphone.signaling.api import Api
from sinchphone.signaling.http.tokens import fetch_token

SECRET = "ax8hTTQJF0OPXL32r1LHMA=="  # the published test vector's
CLOUD = Options(environment=Place.CLOUD, application_key="key", user="ada")


async def test_nothing_configured_leads_to_the_local_exchange(tmp_path: Path) -> None:
    environment = open_environment(Options(state_dir=tmp_path))
    assert isinstance(environment, Local)
    await environment.close()


async def test_the_local_exchange_is_told_all_that_its_section_says(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        '[exchange]\nport = 0\npush_contact = "mailto:ada@example.org"\nice_servers = ["turn:turn.example.org"]\nice_relay_only = true\n'
    )
    options = load(file=file, environ={"SINCHPHONE_ICE_SECRET": "north"}).options
    environment = open_environment(replace(options, state_dir=tmp_path))
    assert isinstance(environment, Local)
    told = environment._options
    assert (told.push_contact, told.ice_servers) == ("mailto:ada@example.org", ("turn:turn.example.org",))
    assert (told.ice_relay_only, told.ice_secret) == (True, "north")
    await environment.close()


@pytest.mark.parametrize("place", Place)
async def test_authorities_of_turn_servers_are_trusted_wherever_calls_go(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    environment = open_environment(Options(environment=place, application_key="key", token="a.b.c", state_dir=tmp_path, ca_file=file))
    assert environment.ca_file == file
    await environment.close()


@pytest.mark.parametrize("proof", [{"token": "a.b.c"}, {"token_url": "https://example.org/token"}])
def test_a_key_and_a_proof_lead_to_the_cloud(proof: dict[str, str]) -> None:
    options = Options(environment=Place.CLOUD, application_key="key", caller_id="+14155550123", host="http://127.0.0.1:4600", **proof)  # type: ignore[arg-type]
    environment = open_environment(options)
    assert isinstance(environment, Cloud)
    assert (environment.application_key, environment.caller_id, environment.loopback) == ("key", "+14155550123", True)


async def test_the_secret_of_the_environment_signs_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SINCH_APPLICATION_SECRET", SECRET)
    token = await open_environment(CLOUD).token("ada")
    assert token.count(".") == 2
    assert SECRET not in token


@pytest.mark.parametrize("options", [CLOUD, Options(environment=Place.CLOUD, user="ada")])
def test_a_cloud_without_key_or_proof_is_a_configuration_error(options: Options) -> None:
    with pytest.raises(ConfigError) as refused:
        open_environment(options)
    assert "SINCH_APPLICATION" in refused.value.hint


def test_the_cloud_does_not_guess_who_i_am() -> None:
    with pytest.raises(ConfigError):
        user_of(Options(environment=Place.CLOUD))


Backend = Callable[..., Awaitable[str]]


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    """Starts a backend that answers so; its URL."""
    runners: list[web.AppRunner] = []

    async def start(text: str, status: int = 200) -> str:
        async def answer(request: web.Request) -> web.Response:
            return web.Response(text=text.replace("USER", request.query["user_id"]), status=status, headers={"Location": "/elsewhere"})

        application = web.Application()
        application.router.add_get("/token", answer)
        runner = web.AppRunner(application)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}/token"

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.mark.parametrize("text", ["h.USER.s", " h.USER.s\n", '{"token": "h.USER.s"}'])
async def test_a_backend_is_asked_with_the_user_id(backend: Backend, text: str) -> None:
    assert await fetch_token(await backend(text), "ada") == "h.ada.s"


async def test_a_backend_may_give_a_user_ticket(backend: Backend) -> None:
    assert await fetch_token(await backend("YWJj:ZGVm"), "ada") == "YWJj:ZGVm"


@pytest.mark.parametrize(
    ("text", "status"), [("no", 403), ("", 200), ("{}", 200), ("{", 200), ("<html>", 200), ("h.\x1b[2J.s", 200), ("h.x.s", 302)]
)
async def test_what_is_no_token_is_an_authentication_error(backend: Backend, text: str, status: int) -> None:
    with pytest.raises(AuthenticationError):
        await fetch_token(await backend(text, status), "ada")


async def test_a_token_that_comes_in_pieces_is_whole() -> None:
    async def in_pieces(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\n")
        for piece in (b"hhh.", b"pp.", b"ss"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)
        writer.close()

    async with await asyncio.start_server(in_pieces, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await fetch_token(f"http://127.0.0.1:{port}/", "ada") == "hhh.pp.ss"


async def test_a_backend_that_is_down_is_a_network_error() -> None:
    with pytest.raises(NetworkError):
        await fetch_token("http://127.0.0.1:9/token", "ada")


async def test_attack_a_token_never_travels_in_the_clear() -> None:
    with pytest.raises(ConfigError, match="https"):
        await fetch_token("http://example.org/token", "ada")


@pytest.mark.parametrize(("api", "host"), [("ocra", "https://ocra.api.sinch.com"), ("papi", "https://clientapi.sinch.com")])
async def test_each_dialect_has_its_own_host_and_proof(monkeypatch: pytest.MonkeyPatch, api: Literal["ocra", "papi"], host: str) -> None:
    monkeypatch.setenv("SINCH_APPLICATION_SECRET", SECRET)
    environment = open_environment(replace(CLOUD, api=Api(api)))
    assert (environment.api, await environment.open()) == (api, host)
    proof = await environment.token("ada")
    assert (proof.count("."), proof.count(":")) == ((2, 0) if api == "ocra" else (0, 1))


async def test_the_local_exchange_is_spoken_to_in_the_chosen_dialect(tmp_path: Path) -> None:
    environment = open_environment(Options(state_dir=tmp_path, api=Api.PAPI))
    assert environment.api == "papi"
    assert ":" in await environment.token("ada")


@pytest.mark.parametrize("name", ["password", "sms.token"])
def test_a_password_or_token_in_a_file_is_refused(tmp_path: Path, name: str) -> None:
    file = tmp_path / "c.toml"
    table, _, key = name.rpartition(".")
    file.write_text((f"[{table}]\n" if table else "") + f'{key} = "hush"\n')
    with pytest.raises(ConfigError, match="must not be kept") as refused:
        load({}, file=file)
    assert "hush" not in str(refused.value)
