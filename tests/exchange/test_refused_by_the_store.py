"""What the store doesn't take is refused, and everything is as it was before: nobody is listed who isn't kept."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from sinchphone.exchange.access.intake import Intake
from sinchphone.exchange.directory.accounts import Account, Accounts
from sinchphone.exchange.directory.devices import Application
from sinchphone.exchange.directory.directory import Directory
from sinchphone.exchange.directory.own_limits import OwnLimits
from sinchphone.exchange.messages.postbox import Postbox
from sinchphone.exchange.messages.transports import Transports
from sinchphone.exchange.options import ExchangeOptions
from sinchphone.exchange.pubsub.broker import Broker
from sinchphone.exchange.refusals import RefusedError
from sinchphone.exchange.sms import inbox
from sinchphone.exchange.sms.inbox import SmsInbox
from sinchphone.exchange.store.sqlite import SqliteStore
from sinchphone.exchange.store.store import StoreError
from sinchphone.exchange.store.tables import ACCOUNTS, DEVICES, IDENTITIES, MESSAGES, PUSH_SUBSCRIPTIONS, TEXT_MESSAGES, TRANSPORTS
from sinchphone.exchange.voice_api.assigned_numbers import AssignedNumbers, Capability
from sinchphone.protocol.webpush.subscription import PushSubscription
from sinchphone.signaling.dialect import IdentityKind, Recipient
from sinchphone.signaling.rest.software import Software
from sinchphone.tasks import start_task
from tests.disk import refusing
from tests.exchange.conftest import SECRETS

NOW = 1_795_248_000.0
NAMES = (Recipient("ada"), Recipient("ada@example.org", IdentityKind.EMAIL))
SOFTWARE = Software("test", "linux", "linux")


class Rooms:
    """What keeps something, on one store, which refuses what it is told to refuse."""

    def __init__(self, database: Path) -> None:
        options = ExchangeOptions(applications=SECRETS)
        self.database = database
        self.store = SqliteStore(database)
        self.broker = Broker(options)
        self.directory = Directory(options, self.broker, self.store, Intake())
        self.accounts = Accounts(self.directory, self.store, OwnLimits(60.0))
        self.numbers = AssignedNumbers(self.store, SECRETS)
        self.texts = SmsInbox(self.store)
        self.transports = Transports(self.directory, self.accounts, self.store)
        self.postbox = Postbox(self.broker, self.directory, self.transports, self.store)

    @property
    def acme(self) -> Application:
        application = self.directory.application("acme")
        assert application is not None
        return application

    async def create(self) -> Account:
        return await self.accounts.create(self.acme, NAMES, "correct horse", {}, NOW, vouched=True)

    def refusing(self, table: str, change: str = "INSERT") -> AbstractContextManager[None]:
        return refusing(self.database, table, change)


@pytest.fixture
async def rooms(tmp_path: Path) -> AsyncIterator[Rooms]:
    made = Rooms(tmp_path / "exchange.sqlite3")
    await made.store.open()
    yield made
    await made.store.close()


@pytest.mark.parametrize("table", ["accounts", "identities"])
async def test_a_user_that_the_store_does_not_take_is_not_there_and_may_be_added_later(rooms: Rooms, table: str) -> None:
    with rooms.refusing(table), pytest.raises(StoreError, match="can't keep this"):
        await rooms.create()
    assert "ada" not in rooms.acme.users
    assert [rooms.accounts.resolve(rooms.acme, name) for name in NAMES] == [None, None]
    await rooms.create()
    assert [row[1] for row in await rooms.store.read(ACCOUNTS)] == ["ada"]
    assert len(await rooms.store.read(IDENTITIES)) == len(NAMES)


async def test_a_user_who_was_there_without_a_password_stays_where_the_store_takes_none(rooms: Rooms) -> None:
    rooms.directory.register_legacy(rooms.acme, "ada", (), SOFTWARE, NOW + 3600.0, NOW)
    with rooms.refusing("accounts"), pytest.raises(StoreError):
        await rooms.create()
    assert len(rooms.acme.users["ada"]) == 1
    assert rooms.accounts.account(rooms.acme, "ada") is None


async def test_a_password_and_a_profile_that_the_store_does_not_take_are_the_old_ones(rooms: Rooms) -> None:
    account = await rooms.create()
    with rooms.refusing("accounts"):
        with pytest.raises(StoreError):
            await rooms.accounts.change_password(account, None, "battery staple", NOW)
        with pytest.raises(StoreError):
            await rooms.accounts.change_profile(account, {"colour": "red"})
    assert (await rooms.accounts.authenticate(rooms.acme, NAMES[1], "correct horse", NOW)).profile == {}
    with pytest.raises(RefusedError, match="wrong user or password"):
        await rooms.accounts.authenticate(rooms.acme, NAMES[1], "battery staple", NOW)


async def test_two_changes_of_a_user_that_are_refused_together_leave_neither(rooms: Rooms) -> None:
    """Trap: the first found the second on top of it, and the second went back to the first."""
    account = await rooms.create()
    device = rooms.directory.register_legacy(rooms.acme, "ada", (), SOFTWARE, NOW + 3600.0, NOW)
    pushes = [PushSubscription(f"https://push.example.org/{each}", b"\4" + bytes(64), bytes(16)) for each in range(2)]
    colours = [rooms.accounts.change_profile(account, {colour: "liked"}) for colour in ("red", "blue", "green")]
    with rooms.refusing("accounts"), rooms.refusing("push_subscriptions"):
        both = [*colours, *(rooms.directory.keep_push(device, push) for push in pushes)]
        refused = await asyncio.gather(*both, return_exceptions=True)
    assert [type(each) for each in refused] == [StoreError] * len(both)
    assert rooms.accounts.account(rooms.acme, "ada") == account
    assert device.push is None
    assert (await rooms.store.read(ACCOUNTS))[0][3] == "{}"
    assert await rooms.store.read(PUSH_SUBSCRIPTIONS) == []


async def test_who_is_forgotten_while_the_new_password_is_hashed_is_not_found(rooms: Rooms) -> None:
    account = await rooms.create()
    changing = start_task(rooms.accounts.change_password(account, None, "battery staple", NOW), name="change")
    await asyncio.sleep(0)
    await rooms.accounts.forget(rooms.acme, "ada")
    with pytest.raises(RefusedError, match="no such user") as refused:
        await changing
    assert refused.value.status == 404
    assert await rooms.store.read(ACCOUNTS) == []


async def test_a_user_whom_the_store_does_not_let_go_is_there_as_before(rooms: Rooms) -> None:
    account = await rooms.create()
    device = rooms.directory.register_legacy(rooms.acme, "ada", (), SOFTWARE, NOW + 3600.0, NOW)
    with rooms.refusing("accounts", "DELETE"), pytest.raises(StoreError):
        await rooms.accounts.forget(rooms.acme, "ada")
    assert list(rooms.acme.users["ada"].values()) == [device]
    assert rooms.directory.device(device.instance_id) is device
    assert [rooms.accounts.resolve(rooms.acme, name) for name in NAMES] == ["ada", "ada"]
    assert rooms.accounts.account(rooms.acme, "ada") == account
    assert len(await rooms.store.read(DEVICES)) == len(await rooms.store.read(ACCOUNTS)) == 1
    assert len(await rooms.store.read(IDENTITIES)) == len(NAMES)
    await rooms.accounts.forget(rooms.acme, "ada")
    assert rooms.acme.users == {}
    assert await rooms.store.read(DEVICES) == await rooms.store.read(ACCOUNTS) == await rooms.store.read(IDENTITIES) == []


async def test_a_user_whom_the_store_does_not_let_go_has_the_messages_that_wait_as_before(rooms: Rooms) -> None:
    await rooms.create()
    bob = rooms.directory.register_legacy(rooms.acme, "bob", (), SOFTWARE, NOW + 3600.0, NOW)
    transport = await rooms.transports.open(bob, [Recipient("ada")])
    frame = f"10 11111111-1111-1111-1111-111111111111 - 0 1 AAAA {transport.id}"
    await rooms.postbox.publish(rooms.acme.broadcast.subscribe_key, rooms.acme.transport_channel("ada"), [frame], publisher="bob")
    kept = await rooms.store.read(MESSAGES)
    with rooms.refusing("messages", "DELETE"), pytest.raises(StoreError):
        await rooms.accounts.forget(rooms.acme, "ada")
    assert rooms.postbox.waiting_frames() == 1
    assert await rooms.store.read(MESSAGES) == kept
    await rooms.accounts.forget(rooms.acme, "ada")
    assert rooms.postbox.waiting_frames() == 0
    assert await rooms.store.read(MESSAGES) == []


async def test_who_would_have_made_room_for_a_user_that_the_store_does_not_take_stays(rooms: Rooms) -> None:
    rooms.directory._options = replace(rooms.directory._options, users=1)
    rooms.directory.register_legacy(rooms.acme, "bob", (), SOFTWARE, NOW - 1.0, NOW - 3600.0)
    with rooms.refusing("identities"), pytest.raises(StoreError):
        await rooms.create()
    assert list(rooms.acme.users) == ["bob"]
    assert [row[2] for row in await rooms.store.read(DEVICES)] == ["bob"]
    await rooms.create()
    assert list(rooms.acme.users) == ["ada"]
    assert await rooms.store.read(DEVICES) == []


@pytest.mark.parametrize("change", ["INSERT", "DELETE"])
async def test_how_a_device_is_woken_is_as_before_where_the_store_does_not_take_it(rooms: Rooms, change: str) -> None:
    device = rooms.directory.register_legacy(rooms.acme, "ada", (), SOFTWARE, NOW + 3600.0, NOW)
    subscription = PushSubscription("https://push.example.org/1", b"p" * 65, b"a" * 16)
    before, wanted = (None, subscription) if change == "INSERT" else (subscription, None)
    rooms.directory.set_push(device, before)
    await rooms.store.settle()
    with rooms.refusing("push_subscriptions", change), pytest.raises(StoreError):
        await rooms.directory.keep_push(device, wanted)
    assert device.push == before
    assert len(await rooms.store.read(PUSH_SUBSCRIPTIONS)) == (before is not None)
    await rooms.directory.keep_push(device, wanted)
    assert device.push == wanted
    assert len(await rooms.store.read(PUSH_SUBSCRIPTIONS)) == (wanted is not None)


async def test_numbers_that_the_store_does_not_take_are_nobodys_and_those_that_it_keeps_are_still_assigned(rooms: Rooms) -> None:
    await rooms.numbers.assign("acme", ["+46700000001"], Capability.VOICE)
    with rooms.refusing("assigned_numbers"), pytest.raises(StoreError):
        await rooms.numbers.assign("acme", ["+46700000001", "+46700000002"], Capability.VOICE)
    assert list(rooms.numbers.of("acme")) == [("+46700000001", Capability.VOICE)]
    with rooms.refusing("assigned_numbers", "DELETE"), pytest.raises(StoreError):
        await rooms.numbers.unassign("acme", "+46700000001", None)
    assert list(rooms.numbers.of("acme")) == [("+46700000001", Capability.VOICE)]


async def test_texts_that_the_store_does_not_take_never_came(rooms: Rooms) -> None:
    with rooms.refusing("text_messages"), pytest.raises(StoreError):
        await rooms.texts.take("acme", [("+46700000001", "tea?")], sender=None, now=NOW)
    assert rooms.texts.messages("acme") == []


async def test_the_oldest_texts_do_not_make_room_for_those_that_the_store_does_not_take(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trap: what was dropped for them stayed away."""
    monkeypatch.setattr(inbox, "MAX_MESSAGES", 2)
    old = await rooms.texts.take("acme", [("+46700000001", text) for text in ("tea?", "now?")], sender=None, now=NOW)
    with rooms.refusing("text_messages"), pytest.raises(StoreError):
        await rooms.texts.take("acme", [("+46700000001", "coffee?")], sender=None, now=NOW)
    assert rooms.texts.messages("acme") == old
    assert len(await rooms.store.read(TEXT_MESSAGES)) == 2
    new = await rooms.texts.take("acme", [("+46700000001", "coffee?")], sender=None, now=NOW)
    assert rooms.texts.messages("acme") == [*old[1:], *new]


async def test_texts_that_the_store_does_not_let_go_are_still_there(rooms: Rooms) -> None:
    texts = await rooms.texts.take("acme", [("+46700000001", text) for text in ("tea?", "now?")], sender=None, now=NOW)
    with rooms.refusing("text_messages", "DELETE"), pytest.raises(StoreError):
        await rooms.texts.forget("acme")
    assert rooms.texts.messages("acme") == texts
    assert await rooms.texts.forget("acme") == 2
    assert rooms.texts.messages("acme") == []
    assert await rooms.store.read(TEXT_MESSAGES) == []


async def test_a_circle_that_the_store_does_not_take_is_asked_to_keep_again(rooms: Rooms) -> None:
    ada = rooms.directory.register_legacy(rooms.acme, "ada", (), SOFTWARE, NOW + 3600.0, NOW)
    rooms.directory.register_legacy(rooms.acme, "bob", (), SOFTWARE, NOW + 3600.0, NOW)
    with rooms.refusing("transports"), pytest.raises(StoreError):
        await rooms.transports.open(ada, [Recipient("bob")])
    assert await rooms.store.read(TRANSPORTS) == []
    await rooms.transports.open(ada, [Recipient("bob")])
    assert len(await rooms.store.read(TRANSPORTS)) == 1


async def test_what_is_asked_after_a_refusal_is_not_refused_for_it(rooms: Rooms) -> None:
    with rooms.refusing("accounts"), pytest.raises(StoreError):
        await rooms.create()
    await rooms.numbers.assign("acme", ["+46700000001"], Capability.VOICE)
