"""The record: what belongs to a call stays together, what floods in pushes out no call, and all of it is bounded."""

import asyncio

import pytest

from sinchphone.exchange.record.facts import MAX_BODY_BYTES, PublishedFact, SipFact
from sinchphone.exchange.record.record import EventRecord, RecordLimits, sip_name

HERE, THERE = ("127.0.0.1", 5060), ("127.0.0.1", 5062)


def begin(record: EventRecord, call_id: str) -> None:
    record.began(call_id, application="acme", caller="ada", callee="bob", keys=(b"k" * 32,))


def publish(record: EventRecord, payload: object = "10 c1 - 0 1 AAAA") -> None:
    record.published("network", "channel", payload, publisher="ada", owner="user acme ada", size=len(str(payload)), now=0.0)


def sip(record: EventRecord, call_id: str = "x", method: str = "INVITE") -> None:
    data = f"{method} sip:bob@x SIP/2.0\r\nCSeq: 1 {method}\r\nCall-ID: {call_id}\r\n\r\n".encode()
    record.sip(data, "udp", THERE, HERE, is_ours=False)


def facts(record: EventRecord, call_id: str) -> list[object]:
    call = record.call(call_id)
    return [fact for part in record.parts(call) for fact in part.facts()] if call is not None else []


def test_frames_of_a_call_are_found_by_the_call() -> None:
    record = EventRecord()
    begin(record, "c1")
    publish(record)
    publish(record, "10 another - 0 1 AAAA")
    publish(record, {"no": "frame"})
    assert sum(isinstance(fact, PublishedFact) for fact in facts(record, "c1")) == 1
    assert len(record.others()) == 2


def test_a_dialog_that_came_before_its_call_was_known_belongs_to_it() -> None:
    record = EventRecord()
    sip(record)
    begin(record, "c1")
    record.link(sip_name("x"), "c1")
    sip(record, method="BYE")
    assert sum(isinstance(fact, SipFact) for fact in facts(record, "c1")) == 2
    assert [call.id for call in record.calls()] == ["c1"]
    assert record.call(sip_name("x")) is record.call("c1")


def test_legs_of_legs_belong_to_the_call_and_circles_do_no_harm() -> None:
    record = EventRecord()
    begin(record, "c1")
    begin(record, "leg")
    record.link("leg", "c1")
    record.link("leg of leg", "leg")
    record.link("c1", "leg of leg")
    assert record.whole_name("leg of leg") == "c1"
    assert [call.id for call in record.calls()] == ["c1"]


def test_a_call_id_of_sip_cannot_be_taken_for_the_id_of_a_call() -> None:
    record = EventRecord()
    begin(record, "c1")
    sip(record, call_id="c1")
    assert not [fact for fact in facts(record, "c1") if isinstance(fact, SipFact)]


def test_a_flood_pushes_out_no_call_that_was_placed() -> None:
    record = EventRecord(RecordLimits(calls=10, strangers=5, others=20, bytes=100_000))
    begin(record, "c1")
    publish(record)
    for n in range(1_000):
        publish(record, "x" * 900)
        sip(record, call_id=f"flood-{n}")
        sip(record, call_id=f"flood-{n}", method="OPTIONS")
    assert len(facts(record, "c1")) == 2
    assert len(record.others()) <= 20 + 5 * 2


def test_the_first_facts_of_a_long_call_and_the_latest_stay() -> None:
    record = EventRecord(RecordLimits(first_facts=3, latest_facts=4))
    begin(record, "c1")
    for _ in range(50):
        publish(record)
    call = record.call("c1")
    assert call is not None
    seqs = [fact.seq for fact in call.facts()]
    assert seqs[:3] == [1, 2, 3]
    assert seqs[-1] == 51
    assert (len(seqs), call.left_out) == (7, 44)


@pytest.mark.parametrize("body", [b"x" * 10, b"x" * 10_000_000])
def test_all_of_it_weighs_no_more_than_it_may(body: bytes) -> None:
    record = EventRecord(RecordLimits(bytes=1_000_000))
    for n in range(300):
        begin(record, f"c{n % 50}")
        record.rest(
            record.tick(), 0.0, user="ada", remote="", local="", method="POST", path="/", headers=(), body=body, status=200, answer=body,
            call_id=f"c{n % 50}",
        )  # fmt: skip
    kept = [fact for call in record.calls() for fact in call.facts()]
    assert sum(fact.weight for fact in kept) <= 1_000_000
    assert all(len(fact.body) <= MAX_BODY_BYTES for fact in kept if hasattr(fact, "body"))
    assert kept, "the latest stay"


def test_old_calls_make_room_for_new_ones() -> None:
    record = EventRecord(RecordLimits(calls=3))
    for n in range(6):
        begin(record, f"c{n}")
    assert [call.id for call in record.calls()] == ["c3", "c4", "c5"]
    assert record.call("c0") is None


async def test_who_follows_gets_what_comes_and_learns_how_much_was_lost() -> None:
    record = EventRecord()
    with record.following() as follower:
        begin(record, "c1")
        assert len(await asyncio.wait_for(follower.take(), 5)) == 1
        for _ in range(5_000):
            publish(record)
        assert follower.lost > 0
        assert len(await asyncio.wait_for(follower.take(), 5)) + follower.lost == 5_000
    publish(record)
    assert not follower.waiting


def test_what_is_forgotten_is_one_applications() -> None:
    record = EventRecord()
    begin(record, "c1")
    record.link("leg", "c1")
    record.began("c2", application="globex", caller="carol", callee="dave")
    publish(record, "nothing")
    record.clear("acme")
    assert [call.id for call in record.calls()] == ["c2"]
    assert (record.call("leg"), record.others()) == (None, [])


def test_a_record_that_is_off_keeps_nothing() -> None:
    record = EventRecord(is_on=False)
    begin(record, "c1")
    publish(record)
    sip(record)
    assert (record.calls(), record.others()) == ([], [])
