"""What holds for the call machine whatever comes in, in whatever order."""

from hypothesis import given
from hypothesis import strategies as st

from sinchphone.errors import LocalProtocolError
from sinchphone.protocol.call import vocabulary as v
from sinchphone.protocol.call.machine import CallMachine
from sinchphone.protocol.call.states import State
from sinchphone.protocol.call.vocabulary import Phase
from sinchphone.protocol.mxp.message import BodyType, CallFailure, Client, Message, Method, encode_client
from sinchphone.protocol.sdp.jsep import Candidate, Description, encode_candidate, encode_description

ME = Client("ada", "ada-1", "sig-ada")
PEERS = [Client("bob", f"bob-{n}", f"sig-bob-{n}") for n in range(3)]
OFFER, ANSWER = Description("offer", "v=0 o"), Description("answer", "v=0 a")
INVITE = Message(Method.INVITE, PEERS[0], BodyType.MEDIA, "", {"sdp": encode_description(OFFER)})

bodies = st.sampled_from(
    [
        (BodyType.NONE, ""),
        (BodyType.SDP, encode_description(ANSWER)),
        (BodyType.SDP, encode_description(OFFER)),
        (BodyType.SDP, encode_candidate(Candidate("candidate:1", "0", 0))),
        (BodyType.SDP, "garbage"),
        (BodyType.CLIENT, encode_client(ME)),
        (BodyType.CLIENT, encode_client(PEERS[1])),
        (BodyType.CLIENT, "[]"),
        (BodyType.ERROR, '{"code":1,"reason":"x"}'),
    ]
)
headers = st.dictionaries(
    st.sampled_from(["to", "deny", "denyall", "earlymedia", "iceFailed", "cev"]), st.sampled_from(["yes", "no", "ada-1", "1"]), max_size=2
)
messages = st.builds(
    lambda method, sender, body, nvps: v.Received(Message(method, sender, *body, nvps)),  # type: ignore[call-arg]
    st.sampled_from(list(Method)),
    st.sampled_from([*PEERS, ME]),
    bodies,
    headers,
)
names = st.sampled_from([peer.instance_id for peer in PEERS])
inputs = st.one_of(
    messages,
    messages,
    st.sampled_from([v.Dial(), v.Greet(), v.Answer(), v.HangUp(), v.Elapsed(), v.OfferReady(OFFER), v.AnswerReady(ANSWER)]),
    st.sampled_from([v.Ring(), v.Preview(), v.Placed("sig-call", 2), v.Placed("sig-call", None), v.Failed(CallFailure(1, "no"))]),
    st.builds(v.MediaConnected, names),
    st.builds(v.MediaFailed, names, st.just("no")),
    st.builds(v.MediaLost, names),
    st.builds(v.PathFailing, names),
    st.builds(v.DescribedAgain, names, st.sampled_from([OFFER, ANSWER])),
    st.builds(v.LocalCandidate, names, st.sampled_from([None, Candidate("candidate:2")])),
)


@given(st.booleans(), st.lists(st.tuples(inputs, st.floats(0, 20)), max_size=40))
def test_at_most_one_end_and_never_a_wait_without_a_deadline(outbound: bool, events: list[tuple[v.Input, float]]) -> None:
    machine = CallMachine(ME, invite=None if outbound else INVITE)
    ends, now, order = 0, 0.0, list(State)
    furthest = 0
    for event, seconds in [(v.Dial() if outbound else v.Greet(), 0.0), *events]:
        now += seconds
        over_before = machine.phase is Phase.OVER
        try:
            effects = machine.handle(event, now)
        except LocalProtocolError:
            assert isinstance(event, v.Dial | v.Greet | v.Answer | v.Ring | v.Preview)
            continue
        assert not (over_before and effects), "an ended call does nothing"
        ends += sum(isinstance(effect, v.Ended) for effect in effects)
        assert all(not isinstance(effect, v.Ended) for effect in effects[:-1]), "the end is the last effect"
        for effect in effects:
            if isinstance(effect, v.Entered):
                assert order.index(effect.state) > furthest, "states only move on"
                furthest = order.index(effect.state)
        assert (machine.deadline is not None) == (machine.phase not in (Phase.NEW, Phase.TALKING, Phase.OVER))
    assert ends == (1 if machine.phase is Phase.OVER else 0)


@given(st.booleans(), st.lists(inputs, max_size=20))
def test_a_call_that_nobody_tends_ends_by_itself_unless_people_talk(outbound: bool, events: list[v.Input]) -> None:
    machine = CallMachine(ME, invite=None if outbound else INVITE)
    machine.handle(v.Dial() if outbound else v.Greet(), 0.0)
    for event in events:
        try:
            machine.handle(event, 1.0)
        except LocalProtocolError:
            continue
    for _ in range(5):
        if machine.deadline is not None:
            machine.handle(v.Elapsed(), machine.deadline)
    assert machine.phase in (Phase.OVER, Phase.TALKING)


@given(st.permutations(["ack", "join", "candidate"]), st.lists(st.sampled_from(["ack", "join", "candidate"]), max_size=3))
def test_ack_join_and_candidates_in_any_order_and_doubled_answer_the_call(order: list[str], doubled: list[str]) -> None:
    of = {
        "ack": Message(Method.ACK, PEERS[0], BodyType.SDP, encode_description(ANSWER)),
        "join": Message(Method.JOIN, PEERS[0], BodyType.SDP),
        "candidate": Message(Method.PEER_EVENT, PEERS[0], BodyType.SDP, encode_candidate(Candidate("candidate:1", "0", 0))),
    }
    machine = CallMachine(ME)
    machine.handle(v.Dial(), 0.0)
    machine.handle(v.OfferReady(OFFER), 0.0)
    machine.handle(v.Placed("sig-call", 1), 0.0)
    effects = [effect for name in [*order, *doubled] for effect in machine.handle(v.Received(of[name]), 1.0)]
    assert machine.state is State.ANSWERED
    assert effects.count(v.ApplyAnswer(PEERS[0].instance_id, ANSWER)) == 1
    assert effects.count(v.CarrySound(PEERS[0].instance_id)) == 1
    kinds = [type(effect) for effect in effects]
    assert kinds.index(v.ApplyAnswer) < kinds.index(v.AddCandidate)


@given(st.lists(st.sampled_from([v.Ring(), v.Preview(), v.AnswerReady(ANSWER), v.Answer()]), max_size=10))
def test_the_caller_gets_our_answer_once_and_by_the_join_at_the_latest(orders: list[v.Input]) -> None:
    machine = CallMachine(ME, invite=INVITE)
    effects = machine.handle(v.Greet(), 0.0)
    for order in [*orders, v.AnswerReady(ANSWER), v.Answer()]:
        effects += machine.handle(order, 1.0)
    sent = [effect.message for effect in effects if isinstance(effect, v.Send)]
    assert [message.method for message in sent].count(Method.JOIN) == 1
    assert sent[0].method is Method.ACK and sent[-1].method is Method.JOIN
    assert [message.body for message in sent if message.body] == [encode_description(ANSWER)]
