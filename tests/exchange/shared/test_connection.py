"""What a connection to Redis that breaks, says nothing or is closed means to those who asked over it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sinchphone.exchange.store.redis import pipeline as pipeline_module
from sinchphone.exchange.store.redis.pipeline import Pipeline, no_answer
from sinchphone.exchange.store.redis.servers import Servers
from tests.exchange.shared.conftest import RedisServer

PATIENCE = 10.0


@pytest.fixture
async def servers(redis: RedisServer) -> AsyncIterator[Servers]:
    servers = Servers(redis.address)
    try:
        yield servers
    finally:
        await servers.close()


@pytest.fixture
async def asked(servers: Servers) -> Pipeline:
    """One that is connected already."""
    asked = servers.pipeline("key", "asked")
    assert await asked.ask("PING") == "PONG"
    return asked


async def disconnect(servers: Servers, asked: Pipeline) -> None:
    """Redis closes that one's connection."""
    own = await asked.ask("CLIENT", "ID")
    assert await servers.pipeline("key", "other").ask("CLIENT", "KILL", "ID", own) == 1


async def test_what_was_asked_together_is_answered_in_order(asked: Pipeline) -> None:
    answers: list[Any] = await asyncio.gather(*(asked.ask("ECHO", f"{number} \u00e9") for number in range(200)))
    assert answers == [f"{number} \u00e9" for number in range(200)]


async def test_an_error_is_told_to_the_one_who_asked_for_it(asked: Pipeline) -> None:
    await asked.ask("SET", "text", "no number")
    before, wrong, after = asked.ask("GET", "text"), asked.ask("INCR", "text"), asked.ask("GET", "text")
    assert await before == await after == "no number"
    with pytest.raises(no_answer(), match="not an integer"):
        await wrong


async def test_after_redis_closed_a_connection_one_is_answered_over_a_new_one(servers: Servers, asked: Pipeline) -> None:
    await disconnect(servers, asked)
    async with asyncio.timeout(PATIENCE):
        assert await asked.ask("PING") == "PONG"


async def test_who_waits_while_a_connection_breaks_is_answered_over_a_new_one(servers: Servers, asked: Pipeline) -> None:
    other = servers.pipeline("key", "other")
    own = await asked.ask("CLIENT", "ID")
    waiting = asked.ask("BLPOP", "list", 0)
    async with asyncio.timeout(PATIENCE):
        while "cmd=blpop" not in str(await other.ask("CLIENT", "LIST")):
            await asyncio.sleep(0.01)
        assert await other.ask("CLIENT", "KILL", "ID", own) == 1
        await other.ask("RPUSH", "list", "came later")
        assert await waiting == ["list", "came later"]


async def test_a_server_that_says_nothing_is_given_up_and_asked_again_by_the_next_one(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline_module, "_REDIS_ANSWER_SECONDS", 0.3)
    silent = servers.pipeline("key", "silent")
    assert await silent.ask("PING") == "PONG"
    waiting = silent.ask("BLPOP", "list", 0)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(waiting), PATIENCE)
    assert isinstance(waiting.exception(), TimeoutError)
    assert await silent.ask("PING") == "PONG"


async def test_who_waits_as_a_connection_is_closed_here_is_told_that_there_is_no_answer(asked: Pipeline) -> None:
    waiting = asked.ask("BLPOP", "list", 0)
    await asyncio.sleep(0)
    await asked.close()
    with pytest.raises(ConnectionError, match="closed"):
        await waiting


async def test_redis_py_has_no_public_way_to_a_connections_transport_and_still_has_its_private_one(servers: Servers) -> None:
    """``AnsweringConnection`` takes it over. Where this fails look what there is instead before pyproject.toml allows that version."""
    connection = servers.connection()
    assert [name for name in dir(connection) if not name.startswith("_") and ("writer" in name or "transport" in name)] == []
    await connection.connect()  # type: ignore[no-untyped-call]
    try:
        assert connection._writer is not None
        assert isinstance(connection._writer.transport, asyncio.WriteTransport)
    finally:
        await connection.disconnect(nowait=True)
