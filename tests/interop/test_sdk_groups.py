"""A group of four: two official SDKs and two phones of ours. Everybody has a call to everybody else, and hears each of them in it."""

import asyncio
from typing import Any

import numpy as np
import pytest

from sinchphone.audio.tones import goertzel
from sinchphone.engine.client import SinchClient
from sinchphone.engine.group_call import GroupCall, RemoteCallAdded, RemoteCallRemoved
from sinchphone.protocol.call.states import State
from sinchphone.tasks import start_task
from tests.interop.conftest import ENOUGH, PATIENCE_S, Ear, OurExchange, Sdk, Town

TONES = {"ada": 440.0, "bob": 620.0, "carol": 850.0, "dave": 1150.0}
PLAIN = 0.8  # of the energy, what is plainly that tone
GROUP = "standup"


class Ours:
    """A phone of ours in the group; which of its sounds is whose is told by the tones."""

    def __init__(self, town: Town, user: str) -> None:
        self._town = town
        self._user = user
        self.ears: list[Ear] = []
        self.seen: list[Any] = []

    def _sound(self) -> Any:
        ear, sound = self._town.sound(TONES[self._user])
        self.ears.append(ear)
        return sound

    async def join(self) -> GroupCall:
        environment = OurExchange(self._town.exchange, "ocra")
        client = SinchClient(self._user, environment, media=self._town.media, sound=self._sound)
        await self._town.stack.enter_async_context(client)
        self.group = await client.call_group(GROUP)
        self._events = start_task(self._read(), name=f"events of {self._user}")
        return self.group

    async def _read(self) -> None:
        async for event in self.group.events():
            self.seen.append(event)

    async def talks_to(self, users: set[str]) -> None:
        try:
            async with asyncio.timeout(4 * PATIENCE_S):
                while {call.peer for call in self.group.calls if call.state is State.ESTABLISHED} != users:
                    await asyncio.sleep(0.1)
        except TimeoutError:
            calls = {call.peer: (call.state.name, call.outbound) for call in self.group.calls}
            lost = [(event.call.peer, event.call.details) for event in self.seen if isinstance(event, RemoteCallRemoved)]
            raise AssertionError(f"{self._user} talks to {calls}, not to {users}; lost: {lost}") from None

    def share(self, hz: float) -> float:
        """The most of the tone that the last second of one of its calls has."""
        last = [np.concatenate(ear.heard[-ENOUGH:]) for ear in self.ears if len(ear.heard) >= ENOUGH]
        return max((goertzel.share(samples, hz) for samples in last), default=0.0)

    async def hears(self, hz: float) -> None:
        """In one of its calls; a busy machine stalls some of it."""
        try:
            async with asyncio.timeout(3 * PATIENCE_S):
                while self.share(hz) < PLAIN:
                    await asyncio.sleep(0.1)
        except TimeoutError:
            shares = {user: round(self.share(tone), 2) for user, tone in TONES.items()}
            raise AssertionError(f"{self._user} doesn't hear {hz} Hz: {shares}") from None

    async def told(self, kind: Any, peer: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not any(isinstance(event, kind) and event.call.peer == peer for event in self.seen):
                await asyncio.sleep(0.05)


async def join_official(town: Town, user: str) -> Sdk:
    sdk = await town.sdk_user(user, multiCall=True)
    sdk.do("tone", hz=TONES[user])
    sdk.do("callGroup", name=GROUP)
    await sdk.told("groupMedia")
    await sdk.told("groupSubscribed")  # it announces itself first, and whoever joins in between is not seen
    return sdk


async def hears(sdk: Sdk, call: str, hz: float) -> None:
    async with asyncio.timeout(2 * PATIENCE_S):
        while True:
            sdk.do("listen", call=call, hz=hz)
            if (await sdk.told("heard", call=call))["share"] > PLAIN:
                return


@pytest.mark.timeout(300)
async def test_two_official_sdks_and_two_of_ours_hear_each_other_pairwise(town: Town) -> None:
    official: dict[str, Sdk] = {"ada": await join_official(town, "ada")}
    ours = {"bob": Ours(town, "bob"), "dave": Ours(town, "dave")}
    await ours["bob"].join()
    official["carol"] = await join_official(town, "carol")
    await ours["dave"].join()
    for user, one in ours.items():
        await one.talks_to({*TONES} - {user})
    for user, sdk in official.items():
        for other in {*TONES} - {user}:
            added = await sdk.told("groupAdded", peer=other, seconds=2 * PATIENCE_S)
            await hears(sdk, added["call"], TONES[other])
    for user, one in ours.items():
        for other in {*TONES} - {user}:
            await one.hears(TONES[other])
            await one.told(RemoteCallAdded, other)
    await ours["bob"].group.leave()
    for sdk in official.values():
        await sdk.told("groupRemoved", peer="bob")
    await ours["dave"].told(RemoteCallRemoved, "bob")
    await ours["dave"].talks_to({"ada", "carol"})
