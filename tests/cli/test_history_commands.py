"""The history as people use it: by whom, in any spelling of a number, redialled, deleted, exported."""

import csv
import io
import json
import os
import sqlite3
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sinchphone.cli.addressing.recent import history_of
from sinchphone.config import load
from sinchphone.engine.events.events import InstantMessage
from sinchphone.engine.history.history import History
from sinchphone.engine.history.past import PastCall
from sinchphone.protocol.call.states import Cause, EndedBy, State

T0 = 1_700_000_000.0
MUM = "+46701234567"
OUT = PastCall("1", True, "bob", "mxp", T0, True, 65_000, "hung_up", "us")
TO_MUM = PastCall("2", True, MUM, "pstn", T0 + 1, False, None, "denied", "peer", 486, "busy")
MISSED = PastCall("3", False, "carol", "mxp", T0 + 2, False, None, "canceled", "peer")
FAILED = PastCall("4", True, "dan@pbx.example", "sip", T0 + 3, False, None, "failure", "peer", 503, "Service Unavailable")
ROOM = PastCall("5", True, "daily", "conference", T0 + 4, True, 5_000, "hung_up", "us")
TEXT = InstantMessage(id="m1", sender="bob", recipients=("ada",), text="=1+1\nsecond", at=T0 + 5)


async def _short_call(call: Any) -> None:
    call.enter(State.RINGING, State.ANSWERED, State.ESTABLISHED)
    call.end(Cause.HUNG_UP, EndedBy.PEER)


Note = Callable[..., None]


@pytest.fixture
def note() -> Note:
    """Notes calls and messages of ada."""
    import asyncio

    async def work(pasts: tuple[PastCall | InstantMessage, ...]) -> None:
        async with History(*history_of(load({"user": "ada"}).options)) as history:
            for past in pasts:
                if isinstance(past, PastCall):
                    await history.note_call("d", past)
                else:
                    await history.note_received("d", past)

    return lambda *pasts: asyncio.run(work(pasts))


@pytest.fixture
def ids(sinchphone: Any) -> Callable[..., list[str]]:
    return lambda *choice: [one["id"] for one in sinchphone("history", "--user", "ada", "--json", *choice).events[:-1]]


# Showing


@pytest.mark.parametrize(
    "spelling",
    [
        MUM,
        "+46 70-123 45 67",
        "+46 (0)70 123 45 67",
        "0046701234567",
        "46701234567",
        "070-123 45 67",
        "tel:+46-70-123-45-67",
        "＋46 70 1234567",
    ],
)
def test_a_number_is_found_in_any_spelling(note: Note, ids: Any, spelling: str) -> None:
    note(OUT, TO_MUM, MISSED)
    assert ids("--with", spelling) == ["2"]


@pytest.mark.parametrize("other", ["+46701234568", "1234567", "701", "+4670123456", "00470701234567", "bobby", "BOB", ""])
def test_another_number_or_name_is_not_taken_for_it(note: Note, ids: Any, other: str) -> None:
    note(OUT, TO_MUM, MISSED)
    assert ids("--with", other) == []


def test_a_contact_is_found_by_everything_that_it_is_called_by(note: Note, ids: Any, sinchphone: Any) -> None:
    note(OUT, TO_MUM, MISSED)
    sinchphone("contacts", "add", "mum", MUM, "--user", "bob")
    assert ids("--with", "@mum") == ["1", "2"]
    assert sinchphone("history", "--user", "ada", "--with", "@dad").code == 7


def test_the_cause_is_told_in_words_and_the_peer_by_name(note: Note, sinchphone: Any) -> None:
    note(OUT, TO_MUM, MISSED, FAILED, ROOM, replace(MISSED, id="6", cause="busy", ended_by="us", at=T0 + 9))
    sinchphone("contacts", "add", "mum", MUM)
    shown = [line.split("  ", 1)[1] for line in sinchphone("history", "--user", "ada").out.splitlines()]
    assert shown == [
        "call     -> bob             you hung up, 1:05",
        f"call     -> mum ({MUM})  busy",
        "call     <- carol           missed, they gave up",
        "call     -> dan@pbx.example  failed: Service Unavailable",
        "call     -> conf:daily      you hung up, 0:05",
        "call     <- carol           missed, busy",
    ]


def test_json_tells_code_reason_domain_and_who_ended_it(note: Note, sinchphone: Any) -> None:
    note(FAILED)
    [entry, _] = sinchphone("history", "--user", "ada", "--json").events
    assert (entry["code"], entry["reason"], entry["domain"], entry["ended_by"]) == (503, "Service Unavailable", "sip", "peer")


def test_a_history_of_an_older_sinchphone_is_read_and_written_on(note: Note, ids: Any, nobodys_machine: Path) -> None:
    note(OUT)
    with sqlite3.connect(nobodys_machine / "state" / "sinchphone" / "history.db") as base:
        base.executescript("ALTER TABLE calls DROP COLUMN code; ALTER TABLE calls DROP COLUMN reason; PRAGMA user_version=1")
    note(FAILED)
    assert ids() == ["1", "4"]


# Redialling


@pytest.mark.parametrize(
    ("last", "peer"), [(OUT, "bob"), (TO_MUM, MUM), (FAILED, "dan@pbx.example"), (ROOM, "daily")], ids=["user", "phone", "sip", "room"]
)
def test_again_calls_whom_one_called_last(note: Note, sinchphone: Any, platform: Any, last: PastCall, peer: str) -> None:
    note(OUT, replace(last, id="9", at=T0 + 9), replace(MISSED, at=T0 + 10))
    platform.outgoing = _short_call
    ran = sinchphone("call", "--again", "--user", "ada", "--json")
    [outgoing] = [one for one in ran.events if one["event"] == "call.outgoing"]
    assert (ran.code, outgoing["peer"], outgoing["domain"]) == (0, peer, last.domain)


def test_back_calls_who_was_missed_last(note: Note, sinchphone: Any, platform: Any) -> None:
    taken = PastCall("8", False, "dora", "mxp", T0 + 8, True, 1, "hung_up", "peer")
    note(replace(MISSED, id="7", peer="+46701234568", domain="pstn", at=T0 - 1), MISSED, OUT, taken)
    platform.outgoing = _short_call
    assert sinchphone("call", "--back", "--user", "ada").code == 0
    assert [call.peer for call in platform.calls] == ["carol"]


@pytest.mark.parametrize("option", ["--again", "--back"])
def test_nobody_to_redial_is_told(note: Note, sinchphone: Any, platform: Any, option: str) -> None:
    ran = sinchphone("call", option, "--user", "ada")
    assert (ran.code, platform.calls) == (7, [])
    assert "hint:" in ran.err


@pytest.mark.parametrize(("peer", "domain"), [("anonymous", "pstn"), ("", "pstn"), ("", "mxp"), ("anonymous@anonymous.invalid", "sip")])
def test_who_withheld_their_number_cannot_be_called_back(note: Note, sinchphone: Any, platform: Any, peer: str, domain: str) -> None:
    note(replace(MISSED, peer=peer, domain=domain))
    ran = sinchphone("call", "--back", "--user", "ada")
    assert (ran.code, platform.calls) == (2, [])
    assert "can't be called back" in ran.err


@pytest.mark.parametrize("arguments", [[], ["bob", "--again"], ["--again", "--back"], ["@mum", "--back"]])
def test_one_destination_and_no_more_is_dialled(note: Note, sinchphone: Any, platform: Any, arguments: list[str]) -> None:
    note(OUT)
    assert (sinchphone("call", *arguments, "--user", "ada").code, platform.calls) == (2, [])


# Deleting


@pytest.mark.parametrize(
    ("choice", "left"),
    [
        (["--all"], []),
        (["--with", "0046 70 123 45 67"], ["1", "3", "m1"]),
        (["--with", "bob"], ["2", "3"]),
        (["--older-than", "1d"], []),
        (["--older-than", "2023-11-14T22:13:22+00:00"], ["3", "m1"]),
        (["--missed"], ["1", "2", "m1"]),
        (["--with", "bob", "--older-than", "2023-11-14T22:13:22+00:00"], ["2", "3", "m1"]),
    ],
)
def test_what_is_deleted_is_gone_and_the_rest_stays(note: Note, ids: Any, sinchphone: Any, choice: list[str], left: list[str]) -> None:
    note(OUT, TO_MUM, MISSED, TEXT)
    [deleted, _] = sinchphone("history", "delete", *choice, "--user", "ada", "--json").events
    assert deleted["calls"] + deleted["messages"] == 4 - len(left)
    assert ids() == left


@pytest.mark.parametrize("choice", [[], ["--all", "--with", "bob"], ["--older-than", "soon"], ["--with", "@nobody"]])
def test_nothing_is_deleted_by_mistake(note: Note, ids: Any, sinchphone: Any, choice: list[str]) -> None:
    note(OUT, TEXT)
    assert sinchphone("history", "delete", *choice, "--user", "ada").code in (2, 7)
    assert ids() == ["1", "m1"]


def test_somebody_elses_history_stays(note: Note, ids: Any, sinchphone: Any) -> None:
    note(OUT)
    assert sinchphone("history", "--user", "bob", "delete", "--all").code == 0
    assert ids() == ["1"]


def test_a_deleted_text_is_not_left_in_the_files(note: Note, sinchphone: Any, nobodys_machine: Path) -> None:
    note(replace(TEXT, text="the secret recipe"), OUT)
    sinchphone("history", "delete", "--with", "bob", "--user", "ada")
    files = list((nobodys_machine / "state" / "sinchphone").glob("history.db*"))
    assert files
    assert not any(b"secret recipe" in file.read_bytes() for file in files)


# Exporting


def test_json_and_csv_have_the_same_facts(note: Note, sinchphone: Any) -> None:
    note(OUT, TO_MUM, MISSED, FAILED, ROOM, TEXT)
    for name in ("all.json", "all.csv"):
        assert sinchphone("history", "export", name, "--user", "ada").code == 0
    objects = json.loads(Path("all.json").read_text())
    rows = list(csv.DictReader(io.StringIO(Path("all.csv").read_bytes().decode(), newline="")))
    assert [one["id"] for one in objects] == [row["id"] for row in rows] == ["1", "2", "3", "4", "5", "m1"]
    assert (rows[1]["peers"], rows[1]["code"], rows[0]["duration_ms"], rows[2]["missed"]) == (MUM, "486", "65000", "true")
    assert list(objects[0]) == list(rows[0])


@pytest.mark.parametrize("text", ["=1+1", "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", "\r=1", "\n=1"])
def test_a_text_from_outside_is_no_formula_in_a_spreadsheet(note: Note, sinchphone: Any, text: str) -> None:
    note(replace(TEXT, text=text))
    sinchphone("history", "export", "x.csv", "--user", "ada")
    [row] = csv.DictReader(io.StringIO(Path("x.csv").read_bytes().decode(), newline=""))
    assert row["text"] == f"'{text}"


@pytest.mark.parametrize("separator", ["\u2028", "\x85", "\x0b", "\r", "\x1c", "\n"])
def test_a_text_from_outside_makes_no_row_of_its_own_on_standard_output(note: Note, sinchphone: Any, separator: str) -> None:
    note(replace(TEXT, text=f"hello{separator}=1+1"), OUT)
    ran = sinchphone("history", "export", "-", "--format", "csv", "--user", "ada")
    rows = list(csv.DictReader(io.StringIO(ran.out, newline="")))
    assert sorted(row["id"] for row in rows) == ["1", "m1"]
    assert next(row["text"] for row in rows if row["id"] == "m1").startswith("hello")


def test_standard_output_takes_it_too_and_the_choice_counts(note: Note, sinchphone: Any) -> None:
    note(OUT, TO_MUM, TEXT)
    ran = sinchphone("history", "export", "-", "--format", "json", "--with", "bob", "--user", "ada")
    assert [one["id"] for one in json.loads(ran.out)] == ["1", "m1"]
    assert sinchphone("history", "export", "-", "--user", "ada").code == 2
    assert sinchphone("history", "export", "-", "--format", "json", "--json", "--user", "ada").code == 2


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_an_export_is_for_its_owner_and_overwrites_only_when_told(note: Note, sinchphone: Any) -> None:
    note(OUT)
    file = Path("calls.csv")
    file.write_text("precious")
    file.chmod(0o644)
    assert (sinchphone("history", "export", "calls.csv", "--user", "ada").code, file.read_text()) == (2, "precious")
    assert sinchphone("history", "export", "calls.csv", "--user", "ada", "--force").code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sinchphone("history", "export", "no/such/folder.csv", "--user", "ada").code == 2


def test_a_name_that_tells_no_format_is_refused(note: Note, sinchphone: Any) -> None:
    assert sinchphone("history", "export", "calls", "--user", "ada").code == 2
    assert not Path("calls").exists()
