"""The ladder: who takes part, arrows both ways, within the width, harmless whatever names people have."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sinchphone.cli.terminal.text.escape import escape
from sinchphone.protocol.trace.event import TraceEvent, TraceKind
from sinchphone.protocol.trace.ladder import cells, draw, participants


def event(seq: int, source: str, target: str, summary: str = "INVITE", **more: Any) -> TraceEvent:
    return TraceEvent(seq=seq, at=100.0 + seq, kind=TraceKind.SIP, call="c", source=source, target=target, summary=summary, **more)


def test_an_arrow_leads_from_who_speaks_to_who_is_told() -> None:
    lines = draw(
        [event(1, "ada", "exchange"), event(2, "exchange", "bob", "180 Ringing"), event(3, "bob", "exchange", "200 OK")], 80, escape
    )
    assert lines[0].split() == ["ada", "exchange", "bob"]
    arrows = [line for line in lines if "─" in line]
    assert [("<" in line, ">" in line) for line in arrows] == [(False, True), (False, True), (True, False)]
    assert arrows[0].index(">") < arrows[1].index(">")
    assert "0.000" in lines[2]
    assert "sip 180 Ringing" in lines[4]


def test_an_event_at_one_place_has_no_arrow() -> None:
    assert not [line for line in draw([event(1, "exchange", "exchange", "over")], 80, escape) if "─" in line]


def test_a_failure_is_marked() -> None:
    assert any("✗ sip 486" in line for line in draw([event(1, "bob", "exchange", "486 Busy", is_failure=True)], 80, escape))


def test_bodies_follow_their_arrows() -> None:
    lines = draw([event(1, "ada", "exchange", body="v=0\r\na=x")], 80, escape, bodies=True)
    assert [line.strip() for line in lines[-3:-1]] == ["v=0", "a=x"]


def test_a_crowd_shares_the_last_column() -> None:
    names = [f"user{n}" for n in range(12)]
    lines = draw([event(n, "exchange", name) for n, name in enumerate(names)], 120, escape)
    assert "others" in lines[0]
    assert participants([event(1, "exchange", "bob")]) == ["bob", "exchange"]


@given(st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30), st.text(max_size=80)), max_size=12), st.integers(20, 200))
def test_no_line_is_wider_than_the_terminal_nor_moves_its_cursor(said: list[tuple[str, str, str]], width: int) -> None:
    events = [event(n, *one, body=one[2]) for n, one in enumerate(said)]
    assert all(cells(line) <= max(60, width) for line in draw(events, width, escape))
    assert all(escape(line, limit=10_000) == line for line in draw(events, width, escape, bodies=True))
