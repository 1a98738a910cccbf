"""Fifty callouts at the same time: each has its ICE, ACE and DiCE, and none is lost."""

import asyncio
from collections import Counter
from typing import Any

MANY = 50
STAYS, FROM = "+14155550120", "+46700000001"


async def test_fifty_callouts_at_once_are_all_answered_and_told_of(developer: Any, action: Any) -> None:
    backend = await developer.use_backend()
    backend.answers |= {"ice": action("connectPstn", number=STAYS, cli=FROM), "ace": action("continue")}
    destination = {"type": "number", "endpoint": STAYS}
    calls = await asyncio.gather(*(developer.call_out("customCallout", destination=destination, cli=FROM) for _ in range(MANY)))
    assert len(set(calls)) == MANY
    await backend.heard("ace", times=MANY)
    asked = [developer.ask("PATCH", f"/calling/v1/calls/id/{call}", {"action": {"name": "hangup"}}) for call in calls]
    assert [status for status, _ in await asyncio.gather(*asked)] == [200] * MANY
    await backend.heard("dice", times=MANY)
    told = await asyncio.gather(*map(developer.call, calls))
    assert {(one["status"], one["result"], one["reason"]) for one in told} == {("FINAL", "ANSWERED", "MANAGERHANGUP")}
    assert Counter(event["event"] for event in backend.events) == {"ice": MANY, "ace": MANY, "dice": MANY}
    assert all(sorted(backend.kinds(call)) == ["ace", "dice", "ice"] for call in calls)
