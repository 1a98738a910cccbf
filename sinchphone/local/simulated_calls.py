"""Calls of simulated phones to numbers of one's own exchange, for programs and commands."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

from sinchphone.errors import AudioFileError, NotFoundError, PlatformError, RemoteProtocolError
from sinchphone.exchange.destinations.backend_calls import SimulatedCallState, SimulatedCallStatus
from sinchphone.exchange.management_paths import CALLS_PATH, MAX_SOUND_BYTES
from sinchphone.local.signed_requests import SignedRequests
from sinchphone.signaling.fields import Record

_LOOK_SECONDS: Final = 0.1
_UPLOAD_SECONDS: Final = 30.0


class SimulatedCall:
    """A call that a simulated phone makes. Methods raise NetworkError and PlatformError, and are safe to cancel."""

    def __init__(self, requests: SignedRequests, news: SimulatedCallStatus) -> None:
        self.id = news.id
        self.news = news  # the last
        self._requests = requests
        self._path = f"{CALLS_PATH}/{quote(news.id, safe='')}"

    @classmethod
    async def place(cls, requests: SignedRequests, members: dict[str, Any]) -> Self:
        """Have it made."""
        return cls(requests, _read(await requests.ask("POST", CALLS_PATH, members, seconds=_UPLOAD_SECONDS)))

    async def states(self) -> AsyncIterator[SimulatedCallStatus]:
        """How far it is, each time that this changes; the last says how it ended."""
        told = None
        while True:
            if self.news.state is not told:
                told = self.news.state
                yield self.news
            if told is SimulatedCallState.ENDED:
                return
            await asyncio.sleep(_LOOK_SECONDS)
            await self.look()

    async def look(self) -> SimulatedCallStatus:
        """How far it is now. Raises PlatformError too where the exchange has forgotten it."""
        try:
            self.news = _read(await self._requests.ask("GET", self._path))
        except NotFoundError as error:
            raise PlatformError("the exchange knows nothing of this call any more", hint="it was reset, or started anew") from error
        return self.news

    async def ended(self) -> SimulatedCallStatus:
        """Wait until it is over; how it ended."""
        async for news in self.states():
            last = news
        return last

    async def hang_up(self) -> None:
        """End it, where it isn't over."""
        with contextlib.suppress(NotFoundError):
            await self._requests.ask("DELETE", self._path)


def read_sound_file(path: Path) -> str:
    """A sound file's content in base64. Raises AudioFileError."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SOUND_BYTES + 1)
    except OSError as error:
        raise AudioFileError(f"{path} can't be read: {error.strerror}") from error
    if len(content) > MAX_SOUND_BYTES:
        raise AudioFileError(f"{path} has more than {MAX_SOUND_BYTES // 1024 // 1024} MiB", hint="an .ogg file is smaller")
    return base64.b64encode(content).decode()


def _read(body: bytes) -> SimulatedCallStatus:
    """Raises PlatformError."""
    try:
        told = Record.parse(body)
        failure = told.record("failure") if told.has("failure") else None
        return SimulatedCallStatus(
            id=told.token("id"),
            state=SimulatedCallState(told.text("state", limit=32)),
            failure=(int(failure.number("status")), failure.text("reason")) if failure is not None else None,
            talked_s=told.number("seconds") if told.has("seconds") else None,
            digits=told.optional_text("digits") or "",
            heard_s=told.number("heardSeconds", default=0),
        )
    except (RemoteProtocolError, ValueError) as error:
        raise PlatformError(f"what the exchange says of the call can't be read: {error}") from error
