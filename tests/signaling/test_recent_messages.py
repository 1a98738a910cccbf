"""Which messages of a broker are known to come again."""

from sinchphone.signaling.pubsub.answers import BrokerMessage, RecentMessages


def message(number: int, timetoken: str = "17") -> BrokerMessage:
    return BrokerMessage("channel", number, timetoken, number.to_bytes(16, "big"))


def test_a_message_that_comes_again_is_not_new() -> None:
    recent = RecentMessages()
    assert [recent.is_new(message(number)) for number in (1, 2, 1)] == [True, True, False]


def test_equal_messages_of_a_broker_that_tells_no_time_are_all_new() -> None:
    recent = RecentMessages()
    assert [recent.is_new(message(1, timetoken="")) for _ in range(2)] == [True, True]


def test_the_oldest_are_forgotten_but_not_one_that_has_just_come_again() -> None:
    recent = RecentMessages()
    for number in range(2_000):
        recent.is_new(message(number))
    assert not recent.is_new(message(0))
    assert recent.is_new(message(2_000))
    assert not recent.is_new(message(0))
    assert recent.is_new(message(1))
