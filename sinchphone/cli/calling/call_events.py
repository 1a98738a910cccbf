"""What one call and its sound tell, as events of the command line.

::

    Call.events(), sound.events()  ->  CallEventTeller  ->  Session.tell(events for people and programs)
                                                   ->  what the status line and the statistics show
"""

import asyncio
import math
from typing import TYPE_CHECKING, Final, assert_never

from sinchphone.cli.calling.in_call.room_screen import RoomScreen
from sinchphone.cli.calling.media.figures import stats_event
from sinchphone.cli.calling.media.pipe_offsets import PipeOffsets
from sinchphone.cli.calling.outcomes import Outcomes
from sinchphone.cli.terminal.keys import Keys
from sinchphone.cli.terminal.output.events import events as e
from sinchphone.cli.terminal.output.events.peer import CallTransferred, ConferenceMembers, Member
from sinchphone.cli.terminal.screen.statistics_panel import Panel, Scores
from sinchphone.cli.terminal.session import Session

if TYPE_CHECKING:
    from sinchphone.engine.calls.call import Call
    from sinchphone.engine.calls.call_events import RoomChanged, Transferred
    from sinchphone.engine.calls.media.monitor import StatsTaken
    from sinchphone.media.sound import SoundEvent

MUTED_SPEECH_S: Final = 1.5  # so much is said before a person who is muted is told


class CallEventTeller:
    """Of one call. ``played``: everything was played that was to be; ``taken``: the latest figures."""

    def __init__(self, session: Session, call: "Call", outcomes: Outcomes, keys: Keys) -> None:
        """``outcomes`` learn what becomes of the sound that was asked for."""
        self.played = asyncio.Event()
        self.taken: StatsTaken | None = None
        self._session = session
        self._call = call
        self._outcomes = outcomes
        self._keys = keys
        self._pipes = PipeOffsets(session.piped)
        self._room = RoomScreen()
        self._scores = Scores()
        self._told_stats: e.Stats | None = None
        self._said_before_mute: float | None = None  # [s]
        self._closed = False

    @property
    def room_status(self) -> str:
        """Who is in the room, for the status line."""
        return self._room.status

    def statistics(self) -> Panel:
        """What is known now."""
        return Panel(self._told_stats, self._call.details.pair, self._scores.seen())

    def close(self) -> None:
        """The call is over: tell its latest figures, and none after them."""
        self._closed = True
        if self.taken is not None:
            self._session.tell(stats_event(self._call.id, self.taken))

    async def follow(self) -> None:
        """Until the call's events are over."""
        from sinchphone.engine.calls import call as c
        from sinchphone.engine.calls import hold as h
        from sinchphone.engine.calls.media import monitor as m

        call_id = self._call.id
        async for event in self._call.events():
            match event:
                case m.StatsTaken() | m.QualityTriggered() | m.QualityRecovered() if self._closed:
                    pass  # what was last was told with the end
                case m.StatsTaken():
                    self.taken = event
                    self._told_stats = stats_event(call_id, event)
                    self._scores.add(self._told_stats.mos)
                    self._session.tell(self._told_stats)
                    self._remind_of_mute(event)
                case m.QualityTriggered(name=name, stream=stream):
                    self._session.tell(e.QualityTriggeredTold(call_id=call_id, name=name, stream=stream.value))
                case m.QualityRecovered(name=name, stream=stream):
                    self._session.tell(e.QualityRecoveredTold(call_id=call_id, name=name, stream=stream.value))
                case c.DigitsSent(digits=digits):
                    self._session.tell(e.DigitsSentTold(call_id=call_id, digits=digits))
                case c.DigitHeard(digit=digit, duration_ms=duration_ms):
                    self._session.tell(e.DigitReceived(call_id=call_id, digit=digit, duration_ms=duration_ms))
                case h.Held(by_us=by_us, agreed=agreed):
                    self._session.tell(e.CallHeld(call_id=call_id, peer=self._call.peer, by=e.HeldBy.of(by_us), agreed=agreed))
                case h.Resumed(by_us=by_us, agreed=agreed):
                    self._session.tell(e.CallResumed(call_id=call_id, peer=self._call.peer, by=e.HeldBy.of(by_us), agreed=agreed))
                case c.Transferred() | c.RoomChanged():
                    self._tell_peer(event)
                case c.CallWarning(message=message, hint=hint):
                    self._session.tell(e.Warned(message=message, hint=hint or None))
                case _:
                    self._tell_sound(event)

    def _tell_peer(self, event: "Transferred | RoomChanged") -> None:
        """Who the call is with."""
        from sinchphone.engine.calls.call_events import Transferred

        call_id = self._call.id
        if isinstance(event, Transferred):
            self._session.tell(CallTransferred(call_id=call_id, peer=event.peer, domain=event.domain))
            return
        there = [Member(name=one.name, speaks=one.speaks, muted=one.muted, on_hold=one.on_hold, you=one.is_us) for one in event.members]
        self._session.tell(ConferenceMembers(call_id=call_id, members=there, count=event.count))
        if said := self._room.take(there, event.count):
            self._session.note(said)

    def _remind_of_mute(self, taken: "StatsTaken") -> None:
        """Once each time it is muted: people talk on and wonder why nobody answers."""
        near = taken.levels.near
        if not self._call.muted or near is None:
            self._said_before_mute = None
        elif self._said_before_mute is None:
            self._said_before_mute = near.speech_seconds
        elif near.speech_seconds - self._said_before_mute >= MUTED_SPEECH_S:
            self._said_before_mute = math.inf
            self._session.tell(
                e.Warned(message="you are speaking, and you are muted", hint="m lets them hear you" if self._keys.usable else None)
            )

    async def follow_sound(self) -> None:
        """Until its events are over."""
        from sinchphone.media import sound as s

        async for event in self._call.sound.events():
            self._outcomes.take(event)
            self._tell_sound(event)
            if isinstance(event, s.PlayFinished) and event.last:
                self.played.set()

    def _tell_sound(self, event: "SoundEvent") -> None:
        from sinchphone.media import sound as s

        call_id = self._call.id
        match event:
            case s.PlayStarted(path=path):
                self._session.tell(e.PlayStartedTold(call_id=call_id, path=path))
            case s.PlayFinished(path=path, last=last):
                self._session.tell(e.PlayFinishedTold(call_id=call_id, path=path, last=last))
            case s.RecordStarted(path=path):
                self._session.tell(e.RecordStartedTold(call_id=call_id, path=path))
            case s.RecordFinished(path=path, seconds=seconds, failure=failure):
                self._session.tell(e.RecordFinishedTold(call_id=call_id, path=path, duration_s=round(seconds, 3), failure=failure))
            case s.DevicesChanged(microphone=microphone, loudspeaker=loudspeaker):
                self._session.tell(e.DevicesChangedTold(call_id=call_id, microphone=microphone, loudspeaker=loudspeaker))
            case s.SoundWarning(message=message, hint=hint):
                self._session.tell(e.Warned(message=message, hint=hint or None))
            case s.PipeStarted() | s.PipeEnded():
                self._session.tell(self._pipes.told(call_id, event))
            case _:
                assert_never(event)
