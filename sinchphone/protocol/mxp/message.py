"""MXP v10, the messages of a call: message <-> JSON <-> ciphertext; frames and reassembly come from ``fragments``.

::

    Message -> to_json -> encrypt -> split -> frames ~~ pub/sub ~~> parse_fragment -> Reassembler -> decrypt -> Message
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import field
from enum import IntEnum, StrEnum
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from sinchphone.errors import LocalProtocolError, RemoteProtocolError
from sinchphone.protocol.mxp.fragments import (
    MAX_PAYLOAD_BYTES,
    Fragment,
    Reassembler,
    ReassemblyCounters,
    ReassemblyLimits,
    parse_fragment,
    split,
    too_long,
)
from sinchphone.quick_dataclass import quick_dataclass

__all__ = [
    "MAX_FAILURE_CHARACTERS",
    "MAX_PAYLOAD_BYTES",
    "BodyType",
    "CallFailure",
    "Client",
    "Fragment",
    "Message",
    "Method",
    "Reassembler",
    "ReassemblyCounters",
    "ReassemblyLimits",
    "decode_client",
    "decode_failure",
    "decrypt",
    "encode_client",
    "encode_failure",
    "encrypt",
    "from_json",
    "parse_fragment",
    "split",
    "to_json",
]

MAX_FAILURE_CHARACTERS = 256  # of JSON, in a body of type error/json or a header error_json (MXP v10)
MAX_ID_CHARACTERS = 1024  # user ids have up to 255 bytes, channel and instance names are shorter
MAX_HEADERS = 64
GENERIC_CODE = 1  # ErrorCode.Generic of the 2.x SDK; a 1.x client shows "undefined" for a failure without a code
BODY_VERSION = 10

_BLOCK_BYTES = 16
KEY_SIZES = (16, 32)  # AES-128, AES-256
_MAX_DOMAIN_CHARACTERS = 32
_MAX_CODE = 2**31


class Method(IntEnum):
    """What a message asks or says (MXP v10, ``md``)."""

    UNDEFINED = 0
    INVITE = 1
    ACK = 2
    JOIN = 3
    JOINED = 4
    LEAVE = 5
    DENY = 6
    CANCEL = 7
    UPDATE = 8
    ERROR = 9
    PEER_EVENT = 10


class BodyType(StrEnum):
    """How a body is to be read (MXP v10, ``bt``). A message may carry others; they are kept as text."""

    NONE = "null"
    TEXT = "msg"
    MEDIA = "media"
    SDP = "sdp"
    CLIENT = "client"
    CLIENT_EVENT = "clientEvent"
    ERROR = "error/json"
    MESSAGE = "message"


@quick_dataclass(frozen=True, slots=True)
class Client:
    """A device that speaks MXP; ``channel`` is where answers are published (MXP v10, ``fu fi fs fd fsi fc``)."""

    user_id: str
    instance_id: str
    channel: str
    device: str = ""
    sub_instance: str = ""
    caller_id: str = field(default="", repr=False)


@quick_dataclass(frozen=True, slots=True)
class Message:
    """One MXP message. ``headers`` are its name/value pairs (``nvps``), among them ``to``, ``key``, ``sdp``, ``ph``."""

    method: Method
    sender: Client
    body_type: str = BodyType.NONE
    body: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def addressee(self) -> str | None:
        """The instance that the message is for, or ``None`` where it's for everyone."""
        return self.headers.get("to") or None

    def is_addressed_to(self, instance_id: str) -> bool:
        """Whether an instance should read the message.

        Known clients write ``<instance>:<sub-instance>``, or the bare instance id in an INVITE; a part that one side lacks
        isn't compared.
        """
        if self.addressee is None:
            return True
        instance, _, sub_instance = self.addressee.partition(":")
        own_instance, _, own_sub_instance = instance_id.partition(":")
        return instance == own_instance and (not sub_instance or not own_sub_instance or sub_instance == own_sub_instance)


@quick_dataclass(frozen=True, slots=True)
class CallFailure:
    """Why a call failed, as told to the peer or by it. The text comes from the other side: escape it before it's shown."""

    code: int | None
    message: str
    domain: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)  # of the SIP answer that refused it: x-...


def to_json(message: Message) -> str:
    """The message's JSON text; ``from_json`` gives the same message. Raises LocalProtocolError where it exceeds MXP's limits."""
    fields: dict[str, Any] = {"md": int(message.method), "bv": BODY_VERSION, **_client_fields(message.sender)}
    if message.body_type != BodyType.NONE:
        fields["bt"] = str(message.body_type)
    if message.body or message.body_type not in (BodyType.NONE, BodyType.TEXT):  # the receipt of a text has none
        fields["bd"] = message.body
    fields["nvps"] = dict(message.headers)
    try:
        _message_from(fields)  # what we wouldn't read we don't send
    except RemoteProtocolError as error:
        raise LocalProtocolError(f"the message can't be sent: {error}") from error
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def from_json(text: str) -> Message:
    """The message in a JSON text (MXP v10, body); raises RemoteProtocolError.

    Read liberally: ``bt``, ``bd``, ``bv``, ``nvps`` and the sender's members may be missing or null, others are ignored, and so
    is anything before the first and after the last brace.
    """
    return _message_from(_json_object(text[text.find("{") : text.rfind("}") + 1], "message"))


def encrypt(message: Message, key: bytes, iv: bytes) -> str:
    """The payload of a message: base64 of the IV and AES-CBC with PKCS#7 padding (MXP v10, encryption; there is no MAC).

    ``key`` has 16 or 32 bytes; ``iv`` 16 random bytes, new for every message. Raises LocalProtocolError.
    """
    if len(iv) != _BLOCK_BYTES:
        raise LocalProtocolError(f"an IV has {_BLOCK_BYTES} bytes, not {len(iv)}")
    padder = PKCS7(8 * _BLOCK_BYTES).padder()
    padded = padder.update(to_json(message).encode()) + padder.finalize()
    encryptor = _cipher(key, iv).encryptor()
    payload = base64.b64encode(iv + encryptor.update(padded) + encryptor.finalize()).decode()
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise too_long(payload)
    return payload


def decrypt(payload: str, key: bytes) -> Message:
    """The message in a payload. Raises RemoteProtocolError for anything else, LocalProtocolError for a key that is none."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise RemoteProtocolError(f"a message of {len(payload)} bytes is too long")
    try:
        sealed = base64.b64decode(payload, validate=True)
    except ValueError as error:  # binascii.Error is one
        raise RemoteProtocolError("the payload is not base64") from error
    iv, ciphertext = sealed[:_BLOCK_BYTES], sealed[_BLOCK_BYTES:]
    if not ciphertext or len(ciphertext) % _BLOCK_BYTES:
        raise RemoteProtocolError("the payload is cut short")
    decryptor = _cipher(key, iv).decryptor()
    unpadder = PKCS7(8 * _BLOCK_BYTES).unpadder()
    padded = decryptor.update(ciphertext) + decryptor.finalize()
    try:
        text = (unpadder.update(padded) + unpadder.finalize()).decode()
    except ValueError as error:  # bad padding or not UTF-8: in either case another key
        raise RemoteProtocolError("the payload doesn't decrypt with this key") from error
    return from_json(text)


def encode_client(client: Client) -> str:
    """The JSON text of a body of type ``client``."""
    return json.dumps(_client_fields(client), ensure_ascii=False, separators=(",", ":"))


def decode_client(text: str) -> Client:
    """The client in a body of type ``client``; raises RemoteProtocolError."""
    return _client_from(_json_object(text, "client"))


def encode_failure(failure: CallFailure) -> str:
    """The JSON text of a body of type ``error/json``, at most 256 characters: headers that don't fit are left out, a longer message is cut.

    The text is there twice, as ``message`` (2.x clients) and ``reason`` (1.x clients), and always a code.
    """
    message = _unicode(failure.message[:MAX_FAILURE_CHARACTERS])
    while len(text := _failure_json(failure, message, {})) > MAX_FAILURE_CHARACTERS and message:
        excess = len(text) - MAX_FAILURE_CHARACTERS
        message = message[: len(message) - max(1, excess // 12)]  # one character takes 2 to 12 in the text
    headers: dict[str, str] = {}
    for name, value in failure.headers.items():
        more = {**headers, _unicode(name): _unicode(value)}
        if len(longer := _failure_json(failure, message, more)) <= MAX_FAILURE_CHARACTERS:
            headers, text = more, longer
    return text


def _failure_json(failure: CallFailure, message: str, headers: Mapping[str, str]) -> str:
    domain = _unicode(failure.domain[:_MAX_DOMAIN_CHARACTERS])
    code = _code(failure.code)
    fields = {"code": GENERIC_CODE if code is None else code, "domain": domain or None, "message": message, "reason": message}
    present = {name: value for name, value in fields.items() if value is not None} | ({"headers": dict(headers)} if headers else {})
    return json.dumps(present, ensure_ascii=False, separators=(",", ":"))


def decode_failure(text: str) -> CallFailure:
    """The failure in a body of type ``error/json``, or ``message``, whose text is the message itself. Raises nothing.

    A code that says nothing (Generic) is none.
    """
    try:
        fields = _json_object(text, "failure")
    except RemoteProtocolError:
        return CallFailure(None, _unicode(text[:MAX_FAILURE_CHARACTERS]))
    message = next((value for value in (fields.get("message"), fields.get("reason")) if isinstance(value, str) and value), "")
    code, domain = _code(fields.get("code")), fields.get("domain")
    return CallFailure(
        None if code == GENERIC_CODE else code,
        _unicode(message[:MAX_FAILURE_CHARACTERS]),
        _unicode(str(domain)[:_MAX_DOMAIN_CHARACTERS]) if isinstance(domain, str | int) else "",
        _failure_headers(fields.get("headers")),
    )


def _failure_headers(value: object) -> dict[str, str]:
    """As many as a text of 256 characters can hold; what are none is left out."""
    found, size = dict[str, str](), 0
    for name, text in value.items() if isinstance(value, dict) else ():
        size += len(name) + len(text) if isinstance(text, str) else 0
        if isinstance(text, str) and size <= MAX_FAILURE_CHARACTERS:
            found[_unicode(name)] = _unicode(text)
    return found


def check_key(key: bytes) -> None:
    """Raises LocalProtocolError for a key that AES doesn't take."""
    if len(key) not in KEY_SIZES:
        raise LocalProtocolError(f"an MXP key has 16 or 32 bytes, not {len(key)}")


def _cipher(key: bytes, iv: bytes) -> Cipher[modes.CBC]:
    check_key(key)
    return Cipher(algorithms.AES(key), modes.CBC(iv))


def _json_object(text: str, what: str) -> dict[str, Any]:
    if len(text) > MAX_PAYLOAD_BYTES:
        raise RemoteProtocolError(f"a {what} of {len(text)} characters is too long")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RemoteProtocolError(f"the {what} is not JSON") from error
    if not isinstance(value, dict):
        raise RemoteProtocolError(f"the {what} is not a JSON object")
    return value


def _message_from(fields: dict[str, Any]) -> Message:
    return Message(
        _method(fields.get("md")),
        _client_from(fields),
        _text(fields, "bt", MAX_ID_CHARACTERS) or BodyType.NONE,
        _text(fields, "bd", MAX_PAYLOAD_BYTES),
        _headers_from(fields.get("nvps")),
    )


def _method(number: object) -> Method:
    if not isinstance(number, int) or isinstance(number, bool):
        raise RemoteProtocolError("the message has no method")
    try:
        return Method(number)
    except ValueError as error:
        raise RemoteProtocolError("the message has a method that we don't know") from error


def _headers_from(value: object) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or len(value) > MAX_HEADERS:
        raise RemoteProtocolError("the message's headers are not readable, or too many")
    present = (name for name, content in value.items() if content is not None)
    return {_well_formed(name, "a header's name", MAX_ID_CHARACTERS): _text(value, name, MAX_PAYLOAD_BYTES) for name in present}


def _client_fields(client: Client) -> dict[str, str]:
    return {
        "fu": client.user_id,
        "fi": client.instance_id,
        "fsi": client.sub_instance,
        "fd": client.device,
        "fs": client.channel,
        "fc": client.caller_id,
    }


def _client_from(fields: dict[str, Any]) -> Client:
    user_id, instance_id, channel, device, sub_instance, caller_id = (
        _text(fields, name, MAX_ID_CHARACTERS) for name in ("fu", "fi", "fs", "fd", "fsi", "fc")
    )
    return Client(user_id, instance_id, channel, device, sub_instance, caller_id)


def _text(fields: dict[str, Any], name: str, limit: int) -> str:
    """A member's text; empty where it's missing or null. Numbers and truth values are read as text (sub-instances are numbers)."""
    match fields.get(name):
        case None:
            return ""
        case bool(flag):
            return "yes" if flag else "no"
        case int(number):
            return _well_formed(str(number), name, limit)
        case str(text):
            return _well_formed(text, name, limit)
        case _:
            raise RemoteProtocolError(f"{name[:MAX_ID_CHARACTERS]!r} is not a text")


def _well_formed(text: str, name: str, limit: int) -> str:
    """The text, if it's short enough and can be written as UTF-8 (JSON can smuggle in lone surrogates)."""
    if len(text) > limit:
        raise RemoteProtocolError(f"{name[:MAX_ID_CHARACTERS]!r} is too long")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RemoteProtocolError(f"{name[:MAX_ID_CHARACTERS]!r} is not Unicode text") from error
    return text


def _unicode(text: str) -> str:
    return text.encode(errors="replace").decode()


def _code(value: object) -> int | None:
    if isinstance(value, str) and len(value) <= 11:
        try:
            value = int(value)
        except ValueError:
            return None
    if isinstance(value, int) and not isinstance(value, bool) and -_MAX_CODE <= value < _MAX_CODE:
        return value
    return None
