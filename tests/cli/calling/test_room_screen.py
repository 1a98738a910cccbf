"""Who is in a room: the events, the lines and the status line."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from sinchphone.cli.calling import outgoing as call_command
from sinchphone.cli.terminal.screen.status_line import Status, status_text
from sinchphone.cli.terminal.session import Session
from sinchphone.engine.calls.call import RoomChanged
from sinchphone.protocol.call.room_events import RoomMember
from sinchphone.protocol.call.states import Cause, State
from tests.cli.calling.fake_keys import FakeKeys
from tests.waiting import until

ME = RoomMember(name="root", is_us=True)
BOB = RoomMember(name="bob")
BOB_SPEAKS = RoomMember(name="bob", speaks=True)
CAROL_MUTED = RoomMember(name="carol", muted=True)


def test_who_comes_goes_and_is_muted_is_said_and_who_speaks_is_shown(
    platform: Any, sinchphone: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Status] = []
    monkeypatch.setattr(call_command, "Keys", FakeKeys)
    monkeypatch.setattr(Session, "draw", lambda self, status: shown.append(status))

    async def script(call: Any) -> None:
        call.enter(State.RINGING, State.ANSWERED, State.ESTABLISHED)
        await asyncio.sleep(0.05)
        for members in ((ME,), (ME, BOB), (ME, BOB_SPEAKS), (ME, BOB_SPEAKS, CAROL_MUTED)):
            call.told.put(RoomChanged(members=members, count=len(members)))
        await until(lambda: "3 here: bob" in status_text(shown[-1]))
        call.told.put(RoomChanged(members=(ME,), count=30))
        await until(lambda: "30 here" in status_text(shown[-1]))
        call.end(Cause.HUNG_UP, "peer")

    platform.outgoing = script
    ran = sinchphone("conference", "standup", "--json")
    told = [event for event in ran.events if event["event"] == "conference.members"]
    assert told[3]["count"] == 3
    assert told[3]["members"][2] == {"name": "carol", "speaks": False, "muted": True, "on_hold": False, "you": False}
    ran = sinchphone("conference", "standup")
    said = [line for line in ran.err.splitlines() if line.startswith("in the room: ")]
    assert said == [
        "in the room: root (you)",
        "in the room: root (you); bob",
        "in the room: root (you); bob; carol, muted",
        "in the room: root (you); 29 more",
    ]
