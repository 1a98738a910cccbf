"""Frames and reassembly."""

import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sinchphone.errors import LocalProtocolError, RemoteProtocolError
from sinchphone.protocol.mxp.fragments import MAX_FRAGMENTS, MAX_PAYLOAD_BYTES
from sinchphone.protocol.mxp.message import Fragment, Reassembler, ReassemblyLimits, parse_fragment, split

SESSION = "01J9ZK3M6Q4B8V7N2T5X0YHDRA"
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="

payloads = st.text(BASE64, min_size=1, max_size=600)
frame_sizes = st.integers(80, 200)


def fragments_of(payload: str, tag: str = "7", session: str = SESSION, frame_characters: int = 80) -> list[Fragment]:
    return [parse_fragment(frame) for frame in split(payload, session, tag, frame_characters=frame_characters)]


def piece(index: int, count: int, payload: str = "A", tag: str = "7") -> Fragment:
    return Fragment(SESSION, tag, index, count, payload)


@given(payloads, frame_sizes, st.none() | st.just("bec7495a783842ce"))
def test_frames_fit_and_carry_the_payload(payload: str, frame_characters: int, transport_id: str | None) -> None:
    frames = split(payload, SESSION, "1126442652", transport_id, frame_characters=frame_characters)
    assert max(map(len, frames)) <= frame_characters
    fragments = [parse_fragment(frame) for frame in frames]
    assert "".join(fragment.payload for fragment in fragments) == payload
    assert [(fragment.index, fragment.count) for fragment in fragments] == [(index, len(frames)) for index in range(len(frames))]
    assert {fragment.transport_id for fragment in fragments} == {transport_id}


def test_a_short_message_is_one_frame_with_a_dash() -> None:
    assert split("QUJD", SESSION, "7") == [f"10 {SESSION} - 0 1 QUJD"]
    assert split("QUJD", SESSION, "7", "t1") == [f"10 {SESSION} - 0 1 QUJD t1"]


def test_a_long_message_is_cut_below_1400_characters() -> None:
    frames = split("A" * 5000, SESSION, "7")
    assert len(frames) == 4
    assert frames[0].startswith(f"10 {SESSION} 7 0 4 AAA")
    assert max(map(len, frames)) <= 1400


@pytest.mark.parametrize(
    ("payload", "session", "tag", "size"),
    [
        ("QUJD", "two words", "7", 1400),
        ("QUJD", "", "7", 1400),
        ("QU JD", SESSION, "7", 1400),
        ("QUJD", "s - 0 1 QUJD", "7", 1400),
        ("", SESSION, "7", 1400),
        ("QUJD" * 50, SESSION, "a tag", 80),
        ("QUJD", SESSION, "7", 30),
        ("A" * (MAX_FRAGMENTS + 1), SESSION, "7", 41),
        ("A" * (MAX_PAYLOAD_BYTES + 1), SESSION, "7", 1400),
    ],
)
def test_what_cannot_be_framed_is_our_fault(payload: str, session: str, tag: str, size: int) -> None:
    with pytest.raises(LocalProtocolError):
        split(payload, session, tag, frame_characters=size)


def near_frames() -> st.SearchStrategy[str]:
    field = st.sampled_from(["10", "9", "x", "-", "0", "1", "2", "-1", "٣", "QUJD", "", "é", "1e3", "9999999"])
    return st.lists(field, max_size=9).map(" ".join)


@given(st.text() | near_frames())
@example("10 s - 0 1 QUJD\n")
@example("10 s - 0 1 QUJD t u")
def test_any_text_is_a_fragment_or_the_peers_fault(text: str) -> None:
    try:
        fragment = parse_fragment(text)
    except RemoteProtocolError:
        return
    assert 0 <= fragment.index < fragment.count
    assert fragment.session_id
    assert fragment.payload


@pytest.mark.parametrize(
    "text",
    [
        "11 s - 0 1 QUJD",
        "10 s - 1 1 QUJD",
        "10 s - 0 0 QUJD",
        "10 s - 0 1 ",
        "10 s - 0 1 QU.JD",
        "10 s - 0 1 QUJD ",
        "10 s - 0 1 QUJD\n",
        "10  - 0 1 QUJD",
        "10 s - ٠ 1 QUJD",
        f"10 {'s' * 129} - 0 1 QUJD",
    ],
)
def test_a_frame_that_is_not_of_the_protocol_is_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_fragment(text)


@pytest.mark.parametrize("published", [None, 3, ["10 s - 0 1 QUJD"], {"a": 1}, b"10 s - 0 1 QUJD"])
def test_a_published_value_that_is_no_text_is_refused(published: object) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_fragment(published)


def test_a_frame_of_10_mb_is_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        parse_fragment(f"10 {SESSION} - 0 1 {'A' * 10_000_000}")
    reassembler = Reassembler()
    assert reassembler.push(Fragment(SESSION, "-", 0, 1, "A" * 10_000_000), 0.0) is None
    assert reassembler.counters.refused == 1


@given(payloads, frame_sizes, st.randoms(use_true_random=False), st.data())
def test_fragments_in_any_order_and_doubled_give_the_payload_once(
    payload: str, size: int, shuffle: random.Random, data: st.DataObject
) -> None:
    fragments = fragments_of(payload, frame_characters=size)
    if len(fragments) > 1:
        fragments += data.draw(st.lists(st.sampled_from(fragments), max_size=5))
    shuffle.shuffle(fragments)
    reassembler = Reassembler()
    assert [got for fragment in fragments if (got := reassembler.push(fragment, 0.0)) is not None] == [payload]
    assert (reassembler.pending_messages, reassembler.pending_bytes) == (0, 0)


@given(st.lists(payloads, min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_interleaved_messages_do_not_mix(sent: list[str], shuffle: random.Random) -> None:
    fragments = [fragment for tag, payload in enumerate(sent) for fragment in fragments_of(payload, str(tag))]
    shuffle.shuffle(fragments)
    reassembler = Reassembler()
    received = [got for fragment in fragments if (got := reassembler.push(fragment, 0.0)) is not None]
    assert sorted(received) == sorted(sent)


@given(st.text(BASE64, min_size=100, max_size=600), st.data())
def test_a_message_cut_short_gives_nothing(payload: str, data: st.DataObject) -> None:
    fragments = fragments_of(payload)
    del fragments[data.draw(st.integers(0, len(fragments) - 1))]
    reassembler = Reassembler()
    assert all(reassembler.push(fragment, 0.0) is None for fragment in fragments)


def test_the_same_tag_in_another_session_is_another_message() -> None:
    one, two = fragments_of("A" * 100, session="one"), fragments_of("B" * 100, session="two")
    reassembler = Reassembler()
    received = [reassembler.push(fragment, 0.0) for pair in zip(one, two, strict=True) for fragment in pair]
    assert [payload for payload in received if payload] == ["A" * 100, "B" * 100]


def test_single_frames_are_never_taken_for_repetitions() -> None:
    reassembler = Reassembler()
    assert [reassembler.push(piece(0, 1, "QUJD", "-"), 0.0) for _ in range(3)] == ["QUJD"] * 3


def test_a_doubled_message_is_given_once_and_leaves_nothing_behind() -> None:
    reassembler = Reassembler()
    fragments = fragments_of("A" * 300) * 2
    assert sum(reassembler.push(fragment, 0.0) is not None for fragment in fragments) == 1
    assert reassembler.counters.repeated == len(fragments) // 2
    assert reassembler.pending_messages == 0


def test_a_tag_may_be_used_again_when_its_message_is_old() -> None:
    reassembler = Reassembler(ReassemblyLimits(age_seconds=60))
    for now in (0.0, 61.0):
        reassembler.push(piece(0, 2, "AA"), now)
        assert reassembler.push(piece(1, 2, "BB"), now) == "AABB"


@pytest.mark.parametrize("tag", ["-", "1"])
def test_another_message_under_the_same_tag_is_not_taken_for_a_repetition(tag: str) -> None:
    reassembler = Reassembler()
    for first, second in (("AA", "BB"), ("CC", "DD"), ("EE", "FF")):
        reassembler.push(piece(0, 2, first, tag), 0.0)
        assert reassembler.push(piece(1, 2, second, tag), 0.0) == first + second
    reassembler.push(piece(0, 3, "EE", tag), 0.0)
    assert reassembler.counters.repeated == 0


def test_a_late_repetition_does_not_spoil_the_next_message_under_the_same_tag() -> None:
    reassembler = Reassembler()
    received = [reassembler.push(piece(index, 2, text), 0.0) for index, text in ((0, "AA"), (1, "BB"), (0, "CC"), (1, "BB"), (1, "DD"))]
    assert received == [None, "AABB", None, None, "CCDD"]


def test_a_fragment_that_comes_again_replaces_the_earlier_one() -> None:
    reassembler = Reassembler()
    reassembler.push(piece(0, 2, "AAAA"), 0.0)
    reassembler.push(piece(0, 2, "BB"), 0.0)
    assert reassembler.pending_bytes == 2
    assert reassembler.push(piece(1, 2, "CC"), 0.0) == "BBCC"


def test_a_fragment_at_odds_with_the_count_of_its_message_is_dropped() -> None:
    reassembler = Reassembler()
    reassembler.push(piece(0, 2, "AA"), 0.0)
    assert reassembler.push(piece(1, 3, "XX"), 0.0) is None
    assert reassembler.counters.refused == 1
    assert reassembler.push(piece(1, 2, "BB"), 0.0) == "AABB"


def test_messages_of_too_many_fragments_or_bytes_are_refused() -> None:
    reassembler = Reassembler(ReassemblyLimits(message_bytes=10, fragments=3))
    assert reassembler.push(piece(0, 4), 0.0) is None
    assert reassembler.push(piece(0, 1, "A" * 11), 0.0) is None
    assert reassembler.pending_messages == 0
    reassembler.push(piece(0, 3, "A" * 6), 0.0)
    assert reassembler.push(piece(1, 3, "A" * 6), 0.0) is None
    assert reassembler.pending_bytes == 6
    assert reassembler.counters.refused == 3


def test_impossible_indices_are_refused() -> None:
    reassembler = Reassembler()
    for index, count in ((-1, 2), (2, 2), (0, 0)):
        assert reassembler.push(piece(index, count), 0.0) is None
    assert reassembler.counters.refused == 3


def test_an_old_unfinished_message_is_forgotten() -> None:
    reassembler = Reassembler(ReassemblyLimits(age_seconds=60))
    reassembler.push(piece(0, 2), 0.0)
    assert reassembler.push(piece(1, 2), 60.5) is None
    assert reassembler.counters.expired == 1
    assert reassembler.push(piece(0, 2), 61.0) == "AA"


def test_a_trickling_message_does_not_keep_itself_alive() -> None:
    reassembler = Reassembler(ReassemblyLimits(age_seconds=60))
    for second in range(0, 80, 10):
        reassembler.push(piece(0, 2), float(second))
    assert reassembler.counters.expired == 1


def test_the_oldest_unfinished_message_makes_room_for_the_newest() -> None:
    reassembler = Reassembler(ReassemblyLimits(pending_messages=3))
    for tag in range(5):
        reassembler.push(piece(0, 2, tag=str(tag)), float(tag))
    assert reassembler.pending_messages == 3
    assert reassembler.counters.crowded_out == 2
    assert reassembler.push(piece(1, 2, tag="4"), 5.0) == "AA"
    assert reassembler.push(piece(1, 2, tag="0"), 5.0) is None


def test_a_flood_of_unfinished_messages_takes_bounded_memory() -> None:
    limits = ReassemblyLimits(pending_bytes=100_000)
    reassembler = Reassembler(limits)
    for number in range(2000):
        reassembler.push(Fragment(f"s{number}", "1", 0, 2, "A" * 20_000), number / 1000)
        assert reassembler.pending_bytes <= limits.pending_bytes
        assert reassembler.pending_messages <= limits.pending_messages
    assert reassembler.counters.total == reassembler.counters.crowded_out == 1995


def test_a_flood_of_finished_messages_takes_bounded_memory() -> None:
    reassembler = Reassembler(ReassemblyLimits(pending_messages=8))
    for tag in range(100):
        for index in range(2):
            reassembler.push(piece(index, 2, tag=str(tag)), 0.0)
    assert len(reassembler._complete) == 8


@given(st.lists(st.builds(Fragment, st.sampled_from("st"), st.sampled_from("-12"), st.integers(-1, 4), st.integers(-1, 5), payloads)))
def test_whatever_comes_the_books_of_the_reassembler_balance(fragments: list[Fragment]) -> None:
    reassembler = Reassembler(ReassemblyLimits(message_bytes=1000, pending_messages=3, pending_bytes=1500, age_seconds=10))
    for now, fragment in enumerate(fragments):
        reassembler.push(fragment, float(now))
        assert reassembler.pending_bytes == sum(len(p) for partial in reassembler._pending.values() for p in partial.pieces.values())
        assert reassembler.pending_bytes <= 1500
