"""What a push about a call says, written and read: the JSON of version 4, and the older SDK's bytes of version 2, which are only read.

::

    content of a push: {"sinch": <text>, "displayName": ...}     service workers pass on {"visible": ..., "data": <that>}
    version 4: JSON    {"version", "type", "session_id", "timestamp", "user_id", "flags", "domain", "public_headers"}
    version 2: base64  version, type, spelling | call id (16) | seconds, little-endian (4) | length | caller

Of version 4 the first five names are known; the others, the unit of time and the outer names are decided here (see the Ocra dialect).
"""

import base64
import binascii
import json
import uuid
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final

from sinchphone.errors import RemoteProtocolError
from sinchphone.protocol.webpush.encryption import MAX_PLAINTEXT_BYTES
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import Domain
from sinchphone.signaling.fields import Record

PUSH_TIMEOUT_S: Final = 60.0  # a call isn't set up any more after that (CallSetupTimeout of the SDK)
MAX_AHEAD_S: Final = 60.0  # what clocks may differ
MAX_CONTENT_BYTES: Final = MAX_PLAINTEXT_BYTES
TYPE_CALL: Final = 1  # the older SDK's; the current one's is unknown

_VIDEO_FLAG: Final = 1
_MILLISECONDS: Final = 100_000_000_000  # a time above that isn't in seconds
_OLD_HEAD_BYTES: Final = 24  # version 2, up to the caller's name
_LOWER: Final = 1


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class CallNotification:
    """A call that a push tells of. What isn't ours came from the other side: escape it before it's shown."""

    call_id: str
    remote_user_id: str
    sent_at: float  # [s since the epoch]
    domain: Domain = Domain.MXP
    is_video_offered: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    display_name: str | None = None

    def has_timed_out(self, now: float) -> bool:
        """Whether that call can't be taken any more, or the push is from another time."""
        return not now - PUSH_TIMEOUT_S <= self.sent_at <= now + MAX_AHEAD_S


def write_payload(notification: CallNotification) -> str:
    """The payload, version 4."""
    members: dict[str, Any] = {
        "version": 4,
        "type": TYPE_CALL,
        "session_id": notification.call_id,
        "timestamp": int(notification.sent_at),
        "user_id": notification.remote_user_id,
        "domain": str(notification.domain),
    }
    if notification.is_video_offered:
        members["flags"] = _VIDEO_FLAG
    if notification.headers:
        members["public_headers"] = dict(notification.headers)
    return json.dumps(members, ensure_ascii=False, separators=(",", ":"))


def write_content(notification: CallNotification) -> bytes:
    """The content of a push. Headers that don't fit into it are left out: the INVITE has them."""
    for headers in (notification.headers, {}):
        plain = CallNotification(
            call_id=notification.call_id,
            remote_user_id=notification.remote_user_id,
            sent_at=notification.sent_at,
            domain=notification.domain,
            is_video_offered=notification.is_video_offered,
            headers=headers,
        )
        members = {"sinch": write_payload(plain)} | ({"displayName": notification.display_name} if notification.display_name else {})
        content = json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()
        if len(content) <= MAX_CONTENT_BYTES:
            break
    return content


def read_content(content: bytes) -> CallNotification:
    """The call that the content of a push tells of. Raises RemoteProtocolError."""
    if len(content) > MAX_CONTENT_BYTES:
        raise RemoteProtocolError(f"a push of {len(content)} bytes: {MAX_CONTENT_BYTES} is the most")
    return _read(Record.parse(content))


def read_payload(payload: Mapping[str, Any]) -> CallNotification:
    """The call that a push's content tells of, as an app has it. Raises RemoteProtocolError."""
    return _read(Record(dict(payload)))


def _read(outer: Record) -> CallNotification:
    if outer.has("data") and not outer.has("sinch"):
        outer = outer.record("data")
    name = outer.optional_text("displayName")
    if outer.has("session_id"):
        return _read_fields(outer, name)
    text = outer.text("sinch", limit=MAX_CONTENT_BYTES)
    if text.lstrip().startswith("{"):
        return _read_fields(Record.parse(text.encode()), name)
    return _read_bytes(text, name)


def _read_fields(record: Record, name: str | None) -> CallNotification:
    if record.number("version") != 4 or record.number("type") != TYPE_CALL:
        raise RemoteProtocolError("a push of another kind, or of another version than 4 and 2")
    sent_at = record.number("timestamp", low=1)
    headers = "public_headers" if record.has("public_headers") else "headers"
    try:
        domain = Domain(record.optional_text("domain") or Domain.MXP)
    except ValueError as error:
        raise record.odd("domain", " or ".join(Domain)) from error
    return CallNotification(
        call_id=record.token("session_id"),
        remote_user_id=record.text("user_id", limit=255),
        sent_at=sent_at / 1000 if sent_at > _MILLISECONDS else sent_at,
        domain=domain,
        is_video_offered=bool(int(record.number("flags", default=0.0)) & _VIDEO_FLAG),
        headers=record.text_map(headers),
        display_name=name,
    )


def _read_bytes(text: str, name: str | None) -> CallNotification:
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise RemoteProtocolError("sinch is neither JSON nor base64") from error
    if len(data) < _OLD_HEAD_BYTES or data[0] != 2 or data[1] != TYPE_CALL:
        raise RemoteProtocolError("a push of another kind, or of another version than 4 and 2")
    caller = data[_OLD_HEAD_BYTES:]
    if len(caller) != data[_OLD_HEAD_BYTES - 1] & 0x7F or not caller:
        raise RemoteProtocolError("the push's payload is cut short")
    call_id = str(uuid.UUID(bytes=data[3:19]))
    return CallNotification(
        call_id=call_id if data[2] == _LOWER else call_id.upper(),
        remote_user_id=caller.decode("latin-1"),
        sent_at=float(int.from_bytes(data[19:23], "little")),
        display_name=name,
    )
