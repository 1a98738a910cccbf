"""What the engine asks of the platform, whichever REST dialect carries it."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from enum import StrEnum
from typing import Final, Protocol

from sinchphone.protocol.sdp.jsep import Description
from sinchphone.protocol.webpush.subscription import PushSubscription
from sinchphone.quick_dataclass import quick_dataclass


class Domain(StrEnum):
    """Where a call goes."""

    MXP = "mxp"
    PSTN = "pstn"
    SIP = "sip"
    CONFERENCE = "conference"


#: where a call comes from, in an INVITE of the exchange's gateway; absent between users (our own: the cloud says it in its pushes)
DOMAIN_HEADER: Final = "domain"
DISPLAY_NAME_HEADER: Final = "displayname"  # ours: how who calls wants to be called, as far as whoever connects them believes it
CONFIG_REFRESH_S = 86_400.0  # where the platform says nothing else; the same of
PROLONG_WINDOW_S = 180 * 86_400.0  # before the end of an instance
NO_PUSH: Final = "the platform doesn't say how it pushes, so it can wake nobody"
MAX_DISPLAY_NAME_CHARACTERS: Final = 64


@quick_dataclass(frozen=True, slots=True)
class Instance:
    """A registered device of a user. ``secret`` signs its requests."""

    id: str
    secret: bytes = field(repr=False)
    user_id: str
    device_id: str
    expire_at: float | None  # [s since the epoch]; None never expires


@quick_dataclass(frozen=True, slots=True)
class PubSubConfig:
    """Where the two pub/sub networks are. ``origin`` is ``host`` or ``host:port``; ``signal_origin`` where the signal network has
    another one. Without ``broadcast_publish_key`` the platform has no instant messages."""

    origin: str
    secure: bool
    broadcast_subscribe_key: str
    signal_subscribe_key: str
    signal_publish_key: str
    broadcast_publish_key: str | None = None
    signal_origin: str | None = None


@quick_dataclass(frozen=True, slots=True)
class Profile:
    """An instance's channels and its MXP key (AES-128 or AES-256). ``transport_channel`` is the user's, common to all devices: it
    carries instant messages, on the broadcast network."""

    broadcast_channel: str
    signal_channel: str
    key: bytes = field(repr=False)
    transport_channel: str | None = None


@quick_dataclass(frozen=True, slots=True)
class PushConfig:
    """How the platform pushes (W3C): the public key that subscriptions are for, and the push service that it proposes (a WebSocket's
    URL), where it does."""

    key: bytes
    service: str | None = None


@quick_dataclass(frozen=True, slots=True)
class Registration:
    """What a registered instance knows about its platform. ``sub_instance`` is this run of the program, in a dialect that tells
    them apart."""

    instance: Instance
    pubsub: PubSubConfig
    profile: Profile
    stun_urls: tuple[str, ...] = ()
    relay_only: bool = False
    config_refresh_s: float = CONFIG_REFRESH_S
    prolong_window_s: float = PROLONG_WINDOW_S
    sub_instance: str = ""
    push: PushConfig | None = None

    @property
    def address(self) -> str:
        """What we're called in MXP messages (``fi``)."""
        return f"{self.instance.id}:{self.sub_instance}" if self.sub_instance else self.instance.id


@quick_dataclass(frozen=True, slots=True)
class CallRequest:
    """A call to be placed. ``call_id`` is ours (the dialect makes it) and becomes the MXP session id."""

    call_id: str
    domain: Domain
    identity: str
    offer: Description
    caller_id: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    display_name: str = ""  # of whoever calls; not sent by a client


@quick_dataclass(frozen=True, slots=True)
class OfferedIceServer:
    """A STUN or TURN server. ``valid_until`` in seconds since the epoch, None where its password doesn't expire."""

    urls: tuple[str, ...]
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    valid_until: float | None = None


@quick_dataclass(frozen=True, slots=True)
class RemoteInstance:
    """A device of the called user."""

    id: str
    capabilities: tuple[str, ...] = ()


@quick_dataclass(frozen=True, slots=True)
class Placement:
    """The platform's answer to a CallRequest (CallInitiationResponse)."""

    call_id: str
    session_key: bytes = field(repr=False)
    signal_channel: str
    instances: tuple[RemoteInstance, ...] = ()


class IdentityKind(StrEnum):
    """How a user is named: by user id, by e-mail address or by phone number."""

    USERNAME = "username"
    EMAIL = "email"
    NUMBER = "number"


@quick_dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody to write to."""

    identity: str
    kind: IdentityKind = IdentityKind.USERNAME


@quick_dataclass(frozen=True, slots=True)
class TransportParticipant:
    """A user who takes part in a transport; ``channel`` is common to all their devices."""

    channel: str
    recipient: Recipient
    instances: tuple[RemoteInstance, ...] = ()


@quick_dataclass(frozen=True, slots=True)
class Transport:
    """What carries instant messages among some users: a key (AES-128 or AES-256) and the channels."""

    id: str
    key: bytes = field(repr=False)
    participants: tuple[TransportParticipant, ...] = ()


@quick_dataclass(frozen=True, slots=True)
class MessageCounts:
    """How many instant messages there were since the last report."""

    sent: int = 0
    received: int = 0
    failed: int = 0


@quick_dataclass(frozen=True, slots=True)
class CallReport:
    """How a call went, for the platform. Times in seconds since the epoch, ``None`` where it never came so far."""

    call_id: str
    outbound: bool
    peer: str
    domain: Domain
    cause: str
    started_at: float
    ringing_at: float | None
    answered_at: float | None
    established_at: float | None
    ended_at: float
    error: str | None = None


class Dialect(Protocol):
    """One REST dialect, for one user on one device. Methods raise AuthenticationError, ForbiddenError, NotFoundError,
    NetworkError or PlatformError; cancelling them is safe."""

    @property
    def now(self) -> float:
        """The platform's time, as far as it's known [s since the epoch]."""

    async def register(self) -> Registration:
        """Register this device, or take up its stored instance where the platform still knows it; prolong it when due."""

    async def confirm(self) -> Registration:
        """Ask the platform whether it still knows the instance (and for its present configuration); registers anew if not."""

    async def place_call(self, request: CallRequest) -> Placement:
        """Place a call."""

    async def ice_servers(self) -> tuple[OfferedIceServer, ...]:
        """STUN and TURN servers for the next call; none where the dialect has no word for them."""

    async def send_push(self, call_id: str, instances: tuple[RemoteInstance, ...], display_name: str) -> None:
        """Ask for push notifications to those of the called devices that take them."""

    async def set_push_profile(self, subscription: PushSubscription | None) -> None:
        """How this device is woken from now on where it doesn't listen: None, not at all. Raises ForbiddenError where the dialect can't
        say so."""

    async def report_call(self, report: CallReport) -> None:
        """Deliver a call report."""

    def new_call_id(self) -> str:
        """An id for a call, as this dialect has them."""

    async def open_transport(self, recipients: Sequence[Recipient]) -> Transport:
        """The transport from us to the recipients, who must not include us. Its participants are those of the recipients that the
        platform knows. NotFoundError: it says that somebody is unknown."""

    async def transport(self, transport_id: str) -> Transport:
        """A transport in which we take part, with all its participants. NotFoundError or ForbiddenError where there's none."""

    async def report_messages(self, counts: MessageCounts) -> None:
        """Deliver counts of instant messages."""

    async def change_password(self, old: str | None, new: str) -> None:
        """Another password for the user. ForbiddenError where the dialect knows none; AuthenticationError for a wrong old one."""

    async def close(self) -> None:
        """Close connections."""
