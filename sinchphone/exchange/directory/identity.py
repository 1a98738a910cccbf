"""Who is who on an exchange, derived from the application's secret alone (pure).

Nothing here is stored: an exchange that another process took over gives the same device the same ids, keys and channels again,
so that running calls keep their signaling. Whoever doesn't know the secret can guess none of it.
"""

import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import Iterable
from dataclasses import field, replace

from sinchphone.quick_dataclass import quick_dataclass

_TRANSPORT_ID_BYTES = 15  # 20 characters: they are on every frame


@quick_dataclass(frozen=True, slots=True)
class Network:
    """One of an application's two pub/sub networks, by its keys."""

    subscribe_key: str
    publish_key: str


@quick_dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """A registered device: its instance id, the secret that signs its requests, its MXP key (AES-256), its channels, and the keys by
    which the two networks know it: clients say nothing else about themselves there."""

    instance_id: str
    secret: bytes = field(repr=False)
    mxp_key: bytes = field(repr=False)
    broadcast_channel: str
    signal_channel: str
    broadcast: Network = field(repr=False)
    signal: Network = field(repr=False)


def network(secret: bytes, *labels: str) -> Network:
    """The keys of the network with these ``labels``: an application's (``broadcast`` or ``signal``), for guests who are no devices, or a
    device's."""
    return Network(
        "sub-c-" + str(_uuid(_derive(secret, *labels, "subscribe key"))),
        "pub-c-" + str(_uuid(_derive(secret, *labels, "publish key"))),
    )


def device_identity(secret: bytes, user_id: str, device_id: str) -> DeviceIdentity:
    """What an application's user is on a device, the same at every exchange and every time."""

    def derive(label: str) -> bytes:
        return _derive(secret, label, user_id, device_id)

    return DeviceIdentity(
        str(_uuid(derive("instance id"))),
        derive("instance secret"),
        derive("mxp key"),
        "broadcast-" + _name(derive("broadcast channel")),
        "signal-" + _name(derive("signal channel")),
        network(secret, "device", "broadcast", user_id, device_id),
        network(secret, "device", "signal", user_id, device_id),
    )


def renewed(secret: bytes, identity: DeviceIdentity, generation: int) -> DeviceIdentity:
    """The same device with the secret that it has after ``generation`` renewals."""
    if not generation:
        return identity
    return replace(identity, secret=_derive(secret, "renewed instance secret", identity.instance_id, str(generation)))


def transport_channel(secret: bytes, user_id: str) -> str:
    """The channel of a user's instant messages, common to all their devices."""
    return "transport-" + _name(_derive(secret, "transport channel", user_id))


def transport_identity(secret: bytes, members: Iterable[str]) -> tuple[str, bytes]:
    """The id and the key (AES-256) of what carries instant messages among these users."""
    names = sorted(members)
    identifier = _derive(secret, "transport id", *names)[:_TRANSPORT_ID_BYTES]
    return base64.urlsafe_b64encode(identifier).decode(), _derive(secret, "transport key", *names)


def exchange_proof(secret: bytes, challenge: str, address: str) -> str:
    """What only an exchange that serves the application at that address can answer to a random challenge: who passes the challenge on
    to it from elsewhere gets a proof that is good there only."""
    return _derive(secret, "exchange proof", challenge, address).hex()


def management_token(secret: bytes) -> str:
    """What stands for the application's secret where a request can't be signed: on the inspector's page, in the SMS API. Who learns it
    looks into the exchange, and can't sign anything."""
    return _derive(secret, "management token").hex()


def _derive(secret: bytes, *labels: str) -> bytes:
    """HMAC-SHA256 over the labels as JSON, so that no two lists of labels give the same text."""
    return hmac.digest(secret, json.dumps(labels).encode(), hashlib.sha256)


def _uuid(derived: bytes) -> uuid.UUID:
    return uuid.UUID(bytes=derived[:16])


def _name(derived: bytes) -> str:
    return base64.urlsafe_b64encode(derived[:24]).decode()
