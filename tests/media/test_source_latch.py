"""Whose packets are heard on a plain socket, and where ours go."""

import pytest

from sinchphone.media.rtp.source_latch import Address, SourceLatch, plain_host

PHONE = Address("203.0.113.9", 4000)
ELSEWHERE = Address("203.0.113.9", 61_000)  # the same host, another port
NAT = Address("198.51.100.1", 33_333)  # where a phone behind NAT really sends from
PRIVATE = Address("192.168.1.20", 4000)  # and what it says
STRANGER = Address("192.0.2.66", 4000)


def a_latch(signalled: Address = PHONE, vouched: str | None = None) -> SourceLatch:
    source_latch = SourceLatch(vouched)
    source_latch.announce(signalled, 0.0, anew=False)
    return source_latch


def take(source_latch: SourceLatch, source: Address, now: float) -> bool:
    admitted = source_latch.admits(source, now)
    if admitted:
        source_latch.fix(source)
    return admitted


def test_before_a_description_nobody_is_heard_and_nothing_is_sent() -> None:
    source_latch = SourceLatch("198.51.100.1")
    assert not source_latch.admits(NAT, 0.0)
    assert source_latch.destination is None


def test_the_signalled_address_is_heard_and_sent_to() -> None:
    source_latch = a_latch()
    assert source_latch.destination == PHONE
    assert take(source_latch, PHONE, 100.0)
    assert source_latch.destination == PHONE


def test_a_phone_that_sends_from_another_port_than_it_says_is_answered_there() -> None:
    source_latch = a_latch()
    assert take(source_latch, ELSEWHERE, 1.0)
    assert source_latch.destination == ELSEWHERE
    assert take(source_latch, ELSEWHERE, 1_000.0)


def test_a_phone_behind_nat_is_answered_where_its_signaling_comes_from() -> None:
    source_latch = a_latch(PRIVATE, vouched=NAT.host)
    assert source_latch.destination == PRIVATE
    assert take(source_latch, NAT, 1.0)
    assert source_latch.destination == NAT


def test_a_stranger_is_never_heard() -> None:
    """Attack: RTP to an open port, before the phone's own, during the call, and after a long silence."""
    source_latch = a_latch()
    assert not take(source_latch, STRANGER, 0.1)
    assert take(source_latch, PHONE, 0.2)
    for now in (0.3, 4.0, 100.0):
        assert not take(source_latch, STRANGER, now)
    assert source_latch.destination == PHONE


def test_a_neighbour_behind_the_same_nat_can_not_take_over_a_stream_that_runs() -> None:
    """Attack: another user of the host that signaling vouches for."""
    source_latch = a_latch(PRIVATE, vouched=NAT.host)
    assert take(source_latch, NAT, 1.0)
    assert not take(source_latch, Address(NAT.host, 44_444), 1.1)
    assert not take(source_latch, Address(NAT.host, 44_444), 90.0)
    assert source_latch.destination == NAT


def test_the_very_address_that_was_signalled_goes_before_a_guess_but_only_at_first() -> None:
    source_latch = a_latch()
    assert take(source_latch, ELSEWHERE, 1.0)
    assert take(source_latch, PHONE, 2.0)
    assert source_latch.destination == PHONE
    assert not take(source_latch, ELSEWHERE, 3.0)
    late = a_latch()
    assert take(late, ELSEWHERE, 1.0)
    assert not take(late, PHONE, 6.0)


def test_after_the_first_seconds_only_the_very_address_may_begin() -> None:
    for source, heard in ((ELSEWHERE, False), (PHONE, True)):
        assert take(a_latch(), source, 5.1) is heard


def test_a_new_description_opens_it_again_for_whom_signaling_vouches_for() -> None:
    source_latch = a_latch(PRIVATE, vouched=NAT.host)
    take(source_latch, NAT, 1.0)
    moved = Address(NAT.host, 44_444)
    source_latch.announce(PRIVATE, 60.0, anew=True)
    assert source_latch.destination == NAT  # until a packet comes
    assert not take(source_latch, STRANGER, 60.1)
    assert take(source_latch, moved, 60.2)
    assert source_latch.destination == moved
    assert not take(source_latch, NAT, 60.3)


def test_the_same_answer_again_opens_nothing() -> None:
    source_latch = a_latch(PRIVATE, vouched=NAT.host)
    take(source_latch, NAT, 1.0)
    source_latch.announce(PRIVATE, 20.0, anew=False)
    assert not take(source_latch, Address(NAT.host, 44_444), 20.1)


def test_an_answer_that_comes_before_the_first_packet_gives_more_time() -> None:
    source_latch = a_latch(PRIVATE, vouched=NAT.host)
    source_latch.announce(PRIVATE, 30.0, anew=False)
    assert take(source_latch, NAT, 31.0)


def test_another_address_is_sent_to_at_once() -> None:
    source_latch = a_latch()
    take(source_latch, PHONE, 1.0)
    source_latch.announce(STRANGER, 10.0, anew=True)
    assert source_latch.destination == STRANGER
    assert not take(source_latch, PHONE, 10.1)
    assert take(source_latch, STRANGER, 10.2)


@pytest.mark.parametrize(
    ("host", "plain"),
    [
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("phone.example", "phone.example"),
    ],
)
def test_an_address_has_one_spelling(host: str, plain: str) -> None:
    assert plain_host(host) == plain


def test_a_peer_whose_signaling_is_known_late_is_answered_where_that_comes_from() -> None:
    source_latch = a_latch(PRIVATE)
    assert not take(source_latch, NAT, 1.0)
    source_latch.trust_source(NAT.host)
    assert take(source_latch, NAT, 1.5)
    assert source_latch.destination == NAT
    assert not take(source_latch, STRANGER, 2.0)


def test_only_another_port_of_the_host_that_was_heard_may_prove_itself() -> None:
    source_latch = a_latch()
    assert not source_latch.may_move_to(ELSEWHERE), "nothing was heard yet"
    take(source_latch, PHONE, 1.0)
    assert source_latch.may_move_to(ELSEWHERE)
    assert not source_latch.may_move_to(STRANGER)
