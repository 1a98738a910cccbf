"""Rooms at Janus: made with the first who enters, destroyed with the last, with a secret and a PIN that nobody else knows."""

import asyncio
import secrets
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from sinchphone.audio.frame import RATE
from sinchphone.errors import MediaError
from sinchphone.exchange.conference.janus.link import Hear, JanusHandle, JanusLink, JanusRefusedError
from sinchphone.quick_dataclass import quick_dataclass

_LARGEST_ROOM: Final = 2**52  # a number in JSON
_EXISTS: Final = 486  # JANUS_AUDIOBRIDGE_ERROR_ROOM_EXISTS


@quick_dataclass(frozen=True, slots=True)
class Joined:
    """Somebody is in: their ``handle``, their number there, our description for their offer, and where plain RTP goes."""

    handle: JanusHandle
    id: int
    answer: str
    rtp: Mapping[str, Any]


class JanusRoom:
    """One room."""

    def __init__(self, link: JanusLink) -> None:
        self._link = link
        self._id = 1 + secrets.randbelow(_LARGEST_ROOM)
        self._secret, self._pin = secrets.token_hex(16), secrets.token_hex(16)
        self._changing = asyncio.Lock()
        self._inside: set[JanusHandle] = set()

    async def enter(self, name: str, hear: Hear, *, offer: str | None = None, rtp: Mapping[str, Any] | None = None) -> Joined:
        """Somebody enters over WebRTC, with an ``offer``, or over plain ``rtp``; ``hear`` is told what happens to them. Raises
        MediaError."""
        handle = await self._link.attach(hear)
        try:
            async with self._changing:
                await self._make(handle)
                data, answer = await handle.request("join", room=self._id, pin=self._pin, display=name, offer=offer, rtp=rtp, codec="opus")
                self._inside.add(handle)
        except BaseException:
            await handle.detach()
            raise
        return Joined(handle, int(data["id"]), answer, data.get("rtp", {}))

    async def mute(self, joined: Joined, muted: bool) -> None:
        """Whether the others hear somebody. Raises MediaError."""
        await joined.handle.request("mute" if muted else "unmute", room=self._id, secret=self._secret, id=joined.id)

    async def leave(self, joined: Joined) -> None:
        """Somebody leaves; the last one takes the room along."""
        async with self._changing:
            if joined.handle not in self._inside:
                return
            self._inside.discard(joined.handle)
            if not self._inside:
                with suppress(MediaError):  # Janus has ended, or forgot us: then there is none
                    await joined.handle.request("destroy", room=self._id, secret=self._secret)
            await joined.handle.detach()

    async def _make(self, handle: JanusHandle) -> None:
        try:
            await handle.request(
                "create",
                room=self._id,
                secret=self._secret,
                pin=self._pin,
                permanent=False,
                is_private=True,
                sampling_rate=RATE,
                audiolevel_event=True,
                allow_rtp_participants=True,
            )
        except JanusRefusedError as error:
            if error.code != _EXISTS:
                raise
