"""Applications, their users, and the users' devices (registered instances)."""

import logging
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack
from dataclasses import field
from typing import Any, TypeAlias

from sinchphone.errors import ConfigError
from sinchphone.exchange.access.intake import Intake
from sinchphone.exchange.directory import memory
from sinchphone.exchange.directory.devices import Application, Device
from sinchphone.exchange.directory.identity import Network, device_identity, network, renewed
from sinchphone.exchange.options import ExchangeOptions
from sinchphone.exchange.pubsub.broker import Broker, UnknownKeyError
from sinchphone.exchange.refusals import forbidden, invalid, not_found, too_many
from sinchphone.exchange.store.store import Store, kept
from sinchphone.exchange.store.tables import ACCOUNTS, DEVICES, IDENTITIES, PUSH_SUBSCRIPTIONS, SEEN, TAKEN_NAMES, Row
from sinchphone.protocol.auth import decode_secret
from sinchphone.protocol.names import TOKEN_RULE, USER_RULE, is_token_user_id, is_user_id
from sinchphone.protocol.webpush.subscription import PushSubscription
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.ocra.registration import InstanceRequest
from sinchphone.signaling.rest.software import Software

_log = logging.getLogger(__name__)

UNUSED_SECONDS = 600.0  # an account that no device ever came with may make room for another user after that
UNSEEN_SECONDS = 30 * 86_400.0  # and one whose devices haven't come back

ForgetMessages: TypeAlias = Callable[[Application, str], Callable[[], None]]  # of a user; what it returns brings them back


@quick_dataclass(frozen=True, slots=True)
class KeyHolder:
    """Whose pub/sub keys somebody uses: a device's own, or those that an application's guests share. ``network`` is the key by which
    the broker knows the network."""

    application: Application
    network: str
    device: Device | None
    keys: Network = field(repr=False)


class Directory:
    """Everybody whom an exchange has seen register. Applications don't see each other."""

    def __init__(self, options: ExchangeOptions, broker: Broker, store: Store, intake: Intake | None = None) -> None:
        """``intake`` says whether devices are taken. Raises ConfigError for a secret that isn't base64, or that two applications share:
        they would be one."""
        if len(set(options.applications.values())) < len(options.applications):
            raise ConfigError("two applications have the same secret", hint="give each application a secret of its own")
        self._options = options
        self._broker = broker
        self._store = store
        self._intake = intake or Intake()
        self._forget_messages: ForgetMessages = lambda application, user_id: lambda: None
        self._instances: dict[str, Device] = {}
        self._by_channel: dict[str, Device] = {}  # broadcast and signal channels
        self._holders: dict[str, KeyHolder] = {}  # by subscribe key
        self._applications = {key: self._add(key, decode_secret(text)) for key, text in options.applications.items()}
        self._by_broadcast_key = {one.broadcast.subscribe_key: one for one in self._applications.values()}

    def application(self, key: str) -> Application | None:
        """The application of that key, if it's served here."""
        return self._applications.get(key)

    def applications(self) -> list[Application]:
        """All applications that are served here."""
        return list(self._applications.values())

    def application_of(self, subscribe_key: str) -> Application | None:
        """The application whose broadcast network has that key."""
        return self._by_broadcast_key.get(subscribe_key)

    def holder(self, subscribe_key: str, publish_key: str | None = None) -> KeyHolder:
        """Whose keys these are. Raises UnknownKeyError where they are nobody's, or don't belong together."""
        holder = self._holders.get(subscribe_key)
        if holder is None:
            raise UnknownKeyError("Invalid Subscribe Key")
        if publish_key is not None and publish_key != holder.keys.publish_key:
            raise UnknownKeyError("Invalid Key")
        return holder

    def owner(self, channel: str) -> Device | None:
        """The device whose own channel that is."""
        return self._by_channel.get(channel)

    def device(self, instance_id: str) -> Device | None:
        """The device of that instance id, if it registered here."""
        return self._instances.get(instance_id)

    def device_count(self) -> int:
        """How many devices are registered."""
        return len(self._instances)

    async def recall(self, now: float) -> None:
        """Know again who was known before this exchange started. Raises StoreError."""
        for device in await memory.read_devices(self._store, self._applications):
            if device.has_expired(now):
                memory.forget_device(self._store, device)
            else:
                self._add_device(device)
        self._store.follow(DEVICES, self._came, self._went)
        self._store.follow(SEEN, self._saw, lambda key: None)
        self._store.follow(PUSH_SUBSCRIPTIONS, self._wakes, self._sleeps)

    def keep_messages(self, forget: ForgetMessages) -> None:
        """Whoever keeps messages for users is told who is forgotten: who has the name next gets none of them."""
        self._forget_messages = forget

    def exclusive(self, application: Application) -> AbstractAsyncContextManager[None]:
        """Nobody else changes what depends on who is known; who leaves it has changed all that it did. Raises StoreError."""
        return self._store.exclusive(application.key)

    def listener(self, subscribe_key: str, channels: Iterable[str]) -> Device | None:
        """The device that polls these channels for its user's instant messages: its own channel and the user's are among them."""
        names = set(channels)
        for device in (self._by_channel[name] for name in names & self._by_channel.keys()):
            application = device.application
            if application.broadcast.subscribe_key == subscribe_key and application.transport_channel(device.user_id) in names:
                return device
        return None

    def reachable(self, application: Application, user_id: str, now: float) -> list[Device]:
        """The user's devices that listen (or did a moment ago), or can be woken by a push."""
        return [device for device in application.users.get(user_id, {}).values() if self._is_reachable(device, now)]

    def listening(self, now: float) -> list[Device]:
        """All devices that listen (or did a moment ago)."""
        return [device for device in self._instances.values() if self._listens(device, now)]

    def began_to_listen(self, device: Device) -> float:
        """Since when a device listens."""
        return self._broker.began_to_listen(device.application.broadcast.subscribe_key, device.identity.broadcast_channel)

    def register(
        self, application: Application, request: InstanceRequest, *, expire_at: float | None, limited: bool = False, now: float
    ) -> Device:
        """A user's device, known from now on; it may have been before. ``limited``: its token says until when it may be. A password that
        somebody took the user's name with, before the user ever came with a token, is void, and so are its devices. Raises RefusedError
        where the ids or the limits don't allow it."""
        self._intake.check()
        if not is_token_user_id(request.user_id):
            raise invalid(f"a user id, of a registration by token, has {TOKEN_RULE}")
        self._prove(application, request.user_id, now)
        self._make_room(application, request.user_id, request.device_id, now)
        identity = device_identity(application.secret, request.user_id, request.device_id)
        device = Device(application, request.user_id, request.device_id, identity, request.capabilities, request.software, expire_at)
        before = self._instances.get(identity.instance_id)
        device.limited = limited
        if before is not None:
            check_limit(before, limited=limited)
            device.push, device.seen_up_to, device.live_since = before.push, before.seen_up_to, before.live_since
        return self._enter(device, now)

    def register_legacy(
        self, application: Application, user_id: str, capabilities: tuple[str, ...], software: Software, expire_at: float, now: float
    ) -> Device:
        """A new instance of a user of the older dialect, which has no device ids. Raises RefusedError as ``register`` does."""
        self._intake.check()
        check_user_id(user_id)
        device_id = str(uuid.uuid4())
        self._make_room(application, user_id, device_id, now)
        identity = device_identity(application.secret, user_id, device_id)
        return self._enter(Device(application, user_id, device_id, identity, capabilities, software, expire_at, legacy=True), now)

    def renew(self, device: Device, capabilities: tuple[str, ...], software: Software, expire_at: float, now: float) -> None:
        """Give an instance a new secret; the old one is worth nothing any more."""
        device.generation += 1
        device.identity = renewed(device.application.secret, device.identity, device.generation)
        device.capabilities, device.software, device.expire_at = capabilities, software, expire_at
        self._enter(device, now)

    def in_the_way(self, application: Application, user_id: str, now: float) -> str | None:
        """Who has to be forgotten before a user of that id fits in, if anybody has. Raises RefusedError where the id or the limits don't
        allow it."""
        check_user_id(user_id)
        is_full = user_id not in application.users and len(application.users) >= self._options.users
        return self._least_needed(application, now) if is_full else None

    def forget_user(self, application: Application, user_id: str, undo: ExitStack) -> list[Device]:
        """A user, the devices and the messages that wait aren't known any more, unless it's undone; whoever has a token may come again.
        The devices: to be dismissed. Raises RefusedError for somebody unknown."""
        if user_id not in application.users:
            raise not_found("there is no such user here")
        proved_at, is_unproved = application.proved_at.get(user_id), user_id in application.unproved
        devices, bring_messages_back = self._forget_user(application, user_id)
        undo.callback(bring_messages_back)
        undo.callback(self._bring_back, application, user_id, devices, proved_at, is_unproved)
        return devices

    def forget_messages(self, application: Application, user_id: str, undo: ExitStack) -> None:
        """What waits under a name that is somebody else's from now on is forgotten, unless it's undone."""
        undo.callback(self._forget_messages(application, user_id))

    def _bring_back(
        self, application: Application, user_id: str, devices: Sequence[Device], proved_at: float | None, is_unproved: bool
    ) -> None:
        application.enroll(user_id)
        for device in devices:
            if device.device_id not in application.users[user_id]:  # it may have come again meanwhile
                self._add_device(device)
                self.remember(device)
                memory.write_push(self._store, device)
        if proved_at is not None:
            application.proved_at[user_id] = proved_at
        if is_unproved:
            application.unproved.add(user_id)
        if proved_at is not None or is_unproved:
            self._store.put(TAKEN_NAMES, application.key, user_id, proved_at)

    def dismiss(self, devices: Iterable[Device]) -> None:
        """End the polls of devices that were forgotten: so they learn it, and may come again."""
        for device in devices:
            application, identity = device.application, device.identity
            self._broker.dismiss(application.broadcast.subscribe_key, identity.broadcast_channel)
            self._broker.dismiss(application.signal.subscribe_key, identity.signal_channel)

    def forget_account(self, application: Application, user_id: str) -> None:
        """A user has no password any more, nor the names that came with it."""
        application.unproved.discard(user_id)
        if application.accounts.pop(user_id, None) is not None:
            for table in (ACCOUNTS, IDENTITIES, TAKEN_NAMES):
                self._store.drop_where(table, application=application.key, user_id=user_id)

    def saw(self, application: Application, user_id: str, now: float) -> None:
        """A user who has an account was there."""
        if user_id in application.accounts:
            application.accounts[user_id] = now

    def remember(self, device: Device) -> None:
        """Keep what is known about a device, beyond the end of this exchange."""
        memory.write_device(self._store, device)

    def set_push(self, device: Device, push: PushSubscription | None) -> None:
        """How a device is woken from now on: None, not at all."""
        device.push = push
        memory.write_push(self._store, device)

    async def keep_push(self, device: Device, push: PushSubscription | None) -> None:
        """``set_push``, as somebody asks for it. Raises StoreError: it's as before then."""

        def back() -> None:
            if device.push is push:
                self.set_push(device, before)

        before = device.push
        async with kept(self._store) as undo:
            undo.callback(back)
            self.set_push(device, push)

    def is_silent(self, device: Device) -> bool:
        """Whether a device doesn't wait for anything at this very moment: the more so one that sleeps."""
        key, channel = device.application.broadcast.subscribe_key, device.identity.broadcast_channel
        return not self._broker.listeners(key, channel)

    def expect(self, device: Device, now: float) -> None:
        """The device is about to listen: until then it counts as reachable for a moment."""
        self._broker.expect(device.application.broadcast.subscribe_key, device.identity.broadcast_channel, now)

    def _came(self, row: Row) -> None:
        """Another process registered a device, or changed what is known about it."""
        application = self._applications.get(row[0])
        if application is None:
            return
        device, known = memory.device_of(application, row), self._instances.get(row[1])
        if known is not None and known.generation == device.generation:
            known.capabilities, known.software = device.capabilities, device.software
            known.expire_at, known.limited = device.expire_at, device.limited
            device = known
        elif known is not None:
            device.push, device.seen_up_to, device.live_since = known.push, known.seen_up_to, known.live_since
        self._add_device(device)

    def _went(self, key: tuple[Any, ...]) -> None:
        """Another process forgot a device, and its user where nothing else is known."""
        device = self._instances.get(key[1])
        if device is None:
            return
        application, user_id = device.application, device.user_id
        application.users[user_id].pop(device.device_id, None)
        self._remove(device)
        self.dismiss([device])
        application.leave_unless_known(user_id)

    def _saw(self, row: Row) -> None:
        device = self._instances.get(row[1])
        if device is not None:
            device.seen_up_to = max(device.seen_up_to, int(row[2]))

    def _wakes(self, row: Row) -> None:
        """Another process learned how a device is woken."""
        device = self._instances.get(row[1])
        if device is not None:
            device.push = PushSubscription(*row[2:])

    def _sleeps(self, key: tuple[Any, ...]) -> None:
        device = self._instances.get(key[1])
        if device is not None:
            device.push = None

    def _remove(self, device: Device) -> None:
        del self._instances[device.instance_id]
        identity = device.identity
        del self._by_channel[identity.broadcast_channel], self._by_channel[identity.signal_channel]
        del self._holders[identity.broadcast.subscribe_key], self._holders[identity.signal.subscribe_key]

    def _add(self, key: str, secret: bytes) -> Application:
        application = Application(key, secret, network(secret, "broadcast"), network(secret, "signal"))
        for keys in (application.broadcast, application.signal):
            self._broker.add_network(keys.subscribe_key, keys.publish_key, key)
            self._holders[keys.subscribe_key] = KeyHolder(application, keys.subscribe_key, None, keys)
        return application

    def _make_room(self, application: Application, user_id: str, device_id: str, now: float) -> None:
        if user_id not in application.users:
            if len(application.users) >= self._options.users:
                devices, _ = self._forget_user(application, self._least_needed(application, now))
                self.dismiss(devices)
            application.enroll(user_id)
        if device_id not in application.users[user_id]:
            self._make_room_for_device(application.users[user_id], now)

    def _enter(self, device: Device, now: float) -> Device:
        """A new device has what any other of its user has, and nothing else."""
        device.seen_up_to = device.seen_up_to or device.application.delivered.get(device.user_id, 0) or 1
        self._add_device(device)
        self.remember(device)
        self.expect(device, now)
        self.saw(device.application, device.user_id, now)
        return device

    def _add_device(self, device: Device) -> None:
        device.application.enroll(device.user_id)
        devices = device.application.users[device.user_id]
        devices.pop(device.device_id, None)  # who comes again goes to the end: the others make room first
        devices[device.device_id] = device
        application, identity = device.application, device.identity
        known = self._instances.get(device.instance_id)
        device.known_since = known.known_since if known is not None else self._broker.tokens.peek(time.time())
        self._instances[device.instance_id] = device
        self._by_channel[identity.broadcast_channel] = self._by_channel[identity.signal_channel] = device
        for shared, own in ((application.broadcast, identity.broadcast), (application.signal, identity.signal)):
            self._holders[own.subscribe_key] = KeyHolder(application, shared.subscribe_key, device, own)

    def _is_reachable(self, device: Device, now: float) -> bool:
        if device.has_expired(now):
            return False
        return device.push is not None or self._listens(device, now)

    def _listens(self, device: Device, now: float) -> bool:
        key, channel = device.application.broadcast.subscribe_key, device.identity.broadcast_channel
        return self._broker.is_listening(key, channel, now)

    def _least_needed(self, application: Application, now: float) -> str:
        """Who may be forgotten to make room. Raises RefusedError where nobody may."""
        away = [user_id for user_id in application.users if not self.reachable(application, user_id, now)]
        without = [user_id for user_id in away if user_id not in application.accounts]
        unused = [user_id for user_id in away if user_id in application.accounts and self._is_unused(application, user_id, now)]
        for user_id in (*without[:1], *sorted(unused, key=application.accounts.__getitem__)[:1])[:1]:
            return user_id
        raise too_many(f"the application has {self._options.users} users on this exchange already")

    def _is_unused(self, application: Application, user_id: str, now: float) -> bool:
        """Whether an account was never used some time after it was made, or not for very long."""
        limit = UNSEEN_SECONDS if application.users[user_id] else UNUSED_SECONDS
        return now - application.accounts[user_id] > limit

    def _forget_user(self, application: Application, user_id: str) -> tuple[list[Device], Callable[[], None]]:
        """The devices, and what brings the messages back."""
        devices = list(application.users.pop(user_id).values())
        self._forget(devices)
        del application.transport_channels[application.transport_channel(user_id)]
        self.forget_account(application, user_id)
        if application.proved_at.pop(user_id, None) is not None:
            self._store.drop(TAKEN_NAMES, application.key, user_id)
        return devices, self._forget_messages(application, user_id)

    def _prove(self, application: Application, user_id: str, now: float) -> None:
        """The application's backend vouches for a user, whose name somebody may have taken who knew the application's key alone."""
        if user_id not in application.unproved:
            return
        _log.warning("%s came with a token: the password that this name was taken with before is void", user_id)
        self.forget_account(application, user_id)
        devices = list(application.users[user_id].values())
        application.users[user_id].clear()
        self._forget(devices)
        self.dismiss(devices)
        application.proved_at[user_id] = now
        self._store.put(TAKEN_NAMES, application.key, user_id, now)

    def _make_room_for_device(self, devices: dict[str, Device], now: float) -> None:
        """Devices that are gone make room; those that still listen don't."""
        if len(devices) < self._options.devices_per_user:
            return
        for device_id, device in devices.items():
            if not self._is_reachable(device, now):
                self._forget([devices.pop(device_id)])
                self.dismiss([device])
                return
        raise too_many(f"the user has {self._options.devices_per_user} devices on this exchange already")

    def _forget(self, devices: Iterable[Device]) -> None:
        for device in devices:
            self._remove(device)
            memory.forget_device(self._store, device)


def check_user_id(user_id: str) -> None:
    """Raises RefusedError for a user id that the older dialect doesn't have either."""
    if not is_user_id(user_id):
        raise invalid(f"a user id has {USER_RULE}")


def check_limit(device: Device, *, limited: bool) -> None:
    """A registration that was limited once stays so: its end can be put off, not lifted. Raises RefusedError."""
    if device.limited and not limited:
        raise forbidden("registration token: the registration is limited in time, so its token must say until when")
