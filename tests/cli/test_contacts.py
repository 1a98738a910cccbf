"""Contacts: people by short names, called, written to, and recognised."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from sinchphone.cli.addressing.contacts import AddressBook, AddressBookEntry, read_name
from sinchphone.cli.addressing.destination import Destination, Kind
from sinchphone.errors import DestinationError
from sinchphone.protocol.call.states import Cause, EndedBy, State

MUM = "+46701234567"


async def _short_call(call: Any) -> None:
    call.enter(State.RINGING, State.ANSWERED, State.ESTABLISHED)
    call.end(Cause.HUNG_UP, EndedBy.PEER)


@pytest.fixture
def contacts(tmp_path: Path) -> AddressBook:
    return AddressBook(tmp_path / "contacts.db")


@pytest.mark.parametrize(
    ("arguments", "kind", "identity", "user"),
    [
        (["mum", "+46 (0)70-123 45 67"], "phone", MUM, None),
        (["mum", MUM, "--user", "mum1"], "phone", MUM, "mum1"),
        (["mum", "--user", "mum1"], "user", "mum1", "mum1"),
        (["mum", "mum1"], "user", "mum1", "mum1"),
        (["@mum", "sips:mum@pbx.example"], "sip", "sips:mum@pbx.example", None),
        (["standup", "conf:daily"], "conference", "daily", None),
        (["Åsa", "--user", "asa"], "user", "asa", "asa"),
    ],
)
def test_a_contact_is_kept_and_shown(sinchphone: Any, arguments: list[str], kind: str, identity: str, user: str | None) -> None:
    name = arguments[0].removeprefix("@")
    added = sinchphone("contacts", "add", *arguments, "--json")
    assert added.code == 0, added.err
    for shown in (sinchphone("contacts", "show", name, "--json"), sinchphone("contacts", "list", "--json")):
        [entry, result] = shown.events
        assert (entry["event"], entry["name"]) == ("contact", name)
        assert (entry["kind"], entry["identity"], entry["user_id"]) == (kind, identity, user)
        assert result["ok"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["", "+46701234567"],
        ["mum dad", "+46701234567"],
        ["mum@home", "+46701234567"],
        ["../mum", "+46701234567"],
        ["-mum", "+46701234567"],
        ["x" * 65, "+46701234567"],
        ["mum\x1b]0;a\x07", "+46701234567"],
        ["mum"],
        ["mum", "0701234567"],
        ["mum", "+46112"],
        ["mum", "@dad"],
        ["mum", "--user", " "],
    ],
)
def test_what_no_contact_can_be_is_refused_and_nothing_is_kept(sinchphone: Any, arguments: list[str]) -> None:
    assert sinchphone("contacts", "add", "--json", "--", *arguments).code == 2 or "--user" in arguments
    if "--user" in arguments:
        assert sinchphone("contacts", "add", *arguments).code == 2
    assert sinchphone("contacts", "list", "--json").events[:-1] == []


def test_a_contact_that_is_to_dial_another_contact_is_told_so(sinchphone: Any) -> None:
    ran = sinchphone("contacts", "add", "mum", "@dad")
    assert 'error: "@dad" is a contact' in ran.err
    assert "not a SIP address" not in ran.err


def test_names_that_differ_in_capitals_only_are_one(sinchphone: Any) -> None:
    assert sinchphone("contacts", "add", "Mum", MUM).code == 0
    again = sinchphone("contacts", "add", "mum", "--user", "other")
    assert (again.code, "--force" in again.err) == (2, True)
    assert sinchphone("contacts", "add", "mum", "--user", "other", "--force").code == 0
    assert [one["identity"] for one in sinchphone("contacts", "list", "--json").events[:-1]] == ["other"]


def test_a_removed_contact_is_gone_and_of_several_all_or_none(sinchphone: Any) -> None:
    for name in ("ann", "bea", "cid"):
        assert sinchphone("contacts", "add", name, f"user-{name}").code == 0
    assert sinchphone("contacts", "remove", "ann", "nobody").code == 7
    assert sinchphone("contacts", "remove", "ann", "@bea").code == 0
    assert [one["name"] for one in sinchphone("contacts", "list", "--json").events[:-1]] == ["cid"]


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_only_the_owner_can_read_them(sinchphone: Any, nobodys_machine: Path) -> None:
    before = os.umask(0)
    try:
        sinchphone("contacts", "add", "mum", MUM)
    finally:
        os.umask(before)
    folder = nobodys_machine / "state" / "sinchphone"
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.glob("contacts*")} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_looking_makes_no_file(sinchphone: Any, nobodys_machine: Path) -> None:
    assert sinchphone("contacts", "list").code == 0
    assert sinchphone("contacts", "show", "mum").code == 7
    assert not (nobodys_machine / "state").exists()


def test_a_file_that_is_no_list_of_contacts_is_left_alone(sinchphone: Any, platform: Any, nobodys_machine: Path) -> None:
    file = nobodys_machine / "state" / "sinchphone" / "contacts.db"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"no database at all" * 100)
    assert sinchphone("contacts", "add", "mum", MUM).code == 14
    assert file.read_bytes().startswith(b"no database")
    platform.outgoing = _short_call
    assert sinchphone("call", "bob", "--user", "ada").code == 0, "who isn't called by a contact's name is called"


def test_a_folder_that_cannot_be_made_is_told_in_words(sinchphone: Any, nobodys_machine: Path) -> None:
    (nobodys_machine / "state").write_text("a file where the folder would be")
    refused = sinchphone("contacts", "add", "mum", MUM)
    assert refused.code == 14
    assert "can't be used: " in refused.err
    assert "Errno" not in refused.err


# Calling


@pytest.mark.parametrize(
    ("added", "called"),
    [
        ((MUM, "--user", "mum1"), Destination(Kind.PHONE, MUM)),
        (("--user", "mum1"), Destination(Kind.USER, "mum1")),
        (("mum@pbx.example",), Destination(Kind.SIP, "mum@pbx.example")),
        (("conf:kitchen",), Destination(Kind.CONFERENCE, "kitchen")),
    ],
)
def test_call_dials_what_a_contact_stands_for(sinchphone: Any, platform: Any, added: tuple[str, ...], called: Destination) -> None:
    platform.outgoing = _short_call
    sinchphone("contacts", "add", "mum", *added)
    ran = sinchphone("call", "@MUM", "--user", "ada", "--json")
    assert ran.code == 0, ran.err
    [outgoing] = [one for one in ran.events if one["event"] == "call.outgoing"]
    assert (outgoing["peer"], outgoing["contact"]) == (called.identity, "mum")
    assert platform.calls[0].peer == called.identity


@pytest.mark.parametrize(("caller", "name"), [(MUM, "mum"), ("mallory", None)])
def test_who_calls_is_shown_by_the_name_and_the_number(sinchphone: Any, platform: Any, caller: str, name: str | None) -> None:
    sinchphone("contacts", "add", "mum", MUM)
    platform.incoming = [(caller, _short_call)]
    ran = sinchphone("listen", "--user", "ada", "--once", "--auto-answer", "--no-audio", "--json")
    assert [(one["peer"], one["contact"]) for one in ran.events if one["event"] == "call.incoming"] == [(caller, name)]


@pytest.mark.parametrize(
    ("written", "hint"),
    [("@mun", "did you mean @mum?"), ("@zoe", "contacts add zoe"), ("@", "letters"), ("@mum@pbx.example", "letters")],
)
def test_a_contact_that_is_not_there_is_no_sip_address(sinchphone: Any, platform: Any, written: str, hint: str) -> None:
    sinchphone("contacts", "add", "mum", MUM)
    ran = sinchphone("call", written, "--user", "ada")
    assert ran.code == (7 if hint[0] in "dc" else 2)
    assert hint in ran.err and "SIP" not in ran.err
    assert platform.calls == []


def test_a_contact_alone_is_answered_with_the_command_that_calls_it(sinchphone: Any) -> None:
    ran = sinchphone("@mum")
    assert (ran.code, "sinchphone call @mum" in ran.err) == (2, True)


def test_a_user_whose_id_begins_with_an_at_sign_is_still_called_by_call_user(sinchphone: Any, platform: Any) -> None:
    platform.outgoing = _short_call
    assert sinchphone("call-user", "@mum", "--user", "ada").code == 0
    assert platform.calls[0].peer == "@mum"


def test_a_message_goes_to_the_contacts_user(sinchphone: Any, platform: Any) -> None:
    platform.acknowledging = ("mum1",)
    sinchphone("contacts", "add", "mum", MUM, "--user", "mum1")
    assert sinchphone("send-message", "--user", "ada", "@mum", "on my way").code == 0
    assert platform.texts[0][:2] == (("mum1",), "on my way")


def test_a_message_to_a_contact_that_has_no_user_says_so(sinchphone: Any, platform: Any) -> None:
    sinchphone("contacts", "add", "standup", "conf:daily")
    ran = sinchphone("send-message", "--user", "ada", "@standup", "late")
    assert (ran.code, platform.texts) == (2, [])


# The file


def test_two_processes_that_add_at_once_lose_nobody(contacts: AddressBook, tmp_path: Path) -> None:
    others = AddressBook(tmp_path / "contacts.db")
    for number in range(20):
        (contacts if number % 2 else others).add(AddressBookEntry(f"c{number}", Destination(Kind.USER, f"u{number}")))
    assert len(contacts.list()) == 20


def test_one_number_with_two_names_is_known_by_the_first(contacts: AddressBook) -> None:
    for name in ("work", "home", "mobile"):
        contacts.add(AddressBookEntry(name, Destination(Kind.PHONE, MUM)))
    assert contacts.names() == {MUM: "home"}


@pytest.mark.parametrize("text", ["mum", "@mum", "Åsa", "A\u030asa", "a.b-c_d+e", "1a", "日本"])
def test_names_are_read_in_one_spelling(text: str) -> None:
    assert read_name(text) == {"A\u030asa": "Åsa", "@mum": "mum"}.get(text, text)


@pytest.mark.parametrize("text", ["", "@", "@@mum", "_a", "a:b", "a/b", "a b", "a\nb", "a\u202eb"])
def test_what_would_not_be_found_again_is_no_name(text: str) -> None:
    with pytest.raises(DestinationError):
        read_name(text)
