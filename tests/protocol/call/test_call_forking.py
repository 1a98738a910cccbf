"""The call machine where several devices of the called user take part."""

from sinchphone.protocol.call import vocabulary as v
from sinchphone.protocol.call.endings import BUSY
from sinchphone.protocol.call.states import Cause, EndedBy, State
from sinchphone.protocol.mxp.message import BodyType, CallFailure, Method, encode_failure
from tests.protocol.call.test_call import ANSWER, BOB, BOB2, Playbook, Sent, ack, answered, calling, message, ringing


class TestForking:
    def two_ringing(self) -> Playbook:
        call = ringing(2)
        call >> ack(BOB2) << v.ApplyAnswer("bob-2", ANSWER)
        return call

    def test_the_first_device_that_picks_up_wins_and_all_are_told(self) -> None:
        call = self.two_ringing()
        call >> message(Method.JOIN, BOB2) << Sent(Method.JOINED, ("sig-bob-1", "sig-bob-2")) << v.DropPeer("bob-1")
        call << v.Entered(State.ANSWERED) << v.CarrySound("bob-2")
        assert call.machine.winner == "bob-2"

    def test_a_second_device_that_picks_up_too_is_told_who_won(self) -> None:
        call = self.two_ringing()
        call >> message(Method.JOIN, BOB2) << Sent(Method.JOINED) << v.DropPeer("bob-1")
        call << v.Entered(State.ANSWERED) << v.CarrySound("bob-2")
        call >> message(Method.JOIN, BOB) << Sent(Method.JOINED, ("sig-bob-1",))

    def test_a_device_that_takes_notice_after_the_answer_is_told_who_won(self) -> None:
        call = answered()
        call >> ack(BOB2) << Sent(Method.JOINED, ("sig-bob-2",))

    def test_who_declines_on_one_of_two_ringing_devices_has_declined_on_both(self) -> None:
        call = self.two_ringing()
        call >> message(Method.DENY) << v.DropPeer("bob-1")
        call << Sent(Method.CANCEL, ("sig-bob-2", "sig-bob-1", "sig-call"), ("deny", "yes")) << v.Ended(Cause.DENIED, EndedBy.PEER)

    def test_an_error_of_one_of_two_ringing_devices_leaves_the_other_ringing(self) -> None:
        call = self.two_ringing()
        call >> message(Method.ERROR) << v.DropPeer("bob-1")
        call >> message(Method.JOIN, BOB2) << Sent(Method.JOINED) << v.Entered(State.ANSWERED) << v.CarrySound("bob-2")

    def test_after_the_ack_window_one_device_declines_for_all(self) -> None:
        call = self.two_ringing()
        call >> 11.0
        call.nothing() >> message(Method.DENY) << v.DropPeer("bob-1")
        call << Sent(Method.CANCEL, ("sig-bob-2", "sig-bob-1", "sig-call"), ("deny", "yes")) << v.Ended(Cause.DENIED, EndedBy.PEER)

    def test_after_the_ack_window_a_busy_device_leaves_the_others_ringing(self) -> None:
        call = self.two_ringing()
        call >> 11.0
        call.nothing() >> message(Method.DENY, denyall="no") << v.DropPeer("bob-1")
        call.nothing()

    def test_the_only_device_declines(self) -> None:
        call = ringing()
        call >> message(Method.DENY) << v.DropPeer("bob-1") << Sent(Method.CANCEL, None, ("deny", "yes"))
        call << v.Ended(Cause.DENIED, EndedBy.PEER)

    def test_the_only_device_is_busy(self) -> None:
        busy = CallFailure(486, "Busy here")
        call = calling(1)
        call >> message(Method.DENY, BOB, BodyType.ERROR, encode_failure(busy), denyall="no") << Sent(Method.CANCEL)
        call << v.Ended(Cause.DENIED, EndedBy.PEER, busy)

    def test_a_busy_device_doesnt_end_the_call_while_another_may_still_take_notice(self) -> None:
        call = calling(2)
        call >> message(Method.DENY, denyall="no")
        call.nothing() >> ack(BOB2) << v.ApplyAnswer("bob-2", ANSWER) << v.Entered(State.RINGING)

    def test_when_no_other_device_takes_notice_the_refusal_stands(self) -> None:
        call = calling(2)
        call >> message(Method.DENY, denyall="no")
        call.nothing() >> 10.1 << Sent(Method.CANCEL) << v.Ended(Cause.DENIED, EndedBy.PEER, BUSY)

    def test_an_error_of_the_only_device_fails_the_call(self) -> None:
        call = ringing()
        call >> message(Method.ERROR, BOB, BodyType.ERROR, encode_failure(CallFailure(7, "no codec"))) << v.DropPeer("bob-1")
        call << Sent(Method.CANCEL) << v.Ended(Cause.FAILURE, EndedBy.PEER, CallFailure(7, "no codec"))

    def test_a_device_that_denied_doesnt_come_back(self) -> None:
        call = self.two_ringing()
        call >> message(Method.DENY, denyall="no") << v.DropPeer("bob-1")
        call >> ack(BOB)
        call.nothing() >> message(Method.DENY)
        call.nothing()
