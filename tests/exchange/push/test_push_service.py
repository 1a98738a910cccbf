"""The exchange's own push service: what it takes, keeps, delivers and refuses."""

import hashlib
import json
from typing import Any

import pytest

from sinchphone.exchange.push.service import (
    AWAY_S,
    MAX_AGENTS,
    MAX_CHANNELS,
    MAX_TTL_S,
    MAX_WAITING,
    POSTS_AT_ONCE,
    RELEASED_S,
    PushAgent,
    PushMessage,
    PushRefusedError,
    PushService,
)
from sinchphone.protocol.webpush.keys import KeyPair, read_base64
from sinchphone.protocol.webpush.vapid import write_vapid

NOW = 1_900_000_000.0
ORIGIN = "http://127.0.0.1:4600"
US = KeyPair.from_random(hashlib.sha384(b"us").digest())
OTHER = KeyPair.from_random(hashlib.sha384(b"other").digest())
CHANNEL = "4fa6ad49-549d-4ae3-9f71-11fd82dbebbb"
SECOND = "5fa6ad49-549d-4ae3-9f71-11fd82dbebbb"


class Town:
    """A push service with one agent, and what was delivered to it."""

    def __init__(self) -> None:
        self.service = PushService()
        self.delivered: list[dict[str, Any]] = []
        self.deliver = self.delivered.append
        self.agent = self.service.greet("", self.deliver, NOW)
        self.endpoint = self.service.register(self.agent, CHANNEL, US.public_bytes, ORIGIN)

    def post(
        self,
        body: bytes = b"x" * 50,
        *,
        at: float = NOW,
        ttl: str | None = "60",
        topic: str | None = None,
        encoding: str = "aes128gcm",
        pair: KeyPair = US,
        endpoint: str = "",
    ) -> Any:
        endpoint = endpoint or self.endpoint
        message = PushMessage(ttl, topic, encoding, write_vapid(pair, endpoint, "mailto:a@example.org", at), body)
        return self.service.take(endpoint.rpartition("/")[2], message, at)

    def refusal(self, **how: Any) -> tuple[int, int]:
        with pytest.raises(PushRefusedError) as refused:
            self.post(**how)
        return refused.value.status, refused.value.errno

    def leave(self, at: float) -> None:
        self.service.part(self.agent, self.deliver, at)

    def come_back(self, at: float) -> PushAgent:
        return self.service.greet(self.agent.uaid, self.deliver, at)

    @property
    def bodies(self) -> list[bytes]:
        return [read_base64(one["data"], "data") for one in self.delivered]


def test_a_message_is_delivered_at_once_to_an_agent_that_is_there() -> None:
    town = Town()
    receipt = town.post(b"hello" * 10)
    (one,) = town.delivered
    assert (one["messageType"], one["channelID"], one["version"]) == ("notification", CHANNEL, receipt.message_id)
    assert (town.bodies, one["headers"]) == ([b"hello" * 10], {"encoding": "aes128gcm"})


def test_what_waits_is_delivered_after_hello_until_it_is_acknowledged() -> None:
    town = Town()
    town.leave(NOW)
    receipt = town.post()
    assert town.delivered == []
    town.come_back(NOW + 1)
    town.come_back(NOW + 2)
    assert len(town.delivered) == 2
    town.service.acknowledge(town.agent, receipt.message_id)
    town.come_back(NOW + 3)
    assert len(town.delivered) == 2


def test_a_topic_replaces_what_was_not_delivered_and_other_messages_stay() -> None:
    town = Town()
    town.leave(NOW)
    town.post(b"old" * 20, topic="call")
    town.post(b"other" * 20)
    town.post(b"new" * 20, topic="call")
    town.come_back(NOW + 1)
    assert town.bodies == [b"other" * 20, b"new" * 20]


def test_a_message_without_time_to_live_is_delivered_now_or_never() -> None:
    town = Town()
    town.leave(NOW)
    assert town.post(ttl="0").ttl_s == 0
    town.come_back(NOW + 1)
    assert town.delivered == []
    town.post(ttl="0")
    assert len(town.delivered) == 1


def test_an_expired_message_is_dropped() -> None:
    town = Town()
    town.leave(NOW)
    town.post(ttl="5")
    town.come_back(NOW + 6)
    assert town.delivered == []


def test_a_time_to_live_beyond_the_most_is_cut_down() -> None:
    assert Town().post(ttl="999999999").ttl_s == MAX_TTL_S


@pytest.mark.parametrize(
    ("how", "refused"),
    [
        ({"ttl": None}, (400, 111)),
        ({"ttl": "-1"}, (400, 111)),
        ({"ttl": "soon"}, (400, 111)),
        ({"topic": "a b"}, (400, 113)),
        ({"topic": "x" * 33}, (400, 113)),
        ({"encoding": "aesgcm"}, (400, 110)),
        ({"encoding": ""}, (400, 110)),
        ({"body": b"x" * 4097}, (413, 104)),
        ({"pair": OTHER}, (401, 109)),
        ({"endpoint": f"{ORIGIN}/push/v2/unknown"}, (410, 103)),
    ],
)
def test_what_is_not_a_push_for_this_subscription_is_refused(how: dict[str, Any], refused: tuple[int, int]) -> None:
    assert Town().refusal(**how) == refused


def test_a_token_for_another_endpoints_origin_is_refused() -> None:
    town = Town()
    header = write_vapid(US, "https://push.example/x", "mailto:a@example.org", NOW)
    with pytest.raises(PushRefusedError):
        town.service.take(town.endpoint.rpartition("/")[2], PushMessage("60", None, "aes128gcm", header, b"x" * 50), NOW)


def test_whoever_unsubscribes_or_stays_away_is_gone_for_senders() -> None:
    town = Town()
    other = town.service.register(town.agent, SECOND, US.public_bytes, ORIGIN)
    town.service.unregister(town.agent, SECOND)
    assert town.refusal(endpoint=other) == (410, 103)
    town.leave(NOW)
    assert town.post(at=NOW + AWAY_S).ttl_s == 60
    assert town.refusal(at=NOW + AWAY_S + 1) == (410, 103)
    assert not town.service.owns(town.endpoint)


def test_an_agent_that_was_forgotten_gets_another_name() -> None:
    town = Town()
    town.leave(NOW)
    assert town.come_back(NOW + AWAY_S + 1).uaid != town.agent.uaid


def test_a_second_connection_of_an_agent_takes_over_and_the_first_one_leaving_changes_nothing() -> None:
    town = Town()
    later: list[dict[str, Any]] = []
    town.service.greet(town.agent.uaid, later.append, NOW)
    town.leave(NOW)
    town.post()
    assert (len(later), town.delivered) == (1, [])


def test_a_subscription_that_is_made_again_has_another_endpoint() -> None:
    town = Town()
    again = town.service.register(town.agent, CHANNEL, US.public_bytes, ORIGIN)
    assert again != town.endpoint
    assert town.refusal() == (410, 103)
    assert town.service.owns(again)


def test_an_endpoint_at_another_address_is_not_ours() -> None:
    town = Town()
    assert not town.service.owns(town.endpoint.replace("127.0.0.1", "169.254.169.254"))


def test_a_sender_can_take_a_message_back() -> None:
    town = Town()
    town.leave(NOW)
    receipt = town.post()
    assert town.service.withdraw(receipt.message_id)
    assert not town.service.withdraw(receipt.message_id)
    town.come_back(NOW + 1)
    assert town.delivered == []


def test_attack_filling_the_push_service() -> None:
    town = Town()
    town.leave(NOW)
    for number in range(MAX_WAITING + 5):
        town.post(bytes([number]) * 50)
    town.come_back(NOW + 1)
    assert [body[0] for body in town.bodies] == list(range(5, MAX_WAITING + 5))
    for number in range(MAX_CHANNELS - 1):
        town.service.register(town.agent, f"{number:032x}", US.public_bytes, ORIGIN)
    with pytest.raises(PushRefusedError):
        town.service.register(town.agent, "f" * 32, US.public_bytes, ORIGIN)
    for _ in range(MAX_AGENTS - 1):
        town.service.greet("", town.deliver, NOW)
    with pytest.raises(PushRefusedError):
        town.service.greet("", town.deliver, NOW)


def test_attack_flooding_one_subscription() -> None:
    town = Town()
    for _ in range(POSTS_AT_ONCE):
        town.post()
    assert town.refusal() == (429, 202)
    assert town.post(at=NOW + 1)


def test_a_message_that_the_agent_has_not_got_is_told_to_it_without_content_too() -> None:
    town = Town()
    town.post(b"", encoding="")
    assert town.delivered[0].keys() == {"messageType", "channelID", "version"}


# Another process of the exchange takes an agent over


def test_an_agent_that_goes_elsewhere_takes_its_subscriptions_and_what_waits_along() -> None:
    town, elsewhere = Town(), PushService()
    town.post(b"first" * 10, topic="call")
    town.leave(NOW)
    town.post(b"second" * 10)
    state = json.loads(json.dumps(town.service.release(town.agent.uaid, NOW)))
    elsewhere.adopt(state, NOW)
    came: list[dict[str, Any]] = []
    agent = elsewhere.greet(town.agent.uaid, came.append, NOW)
    assert agent.uaid == town.agent.uaid and agent.tokens == town.agent.tokens
    assert [read_base64(one["data"], "data") for one in came] == [b"first" * 10, b"second" * 10]
    town.service = elsewhere
    town.post(b"third" * 10)
    assert len(came) == 3


def test_who_pushes_while_an_agent_is_on_its_way_is_told_to_try_again_and_not_that_it_is_gone() -> None:
    town = Town()
    assert town.service.release("nobody", NOW) is None
    state = town.service.release(town.agent.uaid, NOW)
    assert state is not None and town.service.release(town.agent.uaid, NOW) is None
    assert town.refusal() == (503, 202)
    assert town.refusal(at=NOW + RELEASED_S + 1) == (410, 103)
    with pytest.raises(PushRefusedError):
        town.service.register(town.agent, SECOND, US.public_bytes, ORIGIN)


def test_an_agent_that_comes_back_again_is_there_at_once() -> None:
    town = Town()
    state = town.service.release(town.agent.uaid, NOW)
    assert state is not None
    town.service.adopt(state, NOW)
    town.agent = town.come_back(NOW)
    town.post()
    assert len(town.delivered) == 1
