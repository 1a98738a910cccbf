"""What a command line wants of a call from its beginning: a text that is spoken, a microphone that is off; numbers that are none."""

import asyncio
import shutil
from collections.abc import Callable
from typing import Any

import pytest

from sinchphone.errors import MediaError
from sinchphone.protocol.call.states import Cause, State

UP = (State.PROGRESSING, State.RINGING, State.ANSWERED, State.ESTABLISHED)
Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def can_speak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: f"/usr/bin/{program}")


def talks(said: object) -> Callable[[Any], Any]:
    """Established; what ``call.say`` comes to. The peer leaves later, if we don't."""

    async def script(call: Any) -> None:
        async def say(text: str) -> bool:
            call.asked.append(("say", text, call.state, call.muted))
            if isinstance(said, Exception):
                raise said
            if said is None:
                await asyncio.sleep(60)
            return bool(said)

        call.say = say
        call.enter(*UP)
        await asyncio.sleep(0.05)
        call.end(Cause.HUNG_UP, "peer")

    return script


NO_VOICE = MediaError("no voice")


@pytest.mark.parametrize(
    ("said", "outcome", "code"), [(True, "done", 0), (False, "cut_short", 12), (None, "cut_short", 12), (NO_VOICE, "failed", 12)]
)
def test_a_text_is_spoken_after_the_answer_and_its_outcome_is_told(
    platform: Any, sinchphone: Run, said: object, outcome: str, code: int
) -> None:
    platform.outgoing = talks(said)
    ran = sinchphone("call", "bob", "--say", "hello", "--json")
    assert platform.calls[0].asked == [("say", "hello", State.ESTABLISHED, False)]
    [told] = ran.events[-1]["requests"]
    assert (told["kind"], told["name"], told["outcome"], ran.code) == ("say", "hello", outcome, code)
    assert not platform.calls[0].asked_sound.microphone


def test_the_call_ends_when_the_text_was_said_where_that_is_wanted(platform: Any, sinchphone: Run) -> None:
    platform.outgoing = talks(True)
    ran = sinchphone("call", "bob", "--say", "hello", "--hangup-after-play", "--json")
    assert (ran.events[-1]["calls"][0]["reason"], ran.code) == ("everything was played", 0)


@pytest.mark.parametrize("text", ["", "  ", "x" * 5000])
def test_a_text_that_can_not_be_spoken_is_refused_before_the_call(platform: Any, sinchphone: Run, text: str) -> None:
    assert sinchphone("call", "bob", "--say", text).code in (2, 10)
    assert platform.calls == []


def test_without_a_voice_nobody_is_called(platform: Any, sinchphone: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    ran = sinchphone("call", "bob", "--say", "hello")
    assert (ran.code, platform.calls) == (10, [])
    assert "espeak-ng is not installed" in ran.err


def test_a_call_begins_muted_where_that_is_wanted(platform: Any, sinchphone: Run) -> None:
    platform.outgoing = talks(True)
    ran = sinchphone("call", "bob", "--mute", "--json")
    told = [one["event"] for one in ran.events]
    assert platform.calls[0].muted
    assert told.index("call.muted") < told.index("call.established")


def test_setting_up_is_the_start_to_progressing_and_establishing_the_start_to_sound(platform: Any, sinchphone: Run) -> None:
    async def slowly(call: Any) -> None:
        call.enter(State.PROGRESSING)
        await asyncio.sleep(0.1)
        call.enter(*UP[1:])
        call.end(Cause.HUNG_UP, "peer")

    platform.outgoing = slowly
    ran = sinchphone("call", "bob", "--json")
    for told in (one for one in ran.events if one["event"] in ("call.established", "call.ended")):
        assert told["establishing_ms"] - told["setup_ms"] >= 90
        assert told["setup_ms"] == platform.calls[0].details.setup_ms


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (("call", "bob", "--tone", "x"), '"x" is no number from 20 to 20000'),
        (("call", "bob", "--tone", "nan"), '"nan" is no number from 20 to 20000'),
        (("call", "bob", "--tone", "19.9"), '"19.9" is no number from 20 to 20000'),
        (("listen", "--count", "many"), '"many" is no whole number from 1 on'),
        (("listen", "--count", "0"), '"0" is no whole number from 1 on'),
        (("history", "--limit", "1.5"), '"1.5" is no whole number from 1 to 100000'),
        (("exchange", "dial", "+46700000001", "--from", "private", "--tone", "inf"), '"inf" is no number from 1 to 23999'),
    ],
)
def test_a_number_that_is_none_is_said_in_a_clear_sentence(platform: Any, sinchphone: Run, line: tuple[str, ...], said: str) -> None:
    ran = sinchphone(*line)
    assert (ran.code, platform.calls) == (2, [])
    assert said in " ".join(ran.err.split())
