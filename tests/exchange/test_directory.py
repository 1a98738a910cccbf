"""Applications, users and devices: who is known, who is reachable, and who makes room."""

import base64
from typing import Any

import pytest

from sinchphone.errors import ConfigError
from sinchphone.exchange.directory.devices import Application, Device
from sinchphone.exchange.directory.directory import Directory
from sinchphone.exchange.directory.identity import device_identity, exchange_proof, network
from sinchphone.exchange.options import ExchangeOptions
from sinchphone.exchange.pubsub.broker import AWAY_SECONDS, Broker
from sinchphone.exchange.refusals import RefusedError
from sinchphone.exchange.store.sqlite import SqliteStore
from sinchphone.protocol.webpush.subscription import PushSubscription
from sinchphone.signaling.ocra.registration import InstanceRequest
from sinchphone.signaling.rest.software import Software

NOW = 1_795_248_000.0
GONE = NOW + AWAY_SECONDS + 1


class Town:
    """A directory with one application."""

    def __init__(self, **limits: Any) -> None:
        secrets = {"acme": base64.b64encode(b"a" * 16).decode(), "globex": base64.b64encode(b"g" * 16).decode()}
        options = ExchangeOptions(applications=secrets, **limits)
        self.broker = Broker(options)
        self.directory = Directory(options, self.broker, SqliteStore(None))
        self.acme, self.globex = self.application("acme"), self.application("globex")

    def application(self, key: str) -> Application:
        found = self.directory.application(key)
        assert found is not None
        return found

    def register(self, user: str, device: str = "desk", *, at: float = NOW, expire_at: float | None = None) -> Device:
        request = InstanceRequest(user, device, ("p2p",), Software("1", "test", "linux"))
        return self.directory.register(self.acme, request, expire_at=expire_at, now=at)

    def reachable(self, user: str, at: float = NOW) -> list[str]:
        return [device.device_id for device in self.directory.reachable(self.acme, user, at)]


def test_a_device_that_just_registered_is_reachable_before_it_listens() -> None:
    town = Town()
    town.register("bob")
    assert town.reachable("bob") == ["desk"]
    assert town.reachable("bob", GONE) == []


def test_a_device_is_known_by_its_instance_id() -> None:
    town = Town()
    device = town.register("bob")
    assert town.directory.device(device.instance_id) is device
    assert town.directory.device("another") is None


def test_a_device_that_registers_again_is_the_same_device_with_what_is_new() -> None:
    town = Town()
    first = town.register("bob", expire_at=NOW + 10)
    second = town.register("bob", expire_at=NOW + 20)
    assert (second.instance_id, second.expire_at) == (first.instance_id, NOW + 20)
    assert town.reachable("bob") == ["desk"]


def test_an_expired_device_is_not_reachable() -> None:
    town = Town()
    town.register("bob", expire_at=NOW + 10)
    assert town.reachable("bob", NOW + 9) == ["desk"]
    assert town.reachable("bob", NOW + 10) == []


def test_a_device_that_takes_pushes_stays_reachable() -> None:
    town = Town()
    town.register("bob").push = PushSubscription("https://push.example/a", b"p", b"a")
    assert town.reachable("bob", GONE) == ["desk"]


def test_applications_do_not_see_each_others_users() -> None:
    town = Town()
    town.register("bob")
    assert town.directory.reachable(town.globex, "bob", NOW) == []


def test_too_many_devices_that_listen_are_refused_and_those_that_are_gone_make_room() -> None:
    town = Town(devices_per_user=2)
    old = town.register("bob", "a")
    town.register("bob", "b")
    with pytest.raises(RefusedError) as refused:
        town.register("bob", "c")
    assert refused.value.status == 429
    town.register("bob", "c", at=GONE)
    assert town.directory.device(old.instance_id) is None
    assert set(town.acme.users["bob"]) == {"b", "c"}


def test_a_device_that_registers_again_needs_no_room() -> None:
    town = Town(devices_per_user=1, users=1)
    town.register("bob")
    town.register("bob")
    assert town.reachable("bob") == ["desk"]


def test_too_many_users_are_refused_and_those_that_are_gone_make_room() -> None:
    town = Town(users=1)
    old = town.register("ada")
    with pytest.raises(RefusedError):
        town.register("bob")
    town.register("bob", at=GONE)
    assert town.directory.device(old.instance_id) is None
    assert set(town.acme.users) == {"bob"}


@pytest.mark.parametrize("user", ["", "x" * 256, "a b", "a/b", "ü", "a\n", "a:b"])
def test_a_user_id_that_can_not_be_is_refused(user: str) -> None:
    with pytest.raises(RefusedError) as refused:
        Town().register(user)
    assert refused.value.status == 400


def test_a_secret_that_is_none_or_is_used_twice_is_a_configuration_error() -> None:
    for secrets in ({"a": "no base64!"}, {"a": "YQ==", "b": "YQ=="}):
        options = ExchangeOptions(applications=secrets)
        with pytest.raises(ConfigError):
            Directory(options, Broker(options), SqliteStore(None))


@pytest.mark.parametrize("limits", [{"port": 65_536}, {"port": -1}, {"body_bytes": 0}, {"polls": 0}, {"poll_seconds": 0.0}])
def test_options_that_can_not_be_are_a_configuration_error(limits: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        ExchangeOptions(**limits)


def test_identities_depend_on_every_part_and_on_nothing_else() -> None:
    secret = b"s" * 16
    assert device_identity(secret, "bob", "desk") == device_identity(secret, "bob", "desk")
    parts = [
        (secret, "bob", "desk"),
        (secret, "bob", "mobile"),
        (secret, "ada", "desk"),
        (b"t" * 16, "bob", "desk"),
        (secret, "bobd", "esk"),
    ]
    assert len({device_identity(*each).instance_id for each in parts}) == len(parts)
    derived = device_identity(secret, "bob", "desk")
    assert len({derived.secret, derived.mxp_key}) == 2


def test_channel_names_fit_pubnubs_limit_and_contain_no_separator() -> None:
    identity = device_identity(b"s" * 16, "bob" * 80, "desk")
    for name in (identity.broadcast_channel, identity.signal_channel):
        assert len(name) <= 92
        assert not set(name) & set(",/. ")


def test_the_two_networks_and_their_keys_differ() -> None:
    broadcast, signal = network(b"s", "broadcast"), network(b"s", "signal")
    keys = {broadcast.subscribe_key, broadcast.publish_key, signal.subscribe_key, signal.publish_key}
    assert len(keys) == 4


def test_a_proof_is_for_one_challenge_of_one_application() -> None:
    assert exchange_proof(b"s", "1", "a") == exchange_proof(b"s", "1", "a")
    proofs = [
        exchange_proof(b"s", "1", "a"),
        exchange_proof(b"s", "2", "a"),
        exchange_proof(b"t", "1", "a"),
        exchange_proof(b"s", "1", "b"),
    ]
    assert len(set(proofs)) == 4


def test_secrets_do_not_show_when_things_are_printed() -> None:
    device = Town().register("bob")
    shown = repr(device.identity) + repr(device.application) + repr(ExchangeOptions(applications={"k": "c2VjcmV0"}))
    assert repr(device.identity.secret) not in shown
    assert repr(device.application.secret) not in shown
    assert "c2VjcmV0" not in shown
