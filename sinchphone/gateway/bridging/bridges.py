"""The media of a call that is connected to one called side, in two ways.

::

    connections.RelayBridge   the caller's offer and the called side's answer pass through a relay     (nobody else wants to be heard)
    LocalBridge   caller's port <-> AudioBridge <-> another port for the called side          (announcements came before, or may come)
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, assert_never

from sinchphone.audio.frame import RATE, Samples
from sinchphone.audio.tones.music import music
from sinchphone.errors import MediaError
from sinchphone.exchange.conference.rooms import Participant, Rooms
from sinchphone.gateway.bridging.connections.leg_port import LegPort, answered
from sinchphone.gateway.bridging.hold import HoldNews
from sinchphone.gateway.bridging.key_presses import DigitPath, KeyPresses
from sinchphone.gateway.bridging.lifetime import CallerMedia, CallLifetime
from sinchphone.gateway.bridging.local_ends.audio_bridge import AudioBridge
from sinchphone.gateway.bridging.local_ends.local_end import LocalEnd
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
    OutgoingLeg,
    Reoffered,
    Ringing,
    TransferAsked,
    Trickled,
)
from sinchphone.gateway.legs.reasons import NOT_DESCRIBED
from sinchphone.gateway.relay.relay import MediaTransport, Side
from sinchphone.gateway.relay.terminations import RenewablePort
from sinchphone.gateway.svaml.tapped_leg import TappedLeg
from sinchphone.media import port as media
from sinchphone.media.port import MediaPort
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.call.peers import MAX_HELD_CANDIDATES
from sinchphone.protocol.sdp.jsep import Candidate, Description


class Bridge(CallerMedia, Protocol):
    """The media between the caller and one called side. Methods raise MediaError."""

    @property
    def leg(self) -> OutgoingLeg:
        """The called side."""

    async def offer(self) -> str:
        """The offer for the called side."""

    async def ringing(self, sdp: str, branch: str) -> None:
        """The answer of a branch that only rings."""

    async def early(self, sdp: str) -> None:
        """The called side is to be heard before it answers."""

    async def answer(self, sdp: str | None, branch: str) -> None:
        """The called side took the call; without a description an early one stands. The caller isn't told yet."""

    async def join(self) -> None:
        """Answer the caller: both hear each other from now on."""

    async def take_called(self, event: LegEvent) -> None:
        """Something that the called leg said about media: a candidate, a new offer, a digit."""

    async def replace(self, side: Side, by: IncomingLeg) -> None:
        """Answer ``by``, whom the other side hears from now on in place of that one, and isn't asked; nobody holds there any more. Raises
        MediaError, LocalProtocolError and CallRefusedError: then nothing has changed."""

    async def take_replacing(self, side: Side, event: LegEvent) -> None:
        """What a leg says that has taken that side's place."""

    async def dtmf(self, digits: str) -> None:
        """Send digits to the called side."""


class LocalBridge:
    """Joins the sound of the caller's port to that of another one."""

    def __init__(
        self,
        lifetime: CallLifetime,
        leg: OutgoingLeg,
        caller: LocalEnd,
        port_for: Callable[[Leg], MediaPort],
        media_thread: MediaThread,
        music_name: str | None = None,
    ) -> None:
        """``port_for`` makes ports for legs; ``music_name``: what the caller hears while the called side holds."""
        self._lifetime = lifetime
        self.leg = leg
        self._caller = caller
        self._port_for = port_for
        self._at = LegPort(lifetime, leg, port_for(leg), "the called side", self._pass_back)  # of the called side
        self.sound = TappedLeg(self._at.port.leg)
        self._music_name = music_name
        self._audio_bridge = AudioBridge(media_thread)
        lifetime.keep(self._close)
        lifetime.keep(self._audio_bridge.close)
        self._branch: str | None = None  # whose answer was taken
        self._held: dict[str, list[Candidate | None]] = defaultdict(list)
        self._hold_news = HoldNews(self._tell_hold)  # for the called side
        self._presses = KeyPresses()
        self._beside: list[asyncio.Task[None] | None] = []

    async def offer(self) -> str:
        """The other port's, with all candidates: legacy clients learn them nowhere else."""
        self._at.watch()
        return await self._at.complete((await self._at.port.offer()).sdp)

    async def ringing(self, sdp: str, branch: str) -> None:
        """Only the device that takes the call is connected."""

    async def early(self, sdp: str) -> None:
        """The caller hears what the other port hears."""
        await self._accept(sdp, "")
        await self._caller.preview()
        await self._caller.quiet()
        await self._join_sound()

    async def answer(self, sdp: str | None, branch: str) -> None:
        """The caller isn't told yet."""
        if sdp is not None:
            await self._accept(sdp, branch)
        elif self._branch is None:
            raise MediaError(NOT_DESCRIBED)

    async def join(self) -> None:
        """Answer the caller and bridge the two together."""
        await self._caller.pick_up()
        await self._caller.quiet()
        await self._join_sound()
        self._beside += [self._lifetime.spawn(self._pass_digits(), "digits"), self._lifetime.spawn(self._hold_news.run(), "hold")]
        self._caller.bridge_to(self._at.leg, self._hold_news.changed)

    async def part(self) -> None:
        """The caller goes elsewhere. May be called twice."""
        for task in filter(None, self._beside):
            task.cancel()
        await self._audio_bridge.close()
        await self._at.close()
        self._caller.end_bridge()
        self._caller.hold_news.changed(held=False)

    async def take(self, event: LegEvent) -> None:
        """What the caller's leg says is for its port."""
        if self._caller.caller is self._lifetime.caller:
            await self._caller.take(event)

    async def take_called(self, event: LegEvent) -> None:
        """What the called leg says is for the other one."""
        if self._at.leg is not self.leg:
            return
        if isinstance(event, Trickled):
            await self._take_candidate(event.candidate, event.branch)
        else:
            await self._take(event)

    async def replace(self, side: Side, by: IncomingLeg) -> None:
        """At a port of their own."""
        if side is Side.CALLER:
            await self._caller.replace(by, self._port_for(by))
        else:
            taking = await answered(LegPort(self._lifetime, by, self._port_for(by), "the called side", self._pass_back), by)
            before, self._at, self._presses = self._at, taking, KeyPresses()
            self.sound.move(taking.port.leg)
            self._caller.other = by
            self._hold_news.forget()
            self._note_hold()
            await before.close()
        self._hold_news.changed(held=not self._caller.hears)
        await self._join_sound()

    async def take_replacing(self, side: Side, event: LegEvent) -> None:
        """As what the one before said."""
        if side is Side.CALLER:
            await self._caller.take(event)
            return
        match event:
            case Trickled(candidate=candidate):
                await self._at.port.add_candidate(candidate)
            case Answered(sdp=sdp) if sdp is not None:
                await self._at.port.accept(Description("answer", sdp))
            case _:
                await self._take(event)

    async def _take(self, event: LegEvent) -> None:
        match event:
            case Reoffered(sdp=sdp):
                if await self._at.renew(sdp, held=not self._caller.hears):
                    self._note_hold()
            case AnswerChanged():
                self._hold_news.repeat()
            case TransferAsked():
                self._lifetime.spawn(transfer(self._at.leg, self._caller.caller, event, self._lifetime.leg_id_of), "transfer")
            case DigitPressed(digit=digit, duration_ms=duration_ms):
                await self._pass_back(media.PortDigitHeard(digit=digit, duration_ms=duration_ms), DigitPath.SIGNALING)
            case Ringing() | BranchRings() | Early() | Answered() | Trickled() | Gone():
                pass
            case _:
                assert_never(event)

    async def dtmf(self, digits: str) -> None:
        """As telephone-events."""
        await self._at.port.dtmf(digits)

    async def announce(self, samples: Samples, *, caller: bool, called: bool) -> None:
        """Let one side or both hear that in place of the other one, and wait until it is said."""
        if caller:
            self._audio_bridge.say(samples, to_one=True)
        if called:
            self._audio_bridge.say(samples, to_one=False)
        await asyncio.sleep(len(samples) / RATE)

    async def enter(self, rooms: Rooms, application: str, room: str) -> None:
        """Give the called side a place in a room, instead of joining it to the caller. Raises RefusedError."""
        taken = rooms.enter(application, room, Participant(self.leg.id, "", ""), self.leg.hang_up)
        self._lifetime.keep(taken.leave)
        await taken.sound.connect(self.sound)

    async def _join_sound(self) -> None:
        transports = self._caller.caller.transport, self._at.leg.transport
        fill = transports[0] is not MediaTransport.WEBRTC, transports[1] is not MediaTransport.WEBRTC
        await self._audio_bridge.join(self._caller.leg, self.sound, fill=fill)

    async def _accept(self, sdp: str, branch: str) -> None:
        """Over RTP the last answer counts, and one that can't be taken changes nothing; a WebRTC port takes one."""
        if self._branch is None or self.leg.transport is not MediaTransport.WEBRTC:
            if self.leg.signalled_from is not None and isinstance(self._at.port, RenewablePort):
                await self._at.port.trust_source(self.leg.signalled_from)
            await self._at.port.accept(Description("answer", sdp))
            self._branch = branch
            for candidate in self._held.pop(branch, []):
                await self._at.port.add_candidate(candidate)

    async def _take_candidate(self, candidate: Candidate | None, branch: str) -> None:
        if branch == self._branch:
            await self._at.port.add_candidate(candidate)
        elif self._branch is None and len(self._held[branch]) < MAX_HELD_CANDIDATES:
            self._held[branch].append(candidate)

    async def _tell_hold(self, held: bool) -> None:
        await self._at.tell_hold(held)
        self._note_hold()

    def _note_hold(self) -> None:
        """The called side holds the caller, or doesn't any more."""
        held = self._at.is_connected.is_set() and not self._at.hears
        self._caller.hold_news.changed(held=held)
        if self._music_name is not None:
            self._audio_bridge.play_to_one(music(self._music_name) if held else None)

    async def _pass_digits(self) -> None:
        while True:
            await _pass_digit(await self._caller.digits.get(), self._at.port, self._at.leg)

    async def _pass_back(self, heard: media.PortDigitHeard, path: DigitPath) -> None:
        if self._presses.counts(heard.digit, path, heard.duration_ms, time.monotonic()):
            await _pass_digit(heard, self._caller.port, self._caller.caller)

    async def _close(self) -> None:
        await self._at.close()


async def _pass_digit(heard: media.PortDigitHeard, port: MediaPort, leg: Leg) -> None:
    """To the other side, as a telephone-event or by signaling; where it takes neither it has heard a digit that is in the sound."""
    try:
        await port.dtmf(heard.digit)
    except MediaError:
        if not heard.in_band:
            with suppress(MediaError):  # there is no way to tell
                await leg.send_digit(heard.digit, heard.duration_ms)
