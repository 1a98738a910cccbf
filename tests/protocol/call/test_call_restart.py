"""The call machine, while sound flows: later offers and answers, which restart ICE, by either side."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.protocol.call import vocabulary as v
from sinchphone.protocol.call.machine import CallMachine
from sinchphone.protocol.call.peers import MAX_LATER_OFFERS
from sinchphone.protocol.call.states import State
from sinchphone.protocol.call.vocabulary import Phase
from sinchphone.protocol.mxp.message import BodyType, Client, Message, Method, encode_client
from sinchphone.protocol.sdp.jsep import Candidate, Description, encode_candidate, encode_description

OFFER, ANSWER = Description("offer", "v=0 offer"), Description("answer", "v=0 answer")
AGAIN, REPLY = Description("offer", "v=0 again"), Description("answer", "v=0 reply")
ME, BOB, BOB2 = Client("ada", "ada-1", "sig-ada"), Client("bob", "bob-1", "sig-bob-1"), Client("bob", "bob-2", "sig-bob-2")
INVITE = Message(Method.INVITE, BOB, BodyType.MEDIA, "", {"sdp": encode_description(OFFER)})


def received(method: Method, sender: Client = BOB, body_type: str = BodyType.NONE, body: str = "") -> v.Received:
    return v.Received(Message(method, sender, body_type, body))


def told(description: Description, sender: Client = BOB) -> v.Received:
    return received(Method.PEER_EVENT, sender, BodyType.SDP, encode_description(description))


def make(outbound: bool) -> CallMachine:
    """A call that talks."""
    machine = CallMachine(ME, invite=None if outbound else INVITE)
    ack = received(Method.ACK, BOB, BodyType.SDP, encode_description(ANSWER))
    joined = received(Method.JOINED, BOB, BodyType.CLIENT, encode_client(ME))
    out: list[v.Input] = [v.Dial(), v.OfferReady(OFFER), v.Placed("sig-call", 1), ack, received(Method.JOIN)]
    into: list[v.Input] = [v.Greet(), v.AnswerReady(ANSWER), v.Answer(), joined]
    for event in out if outbound else into:
        machine.handle(event, 0.0)
    machine.handle(v.MediaConnected("bob-1"), 0.0)
    assert machine.state is State.ESTABLISHED
    return machine


def peer_event(description: Description) -> v.Send:
    return v.Send(Message(Method.PEER_EVENT, ME, BodyType.SDP, encode_description(description), {"to": "bob-1"}), ("sig-bob-1",))


@pytest.mark.parametrize("outbound", [True, False])
class TestEitherSide:
    def test_a_failing_path_has_the_port_offer_again_and_the_peers_answer_goes_to_it(self, outbound: bool) -> None:
        call = make(outbound)
        assert call.handle(v.PathFailing("bob-1"), 1.0) == [v.Renegotiate("bob-1")]
        assert call.handle(v.DescribedAgain("bob-1", AGAIN), 1.0) == [peer_event(AGAIN)]
        assert call.handle(told(REPLY), 1.0) == [v.Renegotiate("bob-1", REPLY)]
        assert call.handle(told(REPLY), 1.0) == []  # once

    def test_the_peers_later_offer_goes_to_the_port_and_its_answer_to_the_peer(self, outbound: bool) -> None:
        call = make(outbound)
        assert call.handle(told(AGAIN), 1.0) == [v.Renegotiate("bob-1", AGAIN)]
        assert call.handle(v.DescribedAgain("bob-1", REPLY), 1.0) == [peer_event(REPLY)]
        assert call.handle(told(REPLY), 1.0) == []  # that was no offer of ours

    def test_an_answer_that_nobody_asked_for_is_ignored(self, outbound: bool) -> None:
        assert make(outbound).handle(told(REPLY), 1.0) == []

    def test_candidates_are_passed_on_meanwhile(self, outbound: bool) -> None:
        call, candidate = make(outbound), Candidate("candidate:1 ufrag new", "0", 0)
        call.handle(v.PathFailing("bob-1"), 1.0)
        event = received(Method.PEER_EVENT, BOB, BodyType.SDP, encode_candidate(candidate))
        assert call.handle(event, 1.0) == [v.AddCandidate("bob-1", candidate)]

    def test_another_device_changes_nothing(self, outbound: bool) -> None:
        call = make(outbound)
        assert call.handle(told(AGAIN, BOB2), 1.0) == []
        assert call.handle(v.PathFailing("bob-2"), 1.0) == []
        assert call.handle(v.DescribedAgain("bob-2", AGAIN), 1.0) == []

    def test_a_call_that_is_over_asks_for_nothing(self, outbound: bool) -> None:
        call = make(outbound)
        call.handle(v.HangUp(), 1.0)
        for event in (v.PathFailing("bob-1"), v.DescribedAgain("bob-1", AGAIN), told(AGAIN)):
            assert call.handle(event, 1.0) == []

    def test_offers_without_end_are_not_taken(self, outbound: bool) -> None:
        """Attack: each later offer costs sockets."""
        call = make(outbound)
        taken = [call.handle(told(Description("offer", f"v=0 {number}")), 1.0) for number in range(2 * MAX_LATER_OFFERS)]
        assert sum(map(len, taken)) == MAX_LATER_OFFERS

    def test_what_cannot_be_read_is_ignored(self, outbound: bool) -> None:
        call = make(outbound)
        for body in ("", "null", "{}", '{"type":"pranswer","sdp":"v=0"}', '{"type":"offer","sdp":5}'):
            assert call.handle(received(Method.PEER_EVENT, BOB, BodyType.SDP, body), 1.0) == []
        assert call.phase is Phase.TALKING


def test_before_the_answer_nothing_is_offered_again() -> None:
    call = CallMachine(ME)
    for event in (v.Dial(), v.OfferReady(OFFER), v.Placed("sig-call", 1)):
        call.handle(event, 0.0)
    assert call.handle(v.PathFailing("bob-1"), 0.0) == []
    assert call.handle(told(AGAIN), 0.0) == []


events = st.sampled_from(
    [
        v.PathFailing("bob-1"),
        v.PathFailing("bob-2"),
        v.DescribedAgain("bob-1", AGAIN),
        v.DescribedAgain("bob-1", REPLY),
        v.DescribedAgain("bob-2", REPLY),
        v.MediaConnected("bob-1"),
        told(AGAIN),
        told(REPLY),
        told(AGAIN, BOB2),
        told(REPLY, BOB2),
        received(Method.PEER_EVENT, BOB, BodyType.SDP, "garbage"),
    ]
)


@given(st.booleans(), st.lists(events, max_size=30))
def test_whatever_is_described_in_whatever_order_the_call_talks_on(outbound: bool, happened: list[v.Input]) -> None:
    call = make(outbound)
    offers = answers = 0  # of ours that went out, of the peer's that were taken
    for event in happened:
        for effect in call.handle(event, 1.0):
            assert isinstance(effect, v.Renegotiate | v.Send)
            if isinstance(effect, v.Send):
                assert effect.channels == ("sig-bob-1",)
                offers += effect.message.body == encode_description(AGAIN)
            else:
                assert effect.peer == "bob-1"
                answers += effect.description == REPLY
    assert answers <= offers
    assert call.phase is Phase.TALKING
    assert call.deadline is None
