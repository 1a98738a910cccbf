"""The content of a push message, which only the user agent can read (RFC 8291 over RFC 8188)."""

from dataclasses import field
from typing import Final

from sinchphone.errors import LocalProtocolError, RemoteProtocolError
from sinchphone.protocol.webpush.keys import POINT_BYTES, KeyPair, read_point
from sinchphone.protocol.webpush.records import FIXED_HEADER_BYTES, TAG_BYTES, Content, derive, encrypt_records
from sinchphone.protocol.webpush.subscription import PushSubscription
from sinchphone.quick_dataclass import quick_dataclass

MAX_PUSH_BYTES: Final = 4096  # what every push service takes (RFC 8030 7.2)
MAX_PLAINTEXT_BYTES: Final = MAX_PUSH_BYTES - FIXED_HEADER_BYTES - POINT_BYTES - TAG_BYTES - 1  # 3993: the delimiter counts too
CONTENT_ENCODING: Final = "aes128gcm"

_IKM_BYTES: Final = 32


@quick_dataclass(frozen=True, slots=True)
class ReceiverKeys:
    """What a user agent reads its pushes with."""

    pair: KeyPair
    auth: bytes = field(repr=False)


def encrypt_push(plaintext: bytes, subscription: PushSubscription, *, sender: KeyPair, salt: bytes) -> bytes:
    """The body of a push message. ``sender`` is a new key pair, ``salt`` 16 new random bytes. Raises LocalProtocolError for more than
    MAX_PLAINTEXT_BYTES, RemoteProtocolError for a subscription's key that is none."""
    if len(plaintext) > MAX_PLAINTEXT_BYTES:
        raise LocalProtocolError(f"a push carries {MAX_PLAINTEXT_BYTES} bytes at most, not {len(plaintext)}")
    read_point(subscription.p256dh, "p256dh")
    shared = sender.agree(subscription.p256dh)
    secret = _secret(shared, subscription.auth, receiver=subscription.p256dh, sender=sender.public_bytes)
    return encrypt_records(plaintext, secret, salt=salt, record_size=MAX_PUSH_BYTES, key_id=sender.public_bytes).write()


def decrypt_push(body: bytes, keys: ReceiverKeys) -> bytes:
    """What a push says. Raises RemoteProtocolError for what is too long, in more than one record, changed, or for somebody else."""
    if len(body) > MAX_PUSH_BYTES:
        raise RemoteProtocolError(f"a push of {len(body)} bytes: {MAX_PUSH_BYTES} is the most")
    content = Content.parse(body)
    if len(content.records) > content.record_size:
        raise RemoteProtocolError("a push in more than one record (RFC 8291 4)")
    shared = keys.pair.agree(content.key_id)
    return content.decrypt(_secret(shared, keys.auth, receiver=keys.pair.public_bytes, sender=content.key_id))


def _secret(shared: bytes, auth: bytes, *, receiver: bytes, sender: bytes) -> bytes:
    """RFC 8291 3.4."""
    return derive(shared, auth, b"WebPush: info\0" + receiver + sender, _IKM_BYTES)
