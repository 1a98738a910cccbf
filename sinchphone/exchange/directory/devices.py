"""What a directory holds: applications, and the registered devices of their users."""

from dataclasses import dataclass, field

from sinchphone.exchange.directory.identity import DeviceIdentity, Network, transport_channel
from sinchphone.protocol.webpush.subscription import PushSubscription
from sinchphone.signaling.rest.software import Software
from sinchphone.signaling.wire import OUTGOING_ONLY, PUSH_CAPABILITY

_CALLING = frozenset({"p2p", "voip"})  # what a legacy instance says that can talk
_ACTIVE = "online"  # and that will be there to be called (SDK 1.4.12, active connection)


@dataclass(eq=False, slots=True)
class Device:
    """A registered device of a user. ``expire_at`` in seconds since the epoch, ``None`` never.

    ``limited``: a token said when the registration ends, which later tokens can put off but not lift.
    ``legacy``: it speaks the older dialect. ``generation`` counts how often its secret was renewed. ``seen_up_to`` is the time token
    up to which it has its instant messages; on other channels nothing older than ``live_since`` is of use to it, and of what its user's
    channel had before ``known_since`` it gets what waits alone: the user of that name may have been another. ``push`` is how it's woken
    when it doesn't listen, where it can be.
    """

    application: "Application"
    user_id: str
    device_id: str
    identity: DeviceIdentity
    capabilities: tuple[str, ...]
    software: Software
    expire_at: float | None
    push: PushSubscription | None = None
    limited: bool = False
    legacy: bool = False
    generation: int = 0
    seen_up_to: int = 0
    live_since: int = 0
    known_since: int = 0

    @property
    def takes_calls(self) -> bool:
        """Whether an INVITE is of use to it: who can't answer says so when it registers."""
        if self.legacy:
            return not _CALLING.isdisjoint(self.capabilities) and (_ACTIVE in self.capabilities or self.push is not None)
        return OUTGOING_ONLY not in self.capabilities

    @property
    def shown_capabilities(self) -> tuple[str, ...]:
        """What callers are told that it can: of pushes only what is true at the moment."""
        others = tuple(name for name in self.capabilities if name != PUSH_CAPABILITY)
        return others if self.push is None else (*others, PUSH_CAPABILITY)

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
    delivered: dict[str, int] = field(default_factory=dict, repr=False)  # user id -> time token up to which a device has the messages
    accounts: dict[str, float] = field(default_factory=dict, repr=False)  # users with a password -> when they were made, or seen last
    unproved: set[str] = field(default_factory=set, repr=False)  # users of whom nobody knows more than that they chose a password
    proved_at: dict[str, float] = field(default_factory=dict, repr=False)  # users who weren't, until a token came: what is older is void
    transport_channels: dict[str, str] = field(default_factory=dict, repr=False)  # -> user id

    def transport_channel(self, user_id: str) -> str:
        """The channel of a user's instant messages."""
        return transport_channel(self.secret, user_id)

    def enroll(self, user_id: str) -> None:
        """That user exists from now on."""
        if user_id not in self.users:
            self.users[user_id] = {}
            self.transport_channels[self.transport_channel(user_id)] = user_id

    def leave_unless_known(self, user_id: str) -> None:
        """That user exists no more where there is neither a device nor an account."""
        if user_id not in self.accounts and not self.users.get(user_id, True):
            del self.users[user_id]
            del self.transport_channels[self.transport_channel(user_id)]
