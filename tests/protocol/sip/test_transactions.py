"""SIP transactions: timers, repeats, and that none waits for ever."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.protocol.sip.message import Request, Response, read_message, respond
from sinchphone.protocol.sip.transactions.layer import Arrived, Layer, LayerEffect, Responded, TransactionOver, Transmit, Unanswered, Unsent
from sinchphone.protocol.sip.transactions.transaction import (
    FIRST,
    LIMITS,
    TABLE,
    Timing,
    TransactionKind,
    TransactionState,
    acknowledge,
    cancel,
)

HOP = "hop"


def request(method: str = "INVITE", branch: str = "z9hG4bKabc", *, tag: str = "") -> Request:
    lines = [
        f"{method} sip:bob@biloxi.example SIP/2.0",
        f"Via: SIP/2.0/UDP pc33.example:5066;branch={branch}",
        "From: <sip:alice@atlanta.example>;tag=1928301774",
        f"To: <sip:bob@biloxi.example>{tag}",
        "Call-ID: a84b4c76e66710",
        f"CSeq: 314159 {method if method != 'ACK' else 'ACK'}",
        "Route: <sip:proxy.example;lr>",
        "Proxy-Authorization: Digest x=y",
        "",
        "",
    ]
    read = read_message("\r\n".join(lines).encode())
    assert isinstance(read, Request)
    return read


def sent(effects: list[LayerEffect[str]]) -> list[Request | Response]:
    return [one.message for one in effects if isinstance(one, Transmit)]


def run(layer: Layer[str], until: float) -> list[tuple[float, LayerEffect[str]]]:
    """Let the clock run; what happened when."""
    happened = []
    while (at := layer.deadline) is not None and at <= until:
        happened += [(round(at, 3), effect) for effect in layer.elapse(at)]
    return happened


def client(method: str = "INVITE", *, is_reliable: bool = False) -> tuple[Layer[str], str, Request]:
    layer: Layer[str] = Layer()
    asked = request(method)
    key, effects = layer.request(asked, HOP, 0.0, is_reliable=is_reliable)
    assert sent(effects) == [asked]
    return layer, key, asked


def server(method: str = "INVITE", *, is_reliable: bool = False) -> tuple[Layer[str], str, Request]:
    layer: Layer[str] = Layer()
    asked = request(method)
    (arrived,) = layer.receive(asked, HOP, 0.0, is_reliable=is_reliable)
    assert isinstance(arrived, Arrived)
    assert arrived.key is not None
    return layer, arrived.key, asked


def test_an_invite_is_repeated_at_doubling_intervals_and_given_up_after_64_t1() -> None:
    layer, key, _ = client()
    happened = run(layer, 100)
    assert [at for at, one in happened if isinstance(one, Transmit)] == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert [(at, one) for at, one in happened if not isinstance(one, Transmit)] == [(32.0, Unanswered(key)), (32.0, TransactionOver(key))]


def test_another_request_is_repeated_up_to_every_t2() -> None:
    layer, key, _ = client("OPTIONS")
    happened = run(layer, 100)
    assert [at for at, one in happened if isinstance(one, Transmit)] == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert (32.0, Unanswered(key)) in happened


@pytest.mark.parametrize("method", ["INVITE", "BYE"])
def test_nothing_is_repeated_over_a_reliable_transport(method: str) -> None:
    layer, key, _ = client(method, is_reliable=True)
    assert [one for _, one in run(layer, 100)] == [Unanswered(key), TransactionOver(key)]


def test_a_provisional_response_stops_the_repeats_of_an_invite() -> None:
    layer, key, asked = client()
    ringing = respond(asked, 180, tag="b")
    assert layer.receive(ringing, HOP, 0.2, is_reliable=False) == [Responded(key, ringing)]
    assert run(layer, 300) == []
    assert layer.deadline is not None


def test_another_request_goes_on_slowly_after_a_provisional_response_and_ends_in_time() -> None:
    layer, key, asked = client("OPTIONS")
    layer.receive(respond(asked, 100), HOP, 0.2, is_reliable=False)
    happened = run(layer, 100)
    assert [at for at, one in happened if isinstance(one, Transmit)] == [4.2, 8.2, 12.2, 16.2, 20.2, 24.2, 28.2]
    assert (32.0, Unanswered(key)) in happened


def test_a_refusal_is_acknowledged_in_the_same_transaction_each_time_it_comes() -> None:
    layer, key, asked = client()
    busy = respond(asked, 486, tag="b")
    effects = layer.receive(busy, HOP, 0.2, is_reliable=False)
    ack = acknowledge(asked, busy)
    assert sent(effects) == [ack]
    assert Responded(key, busy) in effects
    assert (ack.method, ack.via, ack.uri, ack.cseq.number) == ("ACK", asked.via, asked.uri, 314159)
    assert ack.recipient.tag == "b"
    assert ack.first("Route") == "<sip:proxy.example;lr>"
    assert ack.first("Proxy-Authorization") == "Digest x=y"
    again = layer.receive(busy, HOP, 0.9, is_reliable=False)
    assert sent(again) == [ack]
    assert not any(isinstance(one, Responded) for one in again)
    assert [one for _, one in run(layer, 100)] == [TransactionOver(key)]


def test_every_2xx_of_an_invite_is_passed_on_for_64_t1() -> None:
    layer, key, asked = client()
    for at, tag in ((0.1, "b"), (0.6, "b"), (2.0, "c")):
        ok = respond(asked, 200, tag=tag)
        assert layer.receive(ok, HOP, at, is_reliable=False) == [Responded(key, ok)]
    assert run(layer, 100) == [(32.1, TransactionOver(key))]
    assert layer.receive(respond(asked, 200, tag="d"), HOP, 40, is_reliable=False) == []


def test_a_transport_that_fails_ends_a_request_at_once() -> None:
    layer, key, _ = client()
    assert layer.unsent(key, 0.1) == [Unsent(key), TransactionOver(key)]


def test_a_response_that_nobody_waits_for_is_dropped() -> None:
    layer, _, _ = client()
    assert layer.receive(respond(request(branch="z9hG4bKother"), 200, tag="b"), HOP, 0.1, is_reliable=False) == []
    assert layer.receive(respond(request("BYE"), 200, tag="b"), HOP, 0.1, is_reliable=False) == []
    assert layer.dropped == 2


def test_a_repeated_invite_gets_the_last_response_again() -> None:
    layer, key, asked = server()
    assert layer.receive(asked, HOP, 0.1, is_reliable=False) == []
    trying, ringing = respond(asked, 100), respond(asked, 180, tag="t")
    layer.respond(key, trying, 0.1)
    assert sent(layer.receive(asked, HOP, 0.2, is_reliable=False)) == [trying]
    layer.respond(key, ringing, 0.3)
    assert sent(layer.receive(asked, HOP, 0.4, is_reliable=False)) == [ringing]


def test_a_refusal_of_ours_is_repeated_until_its_ack() -> None:
    layer, key, asked = server()
    busy = respond(asked, 486, tag="t")
    assert sent(layer.respond(key, busy, 0.0)) == [busy]
    assert [at for at, _ in run(layer, 4)] == [0.5, 1.5, 3.5]
    assert layer.receive(request("ACK", tag=";tag=t"), HOP, 4.1, is_reliable=False) == []
    assert [(at, one) for at, one in run(layer, 100)] == [(9.1, TransactionOver(key))]


def test_a_refusal_that_nobody_acknowledges_is_given_up() -> None:
    layer, key, asked = server(is_reliable=True)
    layer.respond(key, respond(asked, 486, tag="t"), 0.0)
    assert run(layer, 100) == [(32.0, Unanswered(key)), (32.0, TransactionOver(key))]


def test_after_a_2xx_repeats_of_the_invite_are_absorbed_and_the_ack_goes_up() -> None:
    layer, key, asked = server()
    ok = respond(asked, 200, tag="t")
    assert sent(layer.respond(key, ok, 0.0)) == [ok]
    assert sent(layer.respond(key, ok, 0.5)) == [ok]
    assert layer.receive(asked, HOP, 0.6, is_reliable=False) == []
    ack = request("ACK", tag=";tag=t")
    assert layer.receive(ack, HOP, 0.7, is_reliable=False) == [Arrived(None, ack, HOP)]
    other = request("ACK", branch="z9hG4bKnew", tag=";tag=t")
    assert layer.receive(other, HOP, 0.7, is_reliable=False) == [Arrived(None, other, HOP)]


def test_a_repeated_request_gets_its_answer_again_for_64_t1_over_udp() -> None:
    layer, key, asked = server("BYE")
    ok = respond(asked, 200, tag="t")
    layer.respond(key, ok, 0.0)
    assert sent(layer.receive(asked, HOP, 31.0, is_reliable=False)) == [ok]
    assert run(layer, 100) == [(32.0, TransactionOver(key))]


def test_a_cancel_finds_its_invite_and_has_a_transaction_of_its_own() -> None:
    layer, key, asked = server()
    stop = cancel(asked, 'SIP;cause=200;text="Call completed elsewhere"')
    assert (stop.via, stop.uri, stop.cseq.number, stop.recipient.tag) == (asked.via, asked.uri, 314159, "")
    (arrived,) = layer.receive(stop, HOP, 0.1, is_reliable=False)
    assert isinstance(arrived, Arrived)
    assert arrived.key not in (None, key)
    assert layer.invite_key(stop) == key
    assert layer.invite_key(cancel(request(branch="z9hG4bKother"))) is None


def test_requests_older_than_rfc_3261_are_told_apart_without_a_branch() -> None:
    layer: Layer[str] = Layer()
    first, other = request(branch="1"), request(branch="1").with_header("Call-ID", "other")
    assert isinstance(layer.receive(first, HOP, 0, is_reliable=False)[0], Arrived)
    assert layer.receive(first, HOP, 0, is_reliable=False) == []
    assert isinstance(layer.receive(other, HOP, 0, is_reliable=False)[0], Arrived)


def test_the_same_branch_from_somebody_else_is_another_transaction() -> None:
    layer, _, asked = server()
    other = asked.with_header("Via", "SIP/2.0/UDP mallory.example:5066;branch=z9hG4bKabc")
    assert isinstance(layer.receive(other, HOP, 0.1, is_reliable=False)[0], Arrived)


def test_a_flood_of_requests_finds_no_room() -> None:
    layer: Layer[str] = Layer(most=10)
    for number in range(30):
        layer.receive(request("OPTIONS", branch=f"z9hG4bK{number}"), HOP, 0, is_reliable=False)
    assert (len(layer), layer.dropped) == (10, 20)


def test_every_state_but_the_last_has_a_limit_and_a_row_for_it() -> None:
    for kind in TransactionKind:
        reached, todo = set(), [FIRST[kind]]
        while todo:
            state = todo.pop()
            if state in reached or state is TransactionState.TERMINATED:
                continue
            reached.add(state)
            assert max(LIMITS[kind, state](Timing())) > 0
            assert any(key[:2] == (kind, state) and key[2].value == "time to give up" for key in TABLE), (kind, state)
            todo += [row[0] for key, row in TABLE.items() if key[:2] == (kind, state)]


@given(
    st.sampled_from(["INVITE", "OPTIONS"]),
    st.booleans(),
    st.booleans(),
    st.lists(st.tuples(st.sampled_from([100, 180, 200, 302, 486, 0, -1, -2]), st.floats(0, 5)), max_size=12),
)
def test_whatever_happens_a_transaction_ends_and_tells_one_outcome(
    method: str, is_client: bool, is_reliable: bool, script: list[tuple[int, float]]
) -> None:
    layer, key, asked = (client if is_client else server)(method, is_reliable=is_reliable)
    now, effects = 0.0, []
    for status, wait in script:
        now += wait
        effects += layer.elapse(now)
        if status == 0:
            effects += layer.receive(asked, HOP, now, is_reliable=is_reliable) if not is_client else []
        elif status == -1:
            effects += layer.unsent(key, now)
        elif status == -2:
            effects += layer.receive(request("ACK"), HOP, now, is_reliable=is_reliable)
        elif is_client:
            effects += layer.receive(respond(asked, status, tag="b"), HOP, now, is_reliable=is_reliable)
        else:
            effects += layer.respond(key, respond(asked, status, tag="b"), now)
    effects += [one for _, one in run(layer, now + 2000)]
    assert len(layer) == 0
    finals = [one for one in effects if isinstance(one, Responded) and one.response.status >= 200]
    failures = [one for one in effects if isinstance(one, Unanswered | Unsent)]
    if is_client:
        assert len(failures) + (1 if finals else 0) == 1
        assert all(one.response.is_success for one in finals[1:])
    assert layer.deadline is None


def test_attack_a_request_that_comes_again_and_again_takes_no_more_memory() -> None:
    """Nobody is asked whether a repeat may be looked at: its transaction was let in."""
    layer, key, asked = server()
    layer.respond(key, respond(asked, 180), 0.0)
    tracemalloc.start()
    try:
        for step in range(20_000):
            layer.receive(asked, HOP, step / 1000, is_reliable=False)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 100_000
    assert [one for _, one in run(layer, 1000)] == [Unanswered(key), TransactionOver(key)]
