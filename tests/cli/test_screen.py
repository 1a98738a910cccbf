import io

import pytest

from sinchphone.cli.terminal.output.events import events as e
from sinchphone.cli.terminal.output.events.client import ClientReady, ClientReconnecting
from sinchphone.cli.terminal.output.listings import DeviceFound
from sinchphone.cli.terminal.output.results import MessageTransport
from sinchphone.cli.terminal.screen.screen import Screen
from sinchphone.cli.terminal.screen.status_line import Status
from sinchphone.options import Place
from sinchphone.protocol.call.states import EndedBy

HOSTILE = "bob\x1b[2J\x07\r\n\x9b31m\u202egpj.exe\u2028\x00[red]"
ENDED = e.CallEnded(
    call_id="1",
    peer="bob",
    outbound=True,
    cause="hung_up",  # type: ignore[arg-type]
    ended_by=EndedBy.US,
    answered=True,
    setup_ms=300,
    establishing_ms=300,
    duration_ms=5200,
    code=None,
    reason="you hung up",
    hint=None,
)


def written(*events: e.Event, **options: bool) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    screen = Screen(out, err, **options)
    for event in events:
        screen.tell(event)
    screen.close()
    return out.getvalue(), err.getvalue()


def test_a_call_reads_like_this() -> None:
    out, err = written(
        ClientReady(user_id="ada", instance_id="1", environment=Place.LOCAL, hosted_here=True),
        e.CallOutgoing(call_id="1", peer="echo", domain="mxp", user_id="ada", environment=Place.LOCAL, hosted_here=True),  # type: ignore[arg-type]
        e.CallProgressing(call_id="1"),
        e.CallRinging(call_id="1"),
        e.CallAnswered(call_id="1", after_ms=412),
        e.CallEstablished(call_id="1", setup_ms=500, establishing_ms=500, codec="opus", pair="host"),
        ENDED,
        e.Result(ok=True, exit_code=0, calls=[], recordings=[], error=None),
    )
    assert err.splitlines() == [
        "calling echo as ada (local exchange, hosted here)",
        "ringing",
        "answered after 0.4 s",
        "connected (opus, host), 0:00",
    ]
    assert out == "ended after 0:05: you hung up\n"


def test_quiet_leaves_results_warnings_and_errors() -> None:
    out, err = written(
        e.CallRinging(call_id="1"),
        ENDED,
        e.Warned(message="no card", hint="buy one"),
        e.Result(ok=False, exit_code=9, calls=[], recordings=[], error=e.Problem(message="no net", hint="plug it in")),
        quiet=True,
    )
    assert out == "ended after 0:05: you hung up\n"
    assert err.splitlines() == ["warning: no card", "hint: buy one", "error: no net", "hint: plug it in"]


def test_verbose_says_more() -> None:
    assert (
        "registered as ada"
        in written(ClientReady(user_id="ada", instance_id="1", environment=Place.CLOUD, hosted_here=None), verbose=True)[1]
    )


def test_a_call_that_never_was_has_no_duration() -> None:
    declined = e.CallEnded(
        call_id="1",
        peer="bob",
        outbound=True,
        cause="denied",  # type: ignore[arg-type]
        ended_by=EndedBy.PEER,
        answered=False,
        setup_ms=None,
        establishing_ms=None,
        duration_ms=None,
        code=None,
        reason="bob declined",
        hint=None,
    )
    assert written(declined)[0] == "ended: bob declined\n"


def hostile_events() -> list[e.Event]:
    return [
        e.CallIncoming(call_id="1", peer=HOSTILE, domain="mxp", headers={}),  # type: ignore[arg-type]
        e.CallOutgoing(call_id="1", peer=HOSTILE, domain="mxp", user_id=HOSTILE, environment=Place.LOCAL, hosted_here=False),  # type: ignore[arg-type]
        e.CallEstablished(call_id="1", setup_ms=1, establishing_ms=1, codec=HOSTILE, pair=HOSTILE),
        e.DigitReceived(call_id="1", digit=HOSTILE, duration_ms=100),
        e.CallEnded(
            call_id="1",
            peer=HOSTILE,
            outbound=False,
            cause="failure",  # type: ignore[arg-type]
            ended_by=EndedBy.PEER,
            answered=False,
            setup_ms=None,
            establishing_ms=None,
            duration_ms=None,
            code=None,
            reason=HOSTILE,
            hint=HOSTILE,
        ),
        ClientReconnecting(reason=HOSTILE),
        e.Warned(message=HOSTILE, hint=HOSTILE),
        DeviceFound(index=0, name=HOSTILE, host=HOSTILE, inputs=1, outputs=1, default_input=False, default_output=False),
        e.Result(ok=False, exit_code=13, calls=[], recordings=[], error=e.Problem(message=HOSTILE, hint=HOSTILE)),
    ]


@pytest.mark.parametrize("event", hostile_events(), ids=lambda event: event.NAME)
@pytest.mark.parametrize("color", [False, True])
def test_attack_a_peer_cannot_move_the_cursor_or_forge_lines(event: e.Event, color: bool) -> None:
    out, err = written(event, color=color, verbose=True)
    ours = ("\x1b[33m", "\x1b[1m", "\x1b[32m", "\x1b[1;31m", "\x1b[0m") if color else ()
    text = out + err
    for sequence in ours:
        text = text.replace(sequence, "")
    assert r"\x1b[2J" in text
    assert "[red]" in text  # not taken for markup
    assert not set(text) & set("\x1b\x07\r\x9b\u202e\u2028\x00")
    assert all(line.startswith(("hint: ", "error: ", "warning: ", "call id ", "set up in ")) or "bob" in line for line in text.splitlines())


def test_the_status_line_is_drawn_on_a_terminal_and_taken_away_before_a_result() -> None:
    out, err = io.StringIO(), io.StringIO()
    screen = Screen(out, err, live=True)
    screen.draw(Status("ringing", "bob", None))
    assert "ringing bob" in err.getvalue()
    screen.tell(ENDED)
    screen.close()
    assert err.getvalue().endswith("\r\x1b[J\x1b[?25h")  # erased, and the cursor is back


def test_without_a_terminal_nothing_is_drawn() -> None:
    out, err = io.StringIO(), io.StringIO()
    Screen(out, err).draw(Status("ringing", "bob", None))
    assert (out.getvalue(), err.getvalue()) == ("", "")


def test_what_another_device_of_ours_wrote_is_shown_with_its_text() -> None:
    assert written(
        e.MessageSentTold(message_id="m", recipients=["bob", "carol"], via=MessageTransport.INSTANT, elsewhere=True, text="on my way\nsoon")
    )[0] == ("you to bob, carol, on another device: on my way\n  soon\n")


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (
            e.CheckFinished(call_id="1", echo=True, sound=True, packets_received=250, delay_ms=120, level_dbfs=-14.2),
            "heard the echo: yes, 0.12 s later, -14 dBFS",
        ),
        (
            e.CheckFinished(call_id="1", echo=False, sound=True, packets_received=250, delay_ms=None, level_dbfs=-20.0),
            "heard the echo: no, but other sound, -20 dBFS",
        ),
        (
            e.CheckFinished(call_id="1", echo=False, sound=False, packets_received=250, delay_ms=None, level_dbfs=None),
            "heard the echo: no, only silence",
        ),
        (
            e.CheckFinished(call_id="1", echo=False, sound=False, packets_received=0, delay_ms=None, level_dbfs=None),
            "heard the echo: no, no packet of sound arrived",
        ),
    ],
)
def test_the_self_check_says_what_was_heard(event: e.CheckFinished, text: str) -> None:
    assert written(event)[0] == text + "\n"
