"""A message on its way: who has acknowledged it, and for whom it failed."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping

from sinchphone.engine.events.events import InstantMessage
from sinchphone.errors import SinchphoneError
from sinchphone.protocol.mxp.instant import Tally


class SentMessage:
    """A message on its way, and its receipts."""

    def __init__(self, message: InstantMessage, channels: Mapping[str, str]) -> None:
        self.message = message
        self.delivered: dict[str, float] = {}  # recipient to the time of the receipt [s since the epoch]
        self.failed: dict[str, SinchphoneError] = {}
        self._tally = Tally(channels)
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        return f"<SentMessage {self.id} to {len(self.recipients)}>"

    @property
    def id(self) -> str:
        """The message's id."""
        return self.message.id

    @property
    def recipients(self) -> tuple[str, ...]:
        """To whom it went."""
        return self.message.recipients

    @property
    def waiting(self) -> tuple[str, ...]:
        """The recipients who have neither acknowledged it nor failed."""
        return self._tally.waiting

    async def receipts(self) -> AsyncIterator[str]:
        """Each recipient as they acknowledge the message, those who have already first; ends when nobody is waited for. It waits for
        ever where a recipient stays away: put a time-out around it. Cancelling is safe."""
        seen = 0
        while True:
            while seen < len(self.delivered):
                seen += 1
                yield list(self.delivered)[seen - 1]
            if not self.waiting:
                return
            self._changed.clear()
            await self._changed.wait()

    async def settled(self) -> None:
        """Wait until every recipient has acknowledged the message or has failed. Cancelling is safe."""
        async for _ in self.receipts():
            pass

    def acknowledge(self, channel: str) -> str | None:
        """A receipt came from the user of that channel: their name, where it's the first one."""
        name = self._tally.acknowledge(channel)
        if name is not None:
            self.delivered[name] = time.time()
            self._changed.set()
        return name

    def fail(self, recipient: str, error: SinchphoneError) -> None:
        """The message couldn't be handed over for that recipient."""
        self._tally.give_up(recipient)
        self.failed[recipient] = error
        self._changed.set()
