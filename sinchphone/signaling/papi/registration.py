"""Bodies about time, users, instances and configuration, as a client of PAPI v1 writes and reads them.

``write_*`` give the bytes of a body, ``read_*`` take them and raise RemoteProtocolError naming the first member that doesn't fit.
"""

from dataclasses import field

from sinchphone.errors import RemoteProtocolError
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import Profile, PubSubConfig
from sinchphone.signaling.fields import Record, write_json
from sinchphone.signaling.wire import read_time

_ONLINE, _MESSAGING, _CALLING = ("online",), ("im",), ("voip", "p2p", "srtp")  # of an instance's services (SDK 1.4.12), in this order
LIFETIME_S = 31_536_000  # of an instance (SDK 1.4.12)


def capabilities_of(*, online: bool, calling: bool, messaging: bool) -> tuple[str, ...]:
    """What an instance registers with; ``online`` is one that keeps an active connection: else it can call, and not be called."""
    return (*(_ONLINE if online else ()), *(_MESSAGING if messaging else ()), *(_CALLING if calling else ()))


@quick_dataclass(frozen=True, slots=True)
class PapiInstanceRequest:
    """What registers a device. ``sdk`` names the program, such as ``js/1.4.12``; ``instance_id`` where a known one is renewed."""

    capabilities: tuple[str, ...]
    sdk: str = ""
    os: str = ""
    platform: str = ""
    expires_in_s: float = LIFETIME_S
    instance_id: str | None = None


@quick_dataclass(frozen=True, slots=True)
class PapiInstance:
    """The answer: the instance's id and the secret that signs its requests."""

    id: str
    secret: bytes = field(repr=False)


@quick_dataclass(frozen=True, slots=True)
class PapiConfiguration:
    """The networks and the instance's profile."""

    pubsub: PubSubConfig
    profile: Profile


def read_timestamp(body: bytes) -> float:
    """The answer to "time", in seconds since the epoch: an ISO 8601 text, or a number of milliseconds."""
    record = Record.parse(body)
    value = record.value("timestamp")
    if isinstance(value, str):
        try:
            return read_time(value)
        except RemoteProtocolError as error:
            raise record.odd("timestamp", "a time") from error
    return record.number("timestamp", high=1e16) / 1000


def write_instance_request(request: PapiInstanceRequest) -> bytes:
    """The body of "instance" (POST) and of "authorization" (PUT)."""
    return write_json(
        {
            "version": {"os": request.os, "platform": request.platform, "sdk": request.sdk},
            "services": {"calling": list(request.capabilities)},
            "expiresIn": int(request.expires_in_s),
            "instanceId": request.instance_id,
        }
    )


def read_instance(body: bytes) -> PapiInstance:
    """The answer to "instance" and "authorization"."""
    record = Record.parse(body)
    identifier = record.token("id")
    if ":" in identifier:  # it separates the sub-instance
        raise record.odd("id", "an id without a colon")
    return PapiInstance(identifier, record.base64("secret"))


def read_configuration(body: bytes, *, secure: bool) -> PapiConfiguration:
    """The answer to "configuration". ``secure``: whether it came over TLS, as the pub/sub networks always do, but for an exchange of
    ours without it, which then names a ``plainHost`` too."""
    record = Record.parse(body)
    networks, profile = record.record("rtcConfiguration"), record.record("rtcProfile")
    broadcast, signal = networks.record("broadcastNetwork"), networks.record("signalNetwork")
    plain = not secure and broadcast.has("plainHost") and signal.has("plainHost")
    name = "plainHost" if plain else "host"
    origin, signal_origin = broadcast.host(name)[0], signal.host(name)[0]
    return PapiConfiguration(
        PubSubConfig(
            origin,
            not plain,
            broadcast.token("subscribeKey"),
            signal.token("subscribeKey"),
            signal.token("publishKey"),
            broadcast.token("publishKey"),
            signal_origin if signal_origin != origin else None,
        ),
        Profile(
            profile.channel("broadcastChannel"), profile.channel("signalChannel"), profile.key("key"), profile.channel("transportChannel")
        ),
    )
