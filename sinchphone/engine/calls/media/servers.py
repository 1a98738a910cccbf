"""The ICE servers of one call: asked for anew when it begins, once more when they have expired, and before the path to the peer is renewed.

::

    begins --ask--> IceServerList --> the ports gather         nobody waits for the platform: host candidates are on their way meanwhile
    expired, or an ICE restart is due --ask again--> IceServerList --> the next restart
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from sinchphone.errors import NotFoundError, SinchphoneError
from sinchphone.media.ice_servers import IceServer, IceServerList
from sinchphone.signaling.dialect import OfferedIceServer

ASK_SECONDS: Final = 2.0  # a platform that is slower is gone on without
AGAIN_SECONDS: Final = 10.0  # what was asked for so lately is good for a restart, too

Ask: TypeAlias = Callable[[], Awaitable[tuple[OfferedIceServer, ...]]]

_log = logging.getLogger(__name__)


class CallServers:
    """``run`` it as long as the call lasts; ``list`` is for its ports."""

    def __init__(self, ask: Ask, warn: Callable[[SinchphoneError | TimeoutError], None], *, clock: Callable[[], float] = time.time) -> None:
        """``ask`` gives the platform's servers; ``warn`` is told where the first question came to nothing; ``clock`` is the platform's, in
        seconds since the epoch."""
        self.list = IceServerList()
        self._ask = ask
        self._warn = warn
        self._clock = clock
        self._known: tuple[OfferedIceServer, ...] = ()
        self._asked_at = 0.0
        self._due = asyncio.Event()

    async def run(self) -> None:
        """Ask now, and whenever it's due, until cancelled."""
        try:
            await self._renew(first=True)
            while True:
                await self._until_due(self._expires_at)
                await self._renew()
                if (expires_at := self._expires_at) is not None and self._clock() >= expires_at:
                    self._forget_times()  # expired ones again: asked once, and no more
        finally:
            self.list.put(_usable(self._known))

    def renew(self) -> None:
        """The path to the peer is about to be renewed: it shall find servers that are good now."""
        if asyncio.get_running_loop().time() - self._asked_at >= AGAIN_SECONDS:
            self.list.expect()
            self._due.set()

    @property
    def _expires_at(self) -> float | None:
        return min((one.valid_until for one in self._known if one.valid_until is not None), default=None)

    async def _until_due(self, expires_at: float | None) -> None:
        self._due.clear()
        try:
            async with asyncio.timeout(None if expires_at is None else max(0.0, expires_at - self._clock())):
                await self._due.wait()
        except TimeoutError:
            pass

    async def _renew(self, *, first: bool = False) -> None:
        self._asked_at = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(ASK_SECONDS):
                self._known = await self._ask()
        except NotFoundError:  # a platform that has none
            _log.info("the platform knows nothing of ICE servers")
        except (SinchphoneError, TimeoutError) as error:
            _log.info("the platform gave no ICE servers: %s", error or "it took too long")
            if first:
                self._warn(error)
        finally:
            self.list.put(_usable(self._known))

    def _forget_times(self) -> None:
        self._known = tuple(OfferedIceServer(one.urls, one.username, one.password) for one in self._known)


def _usable(servers: tuple[OfferedIceServer, ...]) -> tuple[IceServer, ...]:
    return tuple(IceServer(urls=one.urls, username=one.username, credential=one.password) for one in servers)
