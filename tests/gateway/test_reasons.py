"""Why a call ended, from one side's words to the other's, and to the backend's."""

from dataclasses import replace

import pytest

from sinchphone.errors import (
    TRUNK_AWAY,
    ForbiddenError,
    MediaError,
    NetworkError,
    NoPortError,
    NoServerError,
    NotFoundError,
    SinchphoneError,
)
from sinchphone.exchange.refusals import RefusedError, not_found, too_many
from sinchphone.gateway.call_facts import CallerName, Dialled, Failure, Source
from sinchphone.gateway.callbacks.dice import disconnected_event
from sinchphone.gateway.legs.leg import Gone
from sinchphone.gateway.legs.reasons import CallEnding, CallRefusedError, as_told, failure_of_error, failure_of_mxp, is_denial
from sinchphone.gateway.legs.sip import Invitation, SipOutgoingLeg
from sinchphone.gateway.routing.routing import Dialling
from sinchphone.gateway.sip.calls import Refused, SipTarget
from sinchphone.protocol.call.endings import departure
from sinchphone.protocol.call.states import Cause
from sinchphone.protocol.callbacks.events import CallResult, Reason
from sinchphone.protocol.mxp.message import CallFailure, Client, Message, Method, encode_failure
from sinchphone.protocol.sip.uri import parse_address, parse_uri
from sinchphone.signaling.dialect import Domain
from sinchphone.signaling.wire import ErrorCode

INVITATION = Invitation(target=SipTarget(parse_uri("sip:a@b.example")), caller=parse_address("<sip:c@d.example>"))
CALL = Dialling(
    source=Source.TRUNK, caller=CallerName(Domain.PSTN, "+46701234567", "+46701234567"), dialled=Dialled(Domain.SIP, "+12025550123@us")
)


@pytest.mark.parametrize(
    ("cause", "failure", "status"),
    [
        (Cause.DENIED, None, 603),
        (Cause.DENIED, CallFailure(486, "Busy here"), 486),
        (Cause.NO_ANSWER, None, 480),
        (Cause.TIMEOUT, None, 480),
        (Cause.INACTIVE, None, 408),
        (Cause.FAILURE, CallFailure(3002, "ICE failed to connect"), 500),
        (Cause.FAILURE, CallFailure(404, "nobody"), 404),
    ],
)
def test_an_mxp_end_has_a_sip_status(cause: Cause, failure: CallFailure | None, status: int) -> None:
    found = failure_of_mxp(cause, failure)
    assert found is not None and found.status == status
    assert found.reason == (failure.message if failure else found.reason)


@pytest.mark.parametrize("cause", [Cause.HUNG_UP, Cause.CANCELED, Cause.OTHER_DEVICE_ANSWERED])
def test_hanging_up_is_no_failure(cause: Cause) -> None:
    assert failure_of_mxp(cause, None) is None


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (CallRefusedError(Failure(484, "short")), 484),
        (not_found("nobody"), 404),
        (too_many("full"), 486),
        (RefusedError(409, ErrorCode.INVALID_REQUEST, "twice"), 480),
        (RefusedError(413, ErrorCode.INVALID_REQUEST, "long"), 480),
        (RefusedError(501, ErrorCode.NOT_THERE, "?"), 500),
        (NoPortError("no pair of UDP ports is free from 20000 to 20001"), 503),
        (NoServerError("there is no SIP server at x"), 404),
        (ForbiddenError("no"), 403),
        (NotFoundError("nobody"), 404),
        (MediaError("no sound"), 488),
        (NetworkError("away"), 503),
        (SinchphoneError("?"), 500),
    ],
)
def test_an_error_of_ours_has_a_sip_status(error: SinchphoneError, status: int) -> None:
    assert failure_of_error(error).status == status


def test_what_only_concerns_this_machine_is_not_told() -> None:
    for error in (NoPortError("no pair is free from 20000 to 20001"), too_many("the user has 16 open calls")):
        assert not any(letter.isdigit() for letter in failure_of_error(error).reason)


async def test_what_stops_a_call_here_is_not_said_in_the_sip_sides_name() -> None:
    leg = SipOutgoingLeg(lambda invitation, offer: None, INVITATION, media_host=None, over=lambda: None)  # type: ignore[arg-type, return-value]
    said = [leg._translated(Refused(503, "x", error)) for error in (NetworkError("a can't be reached"), ForbiddenError("not there"), None)]
    assert said == [
        Gone(failure=Failure(503, "a can't be reached", "network")),
        Gone(failure=Failure(403, "not there", "exchange")),
        Gone(failure=Failure(503, "x", "sip")),
    ]


async def test_a_trunk_that_is_not_found_is_out_of_reach_and_not_the_number_that_nobody_has() -> None:
    over_trunk = replace(INVITATION, trunk=Source.TRUNK)
    leg = SipOutgoingLeg(lambda invitation, offer: None, over_trunk, media_host=None, over=lambda: None)  # type: ignore[arg-type, return-value]
    errors = (NoServerError("there is no SIP server at x"), NetworkError("x can't be reached"), ForbiddenError("not there"))
    assert [leg._translated(Refused(404, "Not found", error)) for error in errors] == [
        Gone(failure=Failure(503, f"{TRUNK_AWAY}: there is no SIP server at x", "network")),
        Gone(failure=Failure(503, f"{TRUNK_AWAY}: x can't be reached", "network")),
        Gone(failure=Failure(403, "not there", "exchange")),
    ]


def test_what_people_decide_is_a_denial() -> None:
    assert [status for status in (404, 480, 486, 500, 600, 603) if is_denial(Failure(status, ""))] == [486, 600, 603]


def test_an_mxp_client_is_told_the_sip_code_and_that_it_is_one() -> None:
    assert as_told(Failure(486, "Busy Here", "sip")) == CallFailure(486, "Busy Here", "sip")


@pytest.mark.parametrize(
    ("ending", "talked_s", "reason", "result"),
    [
        (CallEnding("caller"), 12.4, Reason.CALLER_HANGUP, CallResult.ANSWERED),
        (CallEnding("called"), 12.4, Reason.CALLEE_HANGUP, CallResult.ANSWERED),
        (CallEnding("caller"), None, Reason.CANCEL, CallResult.NO_ANSWER),
        (CallEnding("caller", Failure(503, "")), 12.4, Reason.CONGESTION, CallResult.ANSWERED),
        (CallEnding("caller", Failure(500, "")), 12.4, Reason.GENERAL_ERROR, CallResult.ANSWERED),
        (CallEnding("called", Failure(486, "")), None, Reason.BUSY, CallResult.BUSY),
        (CallEnding("called", Failure(603, "")), None, Reason.CALLEE_HANGUP, CallResult.BUSY),
        (CallEnding("called", Failure(480, "")), None, Reason.NO_ANSWER, CallResult.NO_ANSWER),
        (CallEnding("exchange", Failure(404, "")), None, Reason.USER_NOT_FOUND, CallResult.FAILED),
        (CallEnding("exchange", Failure(403, "")), None, Reason.BLOCKED, CallResult.FAILED),
        (CallEnding("exchange", Failure(503, "")), None, Reason.CONGESTION, CallResult.FAILED),
        (CallEnding("exchange", Failure(500, "")), None, Reason.GENERAL_ERROR, CallResult.FAILED),
        (CallEnding("time", Failure(408, ""), Reason.TIMEOUT), 14_400.0, Reason.TIMEOUT, CallResult.ANSWERED),
        (CallEnding("exchange", Failure(603, ""), Reason.MANAGER_HANGUP), None, Reason.MANAGER_HANGUP, CallResult.FAILED),
    ],
)
def test_dice_says_how_it_ended(ending: CallEnding, talked_s: float | None, reason: Reason, result: CallResult) -> None:
    event = disconnected_event(CALL, ending, talked_s)
    assert (event.reason, event.result) == (reason, result)
    assert event.duration_s == (None if talked_s is None else round(talked_s))
    assert event.caller == "+46701234567"


@pytest.mark.parametrize("domain", ["sip", "media"])
def test_whose_failure_it_was_is_passed_on(domain: str) -> None:
    assert failure_of_mxp(Cause.FAILURE, CallFailure(503, "down", domain)) == Failure(503, "down", domain)


def test_a_user_who_vanished_is_told_to_the_other_side_as_vanished() -> None:
    failure = failure_of_mxp(Cause.INACTIVE, None)
    assert failure is not None
    told = Message(Method.LEAVE, Client("ada", "ada-1", "s"), headers={"error_json": encode_failure(as_told(failure))})
    assert departure(told).cause is Cause.INACTIVE
