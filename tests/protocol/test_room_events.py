"""Client events about a room: read as they are written, bounded, and nothing else is taken for one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.protocol.call.room_events import (
    MAX_NAMED,
    MutedHere,
    RoomMember,
    RoomRoster,
    decode_room_event,
    encode_room_event,
)
from sinchphone.protocol.call.transfer_events import TransferNews, TransferWish, decode_transfer, encode_transfer

BOB = RoomMember(name="bob", speaks=True, muted=False, on_hold=True, is_us=True)


@pytest.mark.parametrize("event", [RoomRoster((BOB, RoomMember(name="é")), 2), RoomRoster((), 0), MutedHere(True)])
def test_what_is_written_is_read(event: RoomRoster | MutedHere) -> None:
    assert decode_room_event(encode_room_event(event)) == event


def test_of_a_full_room_those_are_named_who_speak() -> None:
    people = tuple(RoomMember(name=f"user{number}", speaks=number in (50, 90), is_us=number == 70) for number in range(100))
    body = encode_room_event(RoomRoster(people, 100))
    read = decode_room_event(body)
    assert isinstance(read, RoomRoster)
    assert (len(read.members), read.count) == (MAX_NAMED, 100)
    assert {"user50", "user90", "user70"} <= {one.name for one in read.members}
    assert len(body) < 4096


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "[]",
        json.dumps({"name": "Muted", "muted": 1}),
        json.dumps({"name": "RoomMembers", "count": -1, "members": []}),
        json.dumps({"name": "RoomMembers", "count": 1, "members": [{"name": "bob"}]}),
        json.dumps({"name": "RoomMembers", "count": 99, "members": [{}] * 25}),
        json.dumps({"name": "EnteredEstablished"}),
        "[" * 10_000,
    ],
)
def test_anything_else_is_none(body: str) -> None:
    assert decode_room_event(body) is None


@given(st.text(max_size=200))
def test_whatever_a_peer_says_raises_nothing(body: str) -> None:
    decode_room_event(body)
    decode_transfer(body)


@pytest.mark.parametrize("event", [TransferWish("bob"), TransferWish("+46700000000", "a-b-c"), TransferNews(486, "Busy Here")])
def test_a_transfer_is_read_as_it_is_written(event: TransferWish | TransferNews) -> None:
    assert decode_transfer(encode_transfer(event)) == event


@pytest.mark.parametrize(
    "fields", [{"to": ""}, {"to": "x" * 257}, {"to": "bob", "replaces": 3}, {"to": "bob", "replaces": "x" * 65}, {"to": "a\nb"}]
)
def test_a_wish_that_makes_no_sense_is_none(fields: dict[str, object]) -> None:
    assert decode_transfer(json.dumps({"name": "Transfer", **fields})) is None
