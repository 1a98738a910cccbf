"""Bodies about calls, reports and push, as a client of PAPI v1 writes and reads them.

``write_*`` give the bytes of a body, ``read_*`` take them and raise RemoteProtocolError naming the first member that doesn't fit.
"""

import base64
import uuid
from typing import Final

from sinchphone.protocol.mxp.public_headers import encode_public_headers
from sinchphone.signaling.dialect import CallReport, CallRequest, Domain, Placement, RemoteInstance
from sinchphone.signaling.fields import Record, write_json
from sinchphone.signaling.rest.software import Software
from sinchphone.signaling.wire import PUSH_TEMPLATE, write_time

DOMAINS: Final = {Domain.MXP: "data", Domain.PSTN: "pstn", Domain.SIP: "sip", Domain.CONFERENCE: "conference"}
MAX_PUSH_NAME_CHARACTERS: Final = 127  # its length has 7 bits

_TYPES: Final = {Domain.PSTN: "number"}  # of a destination; all others are called user names
_RESULTS: Final = ("none", "timeout", "denied", "no_answer", "failure", "hung_up", "canceled", "other_device_answered", "transferred")
_PUSH_VERSION: Final = 2
_PUSH_CALL: Final = 1
_LOWER, _MIXED = 1, 2  # how the session id is spelt
_LINE_CHARACTERS: Final = 64


def write_call_request(request: CallRequest, sub_instance: str) -> bytes:
    """The body of "calls" (POST). ``sub_instance`` is a number in decimal."""
    headers = {"p2p": "yes", **encode_public_headers(request.headers)}
    return write_json(
        {
            "cli": request.caller_id or "",
            "destination": {"type": _TYPES.get(request.domain, "username"), "endpoint": request.identity},
            "callId": request.call_id,
            "mediaChannels": ["audio"],
            "subinstanceId": int(sub_instance),
            "headers": headers,
            "domain": DOMAINS[request.domain],
            "sdp": {"type": request.offer.type, "sdp": request.offer.sdp},
        }
    )


def read_placement(body: bytes, call_id: str) -> Placement:
    """The answer to "calls". Its members may begin with a capital letter. The relay address in it isn't used: candidates tell more."""
    record = Record.parse(body)

    def named(name: str) -> str:
        return name if record.has(name) else name[0].upper() + name[1:]

    channel = named("signalChannel")
    instances = [instance for instance in record.records(named("instances")) if instance.has("instanceId")]
    return Placement(
        call_id,
        record.key(named("encryptionKey")),
        record.channel(channel) if record.has(channel) else "",
        tuple(RemoteInstance(instance.token("instanceId"), instance.texts("capabilities")) for instance in instances),
    )


def write_call_report(report: CallReport, user_id: str, software: Software) -> bytes:
    """The body of "calls" (PUT)."""
    began = report.established_at or report.ended_at
    return write_json(
        {
            "callId": report.call_id,
            "domain": DOMAINS[report.domain],
            "outbound": report.outbound,
            "fromId": user_id if report.outbound else report.peer,
            "toId": report.peer if report.outbound else user_id,
            "callTime": write_time(report.started_at),
            "duration": round(max(0.0, report.ended_at - began), 3),
            "setupDuration": round(max(0.0, began - report.started_at), 3),
            "result": _RESULTS.index(report.cause) if report.cause in _RESULTS else _RESULTS.index("failure"),
            "deviceInformation": {
                "ModelId": software.device_model_id,
                "OSName": software.os,
                "OSVersion": "",
                "SDKPlatform": software.platform,
                "SDKPlatformVersion": software.application,
            },
        }
    )


def write_push(call_id: str, receivers: tuple[str, ...], payload: str, display_name: str) -> bytes:
    """The body of "push"."""
    to = [{"instance": receiver} for receiver in receivers]
    parameters = {"sinch": payload, "displayName": display_name}
    return write_json({"messages": [{"sessionId": call_id, "template": PUSH_TEMPLATE, "to": to, "params": parameters}]})


def write_push_payload(call_id: str, caller: str, sent_at: float) -> str:
    """The binary payload of a call's push, version 2, in base64 with lines of 64 characters. ``call_id`` is a UUID; the caller's name
    is one byte a character, what can't be is left out."""
    identifier = uuid.UUID(call_id)
    name = caller.encode("latin-1", errors="ignore")[:MAX_PUSH_NAME_CHARACTERS]
    spelt = _LOWER if call_id == call_id.lower() else _MIXED
    head = bytes([_PUSH_VERSION, _PUSH_CALL, spelt])
    text = base64.b64encode(head + identifier.bytes + int(sent_at).to_bytes(4, "little") + bytes([len(name)]) + name).decode()
    return "\n".join(text[start : start + _LINE_CHARACTERS] for start in range(0, len(text), _LINE_CHARACTERS))
