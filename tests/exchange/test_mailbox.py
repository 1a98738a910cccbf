"""Mailboxes: what they keep, what they drop, and for whom there is room."""

from sinchphone.exchange.messages import mailbox as room
from sinchphone.exchange.messages.mailbox import Kept, Mailbox
from sinchphone.exchange.pubsub.broker import Posted


def kept(token: int, transport: str = "t", text: str = "x") -> Kept:
    return Kept(Posted(token, "channel", text, "somebody"), transport)


def tokens(frames: list[Kept]) -> list[int]:
    return [frame.token for frame in frames]


def test_what_came_after_a_token_is_found_in_order() -> None:
    box = Mailbox()
    for token in (3, 1, 2):
        box.put(kept(token))
    assert tokens(box.after(1)) == [2, 3]


def test_what_everybody_has_is_dropped() -> None:
    box = Mailbox()
    for token in (1, 2, 3):
        box.put(kept(token))
    assert tokens(box.drop_until(2)) == [1, 2]
    assert tokens(box.after(0)) == [3]
    assert box.size_bytes == kept(3).size_bytes


def test_who_writes_too_much_pushes_out_only_their_own() -> None:
    box = Mailbox()
    box.put(kept(1, "calm"))
    dropped = [gone for token in range(2, room.MAX_FRAMES + 5) for gone in box.put(kept(token, "flood"))]
    assert tokens(dropped) == [2, 3, 4]
    assert {gone.transport_id for gone in dropped} == {"flood"}
    assert 1 in tokens(box.after(0))


def test_a_mailbox_has_a_limit_in_bytes_and_the_loudest_make_room() -> None:
    box = Mailbox()
    box.put(kept(1, "calm"))
    half = "x" * (room.MAX_MAILBOX_BYTES // 2)
    box.put(kept(2, "flood", half))
    assert tokens(box.put(kept(3, "flood", half))) == [2]
    assert box.size_bytes <= room.MAX_MAILBOX_BYTES
    assert tokens(box.after(0)) == [1, 3]
