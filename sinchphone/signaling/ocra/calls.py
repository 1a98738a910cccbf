"""Bodies about calls, ICE servers and push, as values and as JSON: the Ocra client and the exchange share both directions.

``write_*`` give the bytes of a body, ``read_*`` take them and raise RemoteProtocolError naming the first member that doesn't fit;
unknown members are ignored.
"""

import base64
from collections.abc import Mapping
from typing import Any

from sinchphone.errors import RemoteProtocolError
from sinchphone.protocol.mxp.public_headers import MAX_PUBLIC_HEADER_BYTES, PUBLIC_HEADER_RULE
from sinchphone.protocol.sdp.jsep import Description, description_from_json
from sinchphone.protocol.sdp.session_description import MAX_SDP_BYTES, read_session
from sinchphone.protocol.webpush.encryption import MAX_PLAINTEXT_BYTES
from sinchphone.protocol.webpush.keys import AUTH_BYTES, POINT_BYTES, read_base64, write_base64
from sinchphone.protocol.webpush.subscription import PushSubscription
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import CallReport, CallRequest, Domain, Instance, OfferedIceServer, Placement, RemoteInstance
from sinchphone.signaling.fields import Record, write_json
from sinchphone.signaling.ocra.names import Field
from sinchphone.signaling.push.notification import CallNotification, write_payload
from sinchphone.signaling.rest.software import Software
from sinchphone.signaling.wire import PUSH_TEMPLATE, write_time

MAX_ENDPOINT_CHARACTERS = 2048

DESTINATION_TYPES = {Domain.MXP: "userId", Domain.PSTN: "phonenumber", Domain.SIP: "sip", Domain.CONFERENCE: "conference"}


@quick_dataclass(frozen=True, slots=True)
class PushRequest:
    """PushNotification: tell these instances of a user about a call. ``sinch`` is the payload's JSON text."""

    call_id: str
    user_id: str
    instance_ids: tuple[str, ...]
    sinch: str
    display_name: str


def write_call_request(request: CallRequest) -> bytes:
    """The body of "initiate call" (InitiateCallRequest)."""
    return write_json(
        {
            Field.CALL_ID: request.call_id,
            Field.DESTINATION: _destination_members(request.domain, request.identity),
            Field.CALLER_ID: request.caller_id,
            Field.MEDIA: ["audio", "video"] if read_session(request.offer.sdp).has_pictures else ["audio"],
            Field.SDP: {"type": request.offer.type, "sdp": request.offer.sdp},
            Field.HEADERS: dict(request.headers) or None,
        }
    )


def read_call_request(body: bytes) -> CallRequest:
    """The body of "initiate call"."""
    record = Record.parse(body)
    destination = record.record(Field.DESTINATION)
    try:
        domain = Domain(destination.text("domain"))
    except ValueError as error:
        raise destination.odd("domain", " or ".join(Domain)) from error
    return CallRequest(
        record.token(Field.CALL_ID),
        domain,
        destination.text("identity", limit=255),
        _offer_from(record),
        record.optional_text(Field.CALLER_ID, limit=64),
        _headers_from(record),
    )


def write_placement(placement: Placement, started_at: float, headers: Mapping[str, str] | None = None) -> bytes:
    """The answer to "initiate call" (CallInitiationResponse)."""
    return write_json(
        {
            "callId": placement.call_id,
            "mxpEncryptionKey": base64.b64encode(placement.session_key).decode(),
            "mxpSignalChannel": placement.signal_channel,
            "instances": [{"id": instance.id, "capabilities": instance.capabilities} for instance in placement.instances],
            "startTime": write_time(started_at),
            "publicCallHeaders": dict(headers) if headers else None,
        }
    )


def read_placement(body: bytes) -> Placement:
    """The answer to "initiate call". Instances without an id are passed over."""
    record = Record.parse(body)
    remote = [instance for instance in record.records("instances") if instance.has("id")]
    return Placement(
        record.token("callId"),
        record.key("mxpEncryptionKey"),
        record.channel("mxpSignalChannel"),
        tuple(RemoteInstance(instance.token("id"), instance.texts("capabilities")) for instance in remote),
    )


def write_ice_servers(servers: tuple[OfferedIceServer, ...]) -> bytes:
    """The answer to "ICE servers"."""
    return write_json({"iceServers": [_ice_server_members(server) for server in servers]})


def read_ice_servers(body: bytes) -> tuple[OfferedIceServer, ...]:
    """The answer to "ICE servers". One that makes no sense is passed over, so that it doesn't cost the others; ``urls`` may be one text."""
    servers = Record.parse(body).records("iceServers")
    return tuple(found for server in servers if (found := _read_ice_server(server)) is not None)


def _read_ice_server(server: Record) -> OfferedIceServer | None:
    try:
        urls = (server.text("urls"),) if isinstance(server.value("urls"), str) else server.texts("urls")
        password = server.optional_text("password") or server.optional_text("credential")
        return OfferedIceServer(urls, server.optional_text("username"), password, server.optional_time("validUntil"))
    except RemoteProtocolError:
        return None


def write_push(request: PushRequest) -> bytes:
    """The body of "push notifications" (PushNotification)."""
    return write_json(
        {
            "collapseId": request.call_id[:64],
            "templateId": PUSH_TEMPLATE,
            "templateParameters": {"sinch": request.sinch, "displayName": request.display_name},
            "to": [{"userId": request.user_id, "instanceId": instance_id} for instance_id in request.instance_ids],
        }
    )


def read_push(body: bytes) -> PushRequest:
    """The body of "push notifications"; all its receivers must be of one user."""
    record = Record.parse(body)
    parameters = record.text_map("templateParameters")
    receivers = [(to.text("userId", limit=255), to.token("instanceId")) for to in record.records("to")]
    users = {user_id for user_id, _ in receivers}
    if len(users) != 1:
        raise record.odd("to", "a list of instances of one user")
    return PushRequest(
        record.token("collapseId"),
        users.pop(),
        tuple(instance_id for _, instance_id in receivers),
        parameters.get("sinch", ""),
        parameters.get("displayName", ""),
    )


def write_push_payload(call_id: str, caller: str, sent_at: float) -> str:
    """The payload of a push about a call between users. ``sent_at`` in seconds since the epoch."""
    return write_payload(CallNotification(call_id=call_id, remote_user_id=caller, sent_at=sent_at))


def write_push_profile(subscription: PushSubscription, key: bytes) -> bytes:
    """The body of "set the push profile" (PushProfile). ``key``: the platform's, which the subscription is for."""
    members = {
        Field.ENDPOINT: subscription.endpoint,
        Field.P256DH: write_base64(subscription.p256dh),
        Field.AUTH: write_base64(subscription.auth),
        Field.APPLICATION_SERVER_KEY: write_base64(key),
    }
    return write_json({"maxPayloadSize": MAX_PLAINTEXT_BYTES, Field.W3C: members})


def read_push_profile(body: bytes) -> tuple[PushSubscription, bytes | None]:
    """The body of "set the push profile": the subscription, and the key that it's for, where that is said. The keys may stand as a
    browser writes a subscription. RemoteProtocolError where there is none of W3C's."""
    w3c = Record.parse(body).record(Field.W3C)
    keys = w3c.record("keys") if w3c.has("keys") else w3c
    endpoint = w3c.text(Field.ENDPOINT, limit=MAX_ENDPOINT_CHARACTERS)
    p256dh = read_base64(keys.text(Field.P256DH), f"w3c.{Field.P256DH}", size=POINT_BYTES)
    auth = read_base64(keys.text(Field.AUTH), f"w3c.{Field.AUTH}", size=AUTH_BYTES)
    key = w3c.optional_text(Field.APPLICATION_SERVER_KEY)
    named = f"w3c.{Field.APPLICATION_SERVER_KEY}"
    return PushSubscription(endpoint, p256dh, auth), None if key is None else read_base64(key, named, size=POINT_BYTES)


def write_call_report(report: CallReport, instance: Instance, software: Software, report_id: str) -> bytes:
    """The body of "call report" (CallReport), not yet compressed. Times in seconds with milliseconds."""
    us = {"domain": str(Domain.MXP), "identity": instance.user_id}
    peer: dict[str, str] = {"domain": str(report.domain), "identity": report.peer}
    if report.outbound:
        peer = _destination_members(report.domain, report.peer)
    else:
        us["type"] = DESTINATION_TYPES[Domain.MXP]
    version = {"application": software.application, "platform": software.platform, "os": software.os}
    return write_json(
        {
            "callId": report.call_id,
            "reportId": report_id,
            "instance": {"id": instance.id, "deviceId": instance.device_id, "version": version},
            "userId": instance.user_id,
            "from": us if report.outbound else peer,
            "to": peer if report.outbound else us,
            "direction": "outbound" if report.outbound else "inbound",
            "startTime": write_time(report.started_at),
            **_durations(report),
            Field.RESULT: report.cause,
            Field.ERROR: None if report.error is None else {"message": report.error[:500]},
        }
    )


def _durations(report: CallReport) -> dict[str, float]:
    """Seconds: in all, until it rang, from there to the answer, from there until media was up (only ``duration`` is known)."""
    marks = [("setupDuration", report.ringing_at), ("ringingDuration", report.answered_at), ("acceptingDuration", report.established_at)]
    durations, since = {"duration": round(report.ended_at - report.started_at, 3)}, report.started_at
    for name, at in marks:
        if at is not None:
            durations[name], since = round(at - since, 3), at
    return durations


def _destination_members(domain: Domain, identity: str) -> dict[str, str]:
    return {"domain": str(domain), "type": DESTINATION_TYPES[domain], "identity": identity}


def _offer_from(record: Record) -> Description:
    sdp = record.record(Field.SDP)
    sdp.text("sdp", limit=MAX_SDP_BYTES)
    try:
        offer = description_from_json({"type": sdp.value("type"), "sdp": sdp.value("sdp")})
    except RemoteProtocolError as error:
        raise record.odd(Field.SDP, "a session description") from error
    if offer.type != "offer":
        raise record.odd(Field.SDP, "an offer")
    return offer


def _headers_from(record: Record) -> dict[str, str]:
    headers = record.text_map(Field.HEADERS)
    if sum(len(name.encode()) + len(value.encode()) for name, value in headers.items()) > MAX_PUBLIC_HEADER_BYTES:
        raise record.odd(Field.HEADERS, PUBLIC_HEADER_RULE)
    return headers


def _ice_server_members(server: OfferedIceServer) -> dict[str, Any]:
    members = {
        "urls": list(server.urls),
        "username": server.username,
        "credentialType": "password",
        "password": server.password,
        "validUntil": None if server.valid_until is None else write_time(server.valid_until),
    }
    return {name: value for name, value in members.items() if value is not None}
