"""One call: joins a driven call machine to a channel, media ports and a sound. One task, one inbox (``machine_driver``).

::

    user's orders, port events --> MachineDriver --> effects --> queues: one per device (port), one for the sound
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final, TypeAlias, assert_never

from sinchphone.engine.calls.call_events import CallEvent, CallWarning, DigitHeard, DigitsSent, RoomChanged, Transferred
from sinchphone.engine.calls.hold import Hold
from sinchphone.engine.calls.machine_driver import Channel, MachineDriver, MediaEffect
from sinchphone.engine.calls.media.audio import SoundChoice
from sinchphone.engine.calls.media.end_tone import sound_the_end
from sinchphone.engine.calls.media.monitor import watch
from sinchphone.engine.calls.media.pictures import CallPictures
from sinchphone.engine.calls.media.ports import CallPorts, Told
from sinchphone.engine.calls.observed_call import MAX_UNREAD_EVENTS
from sinchphone.engine.calls.participant import CallParticipant, called
from sinchphone.engine.calls.sounding_call import SoundingCall
from sinchphone.engine.calls.transfers.succession import Succession
from sinchphone.engine.calls.transfers.transfer import Transfer
from sinchphone.engine.events.listeners import ListenerTasks
from sinchphone.errors import LocalProtocolError, SinchphoneError
from sinchphone.media import port as media
from sinchphone.media.pictures.pictures import Pictures
from sinchphone.media.port import MediaPorts, PortOptions, PortStats
from sinchphone.media.sound import AudioLeg, Signal, Sound, SoundOptions
from sinchphone.protocol.call import vocabulary as v
from sinchphone.protocol.call.machine import CallMachine
from sinchphone.protocol.call.room_events import MutedHere, RoomEvent, RoomMember, RoomRoster, decode_room_event, encode_room_event
from sinchphone.protocol.call.states import BUSY_CODES, Cause, EndedBy, State
from sinchphone.protocol.call.transfer_events import TransferNews, TransferWish, decode_transfer, encode_transfer
from sinchphone.protocol.call.vocabulary import Input
from sinchphone.protocol.digits import read_digits
from sinchphone.protocol.mxp.message import CallFailure
from sinchphone.protocol.names import ROOM_PREFIX
from sinchphone.protocol.sdp.jsep import Description
from sinchphone.signaling.dialect import Domain
from sinchphone.tasks import start_task

__all__ = ["BUSY", "MAX_UNREAD_EVENTS", "Call", "CallEvent", "CallWarning", "DigitHeard", "DigitsSent", "RoomChanged", "Transferred"]

BUSY: Final = 486  # RFC 3261 21.4.24; also what a busy sinchphone answers
_SOUND: Final = "sound"  # the queue of what our own sound does; all others are named after devices

NOT_HERE: Final = TransferNews(501, "this phone calls nobody on another's word")

_log = logging.getLogger(__name__)


Place = Callable[[Description], Awaitable[v.Placed]]
Follow = Callable[["Call", TransferWish], None]
SoundFactory: TypeAlias = "Callable[[Call], SoundChoice | Awaitable[SoundChoice | None] | None]"


class Call(SoundingCall):
    """A call, from its first ring to its end. Orders never wait for the network."""

    def __init__(
        self,
        machine: CallMachine,
        *,
        call_id: str,
        peer: str,
        domain: Domain,
        channel: Channel,
        ports: MediaPorts,
        port_options: PortOptions,
        sound: Sound,
        pictures: Pictures | None = None,
        headers: Mapping[str, str] | None = None,
        participants: tuple[CallParticipant, CallParticipant] | None = None,
        place: Place | None = None,
        monitored: bool = False,
        renew_line: Callable[[], None] | None = None,
        listening: ListenerTasks | None = None,
        make_sound: Callable[[SoundOptions], Sound] | None = None,
        follow: Follow | None = None,
    ) -> None:
        """``pictures``: what is shown and seen at this end, where the call has any; ``participants``: us and the other side; ``place``
        places an outgoing call with the platform; ``monitored``: its quality is told once a second;
        ``renew_line`` is called when this machine's network may have changed; ``listening``, closed by the caller, has what its
        listeners do; ``make_sound``: of options that ``answer`` is given; ``follow`` goes where the peer sends us (None: nobody does).
        Whoever makes a call also awaits its ``run``."""
        super().__init__(listening or ListenerTasks(), sound, make_sound)
        self.id = call_id
        self.outbound = machine.outbound
        self.peer = peer
        self.domain = domain
        self.headers = dict(headers or {})
        self.room_members: tuple[RoomMember, ...] = ()  # of a conference, as the room told last
        self.video_offered = False  # the peer's offer has pictures, whether they are taken or not
        self.local, self.remote = participants or (CallParticipant(domain=domain), called(domain, peer))
        self.rings = True  # False: nobody here is to hear that an incoming call rings
        self._declined_busy = False
        self._machine = machine
        self._driver = MachineDriver(machine, channel, name=f"call {call_id}", perform=self._perform, failed=self._note_failure)
        self._transfer = Transfer(self._driver)
        self._follow = follow
        self._succession = Succession[Call]()
        self._hold = Hold(self._driver, self._audio.leg, self._tell_event)
        self._ports = CallPorts(self._driver, ports, port_options, tell=self._hear_port)
        self._place = place
        self._monitored = monitored
        self._renew_line = renew_line
        self._carried: tuple[AudioLeg, bool] | None = None
        self._pictures = CallPictures(pictures, self._warn)
        self._early = False
        self._releasing: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()  # nobody waits for the tone at the end
        self._wants_sound: str | None = None

    def __repr__(self) -> str:
        return f"<Call {self.id} {self.state.value}>"

    # What a user of the call sees

    def mute(self, muted: bool) -> None:
        """While muted the peer hears silence; a room is told."""
        super().mute(muted)
        if self.state is State.ESTABLISHED:
            self._tell_muted()

    def _tell_muted(self) -> None:
        if self.domain is Domain.CONFERENCE or self.room_members:
            self._driver.put(v.TellClientEvent(encode_room_event(MutedHere(self.muted))))

    @property
    def participants(self) -> tuple[CallParticipant, CallParticipant]:
        """Who calls, and who is called: ``local`` is us, ``remote`` the other side. The headers of the call are the caller's."""
        return (self.local, self.remote) if self.outbound else (self.remote, self.local)

    async def answer(self, *, sound: "SoundChoice | SoundFactory | None" = None, video: bool = True) -> None:
        """Pick up an incoming call. ``sound`` (a Sound, SoundOptions, or a function, ``async`` or not, that is given the call and returns
        one of them, or ``None`` for that with which it rang) takes its place, and is opened before; where the call is over then, it is
        closed again.
        Without ``video`` it has sound alone: nothing is shown to the peer, and nothing seen of it.
        Raises LocalProtocolError for an outgoing call, and for a sound once it was answered; DeviceError, AudioFileError and what the
        function raises: it rings on then."""
        if self.outbound:
            raise LocalProtocolError("an outgoing call can't be answered from here")
        if sound is not None:
            wanted = sound(self) if callable(sound) else sound
            await self._audio.exchange(wanted, self._may_exchange)
        self._pictures.alone = not video
        self._driver.put(v.Answer())

    def _may_exchange(self) -> bool:
        """Whether it rings still; False where it's over. Raises LocalProtocolError once it was answered."""
        if self.state in (State.ANSWERED, State.ESTABLISHED) or self._wants_sound is not None:
            raise LocalProtocolError("a sound is chosen before a call is answered, and this one was")
        return self.state is not State.ENDED

    async def hang_up(self, reason: CallFailure | None = None) -> None:
        """End the call: cancel, decline or leave, whichever fits; the peer learns the ``reason``. May be called at any time, more than
        once."""
        await self._succession.give_up()
        self._driver.put(v.HangUp(reason))

    async def decline(self, *, busy: bool = False) -> None:
        """Refuse an incoming call on all devices, or as ``busy`` on this one only."""
        self._declined_busy = busy
        reason = CallFailure(BUSY, "Busy here", "session") if busy else None
        self._driver.put(v.HangUp(reason, this_device_only=busy))

    @property
    def met_busy(self) -> bool:
        """Whether it was declined because one of the two was on the phone."""
        code = self.details.failure.code if self.details.failure is not None else None
        return self.details.cause is Cause.DENIED and (self._declined_busy or code in BUSY_CODES)

    async def dtmf(self, digits: str) -> None:
        """Send digits (``0-9 * # A-D``; ``w`` waits half a second, ``W`` one), after those asked for before; returns when they are sent.
        Raises LocalProtocolError for others and while no sound flows, MediaError where the peer takes none."""
        wanted, port = read_digits(digits), self._ports.winner
        if port is None or self.state is not State.ESTABLISHED:
            raise LocalProtocolError("digits can be sent while the call is established only")
        await port.dtmf(wanted)
        self._tell_event(DigitsSent(digits=wanted))

    async def hold(self, *, music: bool = True) -> None:
        """Put the peer on hold, at once: it hears music or silence, nothing that is said here, and isn't heard here; Held says whether it
        was told. A room gets silence in any case. Raises LocalProtocolError while the call isn't established."""
        if self.state is not State.ESTABLISHED:
            raise LocalProtocolError("a call can be put on hold while it is established only")
        self._hold.order(True, music=music and self.domain is not Domain.CONFERENCE)

    async def resume(self) -> None:
        """Take the peer back from hold; Resumed says whether it was told. Does nothing where we don't hold."""
        self._hold.order(False)

    async def transfer(self, to: "str | Call") -> None:
        """Have the peer call ``to`` (user, number, SIP address, ``conf:ROOM``) instead of us, by itself and with its own rights, and hang
        up when that is answered. ``to`` another call: the peers of both talk with each other, and we leave both. Sinchphones and SIP
        phones take it (REFER). Raises TransferError where it comes to nothing, LocalProtocolError before established."""
        other = to if isinstance(to, Call) else None
        if self.state is not State.ESTABLISHED or (other is not None and (other is self or other.state is not State.ESTABLISHED)):
            raise LocalProtocolError("a call can be transferred while it is established only, and to another one that is")
        if other is None:
            await self._transfer.ask(str(to))
        elif other.domain is Domain.CONFERENCE:
            await self._transfer.ask(f"{ROOM_PREFIX}{other.peer}")
        else:
            await self._transfer.ask(other.peer, other.wire_id)
        await self.hang_up()
        if other is not None:
            await other.hang_up()

    async def join(self, other: "Call") -> None:
        """Let both calls' peers and the person here hear each other, until ``part`` or the end of one; neither is held then. The person
        hears through this call's devices. Raises LocalProtocolError unless both are established and neither is joined."""
        if self.state is not State.ESTABLISHED or other.state is not State.ESTABLISHED:
            raise LocalProtocolError("only two calls that are established can be joined")
        await self._audio.join(other._audio)
        await self.resume()
        await other.resume()

    @property
    def held_by_us(self) -> bool:
        """Whether we have put the peer on hold."""
        return self._hold.by_us

    @property
    def held_by_peer(self) -> bool:
        """Whether the peer has put us on hold: it doesn't hear us."""
        return self._hold.by_peer

    @property
    def has_video(self) -> bool:
        """Whether both ends agreed on pictures."""
        return self.details.video_codec is not None and not self._pictures.alone

    @property
    def video_paused(self) -> bool:
        """Whether we show the peer black."""
        return self._pictures.paused

    @property
    def pictures(self) -> Pictures | None:
        """Where ours come from, and who sees the peer's; ``None`` in a call without."""
        return self._pictures.pictures

    def pause_video(self) -> None:
        """From now on the peer sees black, and no camera runs. Raises LocalProtocolError where there are no pictures."""
        self._pictures.pause(True)

    def resume_video(self) -> None:
        """The peer sees us again. Raises LocalProtocolError where there are no pictures."""
        self._pictures.pause(False)

    async def stats(self) -> PortStats:
        """Counters of the leg that carries the sound."""
        return await self._ports.stats()

    # Somebody else in the peer's place

    @property
    def wire_id(self) -> str:
        """The id of the conversation with whom it is now: another one once somebody else has the peer's place."""
        current = self._succession.current
        return self.id if current is None else current.wire_id

    @property
    def succession(self) -> "Succession[Call]":
        """The calls that take the peer's place."""
        return self._succession

    def tell_transfer(self, news: TransferNews) -> None:
        """Tell the peer how it goes that it sends us to somebody else."""
        self._driver.put(v.TellClientEvent(encode_transfer(news)))

    def go_on_with(self, other: "Call", peer: str, domain: Domain, remote: CallParticipant) -> Callable[[], None]:
        """From now on ``other``, which is established and unheard, is this call's way, and its peer this call's, known as these say. What
        leaves the one before."""
        before, hold = self._driver, self._hold
        self._driver, self._machine, self._ports = other._driver, other._machine, other._ports
        self._hold, self._transfer = other._hold, other._transfer
        self.peer, self.domain, self.remote = peer, domain, remote
        self.details = replace(self.details, codec=other.details.codec, pair=other.details.pair)
        self._audio.leg.carry(other._audio.leg)
        other.add_listener(self._hear_successor)
        self._succession.take(other)
        if self._monitored:
            self._driver.start(self._monitor())
        self._tell_event(Transferred(peer=peer, domain=domain))
        hold.hand_over(self._hold)
        return lambda: before.put(v.HangUp())

    def _hear_successor(self, event: "State | CallEvent") -> None:
        if not isinstance(event, State):
            self._tell_event(event)

    # The shell around the machine

    async def run(self) -> None:
        """Drive the call to its end. Cancelling hangs up."""
        driver, ports = self._driver, self._ports
        try:
            await driver.run(partial(self._release_first, ports))
            if self.state is not State.ENDED:
                await self._outlast(driver)
        except asyncio.CancelledError:
            self._hurry.set()
            raise
        finally:
            if self.state is not State.ENDED:
                self._end(v.Ended(Cause.HUNG_UP, EndedBy.US))
            try:
                await self._release()
            finally:
                self._tell_closed()

    async def _outlast(self, first: MachineDriver) -> None:
        """Our first peer is gone; others may have its place, or be about to."""
        last = await self._succession.outlast()
        if last is None:
            assert first.ended is not None, "it's over"
            self._end(first.ended)
        else:
            details = last.details
            self.details = replace(self.details, error=details.error)
            self._end(v.Ended(details.cause or Cause.FAILURE, details.ended_by or EndedBy.US, details.failure))

    async def _release_first(self, ports: CallPorts) -> None:
        """What the way to the first peer has used, and all of it where nobody has that one's place."""
        await (self._release() if self.state is State.ENDED else ports.close())

    def _note_end(self, how: v.Ended) -> None:
        if not self._succession.goes_on:
            self._end(how)

    def _end(self, how: v.Ended) -> None:
        self.details = replace(self.details, cause=how.cause, ended_by=how.by, failure=how.failure, ended_at=self._now)
        self._tell(State.ENDED)
        self._transfer.ended()

    async def _release(self) -> None:
        """Let go of everything, once; whoever asks for it waits for its end."""
        if self._releasing is None:
            self._releasing = start_task(self._let_go(), name=f"end of call {self.id}")
        await asyncio.shield(self._releasing)

    async def _let_go(self) -> None:
        await self._audio.close()
        await self._ports.close()
        try:
            await sound_the_end(self.details, self.sound, self._hurry, outbound=self.outbound)
        finally:
            await self._pictures.close()
            await self.sound.close()

    def _perform(self, effect: MediaEffect) -> None:
        match effect:
            case v.MakeOffer():
                self._driver.order(self._ports.make_offer())
            case v.PlaceCall(offer):
                self._driver.order(self._place_call(offer))
            case v.MakeAnswer(peer, offer):
                self._driver.order(self._make_answer(peer, offer))
            case v.ApplyAnswer(peer, answer):
                self._driver.queue(peer).put(partial(self._apply_answer, peer, answer))
            case v.AddCandidate(peer, candidate):
                self._driver.queue(peer).put(partial(self._ports.add_candidate, peer, candidate))
            case v.Renegotiate(peer, description, direction):
                self._driver.queue(peer).put(partial(self._describe_again, peer, description, direction))
            case v.DropPeer(peer):
                self._driver.queue(peer).put(partial(self._ports.drop, peer))
            case v.CarrySound(peer, early):
                self._wants_sound, self._early = peer, early
                self._driver.queue(peer).put(partial(self._carry_sound, peer))
            case v.ClientEventHeard(body):
                self._hear_client_event(body)
            case v.Entered(state):
                self._enter(state)
            case v.Ended():
                self._note_end(effect)
            case _:
                assert_never(effect)

    def _hear_client_event(self, body: str) -> None:
        match decode_transfer(body):
            case TransferNews() as news:
                self._transfer.heard(news)
            case TransferWish() as wish if self._follow is not None and self.state is State.ESTABLISHED:
                self._follow(self, wish)
            case TransferWish():
                self.tell_transfer(NOT_HERE)
            case None:
                self._hear_room_event(decode_room_event(body))

    def _hear_room_event(self, event: RoomEvent | None) -> None:
        if isinstance(event, RoomRoster) and self.outbound:  # a backend may send any call to a room
            enters, self.room_members = not self.room_members, event.members
            if enters and self.muted:
                self._tell_muted()
            self._tell_event(RoomChanged(members=event.members, count=event.count))

    def _enter(self, state: State) -> None:
        self.details = self.details.entered(state, self._now)
        self._tell(state)
        if state is State.ESTABLISHED:
            self._audio.begin()
            if self.muted:
                self._tell_muted()
            self._driver.queue(_SOUND).put(self._connect_pictures)
            if self._monitored:
                self._driver.start(self._monitor())
        if state is State.RINGING and self._wants_sound is None:
            signal = Signal.RINGBACK if self.outbound else Signal.RINGTONE
            self._driver.queue(_SOUND).put(partial(self._play, signal))

    # Work that effects ask for

    async def _place_call(self, offer: Description) -> Input:
        assert self._place is not None, "an outgoing call has a way to be placed"
        return await self._place(offer)

    async def _make_answer(self, peer: str, offer: Description) -> Input:
        await self._audio.open()
        await self._pictures.open()
        return await self._ports.make_answer(peer, offer)

    async def _apply_answer(self, peer: str, answer: Description) -> None:
        await self._ports.apply_answer(peer, answer)
        if self._wants_sound == peer:
            await self._carry_sound(peer)

    async def _describe_again(self, peer: str, theirs: Description | None, direction: str | None) -> None:
        self._hold.described(theirs, done=await self._ports.describe_again(peer, theirs, direction))

    async def _carry_sound(self, peer: str) -> None:
        port = self._ports.of(peer)
        if port is not None and self._carried != (port.leg, self._early):
            self._carried = port.leg, self._early
            self._audio.leg.carry(port.leg)
            self._driver.queue(_SOUND).put(partial(self._connect_sound, self._early))
        await self._ports.close_unused()

    async def _connect_sound(self, early: bool) -> None:
        await self.sound.signal(None)
        await self.sound.connect(self._audio.leg, early=early)

    async def _connect_pictures(self) -> None:
        await self._pictures.connect(self._ports.winner, self.details.video_codec, self._audio.leg)

    async def _play(self, signal: Signal) -> None:
        if self._wants_sound is None and self.state is State.RINGING and (self.outbound or self.rings):
            await self.sound.signal(signal)

    async def _monitor(self) -> None:
        driver = self._driver
        async for event in watch(self.stats, self.levels, lambda: self.muted, lambda: self.held_by_us or self.held_by_peer):
            if driver is not self._driver:
                return
            self._tell_event(event)

    # What comes in

    def _hear_port(self, peer: str, event: Told) -> None:
        match event:
            case media.Connected(pair=pair, codec=codec, pictures=pictures):
                if self._machine.winner in (None, peer):
                    self.details = replace(self.details, pair=pair, codec=codec, video_codec=pictures)
            case media.Moved(pair=pair):
                self.details = replace(self.details, pair=pair)
            case media.RestartWanted(reason=reason):
                _log.info("an ICE restart is due: %s", reason)
                if self._renew_line is not None:
                    self._renew_line()
            case media.Redirected(direction=direction):
                if self._machine.winner == peer:
                    self._hold.redirected(direction)
            case media.PortDigitHeard(digit=digit, duration_ms=duration_ms):
                if self._machine.winner == peer:
                    self._tell_event(DigitHeard(digit=digit, duration_ms=duration_ms))
            case media.PortWarning(message=message, hint=hint):
                self._warn(CallWarning(message=message, hint=hint))
            case _:
                assert_never(event)

    def _note_failure(self, queue: str, error: SinchphoneError) -> None:
        """What an effect asked for could not be done. Where that is one device's media it spoils this device, and not the call with
        another."""
        if queue in ("", _SOUND):
            self.details = replace(self.details, error=self.details.error or error)
            self._driver.fail(error)
        else:
            self._driver.put(v.MediaFailed(queue, str(error)))
