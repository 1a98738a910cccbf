import base64
import json

import pytest

from sinchphone.engine.calls.invites import check_invite, session_key
from sinchphone.errors import RemoteProtocolError
from sinchphone.protocol.mxp.message import Client, Message, Method
from sinchphone.protocol.mxp.public_headers import decode_public_headers

ALICE = Client("alice", "alice-1", "sig-alice")


def invite(method: Method = Method.INVITE, **headers: str) -> Message:
    return Message(method, ALICE, headers=headers)


def test_an_invite_for_us_and_one_for_everybody_are_taken() -> None:
    check_invite(invite(to="bob-1"), "bob-1")
    check_invite(invite(), "bob-1")


@pytest.mark.parametrize(
    ("message", "device"),
    [(invite(to="carol-1"), "bob-1"), (invite(Method.CANCEL), "bob-1"), (invite(), "alice-1")],
    ids=["for somebody else", "no invite", "our own"],
)
def test_what_is_no_invite_for_us_is_refused(message: Message, device: str) -> None:
    with pytest.raises(RemoteProtocolError):
        check_invite(message, device)


@pytest.mark.parametrize("length", [16, 32])
def test_the_session_key_is_read(length: int) -> None:
    key = bytes(range(length))
    assert session_key(invite(key=base64.b64encode(key).decode())) == key


@pytest.mark.parametrize("text", ["", "AAAA", "not base64!", base64.b64encode(bytes(24)).decode(), "ü"])
def test_what_is_no_session_key_is_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        session_key(invite(key=text))


@pytest.mark.parametrize(
    ("text", "headers"),
    [
        (json.dumps({"x-a": "ö", "n": 7}), {"x-a": "ö", "n": "7"}),
        ("", {}),
        ("[1]", {}),
        ("{", {}),
        ("[" * 4000, {}),
        (json.dumps({"x": "y" * 5000}), {}),
    ],
)
def test_public_headers_are_a_map_or_nothing(text: str, headers: dict[str, str]) -> None:
    assert decode_public_headers(invite(ph=text).headers) == headers
