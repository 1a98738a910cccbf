"""Applications, their users, and the users' devices (registered instances)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from sinchphone.errors import ConfigError
from sinchphone.exchange.directory.identity import DeviceIdentity, Network, device_identity, network
from sinchphone.exchange.options import ExchangeOptions
from sinchphone.exchange.pubsub.broker import Broker
from sinchphone.exchange.refusals import invalid, too_many
from sinchphone.protocol.auth import decode_secret
from sinchphone.signaling.ocra.registration import InstanceRequest, Software

_USER_ID = re.compile(r"[A-Za-z0-9_=-]{1,255}")  # the platform's rule for user ids


@dataclass(eq=False, slots=True)
class Device:
    """A registered device of a user. ``expire_at`` in seconds since the epoch, ``None`` never."""

    application: "Application"
    user_id: str
    device_id: str
    identity: DeviceIdentity
    capabilities: tuple[str, ...]
    software: Software
    expire_at: float | None
    has_push: bool = False

    @property
    def instance_id(self) -> str:
        """The device's instance id."""
        return self.identity.instance_id

    def has_expired(self, now: float) -> bool:
        """Whether the registration is over."""
        return self.expire_at is not None and self.expire_at <= now


@dataclass(eq=False, slots=True)
class Application:
    """One application: its key and secret, its two pub/sub networks, its users and their devices (by device id)."""

    key: str
    secret: bytes = field(repr=False)
    broadcast: Network
    signal: Network
    users: dict[str, dict[str, Device]] = field(default_factory=dict, repr=False)


class Directory:
    """Everybody whom an exchange has seen register. Applications don't see each other."""

    def __init__(self, options: ExchangeOptions, broker: Broker) -> None:
        """Raises ConfigError for a secret that isn't base64, or that two applications share: they would be one."""
        if len(set(options.applications.values())) < len(options.applications):
            raise ConfigError("two applications have the same secret", hint="Give each application a secret of its own.")
        self._options = options
        self._broker = broker
        self._instances: dict[str, Device] = {}
        self._applications = {key: self._add(key, decode_secret(text)) for key, text in options.applications.items()}

    def application(self, key: str) -> Application | None:
        """The application of that key, if it's served here."""
        return self._applications.get(key)

    def device(self, instance_id: str) -> Device | None:
        """The device of that instance id, if it registered here."""
        return self._instances.get(instance_id)

    def reachable(self, application: Application, user_id: str, now: float) -> list[Device]:
        """The user's devices that listen (or did a moment ago), or can be woken by a push."""
        return [device for device in application.users.get(user_id, {}).values() if self._is_reachable(device, now)]

    def register(self, application: Application, request: InstanceRequest, *, expire_at: float | None, now: float) -> Device:
        """A user's device, known from now on; it may have been before. Raises RefusedError where the ids or the limits don't allow it."""
        if not _USER_ID.fullmatch(request.user_id):
            raise invalid("a user id has 1 to 255 of the characters A-Z a-z 0-9 - _ =")
        if request.user_id not in application.users:
            self._make_room_for_user(application, now)
        devices = application.users.setdefault(request.user_id, {})
        if request.device_id not in devices:
            self._make_room_for_device(devices, now)
        identity = device_identity(application.secret, request.user_id, request.device_id)
        device = Device(application, request.user_id, request.device_id, identity, request.capabilities, request.software, expire_at)
        devices[request.device_id] = self._instances[identity.instance_id] = device
        self.expect(device, now)
        return device

    def expect(self, device: Device, now: float) -> None:
        """The device is about to listen: until then it counts as reachable for a moment."""
        self._broker.expect(device.application.broadcast.subscribe_key, device.identity.broadcast_channel, now)

    def _add(self, key: str, secret: bytes) -> Application:
        application = Application(key, secret, network(secret, "broadcast"), network(secret, "signal"))
        for keys in (application.broadcast, application.signal):
            self._broker.add_network(keys.subscribe_key, keys.publish_key)
        return application

    def _is_reachable(self, device: Device, now: float) -> bool:
        if device.has_expired(now):
            return False
        key, channel = device.application.broadcast.subscribe_key, device.identity.broadcast_channel
        return device.has_push or self._broker.is_listening(key, channel, now)

    def _make_room_for_user(self, application: Application, now: float) -> None:
        if len(application.users) < self._options.users:
            return
        for user_id in list(application.users):
            if not self.reachable(application, user_id, now):
                self._forget(application.users.pop(user_id).values())
                return
        raise too_many(f"the application has {self._options.users} users on this exchange already")

    def _make_room_for_device(self, devices: dict[str, Device], now: float) -> None:
        """Devices that are gone make room; those that still listen don't."""
        if len(devices) < self._options.devices_per_user:
            return
        for device_id, device in devices.items():
            if not self._is_reachable(device, now):
                self._forget([devices.pop(device_id)])
                return
        raise too_many(f"the user has {self._options.devices_per_user} devices on this exchange already")

    def _forget(self, devices: Iterable[Device]) -> None:
        for device in devices:
            del self._instances[device.instance_id]
