"""A leg's keypad: sends digits at their pace, beside whatever sound there is."""

import asyncio
from collections import deque

from sinchphone.errors import MediaError
from sinchphone.media.agreement import EventFormat
from sinchphone.media.clock import FrameClock
from sinchphone.media.legs.outbound import Outbound
from sinchphone.protocol.rtp.telephone_event import DigitSender


class Keypad:
    """Sends one digit after the other. In the media thread only."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound
        self._format: EventFormat | None = None
        self._sender = DigitSender(8_000)
        self._clock = FrameClock(self._tick)
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def agree(self, event: EventFormat | None) -> None:
        """How the peer takes digits from now on; ``None``: not at all."""
        self._format = event
        if event is not None:
            self._sender.clock_rate = event.clock_rate
        else:
            self.stop()

    async def press(self, digits: str) -> None:
        """Send these after the ones before; returns when they are sent. Cancelling doesn't take back what waits.

        Raises LocalProtocolError for what isn't a digit, MediaError where the peer takes none.
        """
        if self._format is None:
            raise MediaError("the peer takes no digits in its sound", hint="it didn't agree to telephone-events (RFC 4733)")
        if not self._outbound.active:
            raise MediaError("the peer doesn't listen now")
        self._sender.push(digits)
        if self._sender.idle:
            return
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((self._sender.pushed, done))
        self._clock.start()
        await done

    def stop(self) -> None:
        """Send nothing more. Whoever waits gets a MediaError, but not for digits whose end went out once: a peer that hears the last one
        may hang up before it's repeated."""
        self._clock.stop()
        self._outbound.suspended = False
        stopped, self._sender = self._sender, DigitSender(self._sender.clock_rate)
        self._release(stopped.told)
        while self._waiting:
            _, done = self._waiting.popleft()
            if not done.done():
                done.set_exception(MediaError("the digits could not be sent to their end"))

    def _release(self, sent: int) -> None:
        """Tell those whose digits are among the first ``sent``."""
        while self._waiting and self._waiting[0][0] <= sent:
            _, done = self._waiting.popleft()
            if not done.done():
                done.set_result(None)

    def _tick(self) -> None:
        self._outbound.suspended = self._sender.sounding
        packet = self._sender.tick(self._outbound.timestamp)
        if packet is not None:
            self._outbound.event(packet)
        self._release(self._sender.done)
        if self._sender.idle:
            self._clock.stop()
