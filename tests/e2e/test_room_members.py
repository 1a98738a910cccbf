"""Who is in a room hears who else is there, who speaks and who is muted."""

from typing import Any

from sinchphone.engine.calls.call import RoomChanged
from sinchphone.protocol.call.room_events import RoomMember
from sinchphone.protocol.call.states import State
from tests.waiting import until


def named(call: Any, name: str) -> RoomMember | None:
    return next((one for one in call.room_members if one.name == name), None)


async def test_people_in_a_room_are_told_who_is_there_who_speaks_and_who_is_muted(lines: Any, steps: Any) -> None:
    events: list[RoomChanged] = []
    calls: dict[str, Any] = {}
    for user, tone_hz in (("alice", None), ("bob", 440.0)):
        client = await lines.phone(user)
        _, sound = lines.ear(tone_hz)
        calls[user] = await client.call_conference("standup", sound=sound)
        await steps.reach(calls[user], State.ESTABLISHED)
    alice, bob = calls["alice"], calls["bob"]
    alice.add_listener(lambda event: events.append(event) if isinstance(event, RoomChanged) else None)
    await until(lambda: named(alice, "bob") == RoomMember(name="bob", speaks=True))
    await until(lambda: named(bob, "bob") == RoomMember(name="bob", speaks=True, is_us=True))
    assert named(alice, "alice") == RoomMember(name="alice", is_us=True)
    bob.mute(True)
    await until(lambda: named(alice, "bob") == RoomMember(name="bob", muted=True))
    assert events[-1].count == 2
    carol = await (await lines.phone("carol")).call_conference("standup", sound=lines.ear(440.0)[1])
    carol.mute(True)  # before it is established
    await until(lambda: named(alice, "carol") == RoomMember(name="carol", muted=True))
    await carol.hang_up()
    await bob.hang_up()
    await until(lambda: named(alice, "bob") is None)
    assert len(events) < 18, "once a second at most"
    await alice.hang_up()
