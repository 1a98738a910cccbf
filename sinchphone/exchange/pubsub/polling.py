"""Waiting at the broker: a long poll, for clients over HTTP and for the exchange's own ends of calls alike."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from functools import partial

from sinchphone.exchange.pubsub.broker import Broker, Poll, Posted, TooManyPollsError


class Waiting:
    """One poll, from its beginning at the broker to its ``end``. Of thousands that wait little is kept: ``rung`` is awaited as it is."""

    __slots__ = ("_broker", "_came", "_poll", "rung")

    def __init__(
        self,
        broker: Broker,
        subscribe_key: str,
        channels: tuple[str, ...],
        came: Callable[[], tuple[Posted, ...]],
        *,
        listener: str,
        owner: str = "",
    ) -> None:
        """``came``: what there is for it at present. Raises what ``Broker.begin`` raises."""
        self._broker = broker
        self._came = came
        self.rung: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._poll = Poll(subscribe_key, tuple(dict.fromkeys(channels)), listener, self, owner)
        broker.begin(self._poll, time.time())

    def set(self) -> None:
        """There may be something: whoever awaits ``rung`` goes on."""
        if not self.rung.done():
            self.rung.set_result(None)

    def came(self) -> tuple[Posted, ...]:
        """What there is by now. Raises TooManyPollsError where there is nothing, and it had to make room for newer ones."""
        posted = self._came()
        if self._poll.is_given_up and not posted:
            raise TooManyPollsError("Too many subscribers or channels: newer ones are served")
        return posted

    def end(self, *, broke_off: bool = False) -> None:
        """Wait no more. ``broke_off``: the client went away."""
        self._broker.end(self._poll, time.time(), broke_off=broke_off)


async def wait_for_messages(
    broker: Broker, subscribe_key: str, channels: tuple[str, ...], token: int, *, listener: str, seconds: float
) -> tuple[Posted, ...]:
    """What was posted after ``token``, waiting for it up to ``seconds``; empty when nothing came or the exchange closes.

    Raises what ``Broker.begin`` raises; cancelling it is safe.
    """
    waiting = Waiting(broker, subscribe_key, channels, partial(broker.since, subscribe_key, channels, token), listener=listener)
    broke_off = False
    try:
        if posted := waiting.came():
            return posted
        timer = asyncio.get_running_loop().call_later(seconds, waiting.set)
        try:
            await waiting.rung
        finally:
            timer.cancel()
        return waiting.came()
    except asyncio.CancelledError:
        broke_off = True
        raise
    finally:
        waiting.end(broke_off=broke_off)


async def messages(broker: Broker, subscribe_key: str, channel: str, token: int) -> AsyncIterator[Posted]:
    """Every message posted on a channel after ``token``, for ever."""
    while True:
        for posted in await wait_for_messages(broker, subscribe_key, (channel,), token, listener="exchange", seconds=3_600.0):
            token = posted.token
            yield posted


async def watched(broker: Broker, subscribe_key: str, channel: str, token: int) -> AsyncIterator[Posted]:
    """Every message posted on a channel after ``token``, for ever; nobody counts as listening to it, here or at other processes."""
    bell = asyncio.Event()
    poll = Poll(subscribe_key, (channel,), "exchange", bell)
    broker.watch(poll)
    try:
        while True:
            bell.clear()
            while news := broker.since(subscribe_key, (channel,), token):
                for posted in news:
                    token = posted.token
                    yield posted
            await bell.wait()
    finally:
        broker.unwatch(poll)
