"""The benchmark of conference rooms, short: a small room keeps its tick on any machine, in one of three tries."""

import asyncio

import conference


def test_a_room_of_six_who_all_speak_keeps_the_20_ms_tick() -> None:
    """A quiet machine has room for some forty."""
    for _ in range(3):
        found = asyncio.run(conference.measure((6,), 1.5))
        print(conference.report(found))
        if found[6].keeps_the_tick and found[6].worst_heard > 0.8:
            return
    raise AssertionError("the room is late in each of three tries")
