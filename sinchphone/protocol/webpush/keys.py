"""Keys of Web Push: points and scalars on P-256, as bytes and in base64.

Lengths are fixed: 32 bytes for a private key, 65 for a public one (uncompressed), 16 for a subscription's secret. A key whose first byte is
zero stays as long as the others.
"""

import base64
import binascii
from dataclasses import field
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sinchphone.errors import LocalProtocolError, RemoteProtocolError
from sinchphone.quick_dataclass import quick_dataclass

PRIVATE_BYTES: Final = 32
POINT_BYTES: Final = 65
AUTH_BYTES: Final = 16
RANDOM_KEY_BYTES: Final = 48  # what a private key is made from: 16 more than it has, so that none is likelier (FIPS 186-5 A.2.1)

_CURVE: Final = ec.SECP256R1()
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256 (FIPS 186-4 D.1.2.3)


@quick_dataclass(frozen=True, slots=True)
class KeyPair:
    """A key pair on P-256."""

    private: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def from_random(cls, random: bytes) -> "KeyPair":
        """A new pair (P-256). ``random``: 48 random bytes. Raises LocalProtocolError for any other number."""
        if len(random) != RANDOM_KEY_BYTES:
            raise LocalProtocolError(f"a key is made from {RANDOM_KEY_BYTES} random bytes")
        return cls(ec.derive_private_key(int.from_bytes(random, "big") % (_ORDER - 1) + 1, _CURVE))

    @classmethod
    def from_private_bytes(cls, scalar: bytes) -> "KeyPair":
        """The pair of a private key of 32 bytes. Raises RemoteProtocolError for what is none."""
        if len(scalar) != PRIVATE_BYTES:
            raise RemoteProtocolError(f"a private key has {PRIVATE_BYTES} bytes, not {len(scalar)}")
        try:
            return cls(ec.derive_private_key(int.from_bytes(scalar, "big"), _CURVE))
        except ValueError as error:
            raise RemoteProtocolError("no private key on P-256") from error

    @property
    def private_bytes(self) -> bytes:
        """The private key, 32 bytes."""
        return self.private.private_numbers().private_value.to_bytes(PRIVATE_BYTES, "big")

    @property
    def public_bytes(self) -> bytes:
        """The public key, 65 bytes."""
        return self.private.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)

    def agree(self, point: bytes) -> bytes:
        """What both ends know and nobody else (ECDH). Raises RemoteProtocolError for a point that isn't on the curve."""
        return self.private.exchange(ec.ECDH(), read_point(point, "public key"))


def read_point(point: bytes, name: str) -> ec.EllipticCurvePublicKey:
    """A public key of 65 bytes. Raises RemoteProtocolError, which calls it ``name``, for any other form and for a point off the curve."""
    if len(point) != POINT_BYTES or point[0] != 4:
        raise RemoteProtocolError(f"{name} should be an uncompressed point of {POINT_BYTES} bytes on P-256")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, point)
    except ValueError as error:
        raise RemoteProtocolError(f"{name} is a point that isn't on P-256") from error


def write_base64(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def read_base64(text: str, name: str, *, size: int | None = None) -> bytes:
    """Bytes in either base64 alphabet, padded or not, line breaks and spaces left out. Raises RemoteProtocolError, which calls it
    ``name``, for anything else and for another size than was asked for."""
    plain = "".join(text.split()).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        data = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise RemoteProtocolError(f"{name} is not base64") from error
    if size is not None and len(data) != size:
        raise RemoteProtocolError(f"{name} should have {size} bytes, but has {len(data)}")
    return data
