"""A call that comes in rings on the terminal, too: bell, title, notification; and a caller's name can do nothing there but be read."""

import io
import re
from collections.abc import Mapping

import pytest

from sinchphone.cli.commands.listen import missed_calls
from sinchphone.cli.terminal.output.events import events as e
from sinchphone.cli.terminal.screen.attention import Attention, harmless
from sinchphone.cli.terminal.screen.screen import Screen
from sinchphone.cli.terminal.screen.status_line import cells
from sinchphone.protocol.call.states import Cause, EndedBy
from sinchphone.signaling.dialect import Domain

NASTY = ("\x1b]777;notify;a;b\x07", "$(touch x)", '";id;#', "a\nb", "a\x00b", "\x1b\\oops", "\x9d9;c1\x9c", "x" * 500)


def written(environ: Mapping[str, str], name: str = "bob") -> str:
    stream = io.StringIO()
    Attention(stream, environ).ring("1", name)
    return stream.getvalue()


def test_every_terminal_hears_the_bell_and_those_that_have_titles_show_who_calls() -> None:
    assert written({"TERM": "linux"}) == "\x07"
    assert written({"TERM": "xterm-256color"}) == "\x07\x1b[22;2t\x1b]2;bob calls\x1b\\"


@pytest.mark.parametrize(
    ("environ", "notification"),
    [
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "\x1b]9;bob calls\x07"),
        ({"TERM": "xterm-ghostty", "TERM_PROGRAM": "ghostty"}, "\x1b]9;bob calls\x07"),
        ({"TERM": "foot"}, "\x1b]777;notify;sinchphone;bob calls\x07"),
        ({"TERM": "rxvt-unicode-256color"}, "\x1b]777;notify;sinchphone;bob calls\x07"),
        ({"TERM": "tmux-256color", "LC_TERMINAL": "iTerm2", "TMUX": "/tmp/x,1,0"}, "\x1bPtmux;\x1b\x1b]9;bob calls\x07\x1b\\"),
    ],
)
def test_a_notification_is_sent_where_the_terminal_has_them(environ: Mapping[str, str], notification: str) -> None:
    assert written(environ).endswith(notification)


@pytest.mark.parametrize("name", NASTY)
def test_the_name_of_a_caller_ends_no_sequence_begins_none_and_parts_no_field(name: str) -> None:
    assert not re.search(r"[\x00-\x1f\x7f-\x9f;\\]", harmless(name))
    plain = written({"TERM": "foot"}, "N")
    nasty = written({"TERM": "foot"}, name)
    assert [nasty.count(mark) for mark in ("\x1b", "\x07", ";", "\\")] == [plain.count(mark) for mark in ("\x1b", "\x07", ";", "\\")]
    assert len(nasty) < 250


@pytest.mark.parametrize("name", ["x" * 200, "\u7530" * 200, "\U000e0041" * 200, "\x1b" * 200], ids=["long", "wide", "hidden", "control"])
def test_a_title_has_room_for_a_name_of_60_columns_whatever_its_characters_become(name: str) -> None:
    assert cells(harmless(name)) <= 60
    assert harmless(name).endswith("…")


def test_the_title_comes_back_when_nobody_rings_any_more_and_at_the_end() -> None:
    stream = io.StringIO()
    attention = Attention(stream, {"TERM": "xterm"})
    attention.ring("1", "bob")
    attention.ring("2", "carol")
    assert stream.getvalue().count("\x1b[22;2t") == 1
    attention.over("1")
    assert "\x1b[23;2t" not in stream.getvalue()
    attention.over("2")
    attention.over("2")
    attention.release()
    assert stream.getvalue().count("\x1b[23;2t") == 1
    attention.ring("3", "dora")
    attention.release()
    assert stream.getvalue().endswith("\x1b[23;2t")


INCOMING = e.CallIncoming(call_id="1", peer="bob", domain=Domain.MXP, contact="Bob")


def ended(call_id: str, peer: str = "bob", **more: object) -> e.CallEnded:
    told: dict[str, object] = {
        "outbound": False,
        "cause": Cause.CANCELED,
        "ended_by": EndedBy.PEER,
        "answered": False,
        "setup_ms": None,
        "establishing_ms": None,
    }
    told |= {"duration_ms": None, "code": None, "reason": "", "hint": None} | more
    return e.CallEnded(call_id=call_id, peer=peer, **told)  # type: ignore[arg-type]


def test_a_screen_rings_on_a_terminal_alone_and_gives_the_title_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for name in ("TERM_PROGRAM", "LC_TERMINAL", "TMUX"):
        monkeypatch.delenv(name, raising=False)
    err = io.StringIO()
    screen = Screen(io.StringIO(), err, live=True)
    screen.tell(INCOMING)
    assert "\x07" in err.getvalue()
    assert "Bob calls\x1b\\" in err.getvalue()
    screen.close()
    assert err.getvalue().endswith("\x1b[23;2t")
    for options in ({"live": False}, {"live": True, "quiet": True}):
        silent = io.StringIO()
        Screen(io.StringIO(), silent, **options).tell(INCOMING)
        assert "\x07" not in silent.getvalue()


def test_lines_of_who_listens_begin_with_the_time_of_day_on_a_terminal() -> None:
    out, err = io.StringIO(), io.StringIO()
    screen = Screen(out, err, live=True)
    screen.show_times()
    screen.note("waiting")
    screen.tell(ended("1"))
    assert re.search(r"\d\d:\d\d:\d\d waiting\n$", err.getvalue())
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in out.getvalue().splitlines())
    piped = io.StringIO()
    screen = Screen(io.StringIO(), piped)
    screen.show_times()
    screen.note("waiting")
    assert piped.getvalue() == "waiting\n"


def test_who_called_in_vain_is_told_at_the_end() -> None:
    came = {"1": "12:03", "2": "12:05", "3": "12:06", "4": "12:07", "5": "12:09", "6": "12:10"}
    calls = [
        ended("1"),
        ended("2", "carol", cause=Cause.NO_ANSWER, ended_by=EndedBy.TIME),
        ended("3", "dora", ended_by=EndedBy.US, cause=Cause.DENIED),
        ended("4", "eve", answered=True),
        ended("5", "carol"),
        ended("6", "fay", cause=Cause.OTHER_DEVICE_ANSWERED),
        ended("7", "bob", outbound=True),
    ]
    assert missed_calls(came, calls) == "missed: bob at 12:03, carol at 12:05 and 12:09"
    assert missed_calls(came, []) == ""
