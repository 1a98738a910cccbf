"""Reading an INVITE: what a called device must find in it before it becomes a call."""

import base64
import binascii
import json
from typing import Final

from sinchphone.errors import RemoteProtocolError
from sinchphone.protocol.mxp import Message, Method

MAX_PUBLIC_HEADER_BYTES: Final = 1024  # of all public call headers together (Sinch SDK)


def check_invite(message: Message, instance_id: str) -> None:
    """Raises RemoteProtocolError for a message that is no INVITE for that device from another one."""
    if message.method is not Method.INVITE:
        raise RemoteProtocolError("not an INVITE")
    if not message.is_addressed_to(instance_id) or message.sender.instance_id == instance_id:
        raise RemoteProtocolError("an INVITE for somebody else")


def session_key(invite: Message) -> bytes:
    """The call's AES key (header "key"). Raises RemoteProtocolError."""
    try:
        key = base64.b64decode(invite.headers.get("key", ""), validate=True)
    except (binascii.Error, ValueError) as error:
        raise RemoteProtocolError("the INVITE's session key is not base64") from error
    if len(key) not in (16, 32):
        raise RemoteProtocolError("the INVITE has no session key")
    return key


def public_headers(invite: Message) -> dict[str, str]:
    """The caller's public headers (header "ph", a JSON map); what can't be read is as if it were not there."""
    text = invite.headers.get("ph", "")
    if not 0 < len(text) <= 4 * MAX_PUBLIC_HEADER_BYTES:
        return {}
    try:
        headers = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return {str(name): str(value) for name, value in headers.items()} if isinstance(headers, dict) else {}
