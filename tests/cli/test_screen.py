import io

import pytest

from sinchphone.cli.terminal import events as e
from sinchphone.cli.terminal.screen import Screen
from sinchphone.cli.terminal.status_line import Status

HOSTILE = "bob\x1b[2J\x07\r\n\x9b31m\u202egpj.exe\u2028\x00[red]"
ENDED = e.CallEnded("1", "bob", True, "hung_up", "us", True, 300, 5200, None, "you hung up", None)


def written(*events: e.Event, **options: bool) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    screen = Screen(out, err, **options)
    for event in events:
        screen.tell(event)
    screen.close()
    return out.getvalue(), err.getvalue()


def test_a_call_reads_like_this() -> None:
    out, err = written(
        e.ClientReady("ada", "1", "local", True),
        e.CallOutgoing("1", "echo", "mxp", "ada", "local", True),
        e.CallProgressing("1"),
        e.CallRinging("1"),
        e.CallAnswered("1", 412),
        e.CallEstablished("1", 500, "opus", "host"),
        ENDED,
        e.Result(True, 0, [], [], None),
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
        e.CallRinging("1"), ENDED, e.Warned("no card", "buy one"), e.Result(False, 9, [], [], e.Problem("no net", "plug it in")), quiet=True
    )
    assert out == "ended after 0:05: you hung up\n"
    assert err.splitlines() == ["warning: no card", "hint: buy one", "error: no net", "hint: plug it in"]


def test_verbose_says_more() -> None:
    assert "registered as ada" in written(e.ClientReady("ada", "1", "cloud", None), verbose=True)[1]


def test_a_call_that_never_was_has_no_duration() -> None:
    declined = e.CallEnded("1", "bob", True, "denied", "peer", False, None, None, None, "bob declined", None)
    assert written(declined)[0] == "ended: bob declined\n"


def hostile_events() -> list[e.Event]:
    return [
        e.CallIncoming("1", HOSTILE, "mxp", {}),
        e.CallOutgoing("1", HOSTILE, "mxp", HOSTILE, "local", False),
        e.CallEstablished("1", 1, HOSTILE, HOSTILE),
        e.DigitReceived("1", HOSTILE, 100),
        e.CallEnded("1", HOSTILE, False, "failure", "peer", False, None, None, None, HOSTILE, HOSTILE),
        e.ClientReconnecting(HOSTILE),
        e.Warned(HOSTILE, HOSTILE),
        e.DeviceFound(0, HOSTILE, HOSTILE, 1, 1, False, False),
        e.Result(False, 13, [], [], e.Problem(HOSTILE, HOSTILE)),
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
    assert all(line.startswith(("hint: ", "error: ", "warning: ")) or "bob" in line for line in text.splitlines())


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


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (e.CheckFinished("1", True, True, 250, 120, -14.2), "heard the echo: yes, 0.12 s later, -14 dBFS"),
        (e.CheckFinished("1", False, True, 250, None, -20.0), "heard the echo: no, but other sound, -20 dBFS"),
        (e.CheckFinished("1", False, False, 250, None, None), "heard the echo: no, only silence"),
        (e.CheckFinished("1", False, False, 0, None, None), "heard the echo: no, no packet of sound arrived"),
    ],
)
def test_the_self_check_says_what_was_heard(event: e.CheckFinished, text: str) -> None:
    assert written(event)[0] == text + "\n"
