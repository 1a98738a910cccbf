"""What an attendant does in a call, whichever way the call came: over MXP or from a SIP phone.

::

    Plan -> prepare -> Act (who speaks) -> the call's sound
    behave(call, act): rings, then answers or refuses, then sends digits, listens for one, hangs up
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Final, Protocol

import numpy as np

from sinchphone.audio.frame import RATE, Samples, silence
from sinchphone.audio.tones.signals import Sine
from sinchphone.errors import LocalProtocolError, MediaError
from sinchphone.exchange.destinations.dialplan import DIGIT_WAIT_S, TONE_HZ, Plan, Verdict, Voice
from sinchphone.exchange.destinations.parties import BadLine, Echo, Recording, Sequence, Silence, Speaker, Tone
from sinchphone.exchange.destinations.prompts import load, spell_digit, spell_number
from sinchphone.media.sound import Party
from sinchphone.protocol.mxp.message import CallFailure
from sinchphone.quick_dataclass import quick_dataclass

BUSY: Final = CallFailure(486, "Busy here", "exchange")  # RFC 3261 21.4.24
BEEP_HZ: Final = 1000.0
BEEP_S: Final = 0.5
_AFTER_LAST_WORD_S: Final = 0.3
_BEFORE_DIGITS_S: Final = 0.5  # the other side has its ears open by then

_log = logging.getLogger(__name__)


class Attended(Protocol):
    """A call as its attendant sees it. Orders never wait for the other side."""

    async def ring(self) -> None:
        """It rings at our end: returns when the caller has been told, or is being told."""

    async def answer(self) -> None:
        """Pick up."""

    async def refuse(self, failure: CallFailure | None) -> None:
        """Don't pick up. Without a failure somebody declined; 486 is busy."""

    async def established(self) -> bool:
        """Wait until sound flows; False where the call ended before."""

    async def dtmf(self, digits: str) -> None:
        """Send digits. Raises MediaError or LocalProtocolError where that isn't possible."""

    def digits(self) -> AsyncIterator[str]:
        """The digits that the caller sends, each as it comes; ends with the call. One reader."""

    async def hang_up(self) -> None:
        """End the call."""


@quick_dataclass(frozen=True, slots=True)
class Act:
    """A plan with its voice: ``party`` is the sound of our end, ``words_s`` how long its words last; ``speaker`` says more on demand."""

    plan: Plan
    party: Party
    words_s: float
    speaker: Speaker | None = None


def prepare(plan: Plan) -> Act:
    """Who speaks. Reads files."""
    words = [load(name) for name in plan.recordings]
    if plan.number is not None:
        words.append(spell_number(plan.number))
    if plan.beeps:
        words += [silence(RATE // 4), Sine(BEEP_HZ).pull(round(BEEP_S * RATE))]
    said = np.concatenate(words) if words else np.zeros(0, dtype=np.int16)
    words_s = len(said) / RATE
    if plan.repeats_digit:
        speaker = Speaker()
        speaker.say(said)
        return Act(plan, speaker, words_s, speaker)
    voice = _VOICES[plan.voice]()
    return Act(plan, Sequence(Recording(said), voice) if words else voice, words_s)


_VOICES: Final[dict[Voice, Callable[[], Party]]] = {
    Voice.ECHO: Echo,
    Voice.TONE: lambda: Tone(TONE_HZ),
    Voice.SILENCE: Silence,
    Voice.BAD_ECHO: lambda: BadLine(Echo()),
}


async def behave(call: Attended, act: Act) -> None:
    """Do what the plan says. Cancelling it is safe; it returns early where the call does."""
    plan = act.plan
    if plan.verdict is not Verdict.BUSY:
        await call.ring()
        await asyncio.sleep(plan.ring_s)
    await _decide(call, plan)
    if plan.verdict is not Verdict.ANSWER or not await call.established():
        return
    if plan.digits:
        await _send_digits(call, plan.digits, act.words_s)
    if plan.repeats_digit:
        await _repeat_digit(call, act)
    talk_s = act.words_s + _AFTER_LAST_WORD_S if plan.ends_after_recordings else plan.talk_s
    if talk_s is not None:
        await asyncio.sleep(talk_s)
        await call.hang_up()


async def _decide(call: Attended, plan: Plan) -> None:
    match plan.verdict:
        case Verdict.ANSWER:
            await call.answer()
        case Verdict.BUSY:
            await call.refuse(BUSY)
        case Verdict.DECLINE:
            await call.refuse(None)
        case Verdict.FAIL:
            status, reason = plan.failure or (480, "nobody can be reached there")
            await call.refuse(CallFailure(status, reason, "exchange"))
        case Verdict.RING:
            pass


async def _send_digits(call: Attended, digits: str, words_s: float) -> None:
    await asyncio.sleep(words_s + _BEFORE_DIGITS_S)
    try:
        await call.dtmf(digits)
    except (MediaError, LocalProtocolError) as error:
        _log.warning("the simulated subscriber's digits were not sent: %s", error)


async def _repeat_digit(call: Attended, act: Act) -> None:
    assert act.speaker is not None, "who repeats a digit can speak"
    digit = await _first_digit(call)
    if digit is not None:
        said = await asyncio.to_thread(_you_pressed, digit)
        act.speaker.say(said, interrupt=True)
        await asyncio.sleep(len(said) / RATE + _AFTER_LAST_WORD_S)
    await call.hang_up()


async def _first_digit(call: Attended) -> str | None:
    try:
        async with asyncio.timeout(DIGIT_WAIT_S):
            return await anext(aiter(call.digits()), None)
    except TimeoutError:
        return None


def _you_pressed(digit: str) -> Samples:
    words: Samples = np.concatenate([load("pressed"), spell_digit(digit)])
    return words
