"""Bodies about instances and their configuration, as values and as JSON: the Ocra client and the exchange share both directions.

``write_*`` give the bytes of a body, ``read_*`` take them and raise RemoteProtocolError naming the first member that doesn't fit;
unknown members are ignored.
"""

import base64
from typing import Any

from sinchphone.errors import RemoteProtocolError
from sinchphone.protocol.webpush.keys import POINT_BYTES, read_base64, write_base64
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import CONFIG_REFRESH_S, PROLONG_WINDOW_S, Instance, Profile, PubSubConfig, PushConfig
from sinchphone.signaling.fields import Record, write_json
from sinchphone.signaling.ocra.names import Field
from sinchphone.signaling.rest.software import Software
from sinchphone.signaling.wire import write_time

MIN_REFRESH_S = 30.0  # whatever the platform says: it's asked no oftener
_DAY_S = 86_400.0


@quick_dataclass(frozen=True, slots=True)
class InstanceRequest:
    """CreateInstanceRequest. ``expire_at`` in seconds since the epoch; None leaves it to the platform."""

    user_id: str
    device_id: str
    capabilities: tuple[str, ...]
    software: Software
    expire_at: float | None = None


@quick_dataclass(frozen=True, slots=True)
class InstanceConfiguration:
    """Config: where the pub/sub networks are, the instance's profile, and how often to ask again."""

    pubsub: PubSubConfig
    profile: Profile
    stun_urls: tuple[str, ...] = ()
    relay_only: bool = False
    config_refresh_s: float = CONFIG_REFRESH_S
    prolong_window_s: float = PROLONG_WINDOW_S
    push: PushConfig | None = None


def write_instance_request(request: InstanceRequest) -> bytes:
    """The body of "create instance"."""
    return write_json(
        {
            "userId": request.user_id,
            "deviceId": request.device_id,
            "capabilities": request.capabilities,
            "version": _software_members(request.software),
            "expireAt": None if request.expire_at is None else write_time(request.expire_at),
        }
    )


def read_instance_request(body: bytes) -> InstanceRequest:
    """The body of "create instance"."""
    record = Record.parse(body)
    return InstanceRequest(
        record.text("userId", limit=255),
        record.token("deviceId"),
        record.texts("capabilities"),
        _software_from(record.optional_record("version")),
        record.optional_time("expireAt"),
    )


def write_update_request(capabilities: tuple[str, ...], software: Software) -> bytes:
    """The body of "update instance"."""
    return write_json({"capabilities": capabilities, "version": _software_members(software)})


def read_update_request(body: bytes) -> tuple[tuple[str, ...], Software]:
    """The body of "update instance": capabilities and software."""
    record = Record.parse(body)
    return record.texts("capabilities"), _software_from(record.optional_record("version"))


def write_created(instance: Instance, configuration: InstanceConfiguration, capabilities: tuple[str, ...], software: Software) -> bytes:
    """The answer to "create instance"."""
    members = {
        "id": instance.id,
        "secret": base64.b64encode(instance.secret).decode(),
        "deviceId": instance.device_id,
        "capabilities": capabilities,
        "version": _software_members(software),
    }
    if instance.expire_at is not None:
        members["expireAt"] = write_time(instance.expire_at)
    return write_json({"instance": members, "config": _configuration_members(configuration)})


def read_created(body: bytes, *, user_id: str, device_id: str) -> tuple[Instance, InstanceConfiguration]:
    """The answer to "create instance". The ids are those of the request: the answer need not repeat them."""
    record = Record.parse(body)
    instance = record.record("instance")
    return (
        Instance(instance.token("id"), instance.base64("secret"), user_id, device_id, instance.optional_time("expireAt")),
        _configuration_from(record.record("config")),
    )


def write_configuration(configuration: InstanceConfiguration) -> bytes:
    """The answer to "configuration"."""
    return write_json(_configuration_members(configuration))


def read_configuration(body: bytes) -> InstanceConfiguration:
    """The answer to "configuration"."""
    return _configuration_from(Record.parse(body))


def write_prolong_request(expire_at: float | None) -> bytes:
    """The body of "prolong"; None asks for as long as the platform gives."""
    return write_json({"expireAt": None if expire_at is None else write_time(expire_at)})


def read_prolong_request(body: bytes) -> float | None:
    """The body of "prolong"."""
    return Record.parse(body).optional_time("expireAt")


def write_prolonged(instance_id: str, expire_at: float | None) -> bytes:
    """The answer to "prolong" (UpdateInstanceTtlResponse)."""
    return write_json({"instanceId": instance_id, "expireAt": None if expire_at is None else write_time(expire_at)})


def read_prolonged(body: bytes) -> float | None:
    """The answer to "prolong": when the instance expires now; None is never."""
    return Record.parse(body).optional_time("expireAt")


def _software_members(software: Software) -> dict[str, str]:
    return {
        "application": software.application,
        "platform": software.platform,
        "os": software.os,
        "deviceModelId": software.device_model_id,
        "deviceModelName": software.device_model_name,
    }


def _software_from(record: Record) -> Software:
    names = ("application", "platform", "os", "deviceModelId", "deviceModelName")
    return Software(*(record.optional_text(name) or "" for name in names))


def _configuration_members(configuration: InstanceConfiguration) -> dict[str, Any]:
    profile = configuration.profile
    members: dict[str, Any] = {
        "configRefreshIntervalMs": int(configuration.config_refresh_s * 1000),
        "pushProfileCacheValidityPeriodMs": 3_600_000,
        "updateInstanceTtlWindowDays": configuration.prolong_window_s / _DAY_S,
        "iceTransportPolicy": "relay" if configuration.relay_only else "all",
        "rtcProfile": {
            Field.BROADCAST_CHANNEL: profile.broadcast_channel,
            Field.SIGNAL_CHANNEL: profile.signal_channel,
            Field.KEY: base64.b64encode(profile.key).decode(),
            **({} if profile.transport_channel is None else {Field.TRANSPORT_CHANNEL: profile.transport_channel}),
        },
        "rtcConfig": {"mxpPubSubConfig": _pubsub_members(configuration.pubsub), "legacyStunUrls": list(configuration.stun_urls)},
    }
    if configuration.push is not None:
        members["pushConfig"] = _push_members(configuration.push)
    return members


def _push_members(push: PushConfig) -> dict[str, str]:
    service = {} if push.service is None else {Field.PUSH_SERVICE: push.service}
    return {"w3cApplicationServerKey": write_base64(push.key), **service}


def _push_from(record: Record) -> PushConfig | None:
    """Where the platform says with what key it pushes; a key that is none isn't there."""
    text = record.optional_text("w3cApplicationServerKey")
    try:
        key = read_base64(text or "", "w3cApplicationServerKey", size=POINT_BYTES)
    except RemoteProtocolError:
        return None
    return PushConfig(key, record.optional_text(Field.PUSH_SERVICE))


def _configuration_from(record: Record) -> InstanceConfiguration:
    profile, rtc = record.record("rtcProfile"), record.record("rtcConfig")
    return InstanceConfiguration(
        _pubsub_from(rtc.record("mxpPubSubConfig")),
        _profile_from(profile),
        rtc.texts("legacyStunUrls"),
        record.optional_text("iceTransportPolicy") == "relay",
        max(MIN_REFRESH_S, record.number("configRefreshIntervalMs", default=CONFIG_REFRESH_S * 1000) / 1000),
        record.number("updateInstanceTtlWindowDays", default=PROLONG_WINDOW_S / _DAY_S, high=36_500) * _DAY_S,
        _push_from(record.optional_record("pushConfig")),
    )


def _profile_from(record: Record) -> Profile:
    return Profile(
        record.channel(Field.BROADCAST_CHANNEL),
        record.channel(Field.SIGNAL_CHANNEL),
        record.key(Field.KEY),
        record.channel(Field.TRANSPORT_CHANNEL) if record.has(Field.TRANSPORT_CHANNEL) else None,
    )


def _pubsub_members(pubsub: PubSubConfig) -> dict[str, Any]:
    hostname, colon, port = pubsub.origin.rpartition(":")
    members: dict[str, Any] = {"hostname": pubsub.origin}
    if colon and port.isdecimal() and (":" not in hostname or hostname.endswith("]")):
        members = {Field.HOSTNAME: hostname, Field.PORT: int(port)}
    if not pubsub.secure:
        members[Field.SSL] = False
    members[Field.BROADCAST_SUBSCRIBE_KEY] = pubsub.broadcast_subscribe_key
    members[Field.SIGNAL_SUBSCRIBE_KEY] = pubsub.signal_subscribe_key
    members[Field.SIGNAL_PUBLISH_KEY] = pubsub.signal_publish_key
    if pubsub.broadcast_publish_key is not None:
        members[Field.BROADCAST_PUBLISH_KEY] = pubsub.broadcast_publish_key
    return members


def _pubsub_from(record: Record) -> PubSubConfig:
    host, has_port = record.host(Field.HOSTNAME)
    if record.has(Field.PORT) and not has_port:
        host = f"{host}:{int(record.number(Field.PORT, low=1, high=65_535))}"
    return PubSubConfig(
        host,
        record.flag(Field.SSL, default=True),
        record.token(Field.BROADCAST_SUBSCRIBE_KEY),
        record.token(Field.SIGNAL_SUBSCRIBE_KEY),
        record.token(Field.SIGNAL_PUBLISH_KEY),
        record.token(Field.BROADCAST_PUBLISH_KEY) if record.has(Field.BROADCAST_PUBLISH_KEY) else None,
    )
