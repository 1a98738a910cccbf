"""Tells a participant of a room who is there, who speaks and who is muted, as long as its call lasts."""

import asyncio
from collections.abc import Callable
from typing import Final

from sinchphone.protocol.call.room_events import RoomRoster, encode_room_event

ROSTER_SECONDS: Final = 1.0  # how often it may change for who reads it


async def tell_roster(roster: Callable[[], RoomRoster], tell: Callable[[str], None]) -> None:
    """For ever: ``tell`` gets a client event when something has changed. Cancelling is safe."""
    told: RoomRoster | None = None
    while True:
        now = roster()
        if now != told:
            told = now
            tell(encode_room_event(now))
        await asyncio.sleep(ROSTER_SECONDS)
