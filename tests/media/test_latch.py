"""Whose packets are heard on a plain socket, and where ours go."""

import pytest

from sinchphone.media.plain.latch import Address, Latch, plain_host

PHONE = Address("203.0.113.9", 4000)
ELSEWHERE = Address("203.0.113.9", 61_000)  # the same host, another port
NAT = Address("198.51.100.1", 33_333)  # where a phone behind NAT really sends from
PRIVATE = Address("192.168.1.20", 4000)  # and what it says
STRANGER = Address("192.0.2.66", 4000)


def a_latch(signalled: Address = PHONE, vouched: str | None = None) -> Latch:
    latch = Latch(vouched)
    latch.announce(signalled, 0.0, anew=False)
    return latch


def take(latch: Latch, source: Address, now: float) -> bool:
    admitted = latch.admits(source, now)
    if admitted:
        latch.fix(source)
    return admitted


def test_before_a_description_nobody_is_heard_and_nothing_is_sent() -> None:
    latch = Latch("198.51.100.1")
    assert not latch.admits(NAT, 0.0)
    assert latch.destination is None


def test_the_signalled_address_is_heard_and_sent_to() -> None:
    latch = a_latch()
    assert latch.destination == PHONE
    assert take(latch, PHONE, 100.0)
    assert latch.destination == PHONE


def test_a_phone_that_sends_from_another_port_than_it_says_is_answered_there() -> None:
    latch = a_latch()
    assert take(latch, ELSEWHERE, 1.0)
    assert latch.destination == ELSEWHERE
    assert take(latch, ELSEWHERE, 1_000.0)


def test_a_phone_behind_nat_is_answered_where_its_signaling_comes_from() -> None:
    latch = a_latch(PRIVATE, vouched=NAT.host)
    assert latch.destination == PRIVATE
    assert take(latch, NAT, 1.0)
    assert latch.destination == NAT


def test_a_stranger_is_never_heard() -> None:
    """Attack: RTP to an open port, before the phone's own, during the call, and after a long silence."""
    latch = a_latch()
    assert not take(latch, STRANGER, 0.1)
    assert take(latch, PHONE, 0.2)
    for now in (0.3, 4.0, 100.0):
        assert not take(latch, STRANGER, now)
    assert latch.destination == PHONE


def test_a_neighbour_behind_the_same_nat_can_not_take_over_a_stream_that_runs() -> None:
    """Attack: another user of the host that signaling vouches for."""
    latch = a_latch(PRIVATE, vouched=NAT.host)
    assert take(latch, NAT, 1.0)
    assert not take(latch, Address(NAT.host, 44_444), 1.1)
    assert not take(latch, Address(NAT.host, 44_444), 90.0)
    assert latch.destination == NAT


def test_the_very_address_that_was_signalled_goes_before_a_guess_but_only_at_first() -> None:
    latch = a_latch()
    assert take(latch, ELSEWHERE, 1.0)
    assert take(latch, PHONE, 2.0)
    assert latch.destination == PHONE
    assert not take(latch, ELSEWHERE, 3.0)
    late = a_latch()
    assert take(late, ELSEWHERE, 1.0)
    assert not take(late, PHONE, 6.0)


def test_after_the_first_seconds_only_the_very_address_may_begin() -> None:
    for source, heard in ((ELSEWHERE, False), (PHONE, True)):
        assert take(a_latch(), source, 5.1) is heard


def test_a_new_description_opens_it_again_for_whom_signaling_vouches_for() -> None:
    latch = a_latch(PRIVATE, vouched=NAT.host)
    take(latch, NAT, 1.0)
    moved = Address(NAT.host, 44_444)
    latch.announce(PRIVATE, 60.0, anew=True)
    assert latch.destination == NAT  # until a packet comes
    assert not take(latch, STRANGER, 60.1)
    assert take(latch, moved, 60.2)
    assert latch.destination == moved
    assert not take(latch, NAT, 60.3)


def test_the_same_answer_again_opens_nothing() -> None:
    latch = a_latch(PRIVATE, vouched=NAT.host)
    take(latch, NAT, 1.0)
    latch.announce(PRIVATE, 20.0, anew=False)
    assert not take(latch, Address(NAT.host, 44_444), 20.1)


def test_an_answer_that_comes_before_the_first_packet_gives_more_time() -> None:
    latch = a_latch(PRIVATE, vouched=NAT.host)
    latch.announce(PRIVATE, 30.0, anew=False)
    assert take(latch, NAT, 31.0)


def test_another_address_is_sent_to_at_once() -> None:
    latch = a_latch()
    take(latch, PHONE, 1.0)
    latch.announce(STRANGER, 10.0, anew=True)
    assert latch.destination == STRANGER
    assert not take(latch, PHONE, 10.1)
    assert take(latch, STRANGER, 10.2)


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
    latch = a_latch(PRIVATE)
    assert not take(latch, NAT, 1.0)
    latch.vouch(NAT.host)
    assert take(latch, NAT, 1.5)
    assert latch.destination == NAT
    assert not take(latch, STRANGER, 2.0)
