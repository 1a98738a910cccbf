"""The page of the SDK's names says the truth about ours: each is there, with the arguments that are named."""

import inspect
import re
from collections import Counter
from collections.abc import Iterator
from enum import Enum
from typing import Any, Final

import pytest

import sinchphone
from tests.docs.dockit.pages import DOCS, ROOT

PAGE: Final = DOCS / "sdk-names.md"
HEAD: Final = ("SDK", "here", "what differs")
OURS: Final = re.compile(r"(\w+)(?:\.(\w+))?(?:\((\w+)=\))?")
#: what a person who comes from either SDK looks for first: without a row the page isn't finished
WANTED: Final = {
    *(
        "start",
        "isStarted",
        "terminate",
        "callClient",
        "setSupportManagedPush",
        "relayRemotePushNotification",
        "setUseRelayIceCandidatesOnly",
    ),
    *("onClientStarted", "onClientFailed", "onCredentialsRequired", "registerFailed", "getCall", "onIncomingCall"),
    *("callUser", "callUserVideo", "callPhoneNumber", "callSip", "callConference", "callGroup"),
    *("Call.answer", "Call.hangup", "Call.mute", "Call.unmute", "Call.pauseVideo", "Call.resumeVideo", "Call.sendDtmf", "Call.headers"),
    *("onCallProgressing", "onCallRinging", "onCallAnswered", "onCallEstablished", "onCallEnded", "onCallQualityWarningEvent"),
    *("duration", "setupDuration", "notifyingDuration", "ringingDuration", "acceptingDuration", "endCause", "error"),
    *("getCallClient", "getMessageClient", "newMessage", "MessageClient.send", "onIncomingMessage", "onMessageDelivered", "newUser"),
    *("capabilities", "supportActiveConnection", "startActiveConnection", "createSmsVerification", "createFlashCallVerification"),
}


def rows() -> Iterator[tuple[str, str, str]]:
    """Of all tables, without their heads."""
    for line in PAGE.read_text().splitlines():
        if line.startswith("|") and not line.startswith("|--"):
            cells = tuple(cell.strip() for cell in line.strip("|").split("|"))
            assert len(cells) == 3, line
            if cells != HEAD:
                yield cells[0], cells[1], cells[2]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


ROWS: Final = list(rows())
OUR_NAMES: Final = sorted({name for _, ours, _ in ROWS for name in names(ours)})


def is_attribute(owner: Any, name: str) -> bool:
    """Whether its instances have it: a member of the class, or set where they are made."""
    if issubclass(owner, Enum):
        return name in owner.__members__
    return hasattr(owner, name) or re.search(rf"\bself\.{name}\b(: [^=]+)? = ", inspect.getsource(owner)) is not None


@pytest.mark.parametrize("name", OUR_NAMES)
def test_each_of_our_names_exists(name: str) -> None:
    read = OURS.fullmatch(name)
    assert read is not None, "Name, Name.attribute, Name(argument=) or Name.method(argument=)"
    first, attribute, argument = read.groups()
    assert first in sinchphone.__all__
    what = getattr(sinchphone, first)
    if attribute is not None:
        assert is_attribute(what, attribute)
        what = getattr(what, attribute, None)
    if argument is not None:
        assert argument in inspect.signature(what).parameters


@pytest.mark.parametrize("name", ["Call.wait", "Cloud(hosts=)", "SinchClient.call_phone(number_of=)", "State.TALKING", "Nobody"])
def test_a_name_that_does_not_exist_would_be_found(name: str) -> None:
    with pytest.raises(AssertionError):
        test_each_of_our_names_exists(name)


@pytest.mark.parametrize("row", ROWS, ids=[sdk for sdk, _, _ in ROWS])
def test_a_row_names_ours_or_says_that_there_is_none_and_what_differs(row: tuple[str, str, str]) -> None:
    _, ours, differs = row
    assert ours == "none" or ", ".join(f"`{name}`" for name in names(ours)) == ours
    assert differs
    assert ours != "none" or not differs.startswith("the same"), "why there is none"


def test_each_name_of_the_sdk_stands_on_one_row_and_none_is_forgotten() -> None:
    theirs = Counter(name for sdk, _, _ in ROWS for name in names(sdk))
    assert [name for name, count in theirs.items() if count > 1] == []
    assert set(theirs) >= WANTED


def test_the_sdk_is_led_to_the_exchange_by_the_names_that_its_tests_use() -> None:
    places = ((DOCS / "exchange.md"), (ROOT / "tests" / "interop" / "sdk" / "driver.js"))
    shown, used = (re.findall(r"\['base'[^\]]*\]", place.read_text()) for place in places)
    assert shown == used and len(used) == 1
    assert all("verification/v1/" in place.read_text() for place in places)
