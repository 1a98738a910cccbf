from pathlib import Path

import pytest

from sinchphone import errors
from sinchphone.cli.endings import Order, code_of_order, describe
from sinchphone.cli.exits import ExitCode, code_of_call, code_of_error, help_text
from sinchphone.engine.calls.details import CallDetails
from sinchphone.protocol.call.states import Cause, EndedBy
from sinchphone.protocol.mxp.message import CallFailure
from sinchphone.signaling.dialect import Domain

ROOT = Path(__file__).parents[2]
PROMISED = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 20, 124, 130, 143}


def details(
    cause: Cause, by: str = "peer", *, code: int | None = None, talked: bool = False, domain: str = "", **more: object
) -> CallDetails:
    failure = CallFailure(code, "because", domain) if code is not None or domain else None
    at = 2.0 if talked else None
    return CallDetails(1.0, answered_at=at, established_at=at, ended_at=3.0, cause=cause, ended_by=by, failure=failure, **more)  # type: ignore[arg-type]


def test_every_exit_code_that_is_printed_is_returned_by_something() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "sinchphone").rglob("*.py")]
    unused = [code.name for code in ExitCode if not any(f"ExitCode.{code.name}" in source for source in sources)]
    assert not unused


def test_the_numbers_are_those_that_were_promised_and_help_prints_them_all() -> None:
    assert {int(code) for code in ExitCode} == PROMISED
    assert [line.split(maxsplit=1)[0] for line in help_text().splitlines()] == [str(number) for number in sorted(PROMISED)]
    assert all(code.meaning for code in ExitCode)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError("a bug"), 1),
        (errors.LocalProtocolError("a bug too"), 1),
        (errors.DestinationError(""), 2),
        (errors.AudioFileError(""), 2),
        (errors.TopicError(""), 2),
        (errors.UsageError(""), 2),
        (errors.ControlError(""), 2),
        (errors.AuthenticationError(""), 4),
        (errors.NotFoundError(""), 7),
        (errors.ForbiddenError(""), 8),
        (errors.NetworkError(""), 9),
        (errors.MediaError(""), 10),
        (errors.DeviceError(""), 11),
        (errors.PlatformError(""), 13),
        (errors.RemoteProtocolError(""), 13),
        (errors.ConfigError(""), 14),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_error_has_its_exit_code(error: BaseException, code: int) -> None:
    assert code_of_error(error) == code


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (details(Cause.HUNG_UP, talked=True), 0),
        (details(Cause.FAILURE, code=503, domain="sip", talked=True), 13),
        (details(Cause.FAILURE, code=408, domain="exchange", by="platform", talked=True), 13),
        (details(Cause.FAILURE, code=480, domain="sip", talked=True), 13),
        (details(Cause.FAILURE, code=480, domain="sip"), 5),
        (details(Cause.INACTIVE, "media", code=408, domain="media", talked=True), 10),
        (details(Cause.FAILURE, "media", code=500, domain="media", talked=True), 10),
        (details(Cause.HUNG_UP), 5),
        (details(Cause.DENIED), 3),
        (details(Cause.DENIED, code=486), 6),
        (details(Cause.NO_ANSWER, "time"), 5),
        (details(Cause.TIMEOUT, "time"), 5),
        (details(Cause.CANCELED, "us"), 130),
        (details(Cause.INACTIVE, "media", talked=True), 10),
        (details(Cause.FAILURE, "media"), 10),
        (details(Cause.FAILURE, "peer", code=3002), 10),
        (details(Cause.FAILURE, "platform", code=401), 4),
        (details(Cause.FAILURE, "platform", code=403), 8),
        (details(Cause.FAILURE, "platform", code=404), 7),
        (details(Cause.FAILURE, "platform", code=486), 6),
        (details(Cause.FAILURE, "platform", code=603), 3),
        (details(Cause.FAILURE, "platform", code=500), 13),
        (details(Cause.DENIED, code=404, domain="sip"), 7),
        (details(Cause.DENIED, code=503, domain="SIP"), 13),
        (details(Cause.CANCELED, code=487, domain="sip"), 5),
        (details(Cause.HUNG_UP, code=480, domain="sip", talked=True), 0),
        (details(Cause.FAILURE, "platform", domain="network"), 9),
        (details(Cause.FAILURE, "platform"), 13),
    ],
)
def test_each_end_of_an_outgoing_call_has_its_exit_code(call: CallDetails, code: int) -> None:
    assert code_of_call(call) == code
    assert describe(call, peer="bob", domain=Domain.MXP, outbound=True, order=None, interactive=False).code == code


@pytest.mark.parametrize(
    ("order", "talked", "interactive", "code"),
    [
        (Order.KEY, True, True, 0),
        (Order.KEY, False, True, 0),
        (Order.INTERRUPT, True, True, 0),
        (Order.INTERRUPT, False, True, 130),
        (Order.INTERRUPT, True, False, 130),
        (Order.TERMINATE, True, True, 143),
        (Order.STDOUT_CLOSED, True, False, 0),
        (Order.RING_TIMEOUT, False, False, 5),
        (Order.TIME_UP, True, False, 0),
        (Order.PLAYED, True, False, 0),
        (Order.CHECKED, True, False, 0),
    ],
)
def test_each_order_of_ours_has_its_exit_code(order: Order, talked: bool, interactive: bool, code: int) -> None:
    call = details(Cause.HUNG_UP if talked else Cause.CANCELED, "us", talked=talked)
    assert describe(call, peer="bob", domain=Domain.MXP, outbound=True, order=order, interactive=interactive).code == code
    assert code_of_order(order, established=talked, interactive=interactive) == code


def test_the_peer_who_hung_up_first_is_named_though_we_wanted_to() -> None:
    call = details(Cause.HUNG_UP, "peer", talked=True)
    assert describe(call, peer="bob", domain=Domain.MXP, outbound=True, order=Order.TIME_UP, interactive=False).reason == "bob hung up"


def test_an_error_of_ours_says_more_than_the_failure_it_became() -> None:
    error = errors.ForbiddenError("no credit", hint="top up")
    call = details(Cause.FAILURE, "platform", error=error)
    ending = describe(call, peer="bob", domain=Domain.MXP, outbound=True, order=None, interactive=False)
    assert (ending.code, ending.reason, ending.hint) == (8, "no credit", "top up")


def test_a_sip_caller_who_gives_up_gave_up() -> None:
    ending = describe(
        details(Cause.CANCELED, code=487, domain="sip"), peer="bob@pbx", domain=Domain.SIP, outbound=False, order=None, interactive=False
    )
    assert (ending.code, ending.reason) == (0, "bob@pbx gave up")


def test_what_we_ordered_counts_more_than_what_the_sip_side_made_of_it() -> None:
    call = details(Cause.CANCELED, "us", code=487, domain="sip")
    ending = describe(call, peer="bob@pbx", domain=Domain.SIP, outbound=True, order=Order.RING_TIMEOUT, interactive=False)
    assert (ending.code, ending.reason) == (5, "nobody answered in time")


def test_a_peer_who_says_why_is_quoted() -> None:
    failure = CallFailure(None, "removed from the conference", "conference")
    call = CallDetails(1.0, answered_at=2.0, established_at=2.0, ended_at=3.0, cause=Cause.HUNG_UP, ended_by=EndedBy.PEER, failure=failure)
    ending = describe(call, peer="standup", domain=Domain.CONFERENCE, outbound=True, order=None, interactive=False)
    assert (ending.code, ending.reason) == (0, "standup hung up: removed from the conference")


@pytest.mark.parametrize("cause", [Cause.CANCELED, Cause.OTHER_DEVICE_ANSWERED, Cause.DENIED, Cause.NO_ANSWER])
def test_who_listens_has_done_as_asked_whatever_the_caller_does(cause: Cause) -> None:
    assert describe(details(cause), peer="bob", domain=Domain.MXP, outbound=False, order=None, interactive=False).code == 0


def test_sound_that_fails_is_a_failure_for_who_listens_too() -> None:
    assert (
        describe(details(Cause.FAILURE, "media"), peer="bob", domain=Domain.MXP, outbound=False, order=None, interactive=False).code == 10
    )
