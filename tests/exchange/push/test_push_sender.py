"""Pushes of the exchange to a push service that answers as it likes."""

import asyncio
import base64
import hashlib
import stat
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from sinchphone.exchange.access.address_policy import AddressPolicy
from sinchphone.exchange.directory.devices import Device
from sinchphone.exchange.directory.directory import Directory
from sinchphone.exchange.options import ExchangeOptions
from sinchphone.exchange.pubsub.broker import Broker
from sinchphone.exchange.push import sender as sending
from sinchphone.exchange.push.sender import PushOutcome, PushSender
from sinchphone.exchange.push.sender_key import SenderKey
from sinchphone.exchange.push.service import PushService
from sinchphone.exchange.push.shared_service import SharedPushService
from sinchphone.exchange.refusals import RefusedError
from sinchphone.exchange.store.sqlite import SqliteStore
from sinchphone.exchange.store.store import StoreError
from sinchphone.protocol.webpush.encryption import ReceiverKeys, decrypt_push
from sinchphone.protocol.webpush.keys import KeyPair
from sinchphone.protocol.webpush.subscription import PushSubscription
from sinchphone.protocol.webpush.vapid import read_vapid
from sinchphone.signaling.ocra.registration import InstanceRequest
from sinchphone.signaling.rest.software import Software
from sinchphone.tasks import start_task

NOW = 1_900_000_000.0
RECEIVER = ReceiverKeys(KeyPair.from_random(hashlib.sha384(b"receiver").digest()), b"a" * 16)


@dataclass
class FarService:
    """A push service elsewhere: answers with these statuses, one after the other, and the last one for ever."""

    answers: list[tuple[int, dict[str, str]]] = field(default_factory=lambda: [(201, {})])
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    async def take(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        status, headers = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if status == 0:
            await asyncio.sleep(60)
        return web.Response(status=status, headers=headers, text="because \x1b[31m")


class Town:
    """A sender, a device that is subscribed at the far service, and that service."""

    def __init__(self, far: FarService, *, listens_on: str = "127.0.0.1", endpoint: str = "", folder: Path | None = None) -> None:
        self.far = far
        options = ExchangeOptions(applications={"acme": base64.b64encode(b"a" * 16).decode()})
        self.directory = Directory(options, Broker(options), SqliteStore(None))
        application = self.directory.application("acme")
        assert application is not None
        request = InstanceRequest("bob", "desk", ("p2p",), Software("", "", ""))
        self.device: Device = self.directory.register(application, request, expire_at=None, now=NOW)
        self.subscription = PushSubscription(endpoint or f"{far.url}/wpush/abc", RECEIVER.pair.public_bytes, RECEIVER.auth)
        self.directory.set_push(self.device, self.subscription)
        self.key = SenderKey(folder)
        addresses = AddressPolicy(listens_on=listens_on)
        self.service = PushService()
        self.sender = PushSender(addresses, listens_on, self.directory, SharedPushService(self.service), self.key, "mailto:ops@example.org")

    async def push(self, plain: bytes = b"hello") -> PushOutcome:
        return await self.sender.send(self.device, plain, topic="abc", ttl_s=60)


@pytest.fixture
async def far() -> AsyncIterator[FarService]:
    service = FarService()
    application = web.Application()
    application.router.add_post("/{rest:.*}", service.take)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    service.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield service
    await runner.cleanup()


MakeTown = Callable[..., Town]


@pytest.fixture
async def town(far: FarService, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MakeTown]:
    made: list[Town] = []
    monkeypatch.setattr(sending, "FIRST_PAUSE_S", 0.01)

    def make(**how: Any) -> Town:
        made.append(Town(far, **how))
        return made[-1]

    yield make
    for one in made:
        await one.sender.close()


async def test_a_push_arrives_encrypted_for_the_device_and_signed_by_the_exchange(town: MakeTown, far: FarService) -> None:
    there = town()
    assert await there.push(b"a call") == PushOutcome(accepted=True)
    ((headers, body),) = far.got
    assert decrypt_push(body, RECEIVER) == b"a call"
    proved = read_vapid(headers["Authorization"], there.subscription.endpoint, time.time())
    assert (proved.key, proved.subject) == (await there.sender.public_key(), "mailto:ops@example.org")
    named = {name: headers[name] for name in ("TTL", "Topic", "Urgency", "Content-Encoding")}
    assert named == {"TTL": "60", "Topic": "abc", "Urgency": "high", "Content-Encoding": "aes128gcm"}


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_a_push_service_that_takes_it_has_it(town: MakeTown, far: FarService, status: int) -> None:
    far.answers = [(status, {})]
    assert (await town().push()).accepted


@pytest.mark.parametrize("status", [404, 410])
async def test_a_subscription_that_is_gone_is_deleted(town: MakeTown, far: FarService, status: int) -> None:
    far.answers = [(status, {})]
    there = town()
    outcome = await there.push()
    assert not outcome.accepted
    assert "gone" in outcome.reason
    assert there.device.push is None
    assert len(far.got) == 1


async def test_a_subscription_that_was_renewed_meanwhile_stays(town: MakeTown, far: FarService) -> None:
    far.answers = [(410, {})]
    there = town()
    sent = start_task(there.push(), name="push")
    while not far.got:
        await asyncio.sleep(0)
    newer = PushSubscription(f"{far.url}/newer", RECEIVER.pair.public_bytes, RECEIVER.auth)
    there.directory.set_push(there.device, newer)
    await sent
    assert there.device.push == newer


@pytest.mark.parametrize("status", [400, 401, 403, 413, 307, 301])
async def test_a_refusal_is_final_and_the_subscription_stays(town: MakeTown, far: FarService, status: int) -> None:
    far.answers = [(status, {"Location": f"{far.url}/elsewhere"})]
    there = town()
    outcome = await there.push()
    assert (outcome.accepted, len(far.got)) == (False, 1)
    assert str(status) in outcome.reason
    assert there.device.push == there.subscription


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_busy_push_service_is_asked_again(town: MakeTown, far: FarService, status: int) -> None:
    far.answers = [(status, {"Retry-After": "0"}), (status, {}), (201, {})]
    assert (await town().push()).accepted
    assert len(far.got) == 3


async def test_a_push_service_that_is_busy_for_longer_than_it_rings_is_given_up(town: MakeTown, far: FarService) -> None:
    far.answers = [(429, {"Retry-After": "3600"})]
    there = town()
    outcome = await there.push()
    assert (outcome.accepted, len(far.got)) == (False, 1)
    assert "429" in outcome.reason
    assert there.device.push is not None


async def test_silence_is_given_up_in_time(town: MakeTown, far: FarService, monkeypatch: pytest.MonkeyPatch) -> None:
    far.answers = [(0, {})]
    monkeypatch.setattr(sending, "TRY_S", 0.05)
    monkeypatch.setattr(sending, "TIME_S", 0.2)
    outcome = await town().push()
    assert not outcome.accepted
    assert "doesn't answer" in outcome.reason


async def test_attack_a_push_service_that_never_answers_holds_up_no_push_through_our_own(town: MakeTown, far: FarService) -> None:
    """Each of 32 pushes kept its place for 20 s, and all others of the exchange waited."""
    far.answers = [(0, {})]
    there = town()
    hanging = [start_task(there.push(), name="push") for _ in range(sending.MAX_AT_ONCE)]
    async with asyncio.timeout(5):
        while len(far.got) < sending.MAX_AT_ONCE:
            await asyncio.sleep(0.01)
    agent = there.service.greet("", lambda message: None, time.time())
    key = await there.sender.public_key()
    endpoint = there.service.register(agent, "00000000-0000-0000-0000-000000000000", key, "http://127.0.0.1:1")
    there.directory.set_push(there.device, PushSubscription(endpoint, RECEIVER.pair.public_bytes, RECEIVER.auth))
    async with asyncio.timeout(1):
        assert await there.push() == PushOutcome(accepted=True)
    for task in hanging:
        task.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)


async def test_attack_busy_push_services_keep_no_place_while_they_are_not_asked(town: MakeTown, far: FarService) -> None:
    far.answers = [(503, {"Retry-After": "15"})] * sending.MAX_AT_ONCE + [(201, {})]
    there = town()
    waiting = [start_task(there.push(), name="push") for _ in range(sending.MAX_AT_ONCE)]
    async with asyncio.timeout(5):
        while len(far.got) < sending.MAX_AT_ONCE:
            await asyncio.sleep(0.01)
    async with asyncio.timeout(5):
        assert await there.push() == PushOutcome(accepted=True)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_nobody_listens_there(town: MakeTown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "TIME_S", 0.1)
    assert not (await town(endpoint="http://127.0.0.1:9/x").push()).accepted


async def test_what_is_too_long_is_said_before_anything_is_sent(town: MakeTown, far: FarService) -> None:
    outcome = await town().push(b"x" * 3994)
    assert (outcome.accepted, far.got) == (False, [])
    assert "3993" in outcome.reason
    assert (await town().push(b"x" * 3993)).accepted


def profile(endpoint: str, point: bytes = RECEIVER.pair.public_bytes) -> PushSubscription:
    return PushSubscription(endpoint, point, RECEIVER.auth)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://push.example/a",
        "http://10.0.0.1/a",
        "ftp://push.example/a",
        "https://",
        "https://user:pw@push.example/a",
        "https://169.254.169.254/latest/meta-data",
        "https://[fe80::1]/",
        "file:///etc/passwd",
        "https://push.example:0/",
        "https://push.example:99999/",
        "https://[::1",
        "https://püsh.example/",
    ],
)
async def test_attack_subscribing_somewhere_that_is_no_push_service(endpoint: str) -> None:
    with pytest.raises(RefusedError) as refused:
        await Town(FarService()).sender.check(profile(endpoint))
    assert refused.value.status == 400
    assert "w3c.endpoint" in str(refused.value) or "Port" in str(refused.value) or "IPv6" in str(refused.value)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://127.0.0.1:8000/a",
        "https://127.0.0.1/a",
        "https://0x7f000001/a",
        "https://[::ffff:127.0.0.1]/",
        "https://10.0.0.1/",
        "http://localhost/",
    ],
)
async def test_attack_reaching_the_inside_of_an_exchange_that_listens_to_others(endpoint: str) -> None:
    with pytest.raises(RefusedError):
        await Town(FarService(), listens_on="0.0.0.0").sender.check(profile(endpoint))


async def test_attack_a_name_that_leads_inside_when_it_is_pushed_to(town: MakeTown, far: FarService) -> None:
    there = town(listens_on="0.0.0.0", endpoint=far.url.replace("http://127.0.0.1", "https://localhost") + "/x")
    outcome = await there.push()
    assert (outcome.accepted, far.got) == (False, [])
    assert there.device.push is None


@pytest.mark.parametrize(
    "endpoint", ["https://push.example/a", "https://updates.push.services.mozilla.com:443/wpush/v2/x", "http://127.0.0.1:8990/a"]
)
async def test_push_services_elsewhere_and_on_this_machine_are_taken(endpoint: str) -> None:
    await Town(FarService()).sender.check(profile(endpoint))


async def test_a_key_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(RefusedError, match="p256dh"):
        await Town(FarService()).sender.check(profile("https://push.example/a", bytes(65)))


async def test_the_key_is_made_once_kept_for_its_owner_alone_and_the_same_for_all(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    keys = await asyncio.gather(*(SenderKey(folder).pair() for _ in range(8)))
    assert len({key.private_bytes for key in keys}) == 1
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    assert (await SenderKey(folder).pair()).private_bytes == keys[0].private_bytes
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_a_key_that_cannot_be_read_is_an_error_that_says_which(tmp_path: Path) -> None:
    (tmp_path / "push-key").write_text("garbage é", encoding="utf-8")
    with pytest.raises(StoreError, match="push-key"):
        await SenderKey(tmp_path).pair()
