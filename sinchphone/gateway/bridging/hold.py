"""Hold across the exchange: one side doesn't want to hear, and the other one is told, as far as it can be.

::

    a side's new offer, or its answer to ours -> HoldNews.changed -> a new offer to the other side (sendonly or sendrecv) -> its answer

The sound doesn't wait for that: who is held hears the holding side's music, or silence, from its own answer on (RFC 3264 8.4).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from sinchphone.errors import LocalProtocolError, MediaError
from sinchphone.gateway.legs.leg import Leg
from sinchphone.gateway.relay.terminations import RenewablePort
from sinchphone.media.port import MediaPort
from sinchphone.protocol.sdp.jsep import Description
from sinchphone.protocol.sdp.session_description import INACTIVE, RECVONLY, SENDONLY, SENDRECV

AGAIN_SECONDS: Final = 2.0  # after an offer that couldn't be made, as while the other side's own one is open

_log = logging.getLogger(__name__)


class HoldNews:
    """Tells one side, again and again, whether the other one holds it. ``run`` is awaited beside the call."""

    def __init__(self, offer: Callable[[bool], Awaitable[None]]) -> None:
        """``offer`` makes the side a new offer: whether it is held. Raises MediaError where that is refused."""
        self._offer = offer
        self.held = self._told = False
        self._is_due = False  # whatever it was told
        self._news = asyncio.Event()

    def changed(self, *, held: bool) -> None:
        """The other side holds, or doesn't any more."""
        self.held = held
        self._news.set()

    def repeat(self) -> None:
        """Tell it once more: the side answers otherwise than it did."""
        self._is_due = True
        self._news.set()

    def forget(self) -> None:
        """Somebody else is there, who wasn't told of any hold."""
        self._told = False

    async def run(self) -> None:
        """As long as the call lasts. A side that refuses is asked no more until there is other news."""
        while True:
            await self._news.wait()
            self._news.clear()
            if self.held == self._told and not self._is_due:
                continue
            self._told, self._is_due = self.held, False
            try:
                await self._offer(self._told)
            except LocalProtocolError:
                self._is_due = True
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), AGAIN_SECONDS)
                self._news.set()
            except MediaError as error:
                _log.info("a side isn't told of a hold: %s", error)


def wanted(*, held: bool) -> str:
    """The direction of an offer or answer of ours, seen from here, to somebody whom the other side holds, or doesn't."""
    return SENDONLY if held else SENDRECV


def hears(direction: str) -> bool:
    """Whether the peer of a port wants to hear, by the direction that was agreed on there, seen from here."""
    return direction not in (RECVONLY, INACTIVE)


async def offer_hold(port: MediaPort, leg: Leg, *, held: bool) -> str:
    """A new offer of a port to its peer, who is told whether it is held. Raises MediaError where it's refused, LocalProtocolError where it
    can't be made now."""
    offer = await port.reoffer(direction=wanted(held=held))
    try:
        await port.accept(Description("answer", await leg.reoffer(offer.sdp)))
    except MediaError:
        if isinstance(port, RenewablePort):
            await port.withdraw()
        raise
    return offer.sdp
