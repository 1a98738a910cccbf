"""Hold: who of the two doesn't want to hear the other, and what each knows of it.

::

    hold(), resume() -> our sound at once -> a later offer to the peer -> its answer, or none in time -> Held, Resumed
    the peer's later offers, and its answers to ours -> Held, Resumed (by the peer)

What we decide counts here at once, whether the peer goes along or not: nothing that is said in a hold goes out. A peer that knows of no
later offers (MXP leaves them open) isn't told, but hears music or silence all the same.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, TypeAlias

from sinchphone.audio.frame import silence
from sinchphone.audio.tones.signals import HOLD, Loop, render
from sinchphone.engine.calls.machine_driver import MachineDriver
from sinchphone.media.legs.call_leg import CallLeg
from sinchphone.protocol.call.vocabulary import Redirect
from sinchphone.protocol.sdp.jsep import Description
from sinchphone.quick_dataclass import quick_dataclass

ANSWER_S: Final = 5.0  # for the peer to answer our offer: as long as its own media may take, and through pub/sub
_ORDERS: Final = "hold"  # the queue of what is ordered here
_SENDRECV, _SENDONLY = "sendrecv", "sendonly"
_DEAF: Final = ("recvonly", "inactive")  # agreed directions in which the peer doesn't hear us


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The call is on hold from now on, ``by_us`` or by the peer. ``agreed``: the other side was told and goes along; where it wasn't, it
    hears music or silence all the same, and we don't hear it."""

    by_us: bool
    agreed: bool = True


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """That hold is over. ``agreed``: the other side was told and goes along."""

    by_us: bool
    agreed: bool = True


HoldEvent: TypeAlias = Held | Resumed


class Hold:
    """The hold of one call. Orders take effect at once and are told to the peer one after the other."""

    def __init__(self, driver: MachineDriver, leg: CallLeg, tell: Callable[[HoldEvent], None]) -> None:
        self.by_us = False
        self.by_peer = False
        self._driver = driver
        self._tell = tell
        self._leg = leg
        self._music = True
        self._settled = asyncio.Event()  # our last offer was answered, or can't be
        self._agreed = False

    def order(self, held: bool, *, music: bool = True) -> None:
        """Put the peer on hold, or take it back."""
        if held == self.by_us:
            return
        self.by_us, self._music = held, music
        self._apply()
        self._driver.queue(_ORDERS).put(partial(self._offer, held))

    def hand_over(self, to: "Hold") -> None:
        """Somebody else has the peer's place, who holds nobody yet: held by us they are as the peer was."""
        if self.by_us:
            self._leg.hold(None)
            to.order(True, music=self._music)
        if self.by_peer:
            self._tell(Resumed(by_us=False))

    def described(self, theirs: Description | None, *, done: bool) -> None:
        """A later description was dealt with: an answer of the peer to our offer, or our offer, which could be made or not."""
        if theirs is not None and theirs.type == "answer":
            self._agreed = done
            self._settled.set()
        elif theirs is None and not done:
            self._settled.set()

    def redirected(self, direction: str) -> None:
        """That direction is agreed on now, seen from here: we always want to be heard, if only with music."""
        deaf = direction in _DEAF
        if deaf != self.by_peer:
            self.by_peer = deaf
            self._tell(Held(by_us=False) if deaf else Resumed(by_us=False))

    def _apply(self) -> None:
        self._leg.hold(Loop(render(HOLD) if self._music else silence()) if self.by_us else None)

    async def _offer(self, held: bool) -> None:
        self._agreed = False
        self._settled.clear()
        self._driver.put(Redirect(_SENDONLY if held else _SENDRECV))
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                await self._settled.wait()
        self._tell(Held(by_us=True, agreed=self._agreed) if held else Resumed(by_us=True, agreed=self._agreed))
