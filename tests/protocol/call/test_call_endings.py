"""How a call ends for who did not end it: what is sent, and what each goodbye of the other end means."""

from typing import Any

import pytest

from sinchphone.protocol.call import vocabulary as v
from sinchphone.protocol.call.endings import BUSY, VANISHED
from sinchphone.protocol.call.states import Cause, EndedBy, State
from sinchphone.protocol.mxp.message import BodyType, CallFailure, Method, decode_failure, encode_failure
from tests.protocol.call.test_call import ANSWER, BOB2, Sent, ack, answered, calling, joined, message, picked_up, ringing, rung, talking
from tests.protocol.call.test_call import ME as US

WHY = CallFailure(503, "Service Unavailable", "sip")


def confirmed() -> Any:
    """An incoming call that we answered and the caller confirmed; no sound yet."""
    call = picked_up()
    call >> joined(US) << v.Entered(State.ANSWERED)
    return call


def talking_to_a_caller() -> Any:
    call = confirmed()
    call >> v.MediaConnected("bob-1") << v.Entered(State.ESTABLISHED)
    return call


class TestCancelAfterTheAnswer:
    """A 1.x caller counts as established a second after its JOINED, and hangs up with a CANCEL until then."""

    @pytest.mark.parametrize("make", [confirmed, talking_to_a_caller])
    def test_the_caller_hangs_up_in_the_second_after_its_joined(self, make: Any) -> None:
        make() >> message(Method.CANCEL) << v.Ended(Cause.HUNG_UP, EndedBy.PEER)

    def test_it_is_a_goodbye_while_the_sound_has_broken_off_already(self) -> None:
        call = talking_to_a_caller()
        call >> v.MediaLost("bob-1")
        call.nothing() >> message(Method.CANCEL) << v.Ended(Cause.HUNG_UP, EndedBy.PEER)

    def test_it_ends_a_call_that_we_picked_up_and_the_caller_has_not_confirmed(self) -> None:
        picked_up() >> message(Method.CANCEL) << v.Ended(Cause.CANCELED, EndedBy.PEER)

    @pytest.mark.parametrize("make", [answered, talking])
    def test_a_gateway_may_say_it_too(self, make: Any) -> None:
        make() >> message(Method.CANCEL) << v.Ended(Cause.HUNG_UP, EndedBy.PEER)

    def test_another_device_cannot(self) -> None:
        call = talking()
        call >> message(Method.CANCEL, BOB2)
        call.nothing()


class TestReasons:
    """A 1.x client knows LEAVE and CANCEL with a null body only: the reason is a header there."""

    @pytest.mark.parametrize("make", [answered, talking, confirmed, talking_to_a_caller, picked_up])
    def test_a_leave_with_a_reason_has_no_body(self, make: Any) -> None:
        call = make()
        call >> v.HangUp(WHY) << Sent(Method.LEAVE, None, ("error_json", encode_failure(WHY)), None)
        call << v.Ended(Cause.HUNG_UP, EndedBy.US, WHY)

    def test_a_leave_for_sound_that_never_came_has_no_body(self) -> None:
        call = answered()
        call >> 15.1
        sent = call.effects.pop(0).message
        assert (sent.method, sent.body_type, sent.body) == (Method.LEAVE, BodyType.NONE, "")
        assert decode_failure(sent.headers["error_json"]).code == 3002
        call.effects.clear()

    def test_a_cancel_tells_why(self) -> None:
        (
            ringing()
            >> v.HangUp(WHY)
            << Sent(Method.CANCEL, None, ("error_json", encode_failure(WHY)), None)
            << v.Ended(Cause.CANCELED, EndedBy.US, WHY)
        )

    def test_a_failure_of_ours_while_it_rings_has_no_body(self) -> None:
        call = ringing()
        call >> v.Failed(WHY) << Sent(Method.LEAVE, None, ("error_json", encode_failure(WHY)), None)
        call << v.Ended(Cause.FAILURE, EndedBy.PLATFORM, WHY)

    @pytest.mark.parametrize("method", [Method.DENY, Method.ERROR])
    def test_methods_that_every_client_knows_with_a_body_have_it(self, method: Method) -> None:
        call = rung()
        order = v.HangUp(WHY) if method is Method.DENY else v.Failed(WHY)
        call >> order
        sent = call.effects.pop(0).message
        assert (sent.method, sent.body_type, sent.body) == (method, BodyType.ERROR, encode_failure(WHY))
        call.effects.clear()

    @pytest.mark.parametrize("make", [answered, talking, confirmed])
    def test_both_forms_are_read(self, make: Any) -> None:
        for told in (
            message(Method.LEAVE, error_json=encode_failure(WHY)),
            message(Method.LEAVE, body_type=BodyType.ERROR, body=encode_failure(WHY)),
        ):
            make() >> told << v.Ended(Cause.FAILURE, EndedBy.PEER, WHY)


class TestWhoEndedIt:
    @pytest.mark.parametrize(("domain", "by"), [("exchange", "platform"), ("network", "platform"), ("sip", "peer"), ("", "peer")])
    def test_a_leave_with_a_failure_is_a_failure_and_of_whose_doing_it_was(self, domain: str, by: EndedBy) -> None:
        failure = CallFailure(503, "it stopped", domain)
        talking() >> message(Method.LEAVE, failureterm="yes", error_json=encode_failure(failure)) << v.Ended(Cause.FAILURE, by, failure)

    def test_who_is_told_that_it_was_lost_ends_as_its_peer_did(self) -> None:
        call = talking()
        call >> v.MediaLost("bob-1")
        call.nothing() >> 2.1
        leave = call.effects.pop(0).message
        call << v.Ended(Cause.INACTIVE, EndedBy.MEDIA)
        other = talking_to_a_caller()
        other >> message(leave.method, body_type=leave.body_type, body=leave.body, **{**leave.headers, "to": "ada-1"})
        other << v.Ended(Cause.INACTIVE, EndedBy.MEDIA, VANISHED)

    def test_a_leave_with_words_only_is_a_hang_up(self) -> None:
        words = CallFailure(None, "good night")
        talking() >> message(Method.LEAVE, error_json='{"message":"good night"}') << v.Ended(Cause.HUNG_UP, EndedBy.PEER, words)

    def test_a_failed_platform_before_the_answer_is_told_as_the_platforms(self) -> None:
        failure = CallFailure(503, "it stopped", "exchange")
        call = ringing()
        call >> message(Method.ERROR, body_type=BodyType.ERROR, body=encode_failure(failure)) << v.DropPeer("bob-1")
        call << Sent(Method.CANCEL) << v.Ended(Cause.FAILURE, EndedBy.PLATFORM, failure)


class TestBareDeny:
    """A 1.x client says by the same bare DENY that somebody declined, that it is busy, and that it has rung for 45 s."""

    def test_after_a_ring_of_44_seconds_it_is_the_clients_own_time_out(self) -> None:
        call = ringing()
        call >> 44.1
        call.nothing() >> message(Method.DENY) << v.DropPeer("bob-1")
        call << Sent(Method.CANCEL, None, ("deny", None)) << v.Ended(Cause.NO_ANSWER, "time")  # type: ignore[arg-type]

    def test_before_that_somebody_declined(self) -> None:
        call = ringing()
        call >> 43.9
        call.nothing() >> message(Method.DENY) << v.DropPeer("bob-1")
        call << Sent(Method.CANCEL, None, ("deny", "yes")) << v.Ended(Cause.DENIED, EndedBy.PEER)

    def test_that_a_person_declined_is_believed_at_any_time(self) -> None:
        call = ringing()
        call >> 50.0
        call.nothing() >> message(Method.DENY, deny="yes") << v.DropPeer("bob-1")
        call << Sent(Method.CANCEL) << v.Ended(Cause.DENIED, EndedBy.PEER)

    def test_our_own_decline_says_that_a_person_did(self) -> None:
        rung() >> v.HangUp() << Sent(Method.DENY, None, ("deny", "yes")) << v.Ended(Cause.DENIED, EndedBy.US)

    def test_a_time_out_of_one_device_leaves_the_others_ringing(self) -> None:
        call = ringing(2)
        call >> ack(BOB2) << v.ApplyAnswer("bob-2", ANSWER)
        call >> 45.0
        call.nothing() >> message(Method.DENY) << v.DropPeer("bob-1")
        call >> message(Method.DENY, BOB2) << v.DropPeer("bob-2")
        call << Sent(Method.CANCEL) << v.Ended(Cause.NO_ANSWER, EndedBy.TIME)

    def test_without_an_ack_before_it_the_device_is_busy(self) -> None:
        calling() >> message(Method.DENY) << Sent(Method.CANCEL) << v.Ended(Cause.DENIED, EndedBy.PEER, BUSY)

    def test_a_busy_device_leaves_the_others_time_to_take_notice(self) -> None:
        call = calling(2)
        call >> message(Method.DENY)
        call.nothing() >> ack(BOB2) << v.ApplyAnswer("bob-2", ANSWER) << v.Entered(State.RINGING)

    def test_a_reason_says_more_than_the_time(self) -> None:
        busy = message(Method.DENY, body_type=BodyType.ERROR, body=encode_failure(CallFailure(603, "Declined")))
        call = ringing()
        call >> 50.0
        (
            call.nothing()
            >> busy
            << v.DropPeer("bob-1")
            << Sent(Method.CANCEL)
            << v.Ended(Cause.DENIED, EndedBy.PEER, CallFailure(603, "Declined"))
        )

    @pytest.mark.parametrize("make", [rung, picked_up])
    def test_a_caller_sends_away_the_devices_that_took_notice_after_the_first(self, make: Any) -> None:
        call = make()
        call >> message(Method.DENY, to="ada-1", denyall="no")
        ended = call.effects.pop()
        assert (ended.cause, ended.by) == (Cause.CANCELED, "peer")
