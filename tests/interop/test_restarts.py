"""A peer that knows no ICE restart: the official SDK of its time goes on over the old path, whatever we offer."""

import asyncio
from typing import Any

import pytest

from sinchphone.engine.events.events import IncomingCall
from sinchphone.protocol.call import vocabulary as v
from sinchphone.protocol.call.states import State


@pytest.mark.parametrize("who_calls", ["the SDK", "we"])
async def test_a_restart_that_the_sdk_does_not_know_changes_nothing(town: Any, steps: Any, who_calls: str) -> None:
    phone, sdk = await town.phone("bob"), await town.sdk_user("alice")
    ear, sound = town.sound(440.0)
    sdk.do("tone", hz=1000)
    if who_calls == "the SDK":
        phone._calls._make_sound = lambda: sound
        sdk.do("callUser", to="bob", headers={})
        call = (await steps.event(phone, IncomingCall)).call
        await call.answer()
    else:
        call = await phone.call_user("alice", sound=sound)
        await sdk.told("incoming", call=call.id)
        sdk.do("answer", call=call.id)
    await sdk.told("established", call=call.id)
    await steps.reach(call, State.ESTABLISHED)
    for _ in range(2):
        call._driver.put(v.PathFailing(call._machine.winner))
        await asyncio.sleep(1.5)
    await sdk.hears(call.id, 440)
    await ear.hears(1000.0)
    assert call.state is State.ESTABLISHED
    assert sdk.tells_not("ended")
    await call.hang_up()
    await sdk.told("ended", call=call.id)
