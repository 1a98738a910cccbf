"""Whether what a peer sends are our packets."""

from sinchphone.protocol.congestion.own_packets import OwnPackets

SOUND = [index.to_bytes(2) * 30 for index in range(600)]
SILENCE = b"\xff" * 160


def test_a_packet_that_comes_back_is_known_by_its_payload_once() -> None:
    own = OwnPackets()
    own.sent(SOUND[1])
    assert not own.returns(SOUND[2])
    assert own.returns(SOUND[1])
    assert not own.returns(SOUND[1])


def test_a_header_that_is_added_or_left_out_is_not_looked_at() -> None:
    own = OwnPackets()
    own.sent(b"\xef\x00" + SOUND[1])
    assert own.returns(SOUND[1])


def test_silence_that_is_sent_again_and_again_may_be_anybodys() -> None:
    own = OwnPackets()
    own.sent(SILENCE)
    own.sent(SILENCE)
    assert not own.returns(SILENCE)


def test_what_is_too_short_or_was_sent_long_ago_is_not_known() -> None:
    own = OwnPackets()
    own.sent(b"short")
    assert not own.returns(b"short")
    assert not own.returns(b"")
    for each in SOUND:
        own.sent(each)
    assert not own.returns(SOUND[0])
    assert own.returns(SOUND[-1])
