"""When a call asks for ICE servers, and that nothing about them keeps it waiting."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sinchphone.engine.calls.media import servers as call_servers
from sinchphone.engine.calls.media.servers import CallServers
from sinchphone.errors import NetworkError, NotFoundError, SinchphoneError
from sinchphone.media.ice_servers import IceServer, IceServerList
from sinchphone.signaling.dialect import OfferedIceServer
from sinchphone.tasks import start_task

Answer = tuple[OfferedIceServer, ...] | SinchphoneError | None
PATIENCE_S = 5.0


class Platform:
    """Answers in turn; the last answer again and again. None: never."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.warned: list[Exception] = []
        self.now = 1000.0

    async def ask(self) -> tuple[OfferedIceServer, ...]:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            await asyncio.sleep(3600)
        if isinstance(answer, SinchphoneError):
            raise answer
        return answer or ()


@asynccontextmanager
async def servers_of(platform: Platform) -> AsyncIterator[CallServers]:
    servers = CallServers(platform.ask, platform.warned.append, clock=lambda: platform.now)
    running = start_task(servers.run(), name="servers")
    try:
        yield servers
    finally:
        running.cancel()
        await asyncio.wait([running])


def relay(name: str, until: float | None = None) -> tuple[OfferedIceServer, ...]:
    return (OfferedIceServer(("turn:h",), name, "p", until),)


async def got(servers: CallServers) -> tuple[str | None, ...]:
    async with asyncio.timeout(PATIENCE_S):
        return tuple(one.username for one in await servers.list.get())


async def settled(platform: Platform, asked: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while platform.asked < asked:
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.02)
    assert platform.asked == asked


async def test_servers_are_asked_for_once_where_they_do_not_expire() -> None:
    platform = Platform(relay("one"))
    async with servers_of(platform) as servers:
        assert await got(servers) == ("one",)
        await settled(platform, 1)


async def test_expired_ones_are_asked_for_again_once() -> None:
    platform = Platform(relay("one", 1000.05), relay("two", 9000.0))
    async with servers_of(platform) as servers:
        assert await got(servers) == ("one",)
        platform.now = 1001.0
        await settled(platform, 2)
        assert await got(servers) == ("two",)


async def test_a_platform_that_gives_expired_ones_is_not_asked_in_a_loop() -> None:
    platform = Platform(relay("one", 900.0))
    async with servers_of(platform) as servers:
        await settled(platform, 2)
        assert await got(servers) == ("one",)


async def test_a_platform_that_gives_others_that_have_expired_each_time_is_not_asked_in_a_loop() -> None:
    platform = Platform(*(relay(f"{number}", 900.0 + number) for number in range(50)))
    async with servers_of(platform) as servers:
        await settled(platform, 2)
        assert await got(servers) == ("1",)


async def test_a_restart_finds_servers_that_were_asked_for_just_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_servers, "AGAIN_SECONDS", 0.0)
    platform = Platform(relay("one"), relay("two"))
    async with servers_of(platform) as servers:
        assert await got(servers) == ("one",)
        servers.renew()
        assert await got(servers) == ("two",)


async def test_a_restart_soon_after_takes_what_is_there() -> None:
    platform = Platform(relay("one"), relay("two"))
    async with servers_of(platform) as servers:
        assert await got(servers) == ("one",)
        servers.renew()
        assert await got(servers) == ("one",)
        await settled(platform, 1)


async def test_a_platform_that_does_not_answer_is_gone_on_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_servers, "ASK_SECONDS", 0.05)
    platform = Platform(None)
    async with servers_of(platform) as servers:
        assert await got(servers) == ()
        assert [type(one) for one in platform.warned] == [TimeoutError]


async def test_one_that_fails_is_told_of_and_one_that_has_none_is_not() -> None:
    failing, without = Platform(NetworkError("gone")), Platform(NotFoundError("no such thing"))
    for platform in (failing, without):
        async with servers_of(platform) as servers:
            assert await got(servers) == ()
    assert (len(failing.warned), len(without.warned)) == (1, 0)


async def test_where_the_second_question_fails_the_first_answer_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_servers, "AGAIN_SECONDS", 0.0)
    platform = Platform(relay("one"), NetworkError("gone"))
    async with servers_of(platform) as servers:
        assert await got(servers) == ("one",)
        servers.renew()
        assert await got(servers) == ("one",)
        assert platform.warned == []


async def test_whoever_waits_in_another_loop_is_given_what_comes() -> None:
    servers = IceServerList()
    found = start_task(asyncio.to_thread(lambda: asyncio.run(servers.get())), name="other loop")
    await asyncio.sleep(0.02)
    servers.put((IceServer(urls=("stun:h",)),))
    assert await asyncio.wait_for(found, PATIENCE_S) == (IceServer(urls=("stun:h",)),)
