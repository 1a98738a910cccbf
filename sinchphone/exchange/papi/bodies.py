"""Bodies of the PAPI v1 dialect as a server reads and writes them; transports are ``signaling.transports``'s.

``read_*`` raise RemoteProtocolError naming the first member that doesn't fit; unknown members are ignored.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime
from typing import Any, Final

from sinchphone.errors import RemoteProtocolError
from sinchphone.exchange.directory.accounts import MAX_IDENTITIES, Account
from sinchphone.exchange.directory.devices import Device
from sinchphone.protocol.mxp.public_headers import MAX_PUBLIC_HEADER_BYTES, PUBLIC_HEADER_RULE
from sinchphone.protocol.phone_numbers import PRIVATE
from sinchphone.protocol.sdp.jsep import Description, description_from_json
from sinchphone.protocol.sdp.session_description import MAX_SDP_BYTES
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import CallRequest, Domain, IdentityKind, Placement, Recipient
from sinchphone.signaling.fields import Record, is_writable, read_json, write_json
from sinchphone.signaling.rest.software import Software

MAX_LIFETIME_SECONDS: Final = 366 * 86_400.0
NO_RELAY: Final = "\n"  # as the body of a placement: there is no relay; an empty one makes the SDK throw

DOMAINS: Final = {"data": Domain.MXP, "pstn": Domain.PSTN, "sip": Domain.SIP, "conference": Domain.CONFERENCE}


@quick_dataclass(frozen=True, slots=True)
class PapiInstanceBody:
    """A new instance, or a renewed one."""

    capabilities: tuple[str, ...]
    software: Software
    lifetime_seconds: float


@quick_dataclass(frozen=True, slots=True)
class UserRequest:
    """A new user."""

    identities: tuple[Recipient, ...]
    password: str = field(repr=False)
    profile: dict[str, Any] = field(repr=False)


@quick_dataclass(frozen=True, slots=True)
class PlacedCall:
    """A call to be placed: the request as any dialect has it, how the callee is named, and which run of the program calls."""

    request: CallRequest
    callee: Recipient
    sub_instance: str
    no_media: bool = False


def read_user(body: bytes) -> UserRequest:
    """The body of "create user"."""
    record = Record.parse(body)
    names = record.records("identities")
    if not 1 <= len(names) <= MAX_IDENTITIES:
        raise record.odd("identities", f"a list of 1 to {MAX_IDENTITIES} identities")
    identities = tuple(Recipient(name.text("endpoint", limit=255), _kind_of(name, "type")) for name in names)
    return UserRequest(identities, record.text("password"), _profile_from(record.value("profile")))


def read_login(body: bytes) -> tuple[str, float]:
    """The body of an authentication: the password, and how long the ticket is to be valid [s]."""
    record = Record.parse(body)
    return record.text("password"), record.number("expiresIn", default=86_400.0, low=1, high=MAX_LIFETIME_SECONDS)


def read_new_password(body: bytes) -> tuple[str | None, str]:
    """The body of "change password": the old one, where it's given, and the new one."""
    record = Record.parse(body)
    new = "newPassword" if record.has("newPassword") else "password"
    return record.optional_text("oldPassword"), record.text(new)


def read_profile(body: bytes) -> dict[str, Any]:
    """The body of "update user"."""
    return _profile_from(read_json(body or b"{}"))


def read_instance(body: bytes) -> PapiInstanceBody:
    """The body of "create instance" and of "renew secret"."""
    record = Record.parse(body)
    version = record.optional_record("version")
    sdk, platform, system = (version.optional_text(name, limit=255) or "" for name in ("sdk", "platform", "os"))
    lifetime = record.number("expiresIn", default=MAX_LIFETIME_SECONDS, low=1)
    capabilities = record.optional_record("services").texts("calling")
    return PapiInstanceBody(capabilities, Software(sdk, platform, system), min(lifetime, MAX_LIFETIME_SECONDS))


def read_call(domain: str, body: bytes) -> PlacedCall:
    """The body of "place call" under ``calls/{domain}``."""
    if domain not in DOMAINS:
        raise RemoteProtocolError("path: a call goes to data, pstn, sip or conference")
    record = Record.parse(body)
    destination, headers = record.record("destination"), record.optional_record("headers")
    callee = Recipient(destination.text("endpoint", limit=255), _kind_of(destination, "type"))
    caller_id = record.optional_text("cli", limit=64) or (PRIVATE if domain == "pstn" else None)
    public = _public_headers(headers)
    request = CallRequest(record.token("callId"), DOMAINS[domain], callee.identity, _offer_from(record), caller_id, public)
    return PlacedCall(request, callee, _sub_instance_from(record), headers.value("nomedia") in (True, "true", "yes"))


def read_push(body: bytes) -> list[tuple[str, tuple[str, ...], str]]:
    """The body of "push": of each message the call's id, the ids of the instances that are to be woken, and the name to be shown."""
    asked = []
    for message in Record.parse(body).records("messages"):
        name = message.optional_record("params").optional_text("displayName") or ""
        asked.append((message.token("sessionId"), tuple(to.token("instance") for to in message.records("to")), name))
    return asked


def write_time_stamp(now: float) -> bytes:
    """The answer to "server time"."""
    return write_json({"timestamp": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")})


def write_authorized(account: Account, ticket: str) -> bytes:
    """The answer to "create user" and to an authentication."""
    return write_json({"authorization": ticket, "user": {"identities": _identity_members(account.user_id, account.identities)}})


def write_profile(user_id: str, account: Account | None) -> bytes:
    """The answer to "profile"."""
    identities = _identity_members(user_id, account.identities if account else ())
    return write_json({"identities": identities, "profile": account.profile if account else {}})


def write_instance(device: Device) -> bytes:
    """The answer to "create instance" and to "renew secret"."""
    return write_json({"id": device.instance_id, "secret": base64.b64encode(device.identity.secret).decode()})


def write_configuration(device: Device, host: str, plain_host: str | None) -> bytes:
    """The answer to "configuration". ``plain_host`` is where the broker is found without TLS."""
    application, identity = device.application, device.identity
    networks = {
        name: {"publishKey": keys.publish_key, "subscribeKey": keys.subscribe_key, "host": host}
        | ({} if plain_host is None else {"plainHost": plain_host})
        for name, keys in (("broadcastNetwork", identity.broadcast), ("signalNetwork", identity.signal))
    }
    profile = {
        "broadcastChannel": identity.broadcast_channel,
        "transportChannel": application.transport_channel(device.user_id),
        "signalChannel": identity.signal_channel,
        "key": base64.b64encode(identity.mxp_key).decode(),
    }
    return write_json({"rtcConfiguration": networks, "rtcProfile": profile})


def write_placement(placement: Placement) -> bytes:
    """The answer to "place call"."""
    instances = [{"instanceId": instance.id, "capabilities": list(instance.capabilities)} for instance in placement.instances]
    return write_json(
        {
            "body": NO_RELAY,
            "encryptionKey": base64.b64encode(placement.session_key).decode(),
            "signalChannel": placement.signal_channel,
            "instances": instances,
        }
    )


def _identity_members(user_id: str, identities: Sequence[Recipient]) -> list[dict[str, str]]:
    """Every user has a user name: the SDK knows no other user id."""
    known = [name for name in identities if name.kind is not IdentityKind.USERNAME]
    return [{"type": str(name.kind), "endpoint": name.identity} for name in (Recipient(user_id), *known)]


def _kind_of(record: Record, name: str) -> IdentityKind:
    try:
        return IdentityKind(record.text(name, limit=32))
    except ValueError as error:
        raise record.odd(name, " or ".join(IdentityKind)) from error


def _profile_from(value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RemoteProtocolError("the profile should be an object")
    if not is_writable(value):
        raise RemoteProtocolError("the profile should be of texts and numbers that can be written as JSON")
    return value


def _sub_instance_from(record: Record) -> str:
    if not record.has("subinstanceId"):
        return ""
    if isinstance(record.value("subinstanceId"), str):
        return record.token("subinstanceId")
    return str(int(record.number("subinstanceId", high=2**53)))


def _public_headers(headers: Record) -> Mapping[str, str]:
    """The application's headers: JSON text of an object; what is no text in it becomes its JSON."""
    text = headers.optional_text("ph", limit=4 * MAX_PUBLIC_HEADER_BYTES)
    if text is None:
        return {}
    try:
        members = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise headers.odd("ph", "JSON") from error
    if not isinstance(members, dict):
        raise headers.odd("ph", "an object in JSON")
    public = {name: value if isinstance(value, str) else json.dumps(value) for name, value in members.items()}
    if sum(len(f"{name}{value}".encode(errors="replace")) for name, value in public.items()) > MAX_PUBLIC_HEADER_BYTES:
        raise headers.odd("ph", PUBLIC_HEADER_RULE)
    return public


def _offer_from(record: Record) -> Description:
    sdp = record.record("sdp")
    sdp.text("sdp", limit=MAX_SDP_BYTES)
    offer = description_from_json({"type": sdp.value("type"), "sdp": sdp.value("sdp")})
    if offer.type != "offer":
        raise record.odd("sdp", "an offer")
    return offer
