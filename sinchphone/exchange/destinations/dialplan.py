"""The dial plan: what the exchange answers itself, and how. Pure.

==================  =====================================================================================
``echo``            answers at once, says back what it hears
``tone``            answers at once, a tone of 440 Hz
``speech``          answers at once, speaks a passage, hangs up
``busy``            is busy
``decline``         rings, declines after half a second
``no-answer``       rings for ever
``unknown``         is nobody: the call is refused
``hangup-after:3s`` answers at once, echoes, hangs up three seconds after the answer (any duration)
``answer-after:2s`` rings for two seconds (any duration), then answers and echoes
+46000000000        Sinch's test number: says that the call is connected, hangs up
+1 NPA 555 01xx     simulated subscribers: numbers that nobody has, in any area (see ``_SUBSCRIBERS``)
any other number    rings for two seconds, says which number was called, then echoes
==================  =====================================================================================

A number that ends in, whatever its area:

==  =====================================================================================
00  rings for a second, speaks a passage, hangs up
01  rings for two seconds, says which number was called, then echoes
02  is busy
03  rings for ever
04  rings for half a second, declines
05  answers, sends the digits 1 2 3, then echoes
06  answers, echoes, hangs up three seconds after the answer
07  answers, waits for a digit (30 s at most), says it back, hangs up
08  a bad line: echoes with a tenth of the sound missing, and noise
09  is not allocated: the call fails as 404
11  an answering machine: a greeting, a beep, then it listens for half a minute and hangs up
12  a person: says hello, listens, hangs up after half a minute
==  =====================================================================================
"""

import re
from enum import Enum
from typing import Final

from sinchphone.exchange.refusals import invalid, not_found
from sinchphone.protocol.phone_numbers import SHAPE, is_number
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import Domain

TEST_NUMBER: Final = "+46000000000"
NOBODYS_NUMBER: Final = "+14155550100"  # 555-0100 to 555-0199 are reserved for fiction (NANPA)
TONE_HZ: Final = 440.0
MAX_DURATION_S: Final = 3600.0
SUBSCRIBER_RING_S: Final = 2.0
DIGIT_WAIT_S: Final = 30.0
MESSAGE_S: Final = 35.0  # of a machine's call, from the answer
_DURATION: Final = re.compile(r"(\d{1,5}(?:\.\d{1,3})?)(ms|s|m)")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0}
_SIMULATED: Final = re.compile(r"\+1[2-9]\d\d55501(\d\d)", re.ASCII)


class Verdict(Enum):
    """What becomes of a call."""

    ANSWER = "answer"
    RING = "ring"
    BUSY = "busy"
    DECLINE = "decline"
    FAIL = "fail"


class Voice(Enum):
    """What an answered call hears after the recordings."""

    ECHO = "echo"
    TONE = "tone"
    SILENCE = "silence"
    BAD_ECHO = "bad echo"  # drop-outs and noise


@quick_dataclass(frozen=True, slots=True)
class Plan:
    """How one call is answered.

    ``number`` is spelt out after the recordings; ``talk_s`` counts from the answer; ``digits`` are sent after it. With ``repeats_digit`` a
    digit is waited for, said back, and the call is over. ``beeps``: a tone follows the recordings. ``failure`` is what FAIL tells: a SIP
    status and words.
    """

    verdict: Verdict = Verdict.ANSWER
    ring_s: float = 0.0
    recordings: tuple[str, ...] = ()
    number: str | None = None
    voice: Voice = Voice.ECHO
    talk_s: float | None = None
    ends_after_recordings: bool = False
    digits: str = ""
    repeats_digit: bool = False
    beeps: bool = False
    failure: tuple[int, str] | None = None


_FIXED: Final = {
    "echo": Plan(),
    "tone": Plan(voice=Voice.TONE),
    "speech": Plan(recordings=("speech",), voice=Voice.SILENCE, ends_after_recordings=True),
    "busy": Plan(Verdict.BUSY),
    "decline": Plan(Verdict.DECLINE, ring_s=0.5),
    "no-answer": Plan(Verdict.RING),
}

_HANGUP_AFTER: Final = "hangup-after"
_ANSWER_AFTER: Final = "answer-after"
_TIMED: Final = (_HANGUP_AFTER, _ANSWER_AFTER)

_SUBSCRIBERS: Final = {
    "00": Plan(ring_s=1.0, recordings=("speech",), voice=Voice.SILENCE, ends_after_recordings=True),
    "02": Plan(Verdict.BUSY),
    "03": Plan(Verdict.RING),
    "04": Plan(Verdict.DECLINE, ring_s=0.5),
    "05": Plan(ring_s=1.0, digits="123"),
    "06": Plan(ring_s=1.0, talk_s=3.0),
    "07": Plan(ring_s=1.0, recordings=("digit",), voice=Voice.SILENCE, repeats_digit=True),
    "08": Plan(ring_s=1.0, recordings=("bad-line",), voice=Voice.BAD_ECHO),
    "09": Plan(Verdict.FAIL, failure=(404, "this number is not allocated")),
    "11": Plan(ring_s=1.0, recordings=("machine",), beeps=True, voice=Voice.SILENCE, talk_s=MESSAGE_S),
    "12": Plan(ring_s=1.0, recordings=("hello",), voice=Voice.SILENCE, talk_s=MESSAGE_S),
}


def is_simulated(number: str) -> bool:
    """Whether a number is one of those that nobody has, so that a trunk is never asked for it."""
    return number == TEST_NUMBER or _SIMULATED.fullmatch(number) is not None


def is_built_in(name: str) -> bool:
    """Whether a name is one that calls here are answered by, rather than that of a user."""
    what, colon, _ = name.partition(":")
    return name in _FIXED or (bool(colon) and what in _TIMED)


def plan_for(domain: Domain, identity: str) -> Plan | None:
    """The plan for a destination; ``None`` where that is for others (the users) to answer.

    Raises RefusedError for ``unknown``, for a number that can't exist and for a duration that can't be read.
    """
    match domain:
        case Domain.PSTN:
            return _plan_for_number(identity)
        case Domain.MXP:
            return _plan_for_name(identity)
        case Domain.SIP | Domain.CONFERENCE:
            return None


def _plan_for_number(number: str) -> Plan:
    if number == TEST_NUMBER:
        return Plan(recordings=("connected",), voice=Voice.SILENCE, ends_after_recordings=True)
    if not is_number(number):
        raise invalid(SHAPE)
    simulated = _SIMULATED.fullmatch(number)
    if simulated and simulated[1] in _SUBSCRIBERS:
        return _SUBSCRIBERS[simulated[1]]
    return Plan(ring_s=SUBSCRIBER_RING_S, recordings=("called",), number=number)


def _plan_for_name(name: str) -> Plan | None:
    if name == "unknown":
        raise not_found("there is no user unknown on this exchange")
    what, colon, duration = name.partition(":")
    if colon and what == _HANGUP_AFTER:
        return Plan(talk_s=_seconds(duration))
    if colon and what == _ANSWER_AFTER:
        return Plan(ring_s=_seconds(duration))
    return _FIXED.get(name)


def _seconds(text: str) -> float:
    match = _DURATION.fullmatch(text)
    seconds = float(match[1]) * _UNITS[match[2]] if match else -1.0
    if not 0 <= seconds <= MAX_DURATION_S:
        raise invalid(f"a duration is like 3s, 500ms or 2m, at most {MAX_DURATION_S / 60:.0f}m")
    return seconds
