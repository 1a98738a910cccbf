"""What a sender keeps of its last packets, and whom it gives it to."""

from hypothesis import given
from hypothesis import strategies as st

from sinchphone.audio.redundancy import MAX_COPIES
from sinchphone.media.legs.repair import KEPT, Copies, Resends
from sinchphone.protocol.rtp.red import Block, decode_red

OPUS = 111
FRAME = 960


def wrap_all(copies: Copies, count: int, wanted: int, *, timestamp: int = 0xFFFFF000, step: int = FRAME) -> list[tuple[Block, ...] | None]:
    wrapped = [copies.wrap((timestamp + step * i) % 0x100000000, b"%d" % i, wanted) for i in range(count)]
    return [None if each is None else decode_red(each) for each in wrapped]


def test_each_packet_repeats_the_ones_before_it_oldest_first_over_the_wrap_of_time_stamps() -> None:
    *_, last = wrap_all(Copies(OPUS), 8, 2)
    assert last == (Block(OPUS, 2 * FRAME, b"5"), Block(OPUS, FRAME, b"6"), Block(OPUS, 0, b"7"))


def test_the_first_packet_has_nothing_to_repeat() -> None:
    assert wrap_all(Copies(OPUS), 2, 1) == [None, (Block(OPUS, FRAME, b"0"), Block(OPUS, 0, b"1"))]


def test_what_was_sent_without_copies_can_be_repeated_as_soon_as_they_are_wanted() -> None:
    copies = Copies(OPUS)
    assert wrap_all(copies, 5, 0) == [None] * 5
    payload = copies.wrap((0xFFFFF000 + 5 * FRAME) % 0x100000000, b"5", MAX_COPIES)
    assert payload is not None
    assert len(decode_red(payload)) == 1 + MAX_COPIES


def test_what_is_too_long_ago_for_the_field_or_too_long_is_not_repeated() -> None:
    assert wrap_all(Copies(OPUS), 3, 2, step=48_000) == [None] * 3
    copies = Copies(OPUS)
    copies.wrap(0, bytes(1200), 1)
    assert copies.wrap(FRAME, b"x", 1) is None


def test_the_last_packets_are_sent_again_twice_and_no_more() -> None:
    resends = Resends()
    for sequence in range(65_530, 65_530 + KEPT + 5):
        resends.keep(sequence % 0x10000, b"%d" % sequence)
    assert resends.answer([65_530, 65_534]) == ([], 0)
    assert resends.answer([65_535, 0]) == ([b"65535", b"65536"], 2)
    assert resends.answer([0, 1]) == ([b"65536", b"65537"], 1)
    assert resends.answer([0]) == ([], 0)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 80)), max_size=300))
def test_a_flood_of_requests_costs_two_packets_for_each_that_was_sent(steps: list[tuple[bool, int]]) -> None:
    resends, kept, answered, first = Resends(), 0, 0, 0
    for keeps, number in steps:
        if keeps:
            resends.keep(kept, b"%d" % kept)
            kept += 1
        else:
            packets, new = resends.answer([number, number + 1, number])
            answered += len(packets)
            first += new
    assert answered <= 2 * kept
    assert first <= kept
