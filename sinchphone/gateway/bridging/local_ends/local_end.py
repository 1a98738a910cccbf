"""The caller at an end of the exchange's own: for attendants, rooms and announcements, and where code of ours joins two ends."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final, assert_never

from sinchphone.audio.frame import RATE, Frame, Samples
from sinchphone.audio.tones.signals import signal_source
from sinchphone.errors import MediaError
from sinchphone.exchange.destinations.parties import Recording, Sequence, Silence
from sinchphone.gateway.bridging.connections.leg_port import LegPort, answered
from sinchphone.gateway.bridging.hold import HoldNews
from sinchphone.gateway.bridging.key_presses import DigitPath, KeyPresses
from sinchphone.gateway.bridging.lifetime import CallLifetime
from sinchphone.gateway.bridging.transfer import transfer
from sinchphone.gateway.legs.leg import (
    AnswerChanged,
    Answered,
    BranchRings,
    DigitPressed,
    Early,
    Gone,
    IncomingLeg,
    Leg,
    LegEvent,
    Reoffered,
    Ringing,
    TransferAsked,
    Trickled,
)
from sinchphone.gateway.svaml.tapped_leg import TappedLeg
from sinchphone.media import port as media
from sinchphone.media.port import MediaPort
from sinchphone.media.sound import Party
from sinchphone.media.thread import MediaThread
from sinchphone.media.ticker import Ticker
from sinchphone.protocol.sdp.jsep import Description

CONNECT_SECONDS: Final = 15.0  # from our description to sound
MAX_UNHEARD_DIGITS: Final = 64


class LocalEnd:
    """Takes the caller's offer (or makes one, for a caller who waits for it) and watches our port (implements ``lifetime.CallerMedia``)."""

    def __init__(self, lifetime: CallLifetime, port: MediaPort, media_thread: MediaThread) -> None:
        self._at = LegPort(lifetime, lifetime.caller, port, "the caller", self._take_digit)
        self.leg = TappedLeg(port.leg)  # where all sound of the caller passes
        self._media = media_thread
        self._sound: Ticker | None = None
        self._party: Party | None = None  # whom the caller listens to
        self.digits: asyncio.Queue[media.PortDigitHeard] = asyncio.Queue(MAX_UNHEARD_DIGITS)
        self._put_back: deque[str] = deque(maxlen=MAX_UNHEARD_DIGITS)
        self._lifetime = lifetime
        self._caller: IncomingLeg = lifetime.caller
        self._description = ""
        self._presses = KeyPresses()
        self._previewed = self._picked_up = False
        self.hold_news = HoldNews(self._tell_hold)  # for the caller
        self.other: Leg | None = None  # who talks with the caller; None: an end of ours
        self._told_of_hold: Callable[..., None] | None = None

    @property
    def caller(self) -> IncomingLeg:
        """Who calls."""
        return self._caller

    @property
    def port(self) -> MediaPort:
        """Where the caller's sound ends."""
        return self._at.port

    async def open(self) -> None:
        """Make our description. Raises MediaError where the caller's offer has nothing that fits."""
        self._lifetime.keep(self._close)
        self._lifetime.keep(self.quiet)
        self._at.watch()
        self._lifetime.spawn(self.hold_news.run(), "hold")
        self._description = await self._at.answer(self.caller.offer)

    async def replace(self, by: IncomingLeg, port: MediaPort) -> None:
        """Answer ``by``, whose sound ends at that port, and who has the caller's place from now on; it was told of no hold. Raises
        MediaError: then nothing has changed."""
        taking = await answered(LegPort(self._lifetime, by, port, "the caller", self._take_digit), by)
        before, self._at, self._caller, self._presses = self._at, taking, by, KeyPresses()
        self.leg.move(port.leg)
        self.hold_news.forget()
        self._tell_holding()
        await before.close()

    async def preview(self) -> None:
        """Let the caller hear our end before the call is answered, and wait until it can be heard.

        A caller who waits for our offer answers it in the ACK, so that one hears us only when it is answered.
        """
        if self.caller.offer is None:
            await self.pick_up()
        elif not self._previewed and not self._picked_up:
            self._previewed = True
            await self.caller.early(self._description)
        await self.heard()

    async def pick_up(self) -> None:
        """Answer the call."""
        if not self._picked_up:
            self._picked_up = True
            await self.caller.answer(self._description)
            self._lifetime.answered()

    async def heard(self) -> None:
        """Wait until sound flows. Raises MediaError where it doesn't in time."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._at.is_connected.wait()
        except TimeoutError as error:
            raise MediaError("no sound could be connected in time") from error

    async def listen(self, party: Party) -> None:
        """Let the caller hear and talk to that party from now on, and nobody else."""
        await self.quiet()
        self._party = party
        self._sound = Ticker(party, self._media)
        await self._sound.connect(self.leg)

    async def interject(self, samples: Samples) -> None:
        """Let the caller hear that in place of whom they listen to, and wait until it is said."""
        party = self._party
        await self.listen(Sequence(Recording(samples), party if party is not None else Silence()))
        await asyncio.sleep(len(samples) / RATE)

    async def quiet(self) -> None:
        """Nobody talks to the caller any more."""
        self._party = None
        sound, self._sound = self._sound, None
        if sound is not None:
            await sound.close()

    async def ring(self) -> None:
        """A caller who hears us already hears a ringing tone; all others make one themselves."""
        if self._previewed or self._picked_up:
            await self.listen(_Ringback())

    async def take(self, event: LegEvent) -> None:
        """A candidate, the answer to our offer, a new offer, a digit by signaling."""
        match event:
            case Trickled(candidate=candidate):
                await self.port.add_candidate(candidate)
            case Answered(sdp=sdp) if sdp is not None:
                await self.port.accept(Description("answer", sdp))
            case Reoffered(sdp=sdp):
                await self._renew(sdp)
            case AnswerChanged():
                self.hold_news.repeat()
            case TransferAsked():
                self._lifetime.spawn(transfer(self.caller, self.other, event, self._lifetime.leg_id_of), "transfer")
            case DigitPressed(digit=digit, duration_ms=duration_ms):
                await self._take_digit(media.PortDigitHeard(digit=digit, duration_ms=duration_ms), DigitPath.SIGNALING)
            case Answered() | Ringing() | BranchRings() | Early() | Gone():  # the call's, not its media's
                pass
            case _:
                assert_never(event)

    async def _renew(self, sdp: str | None) -> None:
        if await self._at.renew(sdp, held=self.hold_news.held):
            self._tell_holding()

    async def _tell_hold(self, held: bool) -> None:
        await self._at.tell_hold(held)
        self._tell_holding()

    @property
    def hears(self) -> bool:
        """Whether the caller wants to hear, as agreed last; before that it does."""
        return not self._at.is_connected.is_set() or self._at.hears

    def bridge_to(self, other: Leg, told_of_hold: Callable[..., None]) -> None:
        """The caller talks with ``other``; ``told_of_hold`` is told whether the caller holds (``held``), now and when that changes."""
        self.other, self._told_of_hold = other, told_of_hold
        self._tell_holding()

    def end_bridge(self) -> None:
        """They don't talk with each other any more. May be called twice."""
        self.other = self._told_of_hold = None

    def _tell_holding(self) -> None:
        if self._told_of_hold is not None:
            self._told_of_hold(held=not self.hears)

    async def _take_digit(self, heard: media.PortDigitHeard, path: DigitPath) -> None:
        if self._presses.counts(heard.digit, path, heard.duration_ms, time.monotonic()) and not self.digits.full():
            self.digits.put_nowait(heard)

    async def _close(self) -> None:
        await self._at.close()

    async def heard_digits(self) -> AsyncIterator[str]:
        """The caller's digits, each as it comes."""
        while True:
            yield await self.next_digit()

    async def next_digit(self) -> str:
        """The caller's next digit. Cancelling it loses none."""
        return self._put_back.popleft() if self._put_back else (await self.digits.get()).digit

    def put_back(self, digits: Iterable[str]) -> None:
        """They were not for whoever took them."""
        self._put_back.extendleft(reversed(tuple(digits)))

    async def send_digits(self, digits: str) -> None:
        """Send the caller digits, as telephone-events."""
        await self.port.dtmf(digits)


class _Ringback:
    """Says a ringing tone."""

    def __init__(self) -> None:
        self._tone = signal_source("ringback")

    def tick(self, far: Frame) -> Frame:
        """The next 20 ms of it."""
        return self._tone.pull()
