"""A phone and its calls as a test uses them: without await, in the test's own thread, with a time limit on everything."""

import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sinchphone.audio.frame import RATE
from sinchphone.audio.tones.signals import Sine
from sinchphone.engine.calls.call import Call
from sinchphone.engine.calls.call_events import CallEvent, DigitHeard
from sinchphone.engine.client import SinchClient
from sinchphone.engine.events.events import ClientEvent, IncomingCall, InstantMessage, MessageReceived
from sinchphone.media.local_audio.files import decode
from sinchphone.media.thread import MediaThread
from sinchphone.media.ticker import Ticker
from sinchphone.protocol.call.states import Cause, State
from sinchphone.protocol.names import ROOM_PREFIX
from sinchphone.protocol.phone_numbers import looks_like_number, read_number
from sinchphone.testing.heard import HeardSound
from sinchphone.testing.loop_thread import LoopThread

if TYPE_CHECKING:
    from sinchphone.engine.calls.details import CallDetails


Thing = TypeVar("Thing")


class TalkingCall:
    """A call of a phone in a test. Assertions wait, and raise AssertionError with a sentence where what they wait for doesn't come."""

    def __init__(self, call: Call, heard: HeardSound, media: MediaThread, thread: LoopThread, seconds: float) -> None:
        """``media`` carries its sound; ``seconds``: how long an assertion waits, where it isn't told."""
        self.call = call
        self.heard = heard
        self._media = media
        self._thread = thread
        self._seconds = seconds

    def __repr__(self) -> str:
        return f"<call with {self.call.peer}, {self.call.state.value}>"

    @property
    def peer(self) -> str:
        """Who is at the other end."""
        return self.call.peer

    def established(self, within: float | None = None) -> "TalkingCall":
        """Sound flows. Gives the call, so that ``phone.call("bob").established()`` is one."""
        seconds = self._seconds if within is None else within
        if not self._reaches(self.call.established(), seconds):
            how = f"it ended: {_why(self.call.details)}" if self.call.state is State.ENDED else f"it is {self.call.state.value}"
            raise AssertionError(f"the call with {self.peer} was not established within {seconds:g} s: {how}")
        return self

    def ended(self, cause: Cause | str | None = None, within: float | None = None) -> "CallDetails":
        """It is over, by that cause where one is given (``"hung_up"``, ``Cause.DENIED``); how it went."""
        seconds = self._seconds if within is None else within
        if not self._reaches(self.call.ended(), seconds):
            raise AssertionError(f"the call with {self.peer} did not end within {seconds:g} s: it is {self.call.state.value}")
        details = self.call.details
        if cause is not None and details.cause is not Cause(cause):
            raise AssertionError(f"the call with {self.peer} ended otherwise than by {Cause(cause).value}: {_why(details)}")
        return details

    def answer(self, *, tone_hz: float | None = None) -> "TalkingCall":
        """Pick up, and say a tone where one is wanted."""
        self._thread.run(self.call.answer(sound=Ticker(self.heard, self._media)))
        if tone_hz is not None:
            self.say_tone(tone_hz, seconds=3600.0)
        return self

    def decline(self, *, busy: bool = False) -> None:
        """Refuse it on all devices, or as busy on this one."""
        self._thread.run(self.call.decline(busy=busy))

    def hang_up(self) -> None:
        """End it, and wait until it has ended."""
        self._thread.run(self.call.hang_up())
        self.ended()

    def press(self, digits: str) -> None:
        """Dial digits in the call (``w`` waits half a second, ``W`` one); what was heard before doesn't count any more."""
        self.established()
        self.heard.skip()
        self._thread.run(self.call.dtmf(digits))

    def say_tone(self, hz: float, *, seconds: float = 1.0) -> None:
        """Say a tone, after what is said already."""
        self.heard.say(Sine(hz).pull(min(round(seconds * RATE), 60 * RATE)))

    def play(self, path: str | Path) -> None:
        """Say what a file has, after what is said already. Raises AudioFileError."""
        self.heard.say(decode(str(path)))

    def _reaches(self, waiting: "Coroutine[Any, Any, CallDetails | bool]", seconds: float) -> bool:
        try:
            return self._thread.run(waiting, seconds) is not False
        except TimeoutError:
            return False


class CallingPhone:
    """A user's phone in a test: it calls, is called, writes and is written to."""

    def __init__(self, client: SinchClient, thread: LoopThread, seconds: float) -> None:
        self.client = client
        self._thread = thread
        self._seconds = seconds
        self._changed = threading.Condition()
        self._ringing: list[TalkingCall] = []
        self._messages: list[InstantMessage] = []

    @property
    def user_id(self) -> str:
        """Whose phone it is."""
        return self.client.user_id

    def open(self) -> "CallingPhone":
        """Register it."""
        self.client.add_listener(self._hear)
        self._thread.run(self.client.open())
        return self

    def close(self) -> None:
        """Hang up and leave."""
        self._thread.run(self.client.close())

    def call(self, to: str, *, headers: dict[str, str] | None = None, caller_id: str | None = None) -> TalkingCall:
        """Call a user, a number (``+46…``), a SIP address (``name@host``) or a conference room (``conf:NAME``). It may be refused: that's
        how the call ends."""
        heard = HeardSound(self._seconds)
        call = self._thread.run(self._place(to, headers, caller_id, heard))
        return self._talking(call, heard)

    def expect_call(self, within: float | None = None) -> TalkingCall:
        """The next call that comes and rings."""
        return self._next(self._ringing, "nobody called", within)

    def send_message(self, to: str, text: str) -> None:
        """Write to a user, an e-mail address or a user's number, and wait until it's delivered."""

        async def send() -> bool:
            sent = await self.client.send_message(to, text)
            await sent.settled()
            return not sent.failed

        if not self._thread.run(send(), self._seconds):
            raise AssertionError(f"the message to {to} was not delivered")

    def expect_message(self, within: float | None = None) -> InstantMessage:
        """The next message that comes."""
        return self._next(self._messages, "no message came", within)

    def _next(self, things: list[Thing], missing: str, within: float | None) -> Thing:
        seconds = self._seconds if within is None else within
        deadline = time.monotonic() + seconds
        with self._changed:
            while not things:
                if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    raise AssertionError(f"{missing} at {self.user_id}'s within {seconds:g} s")
            return things.pop(0)

    async def _place(self, to: str, headers: dict[str, str] | None, caller_id: str | None, heard: HeardSound) -> Call:
        sound = Ticker(heard, self.client.media)
        if looks_like_number(to):
            return await self.client.call_phone(read_number(to), caller_id=caller_id, headers=headers, sound=sound)
        if to.startswith(ROOM_PREFIX):
            return await self.client.call_conference(to.removeprefix(ROOM_PREFIX), headers=headers, sound=sound)
        if "@" in to:
            return await self.client.call_sip(to, headers=headers, sound=sound)
        return await self.client.call_user(to, headers=headers, sound=sound)

    def _talking(self, call: Call, heard: HeardSound) -> TalkingCall:
        def hear(event: State | CallEvent) -> None:
            if isinstance(event, DigitHeard):
                heard.hear_digit(event.digit)
            elif event is State.ENDED:
                heard.end()

        call.add_listener(hear)
        if call.state is State.ENDED:
            heard.end()
        return TalkingCall(call, heard, self.client.media, self._thread, self._seconds)

    def _hear(self, event: ClientEvent) -> None:
        if isinstance(event, IncomingCall):
            with self._changed:
                self._ringing.append(self._talking(event.call, HeardSound(self._seconds)))
                self._changed.notify_all()
        elif isinstance(event, MessageReceived):
            with self._changed:
                self._messages.append(event.message)
                self._changed.notify_all()


def _why(details: "CallDetails") -> str:
    """How a call ended, in words."""
    failure = f": {details.failure.message}" if details.failure is not None and details.failure.message else ""
    return f"{details.cause.value if details.cause is not None else 'nobody knows why'}{failure}"
