"""A CANCEL before the callee has taken notice: a legacy device gets it when it can make use of it, the others at once."""

import asyncio
from typing import Any

import pytest

from sinchphone.exchange.calls import delivery


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "LATE_SECONDS", 0.1)


async def cancel(caller: Any, placed: Any, call_id: str) -> str:
    """What a caller publishes that knows only the call's own channel."""
    keys = caller.config["rtcConfiguration"]["signalNetwork"]
    frame = f"10 {call_id} - 0 1 AAAA"
    path = f"/publish/{keys['publishKey']}/{keys['subscribeKey']}/0/{placed.body['signalChannel']}/0"
    async with caller.session.post(caller.url + path, json=frame) as answer:
        assert answer.status == 200
    return frame


async def test_a_cancel_waits_until_the_legacy_device_listens_for_it(legacy: Any) -> None:
    ada, bob = await legacy("ada").started(), await legacy("bob").started()
    _, broadcast = await bob.poll()
    call_id = "11111111-1111-1111-1111-111111111111"
    placed = await ada.call("bob", callId=call_id)
    frame = await cancel(ada, placed, call_id)
    await ada.ask("PUT", f"/v1/calls/data/id/{call_id}", {"callId": call_id})  # the caller reports at once, too
    await asyncio.sleep(0.2)
    invites, _ = await bob.poll(broadcast)
    assert frame not in invites  # together with the INVITE it would be lost
    _, token = await bob.poll("0", "signalNetwork")
    async with asyncio.timeout(10):
        came, _ = await bob.poll(token, "signalNetwork")
    assert came == [frame]
