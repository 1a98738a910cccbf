"""The calls that go on, as those name them who take one over."""

from typing import Any

from sinchphone.gateway.legs.sip import SipIncomingLeg, dialog_of_leg
from sinchphone.gateway.open_calls import OpenCalls, OpenLeg
from sinchphone.gateway.relay.relay import Side
from sinchphone.protocol.sip.headers.replaces import ReplacedDialog


class FakeLeg:
    def __init__(self, leg_id: str) -> None:
        self.id = leg_id


class FakeSipLeg(SipIncomingLeg):
    def __init__(self, leg_id: str, call: object) -> None:
        self.id = leg_id
        self._call: Any = call


def opened(leg: Any, application: str = "acme") -> OpenLeg:
    nobody: Any = None
    return OpenLeg(nobody, Side.CALLER, leg, application)


def test_a_leg_is_found_by_its_id_in_its_own_application_alone_while_it_talks() -> None:
    calls = OpenCalls(lambda _: None)
    leg: Any = FakeLeg("a")
    calls.add(opened(leg))
    found = calls.find("a", "acme")
    assert found is not None and found.leg is leg
    assert calls.find("a", "another") is None
    other: Any = FakeLeg("a")
    calls.remove(other)
    assert calls.find("a", "acme") is not None, "it's another one"
    calls.remove(found.leg)
    calls.remove(found.leg)
    assert calls.find("a", "acme") is None


def test_a_dialog_names_the_leg_that_has_it_and_none_names_nothing() -> None:
    call: Any = object()
    known = ReplacedDialog("c", "ours", "theirs")
    calls = OpenCalls(lambda dialog: call if dialog == known else None)
    assert calls.leg_id_of(known) is None
    calls.add(opened(FakeSipLeg("leg", call)))
    assert calls.leg_id_of(known) == "leg"
    assert calls.leg_id_of(ReplacedDialog("c", "guessed", "theirs")) is None
    assert calls.leg_id_of(dialog_of_leg("of a user")) == "of a user"
