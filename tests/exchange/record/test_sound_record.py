"""Packets of sound that are kept for capture files: by call, the latest, no more than fits, forgotten on demand."""

from sinchphone.exchange.record.record import EventRecord
from sinchphone.exchange.record.sound import SoundRecord

HERE, THERE = "127.0.0.1:4000", "127.0.0.1:5000"


def test_packets_are_kept_by_call_and_in_their_order() -> None:
    kept = SoundRecord()
    kept.tap("one")(b"a", HERE, THERE)
    kept.tap("two")(b"b", HERE, THERE)
    kept.tap("one")(b"c", THERE, HERE)
    assert [(one.data, one.route.source, one.route.target) for one in kept.of({"one"})] == [(b"a", HERE, THERE), (b"c", THERE, HERE)]
    assert [one.data for one in kept.of({"one", "two", "three"})] == [b"a", b"b", b"c"]


def test_the_oldest_make_room_whoevers_they_are() -> None:
    kept = SoundRecord(max_bytes=10_000)
    for number in range(100):
        kept.tap(str(number % 2))(bytes([number]) * 160, HERE, THERE)
    left = [one.data[0] for one in kept.of({"0", "1"})]
    assert left == list(range(100 - len(left), 100)) and 10 <= len(left) < 30


def test_a_reset_forgets_the_sound_of_the_applications_calls() -> None:
    record = EventRecord(keeps_sound=True)
    for application in ("ours", "theirs"):
        record.began(application, application=application, caller="ada", callee="bob")
        record.link(f"leg of {application}", application)
        tap = record.tap(f"leg of {application}")
        assert tap is not None
        tap(b"x", HERE, THERE)
    record.clear("ours")
    assert record.sound is not None
    assert record.sound.of({"leg of ours"}) == []
    assert len(record.sound.of({"leg of theirs"})) == 1


def test_where_nobody_asked_for_it_nothing_is_kept() -> None:
    assert EventRecord().tap("one") is None
    assert EventRecord(is_on=False, keeps_sound=True).tap("one") is None
