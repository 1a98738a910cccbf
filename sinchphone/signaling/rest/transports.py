"""Transports, which carry instant messages, in both dialects: requests, and bodies whose both directions client and exchange share.

``write_*`` give the bytes of a body, ``read_*`` take them and raise RemoteProtocolError naming the first member that doesn't fit.
"""

import base64
from collections.abc import Sequence
from urllib.parse import quote

from sinchphone.errors import RemoteProtocolError
from sinchphone.signaling.dialect import IdentityKind, Instance, MessageCounts, Recipient, RemoteInstance, Transport, TransportParticipant
from sinchphone.signaling.fields import MAX_MEMBERS, Record, read_json, write_json
from sinchphone.signaling.rest.requests import Ask, RestRequests
from sinchphone.signaling.wire import Auth, Endpoint

MAX_RECIPIENTS = 64  # of one message
MAX_IDENTITY_CHARACTERS = 255
IM_CAPABILITIES = ("im", "im.1")  # of an instance that takes messages (PAPI v1, transport)
REPORT_VERSION = "2.0"

API_ROOT = "/v1"
OPEN_TRANSPORT = Endpoint(API_ROOT, "POST", "/transport", Auth.SIGNATURE)
GET_TRANSPORT = Endpoint(API_ROOT, "GET", "/transport", Auth.SIGNATURE)
REPORT_MESSAGES = Endpoint(API_ROOT, "POST", "/report/im", Auth.SIGNATURE_OR_APPLICATION)


class TransportRequests:
    """Requests to one platform. Methods raise what ``RestRequests`` raises; cancelling them is safe."""

    def __init__(self, requests: RestRequests) -> None:
        self._requests = requests

    async def open_transport(self, instance: Instance, recipients: Sequence[Recipient]) -> Transport:
        """The transport from the instance's user to the recipients."""
        ask = _ask("find the recipients", OPEN_TRANSPORT, body=write_recipients(recipients))
        return await self._requests.send_signed(ask, instance, read_transport)

    async def transport(self, instance: Instance, transport_id: str) -> Transport:
        """A transport in which the instance's user takes part."""
        ask = _ask("get the keys of a message", GET_TRANSPORT, query=f"transportId={quote(transport_id, safe='')}")
        return await self._requests.send_signed(ask, instance, read_transport)

    async def report_messages(self, instance: Instance, counts: MessageCounts) -> None:
        """Deliver counts of instant messages."""
        ask = _ask("deliver the message report", REPORT_MESSAGES, body=write_message_counts(counts))
        await self._requests.send_signed(ask, instance, lambda _: None)


def _ask(what: str, endpoint: Endpoint, *, query: str = "", body: bytes | None = None) -> Ask:
    return Ask(what, endpoint.verb, endpoint.path(), endpoint.statuses, query, body)


def write_recipients(recipients: Sequence[Recipient]) -> bytes:
    """The body of "transport" (POST): a bare list of those who take part beside the sender."""
    return write_json([_destination_members(recipient) for recipient in recipients])


def read_recipients(body: bytes) -> tuple[Recipient, ...]:
    """The body of "transport" (POST)."""
    values = read_json(body)
    if not isinstance(values, list) or not 1 <= len(values) <= MAX_RECIPIENTS:
        raise RemoteProtocolError(f"the body should be a list of 1 to {MAX_RECIPIENTS} participants")
    return tuple(_recipient_from(Record(value, f"[{index}]")) for index, value in enumerate(values))


def write_transport(transport: Transport) -> bytes:
    """The answer to "transport"."""
    return write_json(
        {
            "transportId": transport.id,
            "key": base64.b64encode(transport.key).decode(),
            "participants": [_participant_members(participant) for participant in transport.participants],
        }
    )


def read_transport(body: bytes) -> Transport:
    """The answer to "transport"."""
    record = Record.parse(body)
    return Transport(
        record.token("transportId"), record.key("key"), tuple(_participant_from(member) for member in record.records("participants"))
    )


def write_message_counts(counts: MessageCounts) -> bytes:
    """The body of "report instant messages"."""
    return write_json({"version": REPORT_VERSION, "sent": counts.sent, "received": counts.received, "failed": counts.failed})


def read_message_counts(body: bytes) -> MessageCounts:
    """The body of "report instant messages"."""
    record = Record.parse(body)
    return MessageCounts(*(int(record.number(name, default=0.0)) for name in ("sent", "received", "failed")))


def _destination_members(recipient: Recipient) -> dict[str, str]:
    """The SDK names a type only where it isn't the usual one."""
    members = {"identity": recipient.identity}
    return members if recipient.kind is IdentityKind.USERNAME else {"type": str(recipient.kind), **members}


def _participant_members(participant: TransportParticipant) -> dict[str, object]:
    recipient = participant.recipient
    return {
        "channel": participant.channel,
        "destination": {"type": str(recipient.kind), "identity": recipient.identity},
        "instances": [{"instanceId": instance.id, "capabilities": list(instance.capabilities)} for instance in participant.instances],
    }


def _participant_from(record: Record) -> TransportParticipant:
    instances = [instance for instance in record.records("instances") if instance.has("instanceId")][:MAX_MEMBERS]
    return TransportParticipant(
        record.channel("channel"),
        _recipient_from(record.record("destination")),
        tuple(RemoteInstance(instance.token("instanceId"), instance.texts("capabilities")) for instance in instances),
    )


def _recipient_from(record: Record) -> Recipient:
    kind = record.optional_text("type", limit=32) or IdentityKind.USERNAME
    try:
        return Recipient(record.text("identity", limit=MAX_IDENTITY_CHARACTERS), IdentityKind(kind))
    except ValueError as error:
        raise record.odd("type", " or ".join(IdentityKind)) from error
