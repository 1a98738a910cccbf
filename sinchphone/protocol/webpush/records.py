"""The content encoding aes128gcm (RFC 8188): a header, then records, each encrypted and authenticated by itself.

::

    salt (16) | record size (4) | length of the key id (1) | key id | record | record | ...
    record:   plaintext | delimiter (1, or 2 in the last one) | zeros -- AES-128-GCM, nonce by its number -->
"""

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sinchphone.errors import LocalProtocolError, RemoteProtocolError
from sinchphone.quick_dataclass import quick_dataclass

SALT_BYTES: Final = 16
TAG_BYTES: Final = 16
MIN_RECORD_BYTES: Final = 18  # a tag, a delimiter, and one byte
MAX_KEY_ID_BYTES: Final = 255
FIXED_HEADER_BYTES: Final = SALT_BYTES + 4 + 1

_NEXT: Final = 1  # the delimiter of every record but the last
_LAST: Final = 2
_KEY_BYTES: Final = 16
_NONCE_BYTES: Final = 12


@quick_dataclass(frozen=True, slots=True)
class Content:
    """A body in that encoding, still encrypted."""

    salt: bytes
    record_size: int
    key_id: bytes
    records: bytes

    @classmethod
    def parse(cls, body: bytes) -> "Content":
        """Raises RemoteProtocolError for what has no whole header, records too small to be any, or no record."""
        if len(body) < FIXED_HEADER_BYTES or len(body) < FIXED_HEADER_BYTES + body[FIXED_HEADER_BYTES - 1]:
            raise RemoteProtocolError("encrypted content without a whole header")
        end = FIXED_HEADER_BYTES + body[FIXED_HEADER_BYTES - 1]
        record_size = int.from_bytes(body[SALT_BYTES : SALT_BYTES + 4], "big")
        if record_size < MIN_RECORD_BYTES:
            raise RemoteProtocolError(f"records of {record_size} bytes: {MIN_RECORD_BYTES} is the least")
        if end == len(body):
            raise RemoteProtocolError("encrypted content without a record")
        return cls(body[:SALT_BYTES], record_size, body[FIXED_HEADER_BYTES:end], body[end:])

    def write(self) -> bytes:
        """The body."""
        return self.salt + self.record_size.to_bytes(4, "big") + bytes([len(self.key_id)]) + self.key_id + self.records

    def decrypt(self, secret: bytes) -> bytes:
        """The plaintext. ``secret`` is the input keying material. Raises RemoteProtocolError for content that is cut short, changed, or
        made with another key."""
        cipher, base = _keys(secret, self.salt)
        plain = bytearray()
        for number, at in enumerate(range(0, len(self.records), self.record_size)):
            try:
                record = cipher.decrypt(_nonce(base, number), self.records[at : at + self.record_size], None)
            except (InvalidTag, ValueError) as error:
                raise RemoteProtocolError("content that this key doesn't decrypt") from error
            content = record.rstrip(b"\0")
            is_last = at + self.record_size >= len(self.records)
            if not content or content[-1] != (_LAST if is_last else _NEXT):
                raise RemoteProtocolError("a record that isn't ended as its place asks for: content that was cut short")
            plain += content[:-1]
        return bytes(plain)


def encrypt_records(plaintext: bytes, secret: bytes, *, salt: bytes, record_size: int, key_id: bytes = b"") -> Content:
    """Encrypt with as many full records as it takes, none padded. ``salt``: 16 random bytes, never used twice with a key. Raises
    LocalProtocolError."""
    if len(salt) != SALT_BYTES or record_size < MIN_RECORD_BYTES or len(key_id) > MAX_KEY_ID_BYTES:
        raise LocalProtocolError(
            f"a salt has {SALT_BYTES} bytes, a record {MIN_RECORD_BYTES} at least, a key id {MAX_KEY_ID_BYTES} at most"
        )
    cipher, base = _keys(secret, salt)
    room = record_size - TAG_BYTES - 1
    pieces = [plaintext[at : at + room] for at in range(0, max(len(plaintext), 1), room)]
    records = bytearray()
    for number, piece in enumerate(pieces):
        delimiter = _LAST if number == len(pieces) - 1 else _NEXT
        records += cipher.encrypt(_nonce(base, number), piece + bytes([delimiter]), None)
    return Content(salt, record_size, key_id, bytes(records))


def derive(secret: bytes, salt: bytes, info: bytes, size: int) -> bytes:
    """HKDF with SHA-256 (RFC 5869)."""
    return HKDF(hashes.SHA256(), size, salt, info).derive(secret)


def _keys(secret: bytes, salt: bytes) -> tuple[AESGCM, bytes]:
    """The cipher, and what the nonces are made of (RFC 8188 2.2, 2.3)."""
    key = derive(secret, salt, b"Content-Encoding: aes128gcm\0", _KEY_BYTES)
    return AESGCM(key), derive(secret, salt, b"Content-Encoding: nonce\0", _NONCE_BYTES)


def _nonce(base: bytes, number: int) -> bytes:
    return (int.from_bytes(base, "big") ^ number).to_bytes(_NONCE_BYTES, "big")
