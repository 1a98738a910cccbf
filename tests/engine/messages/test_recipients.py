"""To whom a message goes, in every form that somebody writes it in."""

from typing import Any

import pytest

from sinchphone.engine.messages.recipients import read_recipients
from sinchphone.errors import DestinationError
from sinchphone.signaling.dialect import IdentityKind, Recipient

ADA = Recipient("ada@example.org", IdentityKind.EMAIL)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("ada", [Recipient("ada")]),
        (Recipient("ada"), [Recipient("ada")]),
        (["ada", "bob"], [Recipient("ada"), Recipient("bob")]),
        (("ada", Recipient("bob")), [Recipient("ada"), Recipient("bob")]),
        (iter(["ada"]), [Recipient("ada")]),
        ([{"email": "ada@example.org"}], [ADA]),
        ({"email": "ada@example.org"}, [ADA]),
        ([{"username": "ada"}, {"number": "+46 70 000 00 00"}], [Recipient("ada"), Recipient("+46700000000", IdentityKind.NUMBER)]),
        ([], []),
    ],
)
def test_texts_recipients_and_what_the_sdk_takes_are_understood(given: Any, meant: list[Recipient]) -> None:
    assert read_recipients(given) == meant


@pytest.mark.parametrize(
    "given", [None, 7, [None], [["ada"]], [{}], [{"mail": "a@b"}], [{"email": 7}], [{"email": "a@b", "number": "+46"}], b"ada"]
)
def test_what_is_none_is_refused_with_a_sentence(given: Any) -> None:
    with pytest.raises(DestinationError) as caught:
        read_recipients(given)
    assert "is no recipient" in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("given", [{"email": "nobody"}, {"number": "0700"}, ""])
def test_an_address_that_cannot_be_one_is_refused(given: Any) -> None:
    with pytest.raises(DestinationError):
        read_recipients([given])
