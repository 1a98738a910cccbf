"""The broker without a network: what is delivered, in which order, and what is forgotten."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.exchange.options import ExchangeOptions
from sinchphone.exchange.pubsub.broker import (
    AWAY_SECONDS,
    MAX_MESSAGES,
    Broker,
    InvalidChannelError,
    MessageTooLargeError,
    Poll,
    TooManyPollsError,
    UnknownKeyError,
)

NOW = 1_795_248_000.0


@dataclass
class Bell:
    rung: bool = False

    def set(self) -> None:
        self.rung = True


def broker(**options: Any) -> Broker:
    made = Broker(ExchangeOptions(**options))
    made.add_network("sub", "pub")
    made.add_network("other-sub", "other-pub")
    return made


def publish(to: Broker, channel: str, payload: Any, *, now: float = NOW, key: str = "sub", size: int = 10) -> int:
    return to.publish(key, channel, payload, size=size, publisher="somebody", now=now).token


def payloads(of: Broker, *channels: str, since: int = 0, key: str = "sub") -> list[Any]:
    return [posted.payload for posted in of.since(key, channels, since)]


def test_a_message_is_seen_by_who_asks_for_what_came_after_an_earlier_token() -> None:
    made = broker()
    start = made.tokens.present(NOW)
    publish(made, "a", "hello")
    assert payloads(made, "a", since=start) == ["hello"]


def test_a_message_is_not_seen_again_with_its_own_token() -> None:
    made = broker()
    token = publish(made, "a", "hello")
    assert payloads(made, "a", since=token) == []


def test_messages_of_several_channels_come_in_the_order_in_which_they_were_published() -> None:
    made = broker()
    for number, channel in enumerate("abcabc"):
        publish(made, channel, number)
    assert payloads(made, "c", "a", "b") == [0, 1, 2, 3, 4, 5]


def test_a_token_has_seventeen_digits_and_counts_100_ns() -> None:
    assert str(broker().tokens.present(NOW)) == "17952480000000000"


@given(st.lists(st.floats(min_value=-3600, max_value=3600), min_size=2, max_size=50))
def test_tokens_rise_strictly_whatever_the_clock_does(steps: list[float]) -> None:
    made = broker()
    tokens = [publish(made, "a", None, now=NOW + step) for step in steps]
    assert all(earlier < later for earlier, later in pairwise(tokens))


def test_networks_do_not_see_each_other() -> None:
    made = broker()
    publish(made, "a", "secret", key="other-sub")
    assert payloads(made, "a") == []


def test_a_network_is_closed_to_whoever_has_the_publish_key_of_another() -> None:
    made = broker()
    made.check("sub", "pub")
    with pytest.raises(UnknownKeyError):
        made.check("sub", "other-pub")
    with pytest.raises(UnknownKeyError):
        made.check("pub")


def test_a_channel_keeps_only_its_latest_messages() -> None:
    made = broker(history_per_channel=3)
    for number in range(5):
        publish(made, "a", number)
    publish(made, "b", "other")
    assert payloads(made, "a") == [2, 3, 4]


def test_what_one_answer_can_not_hold_comes_with_the_next() -> None:
    made = broker()
    for number in range(MAX_MESSAGES + 2):
        publish(made, "ab"[number % 2], number)
    first = made.since("sub", ("a", "b"), 0)
    assert [posted.payload for posted in first] == list(range(MAX_MESSAGES))
    assert payloads(made, "a", "b", since=first[-1].token) == [MAX_MESSAGES, MAX_MESSAGES + 1]


def test_old_messages_are_forgotten() -> None:
    made = broker(history_seconds=10)
    publish(made, "a", "old")
    publish(made, "b", "new", now=NOW + 11)
    assert payloads(made, "a", "b") == ["new"]


def test_a_flood_of_messages_in_many_channels_pushes_the_oldest_out() -> None:
    made = broker(history_bytes=10_000)
    for number in range(1_000):
        publish(made, f"channel-{number}", number, size=488)
    kept = payloads(made, *(f"channel-{number}" for number in range(1_000)))
    assert kept == list(range(990, 1_000))


def test_a_message_that_is_too_large_is_refused() -> None:
    made = broker(message_bytes=100)
    publish(made, "a", "fits", size=99)
    with pytest.raises(MessageTooLargeError):
        publish(made, "a", "doesn't", size=100)
    assert payloads(made, "a") == ["fits"]


@pytest.mark.parametrize("name", ["", "a,b", "x" * 93])
def test_a_channel_that_can_not_be_is_refused(name: str) -> None:
    with pytest.raises(InvalidChannelError):
        publish(broker(), name, "hello")


def test_who_waits_is_woken_by_a_message_of_their_channel_only() -> None:
    made, mine, other = broker(), Bell(), Bell()
    made.begin(Poll("sub", ("a", "b"), "me", mine), NOW)
    made.begin(Poll("sub", ("c",), "you", other), NOW)
    publish(made, "b", "hello")
    assert (mine.rung, other.rung) == (True, False)


def test_who_waits_no_more_is_not_woken() -> None:
    made, bell = broker(), Bell()
    poll = Poll("sub", ("a",), "me", bell)
    made.begin(poll, NOW)
    made.end(poll, NOW)
    publish(made, "a", "hello")
    assert not bell.rung


def test_everybody_is_woken_when_the_exchange_closes() -> None:
    made, bell = broker(), Bell()
    made.begin(Poll("other-sub", ("a",), "me", bell), NOW)
    made.wake_everybody()
    assert bell.rung


def test_somebody_between_two_polls_counts_as_listening_for_a_while() -> None:
    made, poll = broker(), Poll("sub", ("a",), "me", Bell())
    assert not made.is_listening("sub", "a", NOW)
    made.begin(poll, NOW)
    made.end(poll, NOW + 100)
    assert made.is_listening("sub", "a", NOW + 100 + AWAY_SECONDS)
    assert not made.is_listening("sub", "a", NOW + 101 + AWAY_SECONDS)


def test_somebody_who_said_goodbye_does_not_listen_even_if_the_poll_ends_later() -> None:
    made, bell = broker(), Bell()
    poll = Poll("sub", ("a",), "me", bell)
    made.begin(poll, NOW)
    made.leave("sub", ("a",), "me")
    assert bell.rung
    made.end(poll, NOW)
    assert not made.is_listening("sub", "a", NOW)


def test_the_goodbye_of_one_listener_is_not_that_of_another() -> None:
    made = broker()
    made.begin(Poll("sub", ("a",), "me", Bell()), NOW)
    made.begin(Poll("sub", ("a",), "you", Bell()), NOW)
    made.leave("sub", ("a",), "me")
    assert made.listeners("sub", "a") == {"you": 1}
    assert made.is_listening("sub", "a", NOW)


def test_attack_all_long_polls_by_one_user_give_up_their_own_oldest() -> None:
    made = broker(polls=6, polls_per_owner=4)
    other = Poll("sub", ("a",), "other", Bell(), "other")
    made.begin(other, NOW)
    flood = [Poll("sub", ("a",), "me", Bell(), "mallory") for _ in range(10)]
    for poll in flood:
        made.begin(poll, NOW)
    assert [poll.is_given_up for poll in flood] == [True] * 6 + [False] * 4
    assert flood[0].bell == Bell(rung=True)
    assert not other.is_given_up


def test_attack_all_long_polls_by_many_users_leave_room_for_one_more() -> None:
    made = broker(polls=6, polls_per_owner=4)
    flood = [Poll("sub", ("a",), "me", Bell(), f"mallory-{number // 3}") for number in range(6)]
    for poll in flood:
        made.begin(poll, NOW)
    late = Poll("sub", ("a",), "late", Bell(), "late")
    made.begin(late, NOW)
    assert (late.is_given_up, [poll.is_given_up for poll in flood].count(True)) == (False, 1)
    for poll in (*flood, late):
        made.end(poll, NOW)
    assert len(made._networks["sub"].polls) == 0


def test_attack_random_channels_take_a_bounded_place_and_harm_no_other() -> None:
    made = broker(channels=50, channels_per_owner=20)
    own = "signal-" + "x" * 32
    publish(made, own, "of a device")
    kept = Poll("sub", ("a-room",), "other", Bell(), "other")
    made.begin(kept, NOW)
    for number in range(1_000):
        made.publish("sub", f"random-{number}", {}, size=2, publisher="m", now=NOW, owner="mallory")
    for number in range(1_000):
        made.begin(Poll("sub", tuple(f"poll-{number}-{part}" for part in range(100)), "m", Bell(), "mallory"), NOW)
    assert len(made._networks["sub"].channels) <= 50 + 1
    assert payloads(made, own) == ["of a device"]
    assert not kept.is_given_up
    assert made.is_listening("sub", "a-room", NOW)


def test_attack_small_text_that_becomes_many_objects_counts_as_what_it_takes() -> None:
    made = broker(history_bytes=1_000_000)
    for number in range(100):
        made.publish("sub", "a", [[] for _ in range(10_000)], size=30_000, publisher="m", now=NOW + number)
    assert len(payloads(made, "a")) == 1


def test_a_poll_of_hundreds_of_channels_is_refused() -> None:
    with pytest.raises(TooManyPollsError):
        broker().begin(Poll("sub", tuple(map(str, range(101))), "me", Bell()), NOW)


def test_channels_that_were_listened_to_once_are_forgotten() -> None:
    made = broker()
    for number in range(100):
        poll = Poll("sub", (str(number),), "me", Bell())
        made.begin(poll, NOW)
        made.end(poll, NOW)
    publish(made, "a", "hello", now=NOW + AWAY_SECONDS + 1)
    assert set(made._networks["sub"].channels) == {"a"}


def test_whose_connections_broke_off_is_known_on_all_that_they_listened_to_and_of_no_channel_that_is_forgotten() -> None:
    made = broker()
    for name in ("a", "b"):
        poll = Poll("sub", (name,), "me", Bell())
        made.begin(poll, NOW)
        made.end(poll, NOW)
    other = Poll("sub", ("c",), "you", Bell())
    made.begin(other, NOW)
    made.end(other, NOW)
    poll = Poll("sub", ("a",), "me", Bell())
    made.begin(poll, NOW)
    made.end(poll, NOW, broke_off=True)
    assert [made.broken_off_for("sub", name, NOW + 1) for name in ("a", "b", "c")] == [1, 1, 0]
    late = Poll("sub", ("late",), "late", Bell())
    made.begin(late, NOW + 1_000)  # the others are swept
    made.end(late, NOW + 1_000, broke_off=True)
    assert set(made._left) == {"late"}
