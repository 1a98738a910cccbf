"""Conference rooms that a Janus mixes: people hear each other through it, by the same REST and with the same events."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sinchphone.config import load
from sinchphone.credentials import read_exchange
from sinchphone.engine.calls.call import Call
from sinchphone.engine.client import SinchClient
from sinchphone.engine.environment import Cloud
from sinchphone.exchange.conference.rooms import Participant
from sinchphone.exchange.options import ConferenceOptions, ExchangeOptions
from sinchphone.exchange.server import Exchange
from sinchphone.media.thread import MediaThread
from sinchphone.media.ticker import Ticker
from sinchphone.protocol.call.states import State
from tests.e2e.conftest import Ear, Steps
from tests.exchange.conftest import SECRETS
from tests.exchange.janus.conftest import JanusServer
from tests.exchange.test_rooms import Voice

LONGEST = 60.0


@dataclass
class Floor:
    """An exchange whose rooms a Janus mixes."""

    exchange: Exchange
    media: MediaThread
    stack: AsyncExitStack

    async def enter(self, name: str, hz: float) -> "tuple[Call, Ear]":
        cloud = Cloud("acme", secret=SECRETS["acme"], host=self.exchange.url)
        phone = await self.stack.enter_async_context(SinchClient(name, cloud, media=self.media))
        ear = Ear(hz)
        call = await phone.call_conference("tea", sound=Ticker(ear, self.media))
        await Steps.reach(call, State.ESTABLISHED, LONGEST)
        return call, ear

    async def ask(self, verb: str, path: str, body: Any = None) -> tuple[int, Any]:
        headers = {"Authorization": aiohttp.encode_basic_auth("acme", SECRETS["acme"])}
        url = f"{self.exchange.url}/calling/v1/conferences/id/{path}"
        async with aiohttp.ClientSession(headers=headers) as session, session.request(verb, url, json=body) as answer:
            return answer.status, await answer.json()


@pytest.fixture
async def floor(janus: JanusServer) -> AsyncIterator[Floor]:
    conference = ConferenceOptions(mixer="janus", janus=janus.url)
    options = ExchangeOptions(port=0, applications={"acme": SECRETS["acme"]}, conference=conference)
    with MediaThread() as media:
        async with AsyncExitStack() as stack:
            exchange = await stack.enter_async_context(Exchange(options, media=media))
            yield Floor(exchange, media, stack)


async def nothing() -> None:
    """Nobody is told."""


async def heard(ear: Ear, hz: float) -> None:
    """Janus has no patience with a machine that is busy: a moment of that tone and hardly anything else is enough."""
    async with asyncio.timeout(LONGEST):
        while ear.share(hz, 0.3) < 0.8:
            await asyncio.sleep(0.05)


async def quiet(ear: Ear) -> None:
    async with asyncio.timeout(LONGEST):
        while abs(ear.last(0.3)).max(initial=0) > 100:
            await asyncio.sleep(0.05)


def test_the_mixer_that_the_configuration_names_is_handed_to_the_exchange(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[conference]\nmixer = "janus"\njanus = "ws://127.0.0.1:7188"\n')
    read = read_exchange(load(file=tmp_path / "config.toml", environ={}).options)
    assert read.conference == ConferenceOptions(mixer="janus", janus="ws://127.0.0.1:7188")


async def test_two_hear_each_other_through_janus_and_are_muted_and_removed_by_rest(floor: Floor, janus: JanusServer) -> None:
    ada, hears_bob = await floor.enter("ada", 400.0)
    bob, hears_ada = await floor.enter("bob", 700.0)
    await heard(hears_ada, 400.0)
    await heard(hears_bob, 700.0)
    there = (await floor.ask("GET", "tea"))[1]["participants"]
    assert [(one["id"], one["muted"]) for one in there] == [(ada.id, False), (bob.id, False)]
    assert await floor.ask("PATCH", f"tea/{ada.id}", {"command": "mute"}) == (200, {})
    await quiet(hears_ada)
    assert await floor.ask("PATCH", f"tea/{ada.id}", {"command": "unmute"}) == (200, {})
    await heard(hears_ada, 400.0)
    assert (await floor.ask("PATCH", f"tea/{ada.id}", {"command": "onhold"}))[0] == 501

    assert floor.exchange.rooms is not None
    phone = Voice(1000.0)
    seat = floor.exchange.rooms.enter("acme", "tea", Participant("call-carol", "carol", "+4670"), nothing)
    await seat.sound.connect(phone)
    async with asyncio.timeout(LONGEST):
        while hears_ada.share(1000.0, 0.3) < 0.2 or not (phone.hears(400.0) and phone.hears(700.0)):
            await asyncio.sleep(0.1)
    await seat.leave()

    assert await floor.ask("DELETE", f"tea/{ada.id}") == (200, {})
    await Steps.end_of(ada)
    assert await floor.exchange.troubles() == {}
    janus.kill()
    died_at = time.monotonic()
    await Steps.end_of(bob, LONGEST)
    assert time.monotonic() - died_at < 10
    assert list(await floor.exchange.troubles()) == ["mixer"]
    janus.start()
    assert await floor.exchange.troubles() == {}
