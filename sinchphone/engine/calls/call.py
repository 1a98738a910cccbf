"""One call: joins a driven call machine to a channel, media ports and a sound. One task, one inbox (``machine_driver``).

::

    user's orders, port events --> MachineDriver --> effects --> queues: one per device (port), one for the sound
"""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias, assert_never

from sinchphone.engine.calls.call_events import CallEvent, CallWarning, DigitHeard, DigitsSent
from sinchphone.engine.calls.hold import Hold
from sinchphone.engine.calls.machine_driver import Channel, MachineDriver, MediaEffect
from sinchphone.engine.calls.media.audio import CallAudio, SoundChoice
from sinchphone.engine.calls.media.end_tone import sound_the_end
from sinchphone.engine.calls.media.monitor import watch
from sinchphone.engine.calls.media.pictures import CallPictures
from sinchphone.engine.calls.media.ports import CallPorts, Told
from sinchphone.engine.calls.observed_call import MAX_UNREAD_EVENTS, ObservedCall
from sinchphone.engine.calls.participant import CallParticipant, called
from sinchphone.engine.calls.transfer import Transfer
from sinchphone.engine.listeners import ListenerTasks
from sinchphone.errors import LocalProtocolError, SinchphoneError
from sinchphone.media import port as media
from sinchphone.media.options import RecordLayout
from sinchphone.media.pictures import Pictures
from sinchphone.media.port import PortOptions, Ports, PortStats
from sinchphone.media.sound import AudioLeg, Levels, RecordFinished, Signal, Sound, SoundOptions
from sinchphone.protocol.call import vocabulary as v
from sinchphone.protocol.call.machine import CallMachine
from sinchphone.protocol.call.states import Cause, State
from sinchphone.protocol.call.vocabulary import Input
from sinchphone.protocol.digits import read_digits
from sinchphone.protocol.jsep import Description
from sinchphone.protocol.mxp.message import CallFailure
from sinchphone.signaling.dialect import Domain

__all__ = ["BUSY", "MAX_UNREAD_EVENTS", "Call", "CallEvent", "CallWarning", "DigitHeard", "DigitsSent"]

BUSY_CODES: Final = (486, 600)  # RFC 3261 21.4.24, 21.6.1
BUSY: Final = 486  # RFC 3261 21.4.24; also what a busy sinchphone answers
_SOUND: Final = "sound"  # the queue of what our own sound does; all others are named after devices

_log = logging.getLogger(__name__)


Place = Callable[[Description], Awaitable[v.Placed]]
SoundFactory: TypeAlias = "Callable[[Call], SoundChoice | Awaitable[SoundChoice]]"


class Call(ObservedCall):
    """A call, from its first ring to its end. Orders never wait for the network."""

    def __init__(
        self,
        machine: CallMachine,
        *,
        call_id: str,
        peer: str,
        domain: Domain,
        channel: Channel,
        ports: Ports,
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
    ) -> None:
        """``pictures``: what is shown and seen at this end, where the call has any; ``participants``: us and the other side; ``place``
        places an outgoing call with the platform; ``monitored``: its quality is told once a second;
        ``renew_line`` is called when this machine's network may have changed; ``listening``, closed by the caller, has what its
        listeners do; ``make_sound``: of options that ``answer`` is given. Whoever makes a call also awaits its ``run``."""
        super().__init__(listening or ListenerTasks())
        self.id = call_id
        self.outbound = machine.outbound
        self.peer = peer
        self.domain = domain
        self.headers = dict(headers or {})
        self.video_offered = False  # the peer's offer has pictures, whether they are taken or not
        self.local, self.remote = participants or (CallParticipant(domain=domain), called(domain, peer))
        self.muted = False
        self.rings = True  # False: nobody here is to hear that an incoming call rings
        self._declined_busy = False
        self._machine = machine
        self._driver = MachineDriver(machine, channel, name=f"call {call_id}", perform=self._perform, failed=self._note_failure)
        self._audio = CallAudio(sound, self._tell_event, make_sound)
        self._transfer = Transfer(self._driver)
        self._hold = Hold(self._driver, self._audio.leg, self._tell_event)
        self._ports = CallPorts(self._driver, ports, port_options, tell=self._hear_port)
        self._place = place
        self._monitored = monitored
        self._renew_line = renew_line
        self._carried: tuple[AudioLeg, bool] | None = None
        self._pictures = CallPictures(pictures, self._warn)
        self._early = False
        self._wants_sound: str | None = None

    def __repr__(self) -> str:
        return f"<Call {self.id} {self.state.value}>"

    # What a user of the call sees

    @property
    def sound(self) -> Sound:
        """What it is joined to at this end."""
        return self._audio.sound

    @property
    def participants(self) -> tuple[CallParticipant, CallParticipant]:
        """Who calls, and who is called: ``local`` is us, ``remote`` the other side. The headers of the call are the caller's."""
        return (self.local, self.remote) if self.outbound else (self.remote, self.local)

    async def answer(self, *, sound: "SoundChoice | SoundFactory | None" = None, video: bool = True) -> None:
        """Pick up an incoming call. ``sound`` (a Sound, SoundOptions, or a function, ``async`` or not, that is given the call and returns
        one of them) takes the place of that with which it rang, and is opened before; where the call is over then, it is closed again.
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

    def mute(self, muted: bool) -> None:
        """While muted the peer hears silence."""
        self.muted = muted
        self._audio.mute(muted)

    def levels(self) -> Levels:
        """How loud both directions are now; the near sound is what is sent, whether it's said or played."""
        return self._audio.levels()

    async def play(self, path: str | Path) -> bool:
        """Play a sound file to the peer in place of the near sound, after those asked for before; begins when the call is established.
        Any format that PyAV opens. Returns when it was played: True at its end; False where ``stop_playing`` or the end of the call came
        first. Cancelling stops it. ``events`` tells PlayStarted and PlayFinished. Raises AudioFileError for a file that can't be read,
        LocalProtocolError once the call is over."""
        return await self._audio.play(str(path))

    async def say(self, text: str, locale: str | None = None) -> bool:
        """Speak a text of 1 to 4096 characters to the peer, with eSpeak NG, as ``play`` plays a file. ``locale`` chooses the voice:
        ``sv``, ``en-GB``; English where there is none for it. Returns and raises as ``play`` does, and MediaError where this machine has
        no eSpeak NG, or it fails."""
        return await self._audio.say(text, locale)

    def stop_playing(self) -> None:
        """End what plays, and what waits to be played; the near sound is heard again. May be called at any time."""
        self._audio.stop_playing()

    async def record(self, path: str | Path, *, layout: RecordLayout | str = RecordLayout.STEREO, force: bool = False) -> None:
        """Record both sides to a file (.wav, .ogg or .flac) from now on, or from established on: near left and far right, or one track
        as ``layout`` says. Returns when the file is made; ``stop_recording`` or the end of the call (before ``closed``) gives it its name.
        ``events`` tells RecordStarted and RecordFinished. Raises AudioFileError for a name that can't be used, or is taken and not
        ``force``; ValueError for a layout that isn't one; LocalProtocolError while another recording of ``record`` runs, and once the call
        is over."""
        await self._audio.record(str(path), layout=layout, force=force)

    async def stop_recording(self) -> RecordFinished | None:
        """Finish the recording that ``record`` began, within about three seconds: its path and seconds, and why it isn't complete, if so.
        None where there is none, or it isn't in its place yet. Cancelling is safe."""
        return await self._audio.stop_recording()

    async def set_device(self, *, microphone: int | str | None = None, loudspeaker: int | str | None = None) -> None:
        """Another microphone, another loudspeaker, from now on: an index or part of its name, as in SoundOptions; ``None`` leaves it as it
        is. Returns when it is open; DevicesChanged among the sound's events says which. Raises DeviceError where there is none such or
        it can't be opened: what was used goes on; LocalProtocolError where the call has no devices, or no microphone since something
        else speaks."""
        await self._audio.set_device(microphone, loudspeaker)

    async def hold(self, *, music: bool = True) -> None:
        """Put the peer on hold, at once: it hears music or silence, nothing that is said here, and isn't heard here; Held says whether it
        was told. A room gets silence in any case. Raises LocalProtocolError while the call isn't established."""
        if self.state is not State.ESTABLISHED:
            raise LocalProtocolError("a call can be put on hold while it is established only")
        self._hold.order(True, music=music and self.domain is not Domain.CONFERENCE)

    async def resume(self) -> None:
        """Take the peer back from hold; Resumed says whether it was told. Does nothing where we don't hold."""
        self._hold.order(False)

    async def transfer(self, to: str) -> None:
        """Have the peer call ``to`` (user, number, SIP address) instead of us, by itself and with its own rights, and hang up when that is
        answered. SIP phones take it (REFER). Raises TransferError where it comes to nothing, LocalProtocolError before established."""
        if self.state is not State.ESTABLISHED:
            raise LocalProtocolError("a call can be transferred while it is established only")
        await self._transfer.ask(to)
        await self.hang_up()

    async def join(self, other: "Call") -> None:
        """Let both calls' peers and the person here hear each other, until ``part`` or the end of one; neither is held then. The person
        hears through this call's devices. Raises LocalProtocolError unless both are established and neither is joined."""
        if self.state is not State.ESTABLISHED or other.state is not State.ESTABLISHED:
            raise LocalProtocolError("only two calls that are established can be joined")
        await self._audio.join(other._audio)
        await self.resume()
        await other.resume()

    async def part(self) -> None:
        """Both calls are apart again, and neither is held. Does nothing where none is joined."""
        await self._audio.part()

    async def rest(self, resting: bool) -> None:
        """Let go of this call's sound devices, for the sake of another call, or take them again; what is played goes on."""
        await self._audio.rest(resting)

    @property
    def is_joined(self) -> bool:
        """Whether another call is joined to this one."""
        return self._audio.is_joined

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

    # The shell around the machine

    async def run(self) -> None:
        """Drive the call to its end. Cancelling hangs up."""
        try:
            await self._driver.run(self._release)
        finally:
            self._tell_closed()

    async def _release(self) -> None:
        await self._audio.close()
        await self._ports.close()
        try:
            await sound_the_end(self.details, self.sound, outbound=self.outbound)
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
                self._transfer.heard(body)
            case v.Entered(state):
                self._enter(state)
            case v.Ended(cause, by, failure):
                self.details = replace(self.details, cause=cause, ended_by=by, failure=failure, ended_at=time.time())
                self._tell(State.ENDED)
                self._transfer.ended()
            case _:
                assert_never(effect)

    def _enter(self, state: State) -> None:
        self.details = self.details.entered(state, time.time())
        self._tell(state)
        if state is State.ESTABLISHED:
            self._audio.begin()
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

    async def _connect_sound(self, early: bool) -> None:
        await self.sound.signal(None)
        await self.sound.connect(self._audio.leg, early=early)

    async def _connect_pictures(self) -> None:
        await self._pictures.connect(self._ports.winner, self.details.video_codec, self._audio.leg)

    async def _play(self, signal: Signal) -> None:
        if self._wants_sound is None and self.state is State.RINGING and (self.outbound or self.rings):
            await self.sound.signal(signal)

    async def _monitor(self) -> None:
        async for event in watch(self.stats, self.levels, lambda: self.muted, lambda: self.held_by_us or self.held_by_peer):
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
