"""The call machine, one conversation a test.

``call >> input`` gives it an input, ``<< effect`` expects the next effect, ``>> 10.1`` lets seconds pass.
"""

from dataclasses import dataclass
from types import EllipsisType
from typing import Any

import pytest

from sinchphone.errors import LocalProtocolError
from sinchphone.protocol.call import vocabulary as v
from sinchphone.protocol.call.endings import VANISHED
from sinchphone.protocol.call.machine import CallMachine
from sinchphone.protocol.call.states import Cause, EndedBy, State
from sinchphone.protocol.call.vocabulary import Phase
from sinchphone.protocol.mxp.message import BodyType, CallFailure, Client, Message, Method, encode_client, encode_failure
from sinchphone.protocol.sdp.jsep import Candidate, Description, encode_candidate, encode_description

OFFER = Description("offer", "v=0 offer")
ANSWER = Description("answer", "v=0 answer")
ME = Client("ada", "ada-1", "sig-ada")
BOB = Client("bob", "bob-1", "sig-bob-1")
BOB2 = Client("bob", "bob-2", "sig-bob-2")
ME_AS_WINNER = Client("", "gateway-1", "sig-gateway")  # whoever rings knows it for another than itself
INVITE = Message(Method.INVITE, BOB, BodyType.MEDIA, "", {"sdp": encode_description(OFFER)})


@dataclass
class Sent:
    """Expects a Send of that method; of the channels, headers and body only what is given."""

    method: Method
    to: tuple[str, ...] | None = None
    header: tuple[str, str] | None = None
    body: Description | EllipsisType | None = ...

    def fits(self, effect: Any) -> bool:
        return (
            isinstance(effect, v.Send)
            and effect.message.method is self.method
            and (self.to is None or set(effect.channels) == set(self.to))
            and (self.header is None or effect.message.headers.get(self.header[0]) == self.header[1])
            and (self.body is ... or effect.message.body == (encode_description(self.body) if self.body else ""))
        )


class Playbook:
    def __init__(self, invite: Message | None = None) -> None:
        self.machine = CallMachine(ME, invite=invite)
        self.now = 100.0
        self.effects: list[Any] = []

    def __rshift__(self, event: Any) -> "Playbook":
        assert self.effects == [], "effects that nobody expected"
        if isinstance(event, float):
            self.now += event
            event = v.Elapsed()
        self.effects = self.machine.handle(event, self.now)
        return self

    def __lshift__(self, expected: Any) -> "Playbook":
        assert self.effects, f"nothing came where {expected} was expected"
        effect = self.effects.pop(0)
        assert expected.fits(effect) if isinstance(expected, Sent) else effect == expected, f"{effect} is not {expected}"
        return self

    def nothing(self) -> "Playbook":
        assert self.effects == []
        return self


def message(method: Method, sender: Client = BOB, body_type: str = BodyType.NONE, body: str = "", **headers: str) -> v.Received:
    return v.Received(Message(method, sender, body_type, body, headers))


def ack(sender: Client = BOB, **headers: str) -> v.Received:
    return message(Method.ACK, sender, BodyType.SDP, encode_description(ANSWER), **headers)


def joined(winner: Client) -> v.Received:
    return message(Method.JOINED, BOB, BodyType.CLIENT, encode_client(winner))


def calling(devices: int | None = 1) -> Playbook:
    call = Playbook()
    call >> v.Dial() << v.MakeOffer()
    call >> v.OfferReady(OFFER) << v.PlaceCall(OFFER)
    call >> v.Placed("sig-call", devices) << v.Entered(State.PROGRESSING)
    return call


def ringing(devices: int | None = 1) -> Playbook:
    call = calling(devices)
    call >> ack() << v.ApplyAnswer("bob-1", ANSWER) << v.Entered(State.RINGING)
    return call


def answered() -> Playbook:
    call = ringing()
    call >> message(Method.JOIN) << Sent(Method.JOINED, ("sig-bob-1",)) << v.Entered(State.ANSWERED) << v.CarrySound("bob-1")
    return call


def talking() -> Playbook:
    call = answered()
    call >> v.MediaConnected("bob-1") << v.Entered(State.ESTABLISHED)
    return call


def rung() -> Playbook:
    call = Playbook(INVITE)
    call >> v.Greet() << v.MakeAnswer("bob-1", OFFER)
    call >> v.AnswerReady(ANSWER) << Sent(Method.ACK, ("sig-bob-1",)) << v.Entered(State.RINGING)
    return call


def rung_ahead() -> Playbook:
    call = Playbook(INVITE)
    call >> v.Greet() << v.MakeAnswer("bob-1", OFFER)
    call >> v.Ring() << Sent(Method.ACK, ("sig-bob-1",), body=None) << v.Entered(State.RINGING)
    return call


def picked_up() -> Playbook:
    call = rung()
    call >> v.Answer() << Sent(Method.JOIN, ("sig-bob-1",), ("to", "bob-1")) << v.CarrySound("bob-1")
    return call


class TestOutgoing:
    def test_a_call_is_answered_and_hung_up_by_us(self) -> None:
        call = talking()
        call >> v.HangUp() << Sent(Method.LEAVE, ("sig-bob-1",)) << v.Ended(Cause.HUNG_UP, EndedBy.US)

    def test_a_call_is_hung_up_by_the_peer(self) -> None:
        talking() >> message(Method.LEAVE) << v.Ended(Cause.HUNG_UP, EndedBy.PEER)

    def test_a_peer_that_denies_after_it_has_joined_hangs_up(self) -> None:
        answered() >> message(Method.DENY) << v.Ended(Cause.HUNG_UP, EndedBy.PEER)

    def test_media_that_came_up_while_it_rang_establishes_the_call_at_the_answer(self) -> None:
        call = ringing()
        call >> v.MediaConnected("bob-1")
        call.nothing() >> message(Method.JOIN) << Sent(Method.JOINED) << v.Entered(State.ANSWERED) << v.CarrySound("bob-1")
        call << v.Entered(State.ESTABLISHED)

    def test_nobody_acknowledges_the_invite_in_time(self) -> None:
        call = calling()
        call >> 9.9
        call.nothing() >> 0.2 << Sent(Method.CANCEL, ("sig-call",)) << v.Ended(Cause.TIMEOUT, EndedBy.TIME)

    def test_a_pushed_call_may_take_longer_to_wake_a_device(self) -> None:
        call = Playbook()
        call >> v.Dial() << v.MakeOffer()
        call >> v.OfferReady(OFFER) << v.PlaceCall(OFFER)
        call >> v.Placed("sig-call", 1, pushed=True) << v.Entered(State.PROGRESSING)
        call >> 30.0
        call.nothing() >> 30.1 << Sent(Method.CANCEL) << v.Ended(Cause.NO_ANSWER, EndedBy.TIME)

    def test_nobody_picks_up_in_time(self) -> None:
        call = ringing()
        call >> 59.9
        call.nothing() >> 0.2 << Sent(Method.CANCEL, ("sig-bob-1", "sig-call")) << v.Ended(Cause.NO_ANSWER, EndedBy.TIME)

    def test_hanging_up_while_it_rings_cancels_it(self) -> None:
        ringing() >> v.HangUp() << Sent(Method.CANCEL, ("sig-bob-1", "sig-call")) << v.Ended(Cause.CANCELED, EndedBy.US)

    def test_who_rings_is_told_that_somebody_else_answered(self) -> None:
        """Not a CANCEL: nobody has missed the call."""
        call = ringing()
        call >> v.HangUp(elsewhere=Cause.OTHER_DEVICE_ANSWERED) << Sent(Method.JOINED, ("sig-bob-1", "sig-call"))
        call << v.Ended(Cause.OTHER_DEVICE_ANSWERED, EndedBy.US)
        told = rung()
        told >> joined(ME_AS_WINNER) << v.Ended(Cause.OTHER_DEVICE_ANSWERED, EndedBy.PEER)

    def test_who_rings_is_told_that_somebody_else_declined_for_all(self) -> None:
        call = ringing()
        call >> v.HangUp(elsewhere=Cause.DENIED) << Sent(Method.CANCEL, ("sig-bob-1", "sig-call"), ("deny", "yes"))
        call << v.Ended(Cause.DENIED, EndedBy.US)

    def test_an_answer_elsewhere_while_the_platform_is_asked_is_told_to_whom_it_started_to_ring(self) -> None:
        call = Playbook()
        call >> v.Dial() << v.MakeOffer()
        call >> v.OfferReady(OFFER) << v.PlaceCall(OFFER)
        call >> v.HangUp(elsewhere=Cause.OTHER_DEVICE_ANSWERED)
        call.nothing() >> v.Placed("sig-call", 1) << Sent(Method.JOINED, ("sig-call",)) << v.Ended(Cause.OTHER_DEVICE_ANSWERED, EndedBy.US)

    def test_hanging_up_while_the_platform_is_asked_cancels_what_it_started(self) -> None:
        call = Playbook()
        call >> v.Dial() << v.MakeOffer()
        call >> v.OfferReady(OFFER) << v.PlaceCall(OFFER)
        call >> v.HangUp()
        call.nothing() >> v.Placed("sig-call", 1) << Sent(Method.CANCEL, ("sig-call",)) << v.Ended(Cause.CANCELED, EndedBy.US)

    def test_hanging_up_doesnt_wait_for_a_platform_that_never_answers(self) -> None:
        call = Playbook()
        call >> v.Dial() << v.MakeOffer()
        call >> v.OfferReady(OFFER) << v.PlaceCall(OFFER)
        call >> v.HangUp()
        call.nothing() >> 3.1 << v.Ended(Cause.CANCELED, EndedBy.US)

    def test_a_failure_of_ours_while_it_rings_is_told_to_every_device(self) -> None:
        failure = CallFailure(None, "no sound")
        call = ringing()
        call >> v.Failed(failure, EndedBy.MEDIA) << Sent(Method.LEAVE, ("sig-bob-1", "sig-call"), ("failureterm", "yes"))
        call << v.Ended(Cause.FAILURE, EndedBy.MEDIA, failure)

    def test_the_platform_refuses(self) -> None:
        failure = CallFailure(40400, "unknown user")
        call = Playbook()
        call >> v.Dial() << v.MakeOffer()
        call >> v.OfferReady(OFFER) << v.PlaceCall(OFFER)
        call >> v.Failed(failure) << v.Ended(Cause.FAILURE, EndedBy.PLATFORM, failure)

    def test_a_join_that_overtakes_its_ack_waits_for_it(self) -> None:
        call = calling()
        call >> message(Method.JOIN)
        call.nothing() >> ack() << v.ApplyAnswer("bob-1", ANSWER) << v.Entered(State.RINGING)
        call << Sent(Method.JOINED) << v.Entered(State.ANSWERED) << v.CarrySound("bob-1")

    def test_a_join_without_any_ack_is_a_timeout(self) -> None:
        call = calling()
        call >> message(Method.JOIN)
        call.nothing() >> 10.1 << Sent(Method.CANCEL) << v.Ended(Cause.TIMEOUT, EndedBy.TIME)

    def test_the_devices_have_their_time_however_long_our_offer_took(self) -> None:
        call = Playbook()
        call >> v.Dial() << v.MakeOffer()
        call >> 59.0
        call >> v.OfferReady(OFFER) << v.PlaceCall(OFFER)
        call >> v.Placed("sig-call", 1) << v.Entered(State.PROGRESSING)
        call >> 9.9
        call.nothing() >> 0.2 << Sent(Method.CANCEL) << v.Ended(Cause.TIMEOUT, EndedBy.TIME)

    def test_an_offer_that_never_comes_is_a_failure_of_ours(self) -> None:
        failure = CallFailure(None, "the offer could not be prepared in time")
        call = Playbook()
        call >> v.Dial() << v.MakeOffer()
        call >> 60.1 << v.Ended(Cause.FAILURE, EndedBy.TIME, failure)

    def test_a_platform_that_never_takes_the_call_is_a_timeout(self) -> None:
        call = Playbook()
        call >> v.Dial() << v.MakeOffer()
        call >> v.OfferReady(OFFER) << v.PlaceCall(OFFER)
        call >> 10.1 << v.Ended(Cause.TIMEOUT, EndedBy.TIME)

    def test_the_answer_may_come_with_the_join(self) -> None:
        call = calling(None)
        call >> message(Method.ACK) << v.Entered(State.RINGING)
        call >> message(Method.JOIN, BOB, BodyType.SDP, encode_description(ANSWER)) << v.ApplyAnswer("bob-1", ANSWER)
        call << Sent(Method.JOINED) << v.Entered(State.ANSWERED) << v.CarrySound("bob-1")

    def test_the_answer_may_come_as_a_peer_event(self) -> None:
        call = calling(None)
        call >> message(Method.ACK) << v.Entered(State.RINGING)
        call >> message(Method.PEER_EVENT, BOB, BodyType.SDP, encode_description(ANSWER)) << v.ApplyAnswer("bob-1", ANSWER)

    def test_early_media_is_heard_before_the_answer(self) -> None:
        call = calling(None)
        call >> ack(earlymedia="yes") << v.ApplyAnswer("bob-1", ANSWER) << v.Entered(State.RINGING)
        call << v.CarrySound("bob-1", early=True)

    def test_candidates_that_come_before_the_answer_are_kept_for_it(self) -> None:
        candidate = Candidate("candidate:1 1 udp 1 127.0.0.1 9 typ host", "0", 0)
        call = calling()
        call >> message(Method.PEER_EVENT, BOB, BodyType.SDP, encode_candidate(candidate))
        call.nothing() >> ack() << v.ApplyAnswer("bob-1", ANSWER) << v.AddCandidate("bob-1", candidate) << v.Entered(State.RINGING)

    def test_our_candidates_go_to_the_device_that_they_are_for(self) -> None:
        call = ringing()
        call >> v.LocalCandidate("bob-1", Candidate("candidate:x")) << Sent(Method.PEER_EVENT, ("sig-bob-1",), ("to", "bob-1"))
        call >> v.LocalCandidate("bob-1", None)
        call.nothing()

    def test_a_peer_that_understands_client_events_is_told_when_sound_flows(self) -> None:
        call = calling()
        call >> ack(cev="1") << v.ApplyAnswer("bob-1", ANSWER) << v.Entered(State.RINGING)
        call >> message(Method.JOIN) << Sent(Method.JOINED) << v.Entered(State.ANSWERED) << v.CarrySound("bob-1")
        call >> v.MediaConnected("bob-1") << Sent(Method.PEER_EVENT) << v.Entered(State.ESTABLISHED)

    def test_a_gateway_cancels(self) -> None:
        calling(None) >> message(Method.CANCEL) << v.Ended(Cause.CANCELED, EndedBy.PEER)


class TestIncoming:
    def test_a_call_is_answered(self) -> None:
        call = picked_up()
        call >> joined(ME) << v.Entered(State.ANSWERED)
        call >> v.MediaConnected("bob-1") << v.Entered(State.ESTABLISHED)
        call >> message(Method.LEAVE) << v.Ended(Cause.HUNG_UP, EndedBy.PEER)

    def test_answering_before_our_answer_is_ready_joins_right_after_the_ack(self) -> None:
        call = Playbook(INVITE)
        call >> v.Greet() << v.MakeAnswer("bob-1", OFFER)
        call >> v.Answer()
        call.nothing() >> v.AnswerReady(ANSWER) << Sent(Method.ACK) << v.Entered(State.RINGING) << Sent(Method.JOIN)
        call << v.CarrySound("bob-1")

    def test_a_call_rings_before_our_answer_is_ready_and_the_join_carries_it(self) -> None:
        call = rung_ahead()
        call >> v.AnswerReady(ANSWER)
        call.nothing() >> v.Answer() << Sent(Method.JOIN, body=ANSWER) << v.CarrySound("bob-1")
        call >> joined(ME) << v.Entered(State.ANSWERED)

    def test_picking_up_while_it_rings_ahead_waits_for_our_answer(self) -> None:
        call = rung_ahead()
        call >> v.Answer()
        call.nothing() >> v.AnswerReady(ANSWER) << Sent(Method.JOIN, body=ANSWER) << v.CarrySound("bob-1")

    def test_the_caller_hears_us_before_we_pick_up(self) -> None:
        call = rung_ahead()
        call >> v.AnswerReady(ANSWER)
        call.nothing() >> v.Preview() << Sent(Method.ACK, None, ("earlymedia", "yes"), ANSWER) << v.CarrySound("bob-1", early=True)
        call >> v.Answer() << Sent(Method.JOIN, body=None) << v.CarrySound("bob-1")

    def test_a_preview_that_was_asked_for_before_our_answer_is_the_only_ack(self) -> None:
        call = Playbook(INVITE)
        call >> v.Greet() << v.MakeAnswer("bob-1", OFFER)
        call >> v.Preview()
        call.nothing() >> v.AnswerReady(ANSWER) << v.Entered(State.RINGING)
        call << Sent(Method.ACK, None, ("earlymedia", "yes"), ANSWER) << v.CarrySound("bob-1", early=True)

    def test_ringing_again_says_nothing_new(self) -> None:
        call = rung_ahead()
        call >> v.Ring()
        call.nothing() >> v.AnswerReady(ANSWER)
        call.nothing() >> v.Ring()
        call.nothing()

    def test_a_call_that_rings_ahead_for_too_long_is_not_answered(self) -> None:
        call = rung_ahead()
        call >> 59.9
        call.nothing() >> 0.2 << Sent(Method.DENY, None, ("denyall", "no")) << v.Ended(Cause.NO_ANSWER, EndedBy.TIME)

    def test_a_call_that_rings_ahead_is_refused_with_the_reason(self) -> None:
        busy = CallFailure(486, "Busy Here", "sip")
        rung_ahead() >> v.HangUp(busy) << Sent(Method.DENY, ("sig-bob-1",)) << v.Ended(Cause.DENIED, EndedBy.US, busy)

    def test_a_call_that_rings_ahead_fails_with_the_reason(self) -> None:
        gone = CallFailure(503, "Service Unavailable", "sip")
        rung_ahead() >> v.Failed(gone) << Sent(Method.ERROR, ("sig-bob-1",)) << v.Ended(Cause.FAILURE, EndedBy.PLATFORM, gone)

    @pytest.mark.parametrize("order", [v.Ring(), v.Preview()])
    def test_an_outgoing_call_is_not_ours_to_ring(self, order: v.Input) -> None:
        with pytest.raises(LocalProtocolError):
            calling() >> order

    def test_another_device_answers(self) -> None:
        rung() >> joined(BOB2) << v.Ended(Cause.OTHER_DEVICE_ANSWERED, EndedBy.PEER)

    def test_two_devices_answer_at_once_and_the_other_wins(self) -> None:
        picked_up() >> joined(BOB2) << v.Ended(Cause.OTHER_DEVICE_ANSWERED, EndedBy.PEER)

    def test_a_joined_that_names_us_before_we_joined_answers_nothing(self) -> None:
        call = rung()
        call >> joined(ME)
        call.nothing()
        assert call.machine.state is State.RINGING

    def test_the_caller_gives_up(self) -> None:
        rung() >> message(Method.CANCEL) << v.Ended(Cause.CANCELED, EndedBy.PEER)

    def test_the_user_declined_on_another_device(self) -> None:
        rung() >> message(Method.CANCEL, deny="yes") << v.Ended(Cause.DENIED, EndedBy.PEER)

    def test_we_decline_for_all_devices(self) -> None:
        rung() >> v.HangUp() << Sent(Method.DENY, ("sig-bob-1",)) << v.Ended(Cause.DENIED, EndedBy.US)

    def test_we_are_busy_on_this_device_only(self) -> None:
        busy = CallFailure(486, "Busy here")
        (
            rung()
            >> v.HangUp(busy, this_device_only=True)
            << Sent(Method.DENY, None, ("denyall", "no"))
            << v.Ended(Cause.DENIED, EndedBy.US, busy)
        )

    def test_a_caller_hears_of_a_device_in_time_however_long_its_answer_takes(self) -> None:
        call = Playbook(INVITE)
        call >> v.Greet() << v.MakeAnswer("bob-1", OFFER)
        call >> 8.1 << Sent(Method.ACK, ("sig-bob-1",)) << v.Entered(State.RINGING)
        call >> v.Answer()
        call.nothing() >> v.AnswerReady(ANSWER) << Sent(Method.JOIN, ("sig-bob-1",)) << v.CarrySound("bob-1")

    def test_nobody_picks_up_here(self) -> None:
        call = rung()
        call >> 59.9
        call.nothing() >> 0.2 << Sent(Method.DENY, None, ("denyall", "no")) << v.Ended(Cause.NO_ANSWER, EndedBy.TIME)

    def test_the_caller_never_confirms(self) -> None:
        call = picked_up()
        (
            call
            >> 10.1
            << Sent(Method.LEAVE)
            << v.Ended(Cause.FAILURE, EndedBy.TIME, CallFailure(None, "the caller did not confirm the answer"))
        )

    def test_an_invite_without_an_offer_is_refused(self) -> None:
        call = Playbook(Message(Method.INVITE, BOB, BodyType.MEDIA))
        call >> v.Greet() << Sent(Method.ERROR, ("sig-bob-1",))
        assert isinstance(call.effects.pop(), v.Ended)

    def test_a_stranger_cannot_end_our_call(self) -> None:
        mallory = Client("mallory", "mallory-1", "sig-mallory")
        call = rung()
        call >> message(Method.CANCEL, mallory)
        call.nothing()
        talk = talking()
        talk >> message(Method.LEAVE, mallory)
        talk.nothing()


class TestMedia:
    def test_ice_never_connects(self) -> None:
        call = answered()
        call >> 15.1 << Sent(Method.LEAVE, None, ("iceFailed", "yes"))
        ended = call.effects.pop()
        assert ended.cause is Cause.FAILURE and ended.failure.code == 3002

    def test_ice_that_failed_while_it_rang_fails_the_call_at_the_answer(self) -> None:
        call = ringing()
        call >> v.MediaFailed("bob-1", "nothing got through")
        call.nothing() >> message(Method.JOIN) << Sent(Method.JOINED) << v.Entered(State.ANSWERED) << v.CarrySound("bob-1")
        call << Sent(Method.LEAVE, None, ("failureterm", "yes"))
        assert call.effects.pop().cause is Cause.FAILURE

    def test_the_peer_tells_us_that_its_ice_failed(self) -> None:
        call = answered()
        call >> message(Method.LEAVE, iceFailed="yes") << v.Ended(Cause.FAILURE, EndedBy.PEER)

    def test_a_peer_that_vanishes_makes_the_call_inactive(self) -> None:
        call = talking()
        call >> v.MediaLost("bob-1")
        call.nothing() >> 2.1 << Sent(Method.LEAVE, None, ("error_json", encode_failure(VANISHED)), None)
        call << v.Ended(Cause.INACTIVE, EndedBy.MEDIA)

    def test_media_that_closes_just_before_the_goodbye_is_a_hang_up(self) -> None:
        call = talking()
        call >> v.MediaLost("bob-1")
        call.nothing() >> message(Method.LEAVE) << v.Ended(Cause.HUNG_UP, EndedBy.PEER)

    def test_the_media_of_a_device_that_lost_doesnt_matter(self) -> None:
        call = talking()
        call >> v.MediaLost("bob-2")
        call.nothing()


class TestHostilePeers:
    @pytest.mark.parametrize("channel", ["", "a,b", "x" * 300, "a\nb"])
    def test_a_channel_that_is_none_or_several_is_not_answered(self, channel: str) -> None:
        call = calling()
        call >> ack(Client("bob", "bob-1", channel))
        call.nothing()

    def test_a_stranger_cannot_say_that_another_device_answered(self) -> None:
        call = rung()
        call >> v.Received(Message(Method.JOINED, Client("m", "m-1", "sig-m"), BodyType.CLIENT, encode_client(BOB2)))
        call.nothing()

    def test_a_stranger_cannot_have_a_port_opened_while_people_talk(self) -> None:
        call = talking()
        call >> message(Method.PEER_EVENT, BOB2, BodyType.SDP, encode_description(ANSWER))
        call.nothing()


class TestOrders:
    def test_a_message_for_another_device_is_ignored(self) -> None:
        call = ringing()
        call >> message(Method.JOIN, to="ada-2")
        call.nothing()

    def test_our_own_messages_are_ignored_when_they_come_back(self) -> None:
        call = ringing()
        call >> message(Method.CANCEL, ME)
        call.nothing()

    def test_answering_an_outgoing_call_is_our_mistake(self) -> None:
        with pytest.raises(LocalProtocolError):
            ringing() >> v.Answer()

    def test_dialling_twice_is_our_mistake(self) -> None:
        with pytest.raises(LocalProtocolError):
            calling() >> v.Dial()

    @pytest.mark.parametrize("make", [Playbook, calling, ringing, answered, talking, rung, picked_up])
    def test_hanging_up_is_legal_everywhere_and_ends_the_call(self, make: Any) -> None:
        call = make()
        effects = call.machine.handle(v.HangUp(), call.now)
        assert [type(e) for e in effects].count(v.Ended) == 1
        assert isinstance(effects[-1], v.Ended)
        assert call.machine.phase is Phase.OVER
        assert call.machine.handle(v.HangUp(), call.now) == []
