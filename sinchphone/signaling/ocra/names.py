"""The one table of the Ocra dialect: verb, path, auth and success statuses of every operation, and every uncertain name on the wire.

The client (``signaling.ocra``) and the exchange read it both, so a correction made here corrects both sides. Only the push profile's
path is publicly known; the other paths and the names marked "ours" are decided here until somebody with an account corrects them.
``registration`` and ``calls`` beside it turn bodies into values and back, for both sides, with these names.

A signature covers the method, the body *as it was sent* (so a gzip body is hashed compressed: an aiohttp server needs
``auto_decompress=False`` to verify it), the Content-Type, the timestamp and the raw, percent-encoded path without its query.
"""

from enum import StrEnum

from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.wire import Auth, Endpoint

API_ROOT = "/ocra/v1"


class OcraOperation(StrEnum):
    """The operations; the value is what an error message calls it."""

    CREATE_INSTANCE = "register"
    UPDATE_INSTANCE = "update the registration"
    PROLONG_INSTANCE = "prolong the registration"
    GET_CONFIG = "get the configuration"
    PLACE_CALL = "place the call"
    GET_ICE_SERVERS = "get the ICE servers"
    SET_PUSH_PROFILE = "set the push profile"
    DELETE_PUSH_PROFILE = "delete the push profile"
    SEND_PUSH = "send the push notification"
    GET_FEATURES = "get the feature flags"
    REPORT_CALL = "deliver the call report"


_INSTANCE = "/users/{user}/instances/{instance}"


def _at(verb: str, template: str, auth: Auth, statuses: tuple[int, ...]) -> Endpoint:
    return Endpoint(API_ROOT, verb, template, auth, statuses)


OPERATIONS: dict[OcraOperation, Endpoint] = {
    OcraOperation.CREATE_INSTANCE: _at("POST", "/instances", Auth.TOKEN, (200, 201)),
    OcraOperation.UPDATE_INSTANCE: _at("PATCH", _INSTANCE, Auth.SIGNATURE, (200, 204)),
    OcraOperation.PROLONG_INSTANCE: _at("PUT", f"{_INSTANCE}/ttl", Auth.TOKEN, (200,)),
    OcraOperation.GET_CONFIG: _at("GET", f"{_INSTANCE}/config", Auth.SIGNATURE, (200,)),
    OcraOperation.PLACE_CALL: _at("POST", f"{_INSTANCE}/calls", Auth.SIGNATURE, (200, 201)),
    OcraOperation.GET_ICE_SERVERS: _at("GET", f"{_INSTANCE}/iceServers", Auth.SIGNATURE, (200,)),
    OcraOperation.SET_PUSH_PROFILE: _at("PUT", f"{_INSTANCE}/pushProfile", Auth.SIGNATURE, (200, 204)),
    OcraOperation.DELETE_PUSH_PROFILE: _at("DELETE", f"{_INSTANCE}/pushProfile", Auth.SIGNATURE, (200, 204)),
    OcraOperation.SEND_PUSH: _at("POST", f"{_INSTANCE}/pushNotifications", Auth.SIGNATURE, (200, 202, 204)),
    OcraOperation.GET_FEATURES: _at("GET", f"{_INSTANCE}/features", Auth.SIGNATURE, (200,)),
    OcraOperation.REPORT_CALL: _at("POST", f"{_INSTANCE}/callReports", Auth.SIGNATURE, (200, 201, 202, 204)),
}


class Field:
    """Member names that are ours: no public source shows them."""

    # InitiateCallRequest (the members of Destination are known)
    CALL_ID = "callId"
    DESTINATION = "destination"
    CALLER_ID = "cli"
    MEDIA = "media"
    SDP = "sdp"
    HEADERS = "publicCallHeaders"
    # RtcProfile
    BROADCAST_CHANNEL = "broadcastChannel"
    SIGNAL_CHANNEL = "signalChannel"
    KEY = "key"
    TRANSPORT_CHANNEL = "transportChannel"  # optional, the older dialect's name: where it's missing there are no instant messages
    # MxpPubSubConfig; "ssl" is absent (= true) but from an exchange without TLS
    HOSTNAME = "hostname"
    PORT = "port"
    SSL = "ssl"
    BROADCAST_SUBSCRIBE_KEY = "broadcastSubscribeKey"
    SIGNAL_SUBSCRIBE_KEY = "signalSubscribeKey"
    SIGNAL_PUBLISH_KEY = "signalPublishKey"
    BROADCAST_PUBLISH_KEY = "broadcastPublishKey"  # optional, for instant messages
    # PushProfile.w3c, and an endpoint of ours: which push service the platform proposes (a user agent's WebSocket)
    W3C = "w3c"
    ENDPOINT = "endpoint"
    P256DH = "p256dh"
    AUTH = "auth"
    APPLICATION_SERVER_KEY = "applicationServerKey"
    PUSH_SERVICE = "w3cPushService"
    # CallReport
    RESULT = "result"
    ERROR = "error"


CAPABILITIES = ("p2p", "ocra.1")  # of an instance of ours
PUSH_CAPABILITIES = ("push", "push.4")  # what comes with a push profile


@quick_dataclass(frozen=True, slots=True)
class BearerToken:
    """``Authorization: Bearer <registration JWT>``."""

    token: str


@quick_dataclass(frozen=True, slots=True)
class InstanceSignature:
    """``Authorization: Instance <instance id>:<base64 signature>``."""

    instance_id: str
    signature: str


def write_authorization(credentials: BearerToken | InstanceSignature) -> str:
    """The value of the Authorization header."""
    if isinstance(credentials, BearerToken):
        return f"Bearer {credentials.token}"
    return f"Instance {credentials.instance_id}:{credentials.signature}"


def read_authorization(value: str | None) -> BearerToken | InstanceSignature | None:
    """What an Authorization header says, the scheme in any case; None when it is absent or can't be read."""
    scheme, _, rest = (value or "").strip().partition(" ")
    rest = rest.strip()
    if not rest or len(rest) > 8192:
        return None
    if scheme.lower() == "bearer":
        return BearerToken(rest)
    instance_id, colon, signature = rest.rpartition(":")  # base64 has no colon
    if scheme.lower() == "instance" and colon and instance_id and signature:
        return InstanceSignature(instance_id, signature)
    return None
