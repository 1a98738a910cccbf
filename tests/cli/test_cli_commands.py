import asyncio
import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sinchphone.cli.commands.listen import sounds_of_calls
from sinchphone.cli.terminal import run as cli_run
from sinchphone.cli.terminal import session as cli_session
from sinchphone.engine.calls.call import DigitHeard
from sinchphone.errors import AudioFileError, AuthenticationError, DeviceError, ForbiddenError, MediaError, NetworkError
from sinchphone.media.local_audio.devices import sound_cards as devices
from sinchphone.media.port import PortStats
from sinchphone.media.sound import (
    Descriptor,
    PlayFinished,
    PlayStarted,
    RecordFinished,
    RecordStarted,
    SoundOptions,
    SoundWarning,
)
from sinchphone.protocol.call.states import Cause, State
from sinchphone.protocol.mxp.message import CallFailure

Run = Callable[..., Any]
UP = (State.PROGRESSING, State.RINGING, State.ANSWERED, State.ESTABLISHED)


async def talk_and_hang_up(call: Any) -> None:
    call.enter(*UP)
    call.end(Cause.HUNG_UP, "peer")


async def talk(call: Any) -> None:
    call.enter(*UP)


async def ring(call: Any) -> None:
    call.enter(State.PROGRESSING, State.RINGING)


def ends_with(cause: Cause, by: str = "peer", failure: CallFailure | None = None, **more: Any) -> Callable[[Any], Any]:
    async def script(call: Any) -> None:
        call.enter(State.PROGRESSING, State.RINGING)
        call.end(cause, by, failure, **more)

    return script


# call


def test_a_call_tells_its_story_and_ends_with_zero(platform: Any, sinchphone: Run) -> None:
    platform.outgoing = talk_and_hang_up
    ran = sinchphone("call", "bob", "--user", "ada")
    assert ran.code == 0
    assert ran.out == "ended after 0:00: bob hung up\n"
    lines = ran.err.splitlines()
    assert lines[:2] == ["calling bob as ada (local exchange, hosted here)", "ringing"]
    assert lines[-1] == "connected (opus, host), 0:00"
    assert platform.closed == 1


def test_json_carries_the_same_facts_and_nothing_else(platform: Any, sinchphone: Run) -> None:
    platform.outgoing = talk_and_hang_up
    ran = sinchphone("call", "bob", "--json", "--user", "ada")
    names = [event["event"] for event in ran.events]
    calls = [name for name in names if name.startswith("call.")]
    assert calls == [f"call.{name}" for name in ("outgoing", "progressing", "ringing", "answered", "established", "ended")]
    assert names[-1] == "result"
    assert [event["seq"] for event in ran.events] == list(range(len(names)))
    result = ran.events[-1]
    assert (result["ok"], result["exit_code"], result["error"]) == (True, 0, None)
    assert [call["call_id"] for call in result["calls"]] == ["call-bob"]
    assert ran.err == ""


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        (ends_with(Cause.DENIED), 3, "bob declined"),
        (ends_with(Cause.NO_ANSWER, "time"), 5, "bob did not answer"),
        (ends_with(Cause.TIMEOUT, "time"), 5, "no device of bob took notice"),
        (ends_with(Cause.DENIED, failure=CallFailure(486, "Busy here")), 6, "bob is busy"),
        (ends_with(Cause.FAILURE, "platform", CallFailure(404, "no such user")), 7, "no such user"),
        (ends_with(Cause.FAILURE, "platform", error=ForbiddenError("no credit")), 8, "no credit"),
        (ends_with(Cause.FAILURE, "platform", error=NetworkError("gone")), 9, "gone"),
        (ends_with(Cause.FAILURE, "media", CallFailure(3002, "ICE failed to connect")), 10, "ICE failed"),
        (ends_with(Cause.FAILURE, "platform", CallFailure(500, "callback")), 13, "callback"),
    ],
)
def test_each_end_of_a_call_has_its_exit_code_and_sentence(platform: Any, sinchphone: Run, script: Any, code: int, said: str) -> None:
    platform.outgoing = script
    ran = sinchphone("call", "bob", "--json")
    assert ran.code == code
    assert said in ran.events[-1]["error"]["message"]
    ran = sinchphone("call", "bob")
    assert ran.code == code
    assert said in ran.out + ran.err
    assert ("error: " in ran.err) == (code in (7, 8, 9, 10, 13))


@pytest.mark.parametrize(
    ("error", "code"),
    [(AuthenticationError("bad token", hint="check it"), 4), (NetworkError("no net"), 9), (DeviceError("no such card"), 11)],
)
def test_an_error_before_the_call_is_a_sentence_a_hint_and_an_exit_code(
    platform: Any, sinchphone: Run, error: Exception, code: int
) -> None:
    platform.refuses = error
    ran = sinchphone("call", "bob")
    assert (ran.code, ran.out) == (code, "")
    assert f"error: {error}" in ran.err.splitlines()
    assert "Traceback" not in ran.err


def test_a_bug_is_called_a_bug_and_shows_its_traceback_with_debug_only(platform: Any, sinchphone: Run) -> None:
    platform.refuses = RuntimeError("oops")
    ran = sinchphone("call", "bob")
    assert ran.code == 1
    assert "error: a bug in sinchphone: RuntimeError: oops" in ran.err
    assert "Traceback" not in ran.err
    assert "Traceback" in sinchphone("call", "bob", "--debug").err


def test_a_file_that_cannot_be_played_is_a_matter_of_usage(platform: Any, sinchphone: Run) -> None:
    platform.refuses = AudioFileError("no.wav can't be opened")
    assert sinchphone("call", "bob", "--play", "no.wav").code == 2


def test_the_sound_is_made_as_asked(platform: Any, sinchphone: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinchphone.cli.calling.outgoing.check_files", lambda _: None)
    platform.outgoing = talk_and_hang_up
    sinchphone(
        "call", "bob", "--play", "a.wav", "--play", "b.wav", "--record", "r.wav", "--force", "--no-mic", "--input", "3", "--ring", "hp"
    )
    expected = SoundOptions(play=("a.wav", "b.wav"), record="r.wav", force=True, microphone=False, input=3, ring="hp")
    assert platform.calls[0].asked_sound == expected
    sinchphone("call", "bob", "--no-audio", "--tone", "440")
    assert platform.calls[1].asked_sound == SoundOptions(tone_hz=440, devices=False)
    sinchphone(
        *("call", "bob", "--pipe-in", "said.raw", "--pipe-out", "heard.raw"),
        *("--echo-cancel", "on", "--noise-suppression", "off", "--gain-control", "--max-kbps", "64"),
    )
    asked = SoundOptions(pipe_in="said.raw", pipe_out="heard.raw", echo_cancel="on", gain_control=True, max_kbps=64)
    assert platform.calls[2].asked_sound == asked


def test_a_descriptor_that_was_given_is_duplicated_before_the_call(platform: Any, sinchphone: Run) -> None:
    platform.outgoing = talk_and_hang_up
    reader, writer = os.pipe()
    os.set_inheritable(reader, True)  # as one that a shell has opened
    sinchphone("call", "bob", "--pipe-in", f"fd:{reader}")
    given = platform.calls[0].asked_sound.pipe_in
    assert isinstance(given, Descriptor) and given.name == f"fd:{reader}" and given.number != reader
    assert os.path.sameopenfile(reader, given.number)
    for number in (reader, writer, given.number):
        os.close(number)


def test_one_thing_is_said_at_a_time(platform: Any, sinchphone: Run) -> None:
    ran = sinchphone("call", "bob", "--pipe-in", "said.raw", "--play", "a.wav")
    assert (ran.code, platform.calls) == (2, [])
    assert "exclude each other" in ran.err


@pytest.mark.parametrize("named", ["--store", "SINCHPHONE_EXCHANGE_STORE"])
def test_an_exchange_keeps_what_it_knows_in_one_place(sinchphone: Run, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    address = "redis://127.0.0.1:1/0"
    if named != "--store":
        monkeypatch.setenv(named, address)
    ran = sinchphone("exchange", "--port", "0", "--memory", *([named, address] if named == "--store" else []))
    assert ran.code == 2
    assert "--memory and a store that several share (exchange.store, --store) exclude each other" in " ".join(ran.err.split())


def test_headers_go_with_the_call(platform: Any, sinchphone: Run) -> None:
    platform.outgoing = talk_and_hang_up
    sinchphone("call", "bob", "--header", "topic=tea=green", "--header", "n=1")
    assert platform.calls[0].headers == {"topic": "tea=green", "n": "1"}
    assert sinchphone("call", "bob", "--header", "topic").code == 2


def test_a_number_is_called_with_the_caller_id(platform: Any, sinchphone: Run) -> None:
    platform.outgoing = talk_and_hang_up
    for command in ("call", "call-phone"):
        assert sinchphone(command, "+46 00 000 00 00", "--caller-id", "+14155550123").code == 0
    assert platform.numbers == [("+46000000000", "+14155550123")] * 2


def test_call_user_takes_digits_for_a_user(platform: Any, sinchphone: Run) -> None:
    platform.outgoing = talk_and_hang_up
    assert sinchphone("call-user", "123").code == 0
    assert sinchphone("call", "hangup-after:3s").code == 0
    assert [call.peer for call in platform.calls] == ["123", "hangup-after:3s"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("call", "123"),
        ("call", "112"),
        ("call",),
        ("call", "bob", "--no-such-option"),
        ("call", "bob", "--hangup-after-play"),
        ("call", "bob", "--ring-timeout", "soon"),
        ("call", "bob", "--color", "blue"),
        ("call", "bob@"),
        ("call", "sip:bob"),
        ("call", "conf:two words"),
        ("call-sip", "http:bob@example.org"),
        ("call-sip", "bob@example.org", "--header", "subject=tea"),
        ("conference", "x" * 65),
        ("call", "bob", "--dtmf", "12x"),
        ("call", "bob", "--dtmf", ""),
        ("call-phone", "12345"),
        ("no-such-command",),
        ("+14155550123",),
        ("listen", "--once", "--count", "2"),
        ("listen", "--count", "0"),
        ("exchange", "--port", "70000"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_is_a_usage_error_with_a_hint(platform: Any, sinchphone: Run, arguments: tuple[str, ...]) -> None:
    ran = sinchphone(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: ")
    assert "hint: " in ran.err
    assert platform.calls == []


def test_a_number_in_place_of_a_command_is_answered_with_the_right_command(sinchphone: Run) -> None:
    assert "sinchphone call +14155550123" in sinchphone("+14155550123").err
    assert "sinchphone call-sip bob@example.org" in sinchphone("bob@example.org").err
    assert "sinchphone call echo" in sinchphone("echo").err


@pytest.mark.parametrize(
    ("arguments", "peer", "domain"),
    [
        (("call-sip", "sip:bob@example.org"), "bob@example.org", "sip"),
        (("call-sip", "+46700000000@10.0.0.1:5080"), "+46700000000@10.0.0.1:5080", "sip"),
        (("call", "sips:bob@example.org"), "sips:bob@example.org", "sip"),
        (("conference", "standup"), "standup", "conference"),
        (("call", "conf:standup"), "standup", "conference"),
    ],
)
def test_sip_addresses_and_rooms_are_called(platform: Any, sinchphone: Run, arguments: tuple[str, ...], peer: str, domain: str) -> None:
    platform.outgoing = talk_and_hang_up
    ran = sinchphone(*arguments, "--json")
    assert ran.code == 0
    [outgoing] = [event for event in ran.events if event["event"] == "call.outgoing"]
    assert (outgoing["peer"], outgoing["domain"]) == (peer, domain)
    assert [(call.peer, call.domain.value) for call in platform.calls] == [(peer, domain)]


def test_a_conference_says_which_room(platform: Any, sinchphone: Run) -> None:
    platform.outgoing = talk_and_hang_up
    ran = sinchphone("conference", "standup", "--user", "ada")
    assert ran.err.splitlines()[0] == "joining standup as ada (local exchange, hosted here)"


def test_headers_of_a_sip_call_reach_it(platform: Any, sinchphone: Run) -> None:
    platform.outgoing = talk_and_hang_up
    assert sinchphone("call-sip", "bob@example.org", "--header", "x-order=42", "--header", "X-Tea=green, please").code == 0
    assert platform.calls[0].headers == {"x-order": "42", "X-Tea": "green, please"}


@pytest.mark.parametrize(
    ("status", "reason", "code", "words"),
    [
        (486, "Busy Here", 6, "busy here (SIP 486)"),
        (600, "Busy Everywhere", 6, "busy everywhere (SIP 600)"),
        (404, "Not Found", 7, "not found (SIP 404)"),
        (604, "Does Not Exist Anywhere", 7, "does not exist anywhere (SIP 604)"),
        (410, "Gone", 7, "gone (SIP 410)"),
        (480, "Temporarily Unavailable", 5, "temporarily unavailable (SIP 480)"),
        (408, "Request Timeout", 5, "request timeout (SIP 408)"),
        (487, "Request Terminated", 5, "request terminated (SIP 487)"),
        (401, "Unauthorized", 4, "unauthorized (SIP 401)"),
        (407, "Proxy Authentication Required", 4, "proxy authentication required (SIP 407)"),
        (403, "Not from PSTN, sorry", 8, "Not from PSTN, sorry (SIP 403)"),
        (603, "Decline", 3, "decline (SIP 603)"),
        (488, "Not Acceptable Here", 10, "not acceptable here (SIP 488)"),
        (415, "Unsupported Media Type", 10, "unsupported media type (SIP 415)"),
        (503, "Service Unavailable", 13, "service unavailable (SIP 503)"),
        (500, "", 13, "refused (SIP 500)"),
        (420, "Bad Extension", 13, "bad extension (SIP 420)"),
    ],
)
@pytest.mark.parametrize("cause", [Cause.DENIED, Cause.FAILURE])
def test_a_sip_failure_is_told_with_code_and_reason(
    platform: Any, sinchphone: Run, cause: Cause, status: int, reason: str, code: int, words: str
) -> None:
    platform.outgoing = ends_with(cause, failure=CallFailure(status, reason, "sip"))
    ran = sinchphone("call-sip", "bob@example.org", "--json")
    assert ran.code == code
    [ended] = [event for event in ran.events if event["event"] == "call.ended"]
    assert (ended["sip"], ended["code"], ended["reason"]) == ({"code": status, "reason": reason}, status, words)
    shown = sinchphone("call-sip", "bob@example.org")
    assert (f"ended: {words}" if cause is Cause.DENIED else f"error: {words}") in shown.out + shown.err


def test_other_failures_have_nothing_of_sip(platform: Any, sinchphone: Run) -> None:
    platform.outgoing = ends_with(Cause.DENIED, failure=CallFailure(486, "Busy here", "session"))
    [ended] = [event for event in sinchphone("call", "bob", "--json").events if event["event"] == "call.ended"]
    assert (ended["sip"], ended["reason"]) == (None, "bob is busy")


def test_digits_are_dialled_after_the_answer(platform: Any, sinchphone: Run) -> None:
    async def script(call: Any) -> None:
        call.enter(State.PROGRESSING, State.RINGING)
        await asyncio.sleep(0.05)
        assert call.dialled == []
        call.enter(State.ANSWERED, State.ESTABLISHED)
        while not call.dialled:
            await asyncio.sleep(0.01)
        call.told.put(DigitHeard(digit="7", duration_ms=120))
        await asyncio.sleep(0.05)
        call.end(Cause.HUNG_UP, "peer")

    platform.outgoing = script
    ran = sinchphone("call", "bob", "--dtmf", "1w2#", "--json")
    assert ran.code == 0
    told = [event for event in ran.events if event["event"].startswith("dtmf")]
    assert [(event["event"], event.get("digits"), event.get("digit"), event.get("duration_ms")) for event in told] == [
        ("dtmf.sent", "1w2#", None, None),
        ("dtmf.received", None, "7", 120),
    ]
    shown = sinchphone("call", "bob", "--dtmf", "1w2#").err.splitlines()
    assert "dialled 1w2#" in shown
    assert "the other side dialled 7" in shown


def test_digits_that_cannot_be_sent_are_a_warning_and_the_call_goes_on(platform: Any, sinchphone: Run) -> None:
    async def script(call: Any) -> None:
        call.refuses_digits = MediaError("the peer takes no digits")
        call.enter(*UP)
        await asyncio.sleep(0.1)
        call.end(Cause.HUNG_UP, "peer")

    platform.outgoing = script
    ran = sinchphone("call", "bob", "--dtmf", "5")
    assert ran.code == 12
    assert "warning: 5 was not dialled: the peer takes no digits" in ran.err


def test_a_usage_error_is_a_result_too_when_json_was_asked_for(sinchphone: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    [event] = sinchphone("call", "123", "--json").events
    assert (event["event"], event["exit_code"], event["ok"], event["seq"]) == ("result", 2, False, 0)
    monkeypatch.setenv("SINCHPHONE_JSON", "1")
    assert len(sinchphone("call", "--nonsense").events) == 1


def test_root_options_count_unless_the_command_says_otherwise(platform: Any, sinchphone: Run) -> None:
    assert sinchphone("--profile", "nowhere", "call", "bob").code == 14
    platform.outgoing = talk_and_hang_up
    assert sinchphone("--profile", "nowhere", "call", "bob", "--profile", "local").code == 0


def test_a_broken_configuration_is_exit_code_14(sinchphone: Run) -> None:
    Path("sinchphone.toml").write_text('usr = "ada"')
    ran = sinchphone("call", "bob")
    assert ran.code == 14
    assert 'the nearest known key is "user"' in ran.err


# Deadlines, files, signals


def test_nobody_who_answers_within_the_ring_timeout_is_no_answer(platform: Any, sinchphone: Run) -> None:
    platform.outgoing = ring
    ran = sinchphone("call", "bob", "--ring-timeout", "50ms")
    assert (ran.code, ran.out) == (5, "ended: nobody answered in time\n")
    assert ran.err.endswith("hint: --ring-timeout 60s rings as long as anything may; sinchphone call --again calls once more\n")


def test_the_ring_timeout_does_not_end_a_call_that_talks(platform: Any, sinchphone: Run) -> None:
    platform.outgoing = talk
    ran = sinchphone("call", "bob", "--ring-timeout", "20ms", "--max-duration", "200ms")
    assert (ran.code, ran.out) == (0, "ended after 0:00: the time is up\n")


def test_hang_up_after_play_waits_for_the_last_file(platform: Any, sinchphone: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinchphone.cli.calling.outgoing.check_files", lambda _: None)

    async def play(call: Any) -> None:
        call.enter(*UP)
        for event in (
            PlayStarted(path="a.wav"),
            PlayFinished(path="a.wav", last=False),
            PlayStarted(path="b.wav"),
            PlayFinished(path="b.wav", last=True),
        ):
            call.sound.outbox.put(event)

    platform.outgoing = play
    ran = sinchphone("call", "bob", "--play", "a.wav", "--play", "b.wav", "--hangup-after-play", "--json")
    assert ran.code == 0
    assert [event["path"] for event in ran.events if event["event"] == "play.finished"] == ["a.wav", "b.wav"]
    assert ran.events[-1]["calls"][0]["reason"] == "everything was played"


def test_a_recording_that_is_finished_after_the_end_is_in_the_result(platform: Any, sinchphone: Run) -> None:
    async def record(call: Any) -> None:
        call.enter(*UP)
        call.sound.outbox.put(RecordStarted(path="r.wav"))
        call.sound.outbox.put(SoundWarning(message="no card", hint="buy one"))
        call.writes_files = True
        call.end(Cause.HUNG_UP, "peer")
        await asyncio.sleep(0.05)
        call.sound.outbox.put(RecordFinished(path="r.wav", seconds=1.5))
        call.close()

    platform.outgoing = record
    ran = sinchphone("call", "bob", "--record", "r.wav", "--json")
    assert ran.events[-1]["recordings"] == ["r.wav"]
    assert "warning: no card" in ran.err


def signals(*numbers: int, talking: bool) -> Callable[[Any], Any]:
    async def script(call: Any) -> None:
        call.enter(*(UP if talking else UP[:2]))
        await asyncio.sleep(0.05)
        for number in numbers:
            os.kill(os.getpid(), number)

    return script


@pytest.mark.parametrize(
    ("number", "talking", "interactive", "code"),
    [
        (signal.SIGINT, True, True, 0),
        (signal.SIGINT, True, False, 130),
        (signal.SIGINT, False, True, 130),
        (signal.SIGTERM, True, True, 143),
        (signal.SIGTERM, False, False, 143),
    ],
)
def test_a_signal_hangs_up_and_says_so(
    platform: Any, sinchphone: Run, monkeypatch: pytest.MonkeyPatch, number: int, talking: bool, interactive: bool, code: int
) -> None:
    open_session = cli_session.open_session

    def at_a_terminal(*arguments: Any, **options: Any) -> Any:
        session = open_session(*arguments, **options)
        session.interactive = interactive
        return session

    monkeypatch.setattr("sinchphone.cli.calling.outgoing.open_session", at_a_terminal)
    platform.outgoing = signals(number, talking=talking)
    ran = sinchphone("call", "bob")
    assert ran.code == code
    assert "hanging up" in ran.err
    assert platform.calls[0].details.cause in (Cause.HUNG_UP, Cause.CANCELED)


def test_ctrl_c_while_registering_ends_with_130(platform: Any, sinchphone: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def register(self: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(30)

    monkeypatch.setattr("sinchphone.engine.client.SinchClient.__aenter__", register)
    ran = sinchphone("call", "bob", "--json")
    assert ran.code == 130
    assert ran.events[-1]["exit_code"] == 130


def test_ctrl_c_twice_leaves_at_once_with_a_result(platform: Any, sinchphone: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []

    def leave(code: int) -> None:
        left.append(code)
        raise SystemExit

    monkeypatch.setattr(cli_run, "flush_and_leave", leave)
    platform.outgoing = stubborn
    sinchphone("call", "bob", "--json")
    assert left == [130]


async def stubborn(call: Any) -> None:
    """A call that does not end when it's hung up, and a person who knows no patience."""
    call.enter(*UP)

    async def refuse() -> None:
        return

    call.hang_up = refuse
    await asyncio.sleep(0.05)
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.sleep(0.05)
    os.kill(os.getpid(), signal.SIGINT)


# Without a sound device


@pytest.fixture
def no_card(platform: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise DeviceError("there is no PortAudio library", hint="apt-get install libportaudio2")

    monkeypatch.setattr(devices, "list_devices", refuse)
    monkeypatch.setattr("sinchphone.cli.calling.media.selfcheck.CHECK_SECONDS", 0.2)


@pytest.mark.usefixtures("no_card")
def test_without_a_card_a_call_to_the_exchange_checks_the_line_and_ends_by_itself(platform: Any, sinchphone: Run) -> None:
    platform.outgoing = talk
    ran = sinchphone("call", "echo")
    assert ran.code == 0
    assert ran.out.splitlines() == ["heard the echo: no, only silence", "ended after 0:00: the check is done"]
    assert ran.err.splitlines()[:2] == [
        "warning: there is no PortAudio library: checking the line with tones instead, for some seconds",
        "hint: apt-get install libportaudio2",
    ]


@pytest.mark.usefixtures("no_card")
def test_a_check_to_which_no_packet_came_is_exit_code_10(platform: Any, sinchphone: Run) -> None:
    async def deaf(call: Any) -> None:
        call.packets = PortStats(codec="opus", packets_sent=50)
        call.enter(*UP)

    platform.outgoing = deaf
    ran = sinchphone("call", "echo", "--json")
    assert ran.code == 10
    [check] = [event for event in ran.events if event["event"] == "check.finished"]
    assert (check["echo"], check["sound"], check["packets_received"]) == (False, False, 0)


@pytest.mark.usefixtures("no_card")
@pytest.mark.parametrize("arguments", [("bob",), ("echo", "--no-audio"), ("echo", "--tone", "440"), ("echo", "--max-duration", "1s")])
def test_whoever_says_something_about_sound_or_calls_a_person_gets_a_call(
    platform: Any, sinchphone: Run, arguments: tuple[str, ...]
) -> None:
    platform.outgoing = talk_and_hang_up
    ran = sinchphone("call", *arguments)
    assert ran.code == 0
    assert isinstance(platform.calls[0].asked_sound, SoundOptions)
    assert "checking" not in ran.err


# listen


async def ring_for_long(call: Any) -> None:
    await call.answers.wait()
    await asyncio.sleep(0.02)
    call.end(Cause.HUNG_UP, "peer")


async def give_up(call: Any) -> None:
    await asyncio.sleep(0.05)
    call.end(Cause.CANCELED, "peer")


def test_listen_answers_by_itself_and_ends_after_one_call(platform: Any, sinchphone: Run) -> None:
    platform.incoming = [("carol", ring_for_long)]
    ran = sinchphone("listen", "--auto-answer", "--once", "--user", "ada")
    assert (ran.code, ran.out) == (0, "ended after 0:00: carol hung up\n")
    assert "ada is waiting for calls and messages (local exchange, hosted here); Ctrl-C ends" in ran.err
    assert "carol calls" in ran.err


def test_auto_answer_takes_a_delay_or_none(platform: Any, sinchphone: Run) -> None:
    for arguments in (
        ["--auto-answer", "--once"],
        ["--auto-answer", "50ms", "--once"],
        ["--once", "--auto-answer"],
        ["--auto-answer=0s", "--once"],
    ):
        platform.incoming = [("carol", ring_for_long)]
        assert sinchphone("listen", *arguments).code == 0
    assert sinchphone("listen", "--auto-answer", "soon").code == 2


def test_a_call_that_nobody_took_does_not_count(platform: Any, sinchphone: Run) -> None:
    platform.incoming = [("carol", give_up)]
    ran = sinchphone("listen", "--auto-answer", "30s", "--once", "--for", "300ms")
    assert ran.code == 124
    assert "carol gave up" in ran.out


def test_when_the_time_is_up_listen_ends_well_unless_calls_are_missing(platform: Any, sinchphone: Run) -> None:
    assert sinchphone("listen", "--for", "50ms").code == 0
    ran = sinchphone("listen", "--for", "50ms", "--once")
    assert (ran.code, "error: the time was up before a call was taken" in ran.err) == (124, True)
    assert sinchphone("listen", "--for", "50ms", "--count", "2").code == 124


def test_a_call_that_talks_when_the_time_is_up_is_hung_up(platform: Any, sinchphone: Run) -> None:
    async def talk_on(call: Any) -> None:
        await asyncio.sleep(10)

    platform.incoming = [("carol", talk_on)]
    ran = sinchphone("listen", "--auto-answer", "--for", "300ms")
    assert (ran.code, ran.out) == (0, "ended after 0:00: the time is up\n")


def test_only_allowed_callers_ring_and_denied_ones_are_declined(platform: Any, sinchphone: Run) -> None:
    platform.incoming = [("mallory", give_up), ("bob-evil", give_up), ("bob", ring_for_long)]
    ran = sinchphone("listen", "--auto-answer", "--once", "--allow", "bob*", "--deny", "*evil", "--json")
    assert ran.code == 0
    assert [call.declined for call in platform.calls] == [[False], [False], []]
    assert [call["answered"] for call in ran.events[-1]["calls"]] == [False, False, True]


def test_a_second_call_is_told_that_we_are_busy(platform: Any, sinchphone: Run) -> None:
    platform.incoming = [("bob", ring_for_long), ("carol", give_up)]
    assert sinchphone("listen", "--auto-answer", "50ms", "--once").code == 0
    assert [call.declined for call in platform.calls] == [[], [True]]


def test_where_nobody_can_answer_listen_says_so(platform: Any, sinchphone: Run) -> None:
    nobody = sinchphone("listen", "--for", "20ms").err
    assert "--auto-answer" in nobody
    assert "is waiting for messages (" in nobody
    answered = sinchphone("listen", "--for", "20ms", "--auto-answer").err
    assert "nobody can answer" not in answered
    assert "is waiting for calls and messages (" in answered


def test_a_listener_that_nobody_can_answer_at_does_not_count_as_reachable(platform: Any, sinchphone: Run) -> None:
    for more in ((), ("--auto-answer",), ("--auto-answer", "5s"), ("--once",), ("--deny", "bob")):
        sinchphone("listen", "--for", "20ms", *more)
    assert platform.takes_calls == [False, True, True, False, False]


def test_each_call_that_is_recorded_has_a_file_of_its_own() -> None:
    recorded: list[str] = []
    sound = sounds_of_calls(SoundOptions(record="calls/r.wav"), recorded)
    assert sound().record == "calls/r.wav"
    assert sound().record == "calls/r.wav", "a call that was refused uses no name up"
    recorded.append("calls/r.wav")
    assert sound().record == "calls/r-2.wav"
    recorded.append("calls/r-2.wav")
    assert sound().record == "calls/r-3.wav"


def test_the_recording_of_a_later_call_takes_a_name_that_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("r-2.wav").write_bytes(b"precious")
    assert sounds_of_calls(SoundOptions(record="r.wav"), ["r.wav"])().record == "r-3.wav"
    assert sounds_of_calls(SoundOptions(record="r.wav", force=True), ["r.wav"])().record == "r-2.wav"


def test_a_recording_that_exists_is_refused_before_anybody_calls(platform: Any, sinchphone: Run) -> None:
    Path("r.wav").write_bytes(b"")
    assert sinchphone("listen", "--record", "r.wav").code == 2
    assert sinchphone("listen", "--record", "r.wav", "--force", "--for", "20ms", "--auto-answer").code == 0


def test_ctrl_c_ends_waiting_with_130(platform: Any, sinchphone: Run) -> None:
    async def interrupt(call: Any) -> None:
        call.end(Cause.CANCELED, "peer")
        await asyncio.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    platform.incoming = [("carol", interrupt)]
    assert sinchphone("listen", "--auto-answer", "10s").code == 130


# The small commands


def test_token_prints_the_token_and_nothing_else(platform: Any, sinchphone: Run) -> None:
    ran = sinchphone("token", "--user", "ada")
    assert (ran.code, ran.out, ran.err) == (0, "header.ada.signature\n", "")


def test_the_cloud_asks_for_a_user(platform: Any, sinchphone: Run) -> None:
    ran = sinchphone("token", "--profile", "cloud")
    assert ran.code == 14
    assert "SINCH_USER_ID" in ran.err


def test_devices_lists_the_devices(platform: Any, sinchphone: Run) -> None:
    ran = sinchphone("devices")
    assert (ran.code, ran.out) == (0, "  0  card, ALSA (input and output, default input and output)\n")
    assert [event["event"] for event in sinchphone("devices", "--json").events] == ["device", "result"]


@pytest.mark.parametrize("flag", ["-q", "--json"])
def test_a_remark_about_cameras_is_left_out_with_its_hint(
    platform: Any, sinchphone: Run, monkeypatch: pytest.MonkeyPatch, flag: str
) -> None:
    def cameras() -> list[Any]:
        raise DeviceError("cameras can't be read", hint="install what reads them")

    monkeypatch.setattr("sinchphone.media.local_video.cameras.list_cameras", cameras)
    assert "install what reads them" in sinchphone("devices").err
    assert sinchphone("devices", flag).err == ""


@pytest.mark.usefixtures("no_card")
def test_no_device_is_exit_code_11_with_what_to_install(platform: Any, sinchphone: Run) -> None:
    ran = sinchphone("devices")
    assert ran.code == 11
    assert "hint: apt-get install libportaudio2" in ran.err


def test_config_show_prints_values_sources_and_no_secret(sinchphone: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SINCH_USER_ID", "ada")
    monkeypatch.setenv("SINCHPHONE_TOKEN", "top.secret.token")
    monkeypatch.setenv("SINCH_APPLICATION_SECRET", "c2VjcmV0")
    ran = sinchphone("config", "show")
    assert "user = ada  (SINCH_USER_ID)" in ran.out
    assert "token = ***  (SINCHPHONE_TOKEN)" in ran.out
    assert "application_secret = ***  (SINCH_APPLICATION_SECRET)" in ran.out
    assert "top.secret" not in ran.out + ran.err
    assert "c2VjcmV0" not in ran.out + ran.err


def test_config_show_spells_values_as_a_configuration_file_does(sinchphone: Run) -> None:
    shown = sinchphone("config", "show").out.splitlines()
    for line in ("plain = false", "exchange.keep = true", "ring_timeout = 60s", "hooks.time_limit = 5s", "trunk.host = -"):
        assert f"{line}  (default)" in shown


def test_config_init_writes_a_file_that_counts_and_never_overwrites(sinchphone: Run) -> None:
    ran = sinchphone("config", "init")
    file = Path(ran.out.strip())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sinchphone("config", "show").code == 0
    assert str(file) in sinchphone("config", "path").out.splitlines()
    file.write_text('user = "ada"\n')
    assert sinchphone("config", "init").code == 14
    assert file.read_text() == 'user = "ada"\n'
    assert sinchphone("config", "init", "--force").code == 0


def test_config_schema_prints_the_schema(sinchphone: Run) -> None:
    assert '"$id": "sinchphone.v1"' in sinchphone("config", "schema").out


def test_help_and_version(sinchphone: Run) -> None:
    for arguments in (["--help"], [], ["call", "--help"], ["config", "--help"], ["--version"]):
        ran = sinchphone(*arguments)
        assert (ran.code, ran.err) == (0, ""), arguments
        assert ran.out
    assert "130  interrupted" in sinchphone("--help").out
