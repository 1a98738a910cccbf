"""Waiting at the broker: a long poll, for clients over HTTP and for the exchange's own ends of calls alike."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from functools import partial

from sinchphone.exchange.pubsub.broker import Broker, Poll, Posted, TooManyPollsError


async def wait_for_messages(
    broker: Broker,
    subscribe_key: str,
    channels: tuple[str, ...],
    token: int,
    *,
    listener: str,
    seconds: float,
    gather: Callable[[], tuple[Posted, ...]] | None = None,
    owner: str = "",
) -> tuple[Posted, ...]:
    """What was posted after ``token``, waiting for it up to ``seconds``; empty when nothing came or the exchange closes.

    ``gather`` says what came, where that's not just what the broker has. Raises what ``Broker.begin`` raises,
    and TooManyPollsError where a poll with an ``owner`` has to make room for newer ones; cancelling it is safe.
    """
    bell = asyncio.Event()
    came = gather or partial(broker.since, subscribe_key, channels, token)
    poll = Poll(subscribe_key, tuple(dict.fromkeys(channels)), listener, bell, owner)
    broker.begin(poll, time.time())
    broke_off = False
    try:
        posted = came()
        if not posted:
            await _rung(bell, seconds)
            posted = came()
        if poll.is_given_up and not posted:
            raise TooManyPollsError("Too many subscribers or channels: newer ones are served")
        return posted
    except asyncio.CancelledError:
        broke_off = True
        raise
    finally:
        broker.end(poll, time.time(), broke_off=broke_off)


async def messages(broker: Broker, subscribe_key: str, channel: str, token: int) -> AsyncIterator[Posted]:
    """Every message posted on a channel after ``token``, for ever."""
    while True:
        for posted in await wait_for_messages(broker, subscribe_key, (channel,), token, listener="exchange", seconds=3_600.0):
            token = posted.token
            yield posted


async def _rung(bell: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await bell.wait()
    except TimeoutError:
        pass
