"""The Janus that mixes an exchange's rooms (implements ``rooms.RoomMixer``)."""

from collections.abc import Callable
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from sinchphone.errors import MediaError
from sinchphone.exchange.conference.janus.link import JanusLink
from sinchphone.exchange.conference.janus.room import JanusRoom
from sinchphone.exchange.conference.janus.seat import JanusSeat
from sinchphone.exchange.conference.rooms import Kick, Participant, TakeDigit
from sinchphone.media.thread import MediaThread


class JanusMixer:
    """Of one exchange."""

    def __init__(self, url: str, media: MediaThread) -> None:
        """``url``: of Janus' WebSocket API."""
        self._link = JanusLink(url)
        self._host = urlsplit(url).hostname
        self._media = media
        self._rooms: WeakValueDictionary[tuple[str, str], JanusRoom] = WeakValueDictionary()  # as long as somebody has a seat

    def seat(
        self, key: tuple[str, str], participant: Participant, kick: Kick, empty: Callable[[], None], takes_digit: TakeDigit | None
    ) -> JanusSeat:
        """A seat in the room of that application and id."""
        room = self._rooms.get(key)
        if room is None:
            room = self._rooms[key] = JanusRoom(self._link)
        return JanusSeat(participant, room, self._host, self._media.start(), kick, empty, takes_digit)

    async def trouble(self) -> str | None:
        """Why it can't mix now."""
        try:
            await self._link.open()
        except MediaError as error:
            return str(error)
        return None

    async def close(self) -> None:
        """Let go of it. May be called twice."""
        await self._link.close()
