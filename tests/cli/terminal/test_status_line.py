"""The status line at every width, and what is written to draw it."""

import io
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.cli.terminal.screen.status_line import (
    KEYS_IN_CALL,
    KEYS_RINGING,
    KeyHints,
    Status,
    StatusLine,
    cells,
    clock,
    hints_of_waiting,
    meter,
    status_text,
)

HOSTILE = "bob\x1b[2J\x07\r\n\x9b31m\u202egpj.exe\u2028\x00[red]"
TALKING = Status("established", "echo", 65, -20, -30, False, "opus", 0.5, 24.4, "12#", KEYS_IN_CALL)


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (5.9, "0:05"), (754, "12:34"), (3723, "1:02:03")])
def test_time_is_shown_as_on_a_telephone(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


@pytest.mark.parametrize("width", [4, 8])
def test_a_meter_is_empty_at_silence_full_at_full_scale_and_never_shrinks_with_loudness(width: int) -> None:
    assert meter(-math.inf, width) == meter(-60, width) == " " * width
    assert meter(0, width) == meter(3, width) == "█" * width
    filled = [sum(" ▁▂▃▄▅▆▇█".index(cell) for cell in meter(-level, width)) for level in range(60, -1, -1)]
    assert filled == sorted(filled)


def test_the_status_line_shows_state_peer_timer_meters_and_keys() -> None:
    text = status_text(replace(TALKING, peer=HOSTILE, muted=True))
    assert text.startswith("established bob\\x1b")
    for part in ("1:05", "MUTED", "far ", "opus", "loss 0.5 %", "24 ms", "dialled 12#", "q hang up"):
        assert part in text


def test_at_120_columns_everything_is_there() -> None:
    text = status_text(TALKING, 119)
    assert cells(text) <= 119
    for part in ("established echo 1:05", "you ", "far ", "loss 0.5 %", "24 ms", "dialled 12#", "q hang up   m mute   ? help"):
        assert part in text


@pytest.mark.parametrize("peer", ["echo", "+46700000000", "alice@pbx.example.com", "東京タワー電話番号受付係" * 3, "👨‍👩‍👧‍👦 Family"])
@pytest.mark.parametrize("muted", [False, True])
@pytest.mark.parametrize("seconds", [5, 36_000])
def test_at_80_columns_a_call_shows_peer_timer_digits_and_all_keys(peer: str, muted: bool, seconds: float) -> None:
    status = replace(TALKING, peer=peer, muted=muted, seconds=seconds, digits="123456789012")
    text = status_text(status, 79)
    assert cells(text) <= 79
    for part in (peer[:4], clock(seconds), "dialled 123456789012", "q hang up   m mute   ? help", *(["MUTED"] if muted else [])):
        assert part in text


def test_at_80_columns_a_waiting_call_shows_who_waits_and_its_keys() -> None:
    for peer in ("bob", "alice@pbx.example.com"):
        text = status_text(replace(TALKING, peer=peer, digits="", keys=hints_of_waiting("carol")), 79)
        assert cells(text) <= 79
        for part in (peer[:8], "1:05", "carol calls: a answer   x decline   i no tone"):
            assert part in text


def test_at_80_columns_a_ringing_call_shows_how_to_answer() -> None:
    text = status_text(Status("ringing", "+46700000000", None, keys=KEYS_RINGING), 79)
    assert text == "ringing +46700000000 | a or Enter answer   x decline   i silence   ? help"


def test_what_is_heard_badly_is_said_at_80_columns_while_there_is_room() -> None:
    assert status_text(replace(TALKING, digits=""), 79).count("loss 0.5 %, 24 ms") == 1


STATUSES = st.builds(
    Status,
    st.sampled_from(["ringing", "established"]),
    st.text(max_size=50),
    st.none() | st.floats(0, 1e6),
    muted=st.booleans(),
    codec=st.none() | st.just("opus"),
    lost_percent=st.none() | st.floats(0, 100),
    round_trip_ms=st.none() | st.floats(0, 1e5),
    digits=st.text("0123456789*#", max_size=12),
    keys=st.none() | st.sampled_from([KEYS_IN_CALL, KEYS_RINGING, hints_of_waiting("carol"), KeyHints("a", "b", "c")]),
    other=st.text(max_size=50),
    camera=st.none() | st.text(max_size=50),
)


@given(STATUSES, st.integers(1, 200), st.booleans())
def test_no_status_is_wider_than_its_room(status: Status, columns: int, ascii_only: bool) -> None:
    text = status_text(status, columns, ascii_only=ascii_only)
    assert cells(text) <= columns
    assert not ascii_only or text.isascii()


@given(STATUSES, st.integers(1, 200), st.booleans())
def test_the_clock_and_who_is_muted_or_holds_are_there_as_a_whole_on_the_narrowest_terminal(
    status: Status, columns: int, held: bool
) -> None:
    status = replace(status, held_by_us=held)
    talks = status.seconds is not None
    facts = [clock(status.seconds or 0), status.hold or ("MUTED" if status.muted else "")] if talks else [status.state]
    if columns >= cells(" | ".join(facts)):
        text = status_text(status, columns)
        assert all(fact in text for fact in facts)


def test_a_fact_that_has_no_room_is_left_out_and_not_cut() -> None:
    status = replace(TALKING, peer="+46700000000", muted=True, other="carol waits", camera="webcam", seconds=754)
    for columns in range(13, 120):
        text = status_text(status, columns)
        assert text.split(" | ")[0].endswith("12:34")
        for part in text.split(" | ")[1:]:
            whole = (part.startswith(("you MUTED", "MUTED")), part.startswith("dialled "), part.endswith(("?", "? help")), "loss" in part)
            assert any(whole) or part.endswith("…") or part in ("carol waits", "camera webcam"), (columns, text)


def test_a_terminal_that_takes_ascii_only_gets_meters_of_ascii_and_no_flood_of_escapes() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="backslashreplace")
    StatusLine(stream).draw(TALKING)
    written = stream.buffer.getvalue()
    assert b"\\u" not in written
    assert b"you " in written and b"#" in written


def test_nothing_is_written_while_nothing_changes() -> None:
    stream = io.StringIO()
    line = StatusLine(stream)
    line.draw(TALKING)
    once = stream.getvalue()
    line.draw(replace(TALKING, seconds=65.9))
    assert stream.getvalue() == once
    line.draw(replace(TALKING, seconds=66))
    assert stream.getvalue() != once


def test_it_is_drawn_in_one_write_with_the_cursor_at_its_beginning_and_everything_after_it_erased() -> None:
    stream = io.StringIO()
    line = StatusLine(stream)
    line.draw(replace(TALKING, peer="bob"))
    assert stream.getvalue().startswith("\x1b[?25l\r\x1b[?7l")
    assert stream.getvalue().endswith("\x1b[?7h\x1b[J\r")
    line.erase()
    line.erase()
    assert stream.getvalue().endswith("\r\r\x1b[J\x1b[?25h")
