"""Reading an INVITE: what a called device must find in it before it becomes a call."""

import base64
import binascii

from sinchphone.errors import RemoteProtocolError
from sinchphone.protocol.mxp.message import Message, Method
from sinchphone.protocol.sdp.jsep import Description, decode_sdp_body
from sinchphone.protocol.sdp.session_description import read_session
from sinchphone.signaling.dialect import DOMAIN_HEADER, Domain


def check_invite(message: Message, address: str) -> None:
    """Raises RemoteProtocolError for a message that is no INVITE for the device of that address from another one."""
    if message.method is not Method.INVITE:
        raise RemoteProtocolError("not an INVITE")
    if not message.is_addressed_to(address) or message.sender.instance_id == address:
        raise RemoteProtocolError("an INVITE for somebody else")


def domain_of(invite: Message) -> Domain:
    """Where the call comes from: as a gateway says, else a user's where it names one, and a phone's where not."""
    try:
        return Domain(invite.headers.get(DOMAIN_HEADER, ""))
    except ValueError:
        return Domain.MXP if invite.sender.user_id else Domain.PSTN


def offers_video(invite: Message) -> bool:
    """Whether its offer has pictures; one that can't be read has none."""
    try:
        body = decode_sdp_body(invite.headers.get("sdp", ""))
        return isinstance(body, Description) and read_session(body.sdp).has_pictures
    except RemoteProtocolError:
        return False


def session_key(invite: Message) -> bytes:
    """The call's AES key (header "key"). Raises RemoteProtocolError."""
    try:
        key = base64.b64decode(invite.headers.get("key", ""), validate=True)
    except (binascii.Error, ValueError) as error:
        raise RemoteProtocolError("the INVITE's session key is not base64") from error
    if len(key) not in (16, 32):
        raise RemoteProtocolError("the INVITE has no session key")
    return key
